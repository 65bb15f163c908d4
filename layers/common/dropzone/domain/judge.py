"""From the bytes of a raw object to the outcome of each of its events."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from dropzone.domain.batches import JSON, payloads
from dropzone.domain.encodings import NotGzipError, UnpackedTooLargeError, unpacked
from dropzone.domain.envelope import check_envelope
from dropzone.domain.json_text import NotJsonError
from dropzone.domain.outcomes import Code, Outcome, Rejection, Violation
from dropzone.domain.payloads import VERSION_FIELD, VERSIONS
from dropzone.domain.violations import ROOT

MAX_UNPACKED_BYTES = 16 * 1024 * 1024
"""The most that a packed body is unpacked to: ingest's own limit is lower, and may have been another."""


def judge(body: bytes, content_type: str = JSON) -> tuple[Outcome, ...]:
    """All of what `judge_each` yields."""
    return tuple(judge_each(body, content_type))


def judge_each(body: bytes, content_type: str = JSON) -> Iterator[Outcome]:
    """Judge an object by the quality rules: an outcome for each of its events, in order, one at a time.

    Takes any bytes; an object that holds no event has one outcome, its rejection.

    Args:
        body: as it was received, packed with gzip or not.
        content_type: its media type, in lower case, without parameters; what is not NDJSON is taken for JSON.
    """
    try:
        body = unpacked(body, MAX_UNPACKED_BYTES)
    except NotGzipError as error:
        return iter([_rejected(Code.NOT_GZIP, f"is gzip that {error}")])
    except UnpackedTooLargeError as error:
        return iter([_rejected(Code.TOO_LARGE, f"{error}")])
    outcomes = map(_judge_event, payloads(body, content_type))
    return chain((next(outcomes, _NO_EVENT),), outcomes)


def _judge_event(payload: Any) -> Outcome:  # noqa: ANN401 - what JSON held
    if type(payload) is not dict:
        if isinstance(payload, NotJsonError):
            return _rejected(Code.NOT_JSON, f"is not JSON: {payload}")
        return Rejection(tuple(check_envelope(payload)))
    version = payload.get(VERSION_FIELD, 1)
    known = VERSIONS.get(version) if type(version) is int else None
    if known is None:
        numbers = ", ".join(map(str, VERSIONS))
        return _rejected(
            Code.UNSUPPORTED_VERSION,
            f"names no version of the payload that is known here ({numbers})",
            VERSION_FIELD,
        )
    return known.read(payload)


def _rejected(code: Code, message: str, field: str = ROOT) -> Rejection:
    return Rejection((Violation(code, field, message),))


_NO_EVENT = _rejected(Code.EMPTY_BATCH, "holds no event")
