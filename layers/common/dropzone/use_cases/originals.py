"""Read an object as it was received."""

from uuid import UUID

from dropzone.ports import Bronze, BronzeError, ObjectMissingError, RawObject, TimeLeft


class NoOriginalError(LookupError):
    """Bronze has no such object."""


def original(raw_id: UUID, *, bronze: Bronze, time_left: TimeLeft) -> RawObject:
    """An object, byte for byte.

    Raises:
        NoOriginalError: there is none.
        BronzeUnavailableError: it is unknown for the moment.
    """
    (found,) = bronze.read([raw_id], timeout=time_left() / 2)
    if isinstance(found, ObjectMissingError):
        raise NoOriginalError(str(raw_id))
    if isinstance(found, BronzeError):
        raise found
    return found
