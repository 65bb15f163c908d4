"""Which objects a replay replays."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from dropzone.domain.identifiers import earliest_raw_id
from dropzone.domain.outcomes import Code
from dropzone.ports import Bronze, ListedObject, OutcomeStore, TimeLeft

_NIL = UUID(int=0)
"""Where identifiers begin: nothing arrived before."""


class Selection(Protocol):
    """Which objects to replay."""

    def pages(
        self, after: UUID | None, bronze: Bronze, outcome_store: OutcomeStore, time_left: TimeLeft
    ) -> Iterator[Sequence[ListedObject] | UUID]:
        """Those after a cursor, in order of arrival; or up to where there are none."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """The objects that arrived from one instant on, and before another."""

    since: datetime | None = None
    until: datetime | None = None

    def pages(
        self,
        after: UUID | None,
        bronze: Bronze,
        outcome_store: OutcomeStore,  # noqa: ARG002 - the selection's face
        time_left: TimeLeft,
    ) -> Iterator[Sequence[ListedObject]]:
        start, end = _bounds(self.since, self.until, after)
        for page in bronze.list_after(start, timeout=lambda: time_left() / 2):
            wanted = [listed for listed in page if end is None or listed.raw_id < end]
            if wanted:
                yield wanted
            if len(wanted) < len(page):
                return


@dataclass(frozen=True, slots=True)
class RejectedBy:
    """The objects with an event that a rule rejected."""

    code: Code
    since: datetime | None = None
    until: datetime | None = None

    def pages(
        self,
        after: UUID | None,
        bronze: Bronze,  # noqa: ARG002 - the selection's face
        outcome_store: OutcomeStore,
        time_left: TimeLeft,  # noqa: ARG002
    ) -> Iterator[Sequence[ListedObject]]:
        reached, end = _bounds(self.since, self.until, after)
        while page := outcome_store.rejected_by(self.code, after=reached, before=end):
            yield [ListedObject(raw_id, 0) for raw_id in page]
            reached = page[-1]


@dataclass(frozen=True, slots=True)
class DecidedBy:
    """The objects with an outcome of a contract, of any version, that today's rules haven't confirmed yet."""

    contract: str
    since: datetime | None = None
    until: datetime | None = None

    def pages(
        self,
        after: UUID | None,
        bronze: Bronze,  # noqa: ARG002 - the selection's face
        outcome_store: OutcomeStore,
        time_left: TimeLeft,  # noqa: ARG002
    ) -> Iterator[Sequence[ListedObject] | UUID]:
        reached, end = _bounds(self.since, self.until, after)
        while True:
            found = outcome_store.decided_by(self.contract, after=reached, before=end)
            if found.raw_ids:
                yield [ListedObject(raw_id, 0) for raw_id in found.raw_ids]
            if found.reached is None:
                return
            reached = found.reached
            # A call may end after many pages without any: the next one goes on behind them.
            yield reached


@dataclass(frozen=True, slots=True)
class Named:
    """These objects."""

    raw_ids: tuple[UUID, ...]

    def pages(
        self,
        after: UUID | None,
        bronze: Bronze,  # noqa: ARG002 - the selection's face
        outcome_store: OutcomeStore,  # noqa: ARG002
        time_left: TimeLeft,  # noqa: ARG002
    ) -> Iterator[Sequence[ListedObject]]:
        wanted = sorted(raw_id for raw_id in set(self.raw_ids) if after is None or raw_id > after)
        if wanted:
            yield [ListedObject(raw_id, 0) for raw_id in wanted]


def _bounds(since: datetime | None, until: datetime | None, after: UUID | None) -> tuple[UUID, UUID | None]:
    """The identifiers that a selection lies between, both left out."""
    # One less: an object may be the very first of its instant.
    start = UUID(int=earliest_raw_id(since).int - 1) if since is not None else _NIL
    end = earliest_raw_id(until) if until is not None else None
    return max(start, after or _NIL), end
