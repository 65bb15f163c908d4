"""The status of an object."""

from uuid import UUID

from dropzone.domain.identifiers import received_at
from dropzone.domain.status import State, Status
from dropzone.ports import Presence
from dropzone.query_ports import Statuses


class UnknownObjectError(LookupError):
    """Neither bronze nor silver knows of it."""


class ObjectGoneError(UnknownObjectError):
    """It was never processed, and is no longer in bronze."""


def status(raw_id: UUID, *, bronze: Presence, statuses: Statuses, after: int = -1, limit: int = 1) -> Status:
    """The status of an object; of a processed one by silver alone.

    Args:
        raw_id: of the object.
        bronze: whether it is there.
        statuses: what silver tells.
        after: of its events, those after this item.
        limit: the most events.

    Raises:
        UnknownObjectError: there is no such object.
        ObjectGoneError: there was one, and it is gone unprocessed.
        BronzeUnavailableError, SilverUnavailableError: it is unknown for the moment.
    """
    found = statuses.status(raw_id, after=after, limit=limit)
    if found is not None and found.settled_at is not None:
        return found
    if not bronze.exists(raw_id):
        raise UnknownObjectError(str(raw_id)) if found is None else ObjectGoneError(str(raw_id))
    return found or Status(raw_id, State.ACCEPTED, received_at(raw_id))
