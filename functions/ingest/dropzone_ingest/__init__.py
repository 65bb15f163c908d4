"""The function Ingest: `POST /ingest`."""

from dropzone.runtime import collect_rarely

collect_rarely()
