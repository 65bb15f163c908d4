"""`python -m dropzone_local`."""

from dropzone_local.cli import app

app(prog_name="dropzone_local")
