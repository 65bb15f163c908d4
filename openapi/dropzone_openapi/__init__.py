"""Builds the API's document from the functions' resolvers; at development time only, so not part of any artefact."""
