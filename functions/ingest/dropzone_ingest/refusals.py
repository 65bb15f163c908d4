"""What clients are told of what they sent, and is not taken in."""

from collections.abc import Sequence
from typing import NamedTuple

from dropzone import problems
from dropzone.domain.encodings import NotGzipError
from dropzone.domain.json_text import NotJsonError
from dropzone.problems import Broken, Kind
from dropzone.use_cases.ingest import EnvelopeError, KeyReusedError, TooLargeError


class UnsupportedMediaTypeError(ValueError):
    """The body is of a kind that is not taken in; the message says what to send instead."""


class Refusal(NamedTuple):
    """What a client is told."""

    kind: Kind
    detail: str
    violations: Sequence[Broken] = ()


def refusal_of(error: Exception) -> Refusal | None:
    """What the client is told of what it sent; None where the error is none of the client's, or of any route's."""
    refusal = None
    match error:
        case NotJsonError():
            refusal = Refusal(problems.NOT_JSON, f"The body is not JSON: {error}.")
        case NotGzipError():
            refusal = Refusal(problems.NOT_GZIP, f"The body is gzip that {error}.")
        case TooLargeError():
            refusal = Refusal(problems.TOO_LARGE, f"{error} Send it in parts.")
        case UnsupportedMediaTypeError():
            refusal = Refusal(problems.UNSUPPORTED_MEDIA_TYPE, str(error))
        case KeyReusedError():
            refusal = Refusal(
                problems.KEY_REUSED,
                "The Idempotency-Key stands for another request, of the last 24 hours. Take a new key.",
            )
        case EnvelopeError():
            refusal = Refusal(
                problems.INVALID_EVENT,
                "The body is no event, an object with time_stamp, a string, and data, an array; nor several of them.",
                [Broken(violation.field, violation.code, violation.message) for violation in error.violations],
            )
    return refusal
