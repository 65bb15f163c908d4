"""The function Ingest: `POST /ingest`."""

from dropzone.garbage import collect_rarely

collect_rarely()
