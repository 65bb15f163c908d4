"""An object, byte for byte, or why there is none."""

from collections.abc import Sequence
from uuid import UUID

import pytest

from dropzone.ports import BronzeError, BronzeUnavailableError, RawObject
from dropzone.use_cases.originals import NoOriginalError, original
from support.factories import raw_id
from support.fakes import HookedBronze
from support.world import World


def test_it_is_the_object_that_is_asked_for(world: World) -> None:
    _, wanted = world.arrive(b"one"), world.arrive(b"two")

    found = original(wanted, bronze=world.bronze, time_left=world.clock.time_left)

    assert (found.raw_id, found.body) == (wanted, b"two")


def test_what_is_not_there_is_said_to_be_missing(world: World) -> None:
    with pytest.raises(NoOriginalError):
        original(raw_id(), bronze=world.bronze, time_left=world.clock.time_left)


def test_time_is_left_to_answer(world: World) -> None:
    given: list[float] = []

    class Late(HookedBronze):
        def read(self, raw_ids: Sequence[UUID], *, timeout: float) -> list[RawObject | BronzeError]:
            given.append(timeout)
            return [BronzeUnavailableError("late") for _ in raw_ids]

    with pytest.raises(BronzeUnavailableError):
        original(raw_id(), bronze=Late(world.objects), time_left=lambda: 10.0)

    assert given == [5.0]
