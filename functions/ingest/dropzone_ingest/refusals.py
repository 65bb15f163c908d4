"""Problems of requests that are not accepted."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from dropzone.api import problems
from dropzone.api.problems import FieldError, ProblemType
from dropzone.domain.body import NotGzipError, NotJsonError
from dropzone.use_cases.ingest import EnvelopeError, KeyReusedError, TooLargeError


class UnsupportedMediaTypeError(ValueError):
    """The media type is not accepted; the message says what to send instead."""


class NoSuchContractError(ValueError):
    """The contract in the path is not deployed."""


class Problem(NamedTuple):
    """A problem's type, reason and violations."""

    type: ProblemType
    reason: str = ""
    violations: Sequence[FieldError] = ()


_TYPES: Mapping[type[Exception], ProblemType] = {
    NotJsonError: problems.NOT_JSON,
    NotGzipError: problems.NOT_GZIP,
    TooLargeError: problems.TOO_LARGE,
    UnsupportedMediaTypeError: problems.UNSUPPORTED_MEDIA_TYPE,
    KeyReusedError: problems.KEY_REUSED,
    EnvelopeError: problems.INVALID_EVENT,
    NoSuchContractError: problems.NO_SUCH_CONTRACT,
}


def client_problem(error: Exception) -> Problem | None:
    """The problem of a client's error; None for other errors."""
    problem_type = _TYPES.get(type(error))
    if problem_type is None:
        return None
    violations = error.violations if isinstance(error, EnvelopeError) else ()
    return Problem(problem_type, str(error), [FieldError(each.field, each.code, each.message) for each in violations])
