"""What has become of an object: what silver tells, and where bronze is asked."""

from dataclasses import dataclass, field
from uuid import UUID

import pytest

from dropzone.domain.identifiers import received_at
from dropzone.domain.outcomes import Code
from dropzone.domain.status import RejectedEvent, State, Status
from dropzone.ports import MAX_ATTEMPTS
from dropzone.use_cases.status import ObjectGoneError, UnknownObjectError, status
from support.factories import raw_id

RAW_ID = raw_id()
UNSETTLED = {State.ACCEPTED: 1, State.STUCK: MAX_ATTEMPTS}


@dataclass
class Objects:
    """Bronze, with these objects."""

    there: set[UUID] = field(default_factory=set)
    asked: int = 0

    def exists(self, raw_id: UUID) -> bool:
        self.asked += 1
        return raw_id in self.there


@dataclass
class Told:
    """Silver, which tells this of every object."""

    of: Status | None = None

    def status(self, _raw_id: UUID, *, after: int = -1, limit: int = 1) -> Status | None:
        assert (after, limit) == (-1, 1)
        return self.of

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
        raise NotImplementedError


def told(state: State, attempts: int = 0) -> Status:
    settled_at = None if state in UNSETTLED else received_at(RAW_ID)
    return Status(RAW_ID, state, received_at(RAW_ID), attempts=attempts, settled_at=settled_at)


def test_silver_is_asked_for_the_events_that_are_wanted() -> None:
    asked = []

    class Asked(Told):
        def status(self, raw_id: UUID, *, after: int = -1, limit: int = 1) -> Status | None:
            asked.append((raw_id, after, limit))
            return told(State.PROCESSED)

    status(RAW_ID, bronze=Objects(), statuses=Asked(), after=7, limit=30)

    assert asked == [(RAW_ID, 7, 30)]


def test_what_silver_has_not_heard_of_is_accepted_under_its_name() -> None:
    assert status(RAW_ID, bronze=Objects({RAW_ID}), statuses=Told()) == Status(
        RAW_ID, State.ACCEPTED, received_at(RAW_ID)
    )


@pytest.mark.parametrize("state", [State.PROCESSED, State.SUPERSEDED, State.REJECTED])
def test_what_is_settled_is_told_whatever_became_of_the_object(state: State) -> None:
    bronze = Objects()
    assert status(RAW_ID, bronze=bronze, statuses=Told(told(state))) == told(state)
    assert bronze.asked == 0


@pytest.mark.parametrize("state", UNSETTLED)
def test_what_was_tried_is_told_while_its_object_is_there(state: State) -> None:
    tried = told(state, UNSETTLED[state])
    assert status(RAW_ID, bronze=Objects({RAW_ID}), statuses=Told(tried)) == tried


@pytest.mark.parametrize("state", UNSETTLED)
def test_what_was_tried_and_is_gone_is_not_found(state: State) -> None:
    with pytest.raises(ObjectGoneError):
        status(RAW_ID, bronze=Objects(), statuses=Told(told(state, UNSETTLED[state])))


def test_what_silver_has_not_heard_of_is_accepted_while_it_is_there() -> None:
    found = status(RAW_ID, bronze=Objects({RAW_ID}), statuses=Told())
    assert (found.state, found.received_at) == (State.ACCEPTED, received_at(RAW_ID))


def test_what_nobody_has_heard_of_is_unknown() -> None:
    with pytest.raises(UnknownObjectError) as raised:
        status(RAW_ID, bronze=Objects(), statuses=Told())
    assert not isinstance(raised.value, ObjectGoneError)
