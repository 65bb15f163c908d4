"""Settings of schemathesis for this API."""

from typing import Any
from uuid import uuid4

import schemathesis
from schemathesis import Case, GenerationMode, HookContext

LONGEST_KEY = 255
RANGES = {"/kpis", "/quality"}
NDJSON, LINE_PROTOCOL = "application/x-ndjson", "text/plain"
EVENT = '\n{"time_stamp": "2019-05-01T06:00:00-04:00", "data": [0, 2]}'
POINT = "hall,site=north temperature=21.5\n"


@schemathesis.serializer(NDJSON)
def lines(_: Any, value: Any) -> bytes:  # noqa: ANN401 - what the generator made
    """Lines go as they are."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


@schemathesis.hook
def before_call(_: HookContext, case: Case[Any], __: Any) -> None:  # noqa: ANN401 - what requests takes beside
    """What the document can't say.

    Lines of which one is an event, in JSON or InfluxDB's line protocol. A key of its own for each request with a valid
    one: to use one twice is tested elsewhere. A range that ends after it begins, and is short enough; a time zone that
    exists.
    """
    if case.media_type == NDJSON and isinstance(case.body, str) and _is_good(case):
        case.body += EVENT
    if case.media_type == LINE_PROTOCOL and isinstance(case.body, str) and _is_good(case):
        # In front: behind it, a text that was begun might not have ended.
        case.body = POINT + case.body
    if case.path in RANGES and case.query and _is_good(case):
        case.query |= {"from": "2026-03-04T12:00:00Z", "to": "2026-03-04T12:20:00+00:00"}
    if case.query and "tz" in case.query and _is_good(case):
        case.query["tz"] = "Asia/Kolkata"
    headers: Any = case.headers
    key = headers.get("Idempotency-Key") if headers else None
    if isinstance(key, str) and 1 <= len(key) <= LONGEST_KEY and key.isprintable():
        headers["Idempotency-Key"] = str(uuid4())


def _is_good(case: Case[Any]) -> bool:
    """Whether a case keeps to the document."""
    mode: GenerationMode | None = case.meta.generation.mode if case.meta else None
    return mode is GenerationMode.POSITIVE
