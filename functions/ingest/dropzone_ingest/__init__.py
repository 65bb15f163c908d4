"""The function Ingest: `POST /ingest`."""
