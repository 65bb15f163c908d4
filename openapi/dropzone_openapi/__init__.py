"""Builds the API document from the functions' routes; only used in development, so not part of any artefact."""
