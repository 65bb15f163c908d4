"""What the function Query asks of silver and gold. It alone imports this: others start without the figures' types."""

from datetime import date, datetime
from typing import Protocol
from uuid import UUID

from dropzone.domain.gold import Kpi, Place, Quality, Standing, Window
from dropzone.domain.outcomes import Code
from dropzone.domain.status import RejectedEvent, Status


class Statuses(Protocol):
    """What silver tells of objects. May raise SilverUnavailableError."""

    def status(self, raw_id: UUID, *, after: int = -1, limit: int = 1) -> Status | None:
        """What has become of an object, None where silver has not heard of it.

        Of its events, those after the item `after`, and `limit` at most.
        """

    def rejections(
        self,
        *,
        code: Code | None = None,
        source: str | None = None,
        since: UUID | None = None,
        before: UUID | None = None,
        after: tuple[UUID, int] | None = None,
        limit: int,
    ) -> list[RejectedEvent]:
        """Rejected events: the last object to arrive first, and the events of each by their items.

        Args:
            code: by this rule alone.
            source: of this source alone.
            since: of objects from this one on.
            before: of objects before this one.
            after: what comes, in this order, after an item of an object.
            limit: the most events.
        """


class Measurements(Protocol):
    """The measurements that stand, in the order of their instants and sources. May raise SilverUnavailableError."""

    def page(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        source: str | None = None,
        after: Place | None = None,
        newest_first: bool = True,
        limit: int,
    ) -> list[Standing]:
        """A page of them, which costs no more however many there are.

        Args:
            since: measured at this instant or later.
            until: measured before this instant.
            source: of this source alone.
            after: what comes, in this order, after a place.
            newest_first: the order; the oldest first otherwise.
            limit: the most of them.
        """

    def at(
        self, instant: datetime, *, source: str | None = None, after: Place | None = None, limit: int
    ) -> list[Standing]:
        """Those of one instant, by their sources; of one source alone, after a place, so many at most."""


class TooMuchAskedError(ValueError):
    """The range holds more than one call computes."""


class Gold(Protocol):
    """The figures of silver by buckets of time. May raise SilverUnavailableError."""

    def knows_zone(self, name: str) -> bool:
        """Whether there is a time zone of this IANA name."""

    def day(self, day: date, tz: str) -> tuple[datetime, datetime]:
        """When a day of a time zone begins and ends, within the years 1 to 9999 of UTC."""

    def kpis(
        self, window: Window, *, expected_seconds: float | None = None, after: Place | None = None, limit: int
    ) -> list[Kpi]:
        """The buckets of a window, by their start and source; after a place, so many at most.

        Args:
            window: which.
            expected_seconds: from one event of a source to the next; inferred where it isn't given.
            after: the bucket after which to go on, by its start and source.
            limit: the most of them.

        Raises:
            TooMuchAskedError: the window holds more than is computed at once.
        """

    def quality(self, window: Window, *, after: Place | None = None, limit: int) -> list[Quality]:
        """The same of arrivals alone, by the instant of their arrival.

        Raises:
            TooMuchAskedError: the window holds more than is computed at once.
        """
