"""Builds the API's document from the functions' routes; at development time only, so not part of any artefact."""
