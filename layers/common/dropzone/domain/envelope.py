"""The envelope: the shape that every payload must have to be accepted at all, whatever its values."""

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from dropzone.domain.outcomes import Violation
from dropzone.domain.violations import violations_in


class Envelope(BaseModel):
    """What every version has, and all that ingest asks of a single event."""

    model_config = ConfigDict(strict=True)

    time_stamp: str
    data: list[Any]


def check_envelope(payload: Any) -> list[Violation]:  # noqa: ANN401 - what JSON held
    """What keeps the payload from being an event."""
    try:
        Envelope.model_validate(payload)
    except ValidationError as error:
        return violations_in(error, payload)
    return []
