"""What schemathesis has to be told of this API."""

from typing import Any
from uuid import uuid4

import schemathesis
from schemathesis import Case, HookContext

LONGEST_KEY = 255


@schemathesis.serializer("application/x-ndjson")
def lines(_: Any, value: Any) -> bytes:  # noqa: ANN401 - what the generator made
    """Lines go as they are."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


@schemathesis.hook
def before_call(_: HookContext, case: Case[Any], __: Any) -> None:  # noqa: ANN401 - what requests takes beside
    """A key of its own for each request, where it has a good one: to use one twice is tested elsewhere."""
    headers: Any = case.headers
    key = headers.get("Idempotency-Key") if headers else None
    if isinstance(key, str) and 1 <= len(key) <= LONGEST_KEY and key.isprintable():
        headers["Idempotency-Key"] = str(uuid4())
