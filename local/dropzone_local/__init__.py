"""The local stack: this project's own template on an AWS emulator, with a real PostgreSQL, on one machine.

`python -m dropzone_local` is the command line for developers; tests use `LocalStack`.
"""

from dropzone_local.deployment import Endpoints
from dropzone_local.errors import LocalStackError
from dropzone_local.stack import LocalStack, Options

__all__ = ["Endpoints", "LocalStack", "LocalStackError", "Options"]
