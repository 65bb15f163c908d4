"""CloudEvents 1.0 in JSON, a single one (structured mode) or a batch: the data of each is an event, or its samples."""

import base64
import binascii
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from dropzone.domain.body import NotJsonError, parse_json
from dropzone.domain.outcomes import ROOT, Code, Rejection, Violation

VERSION = "1.0"
_REQUIRED = ("specversion", "id", "source", "type")
_NUMBERS = frozenset({int, float})


def payloads(body: Any, _received_at: datetime) -> Iterator[dict[str, Any] | Rejection]:  # noqa: ANN401 - any JSON
    """A payload of version 2 for each event of a body.

    `data` is a number, an array of numbers, or an object with `data` and the other fields of a payload. The event's
    `time` is used if there is no `time_stamp`, and its `subject`, or else its `source`, if there is no `source`.
    """
    for event in body if type(body) is list else [body]:
        yield _payload(event)


def _payload(event: Any) -> dict[str, Any] | Rejection:  # noqa: ANN401 - any JSON
    if type(event) is not dict:
        return _rejected(ROOT, "is not a CloudEvent, which is a JSON object", Code.NOT_OBJECT)
    for name in _REQUIRED:
        if not event.get(name) or type(event[name]) is not str:
            return _rejected(name, "is missing: a CloudEvent has it as a string", Code.MISSING_FIELD)
    if event["specversion"] != VERSION:
        return _rejected("specversion", f"is not {VERSION}, the supported version of CloudEvents")
    data = _data(event)
    if isinstance(data, Rejection):
        return data
    payload = {"time_stamp": event.get("time"), "source": event.get("subject") or event["source"]}
    payload = {name: value for name, value in payload.items() if value is not None}
    if type(data) is dict:
        payload |= data
    elif data is not None:
        payload["data"] = [data] if type(data) in _NUMBERS else data
    return {**payload, "schema_version": 2}


def _data(event: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON
    if "data_base64" not in event:
        return event.get("data")
    try:
        return parse_json(base64.b64decode(event["data_base64"], validate=True))
    except (NotJsonError, binascii.Error, TypeError, ValueError):
        return _rejected("data_base64", "is not the base64 of JSON")


def _rejected(field: str, message: str, code: Code = Code.MAPPING_FAILED) -> Rejection:
    return Rejection((Violation(code, field, message),))
