"""Tell what has become of an object."""

from uuid import UUID

from dropzone.domain.identifiers import received_at
from dropzone.domain.status import State, Status
from dropzone.ports import Presence, Statuses


class UnknownObjectError(LookupError):
    """Neither bronze nor silver knows of it."""


def status(raw_id: UUID, *, bronze: Presence, statuses: Statuses) -> Status:
    """What has become of an object.

    Raises:
        UnknownObjectError: there is no such object.
        BronzeUnavailableError, SilverUnavailableError: nobody can tell for the moment.
    """
    found = statuses.status(raw_id)
    if found is not None:
        return found
    if not bronze.exists(raw_id):
        raise UnknownObjectError(str(raw_id))
    return Status(raw_id, State.ACCEPTED, received_at(raw_id))
