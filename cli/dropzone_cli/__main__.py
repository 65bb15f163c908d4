"""`python -m dropzone_cli` is `dropzone`."""

from dropzone_cli.main import app

app(prog_name="dropzone")
