"""The envelope: the shape that every payload must have to be taken in at all, whatever its values."""

from typing import Any, TypeIs

from dropzone.domain.outcomes import Code, Violation

ROOT = "$"
"""The field of a violation that concerns the whole payload."""

TIME_STAMP = "time_stamp"
DATA = "data"


def is_event(payload: Any) -> TypeIs[dict[str, Any]]:  # noqa: ANN401 - what JSON held
    """Whether the payload is a JSON object."""
    return type(payload) is dict


def check_envelope(payload: Any) -> list[Violation]:  # noqa: ANN401 - what JSON held
    """What keeps the payload from being an event: an object, `time_stamp` a string, `data` an array."""
    if not is_event(payload):
        return [Violation(Code.NOT_OBJECT, ROOT, "is not a JSON object")]
    violations = []
    if type(payload.get(TIME_STAMP)) is not str:
        violations.append(
            Violation(Code.TIME_STAMP_NOT_STRING, TIME_STAMP, "is not a string")
            if TIME_STAMP in payload
            else _missing(TIME_STAMP)
        )
    if type(payload.get(DATA)) is not list:
        violations.append(
            Violation(Code.DATA_NOT_ARRAY, DATA, "is not an array") if DATA in payload else _missing(DATA)
        )
    return violations


def _missing(field: str) -> Violation:
    return Violation(Code.MISSING_FIELD, field, "is missing")
