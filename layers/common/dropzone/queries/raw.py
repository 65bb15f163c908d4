"""`GET /ingest/{raw_id}/raw`: an object as it was received, or one of its events."""

from uuid import UUID

from pydantic import Field
from pydantic_core import to_json

from dropzone.adapters.contracts import deployed_contracts
from dropzone.api import problems
from dropzone.api.parameters import Request
from dropzone.api.problems import ProblemError
from dropzone.ports import Bronze, BronzeError, ObjectMissingError, RawObject, TimeLeft


class RawRequest(Request):
    """What `GET /ingest/{raw_id}/raw` takes in its query."""

    item: int | None = Field(
        default=None,
        ge=0,
        le=2**31 - 1,
        description=(
            "Return only this event, as JSON. For bodies that a contract's mapping reads, SenML, "
            "CloudEvents and line protocol: the event that was made from the body."
        ),
        examples=[0],
    )


def read_raw(bronze: Bronze, raw_id: UUID, *, time_left: TimeLeft) -> RawObject:
    """An object, byte for byte.

    Raises:
        ProblemError: there is no such object (any more).
        BronzeUnavailableError: bronze could not be read.
    """
    (found,) = bronze.read([raw_id], timeout=time_left() / 2)
    if isinstance(found, ObjectMissingError):
        raise ProblemError(problems.NO_RAW_OBJECT)
    if isinstance(found, BronzeError):
        raise found
    return found


def read_item(raw: RawObject, item: int) -> bytes:
    """The JSON of one event of an object; from NDJSON, byte for byte.

    Raises:
        ProblemError: there is no such event, or it is not JSON, or it can't be mapped.
    """
    # Imported here: few requests need it, and it would slow down each cold start.
    from dropzone.use_cases.objects import contents_of  # noqa: PLC0415

    found = contents_of(raw, deployed_contracts()).event(item)
    if found is None:
        raise ProblemError(problems.NO_RAW_EVENT)
    return found if isinstance(found, bytes) else to_json(found, inf_nan_mode="null")
