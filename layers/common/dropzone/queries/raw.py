"""`GET /ingest/{raw_id}/raw`: an object as it was received."""

from uuid import UUID

from dropzone.api import problems
from dropzone.api.problems import ProblemError
from dropzone.ports import Bronze, BronzeError, ObjectMissingError, RawObject, TimeLeft


def read_raw(bronze: Bronze, raw_id: UUID, *, time_left: TimeLeft) -> RawObject:
    """An object, byte for byte.

    Raises:
        ProblemError: there is none, or not any more.
        BronzeUnavailableError: bronze could not be read.
    """
    (found,) = bronze.read([raw_id], timeout=time_left() / 2)
    if isinstance(found, ObjectMissingError):
        raise ProblemError(problems.NO_RAW_OBJECT)
    if isinstance(found, BronzeError):
        raise found
    return found
