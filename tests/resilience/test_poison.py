"""Objects that kill whoever reads them, and objects that are gone: they alone are held up, and everyone can see it."""

from collections.abc import Collection
from uuid import UUID

import pytest

from dropzone.adapters.database import open_database
from dropzone.ports import MAX_ATTEMPTS
from dropzone.queries.status import State, StatusRequest, read_status
from functional.lambda_calls import json_body
from resilience.conftest import NewWorld
from resilience.events import bad_event, good_event
from resilience.expectations import check_silver
from resilience.harness import MAX_RECEIVE_COUNT, Plan, World
from resilience.mortal import POISON
from resilience.test_crash_points import INSTANT
from support.factories import READER
from support.fakes import InMemoryBronze
from support.postgres import database_settings


class EverythingExists(InMemoryBronze):
    """Bronze has it, as far as the status asks."""

    def sender(self, _raw_id: UUID) -> str:
        return ""


def state(world: World, raw_id: UUID) -> State:
    """What the sender sees, by the role that only reads."""
    database = open_database(database_settings(world.tables.server, database_user="dropzone_reader"))
    try:
        return State(
            read_status(database, EverythingExists(), raw_id, StatusRequest(), access=READER, gzip=False)["status"]
        )
    finally:
        database.close()


def arrive(world: World, count: int) -> list[UUID]:
    """Let good events arrive, each tenth of them bad."""
    return [
        world.arrive(bad_event(f"{number}", number) if number % 10 == 9 else good_event(f"{number}", INSTANT, ["1"]))
        for number in range(count)
    ]


def sweep_until_stuck(world: World, poisons: Collection[UUID]) -> None:
    """Let the schedule strike until each poison is stuck: each time one of them kills it, after the others are done."""
    for _ in range(len(poisons) * MAX_ATTEMPTS + 1):
        if all(state(world, raw_id) is State.STUCK for raw_id in poisons):
            return
        world.sweep()
    pytest.fail("a poison is not stuck, for all the sweeps")


def check(world: World, poisons: Collection[UUID]) -> None:
    """The poisons alone are dead letters and stuck; the rest is completed."""
    assert {*world.dead_objects()} == {*poisons}
    assert len(world.dead_objects()) == len(poisons)
    assert {raw_id: state(world, raw_id) for raw_id in poisons} == dict.fromkeys(poisons, State.STUCK)
    assert all(
        state(world, raw_id) in {State.PROCESSED, State.SUPERSEDED, State.REJECTED} for raw_id in world.completed()
    )
    check_silver(world.tables, world.bronze(), world.sent, incomplete=poisons)
    # Nobody who waits for an answer meets an exhausted object: the schedule alone retries it.
    ended = world.post_process()
    assert ended.answer is not None
    assert json_body(ended.answer) == {"checked": 0, "processed": 0, "failed": 0}
    assert all(row.last_error for row in world.tables.receipt_rows().values() if not row.complete)


@pytest.mark.parametrize("position", [0, 25, 50])
def test_an_object_that_kills_its_reader_holds_up_none_of_fifty(world: World, position: int) -> None:
    # GIVEN fifty good objects and one that kills whoever reads it, all in one batch
    world.queue.batch_size = 100
    raw_ids = arrive(world, 51)
    poison = raw_ids[position]
    world.deadly = {poison}

    # WHEN the queue has done what it can
    world.drain()

    # THEN the fifty are processed, and it alone is a dead letter, and on its way to be stuck
    assert world.completed() == {*raw_ids} - {poison}
    assert world.dead_objects() == [poison]
    assert state(world, poison) is State.ACCEPTED
    assert 0 < world.attempts(poison) < MAX_ATTEMPTS
    sweep_until_stuck(world, [poison])
    check(world, [poison])


@pytest.mark.parametrize("batch_size", [5, 60])
def test_several_of_them_hold_up_none(world: World, batch_size: int) -> None:
    # Each of them costs its batch a receive; by default, a message has sixty of them.
    world.queue.batch_size, world.queue.max_receive_count = batch_size, 12
    raw_ids = arrive(world, 40)
    poisons = {raw_ids[3], raw_ids[4], raw_ids[30]}
    world.deadly = poisons
    world.drain()
    assert world.completed() == {*raw_ids} - poisons
    sweep_until_stuck(world, poisons)
    check(world, poisons)


def test_new_objects_are_processed_while_a_poison_one_is_redelivered(world: World) -> None:
    # GIVEN a poison that comes again and again
    world.deadly = {poison := world.arrive(good_event("poison", INSTANT, ["1"]))}

    # WHEN others arrive beside it all the while
    for number in range(MAX_RECEIVE_COUNT + 1):
        world.arrive(good_event(f"other {number}", INSTANT, [f"{number}"]))
        world.deliver()
    world.drain()

    # THEN they are processed
    sweep_until_stuck(world, [poison])
    check(world, [poison])


@pytest.mark.parametrize("by_request", [False, True])
def test_one_of_them_in_a_sweep_costs_the_others_one_try(world: World, *, by_request: bool) -> None:
    # GIVEN objects whose notifications are lost, among them two that kill their reader
    raw_ids = arrive(world, 20)
    world.queue.waiting.clear()
    poisons = {raw_ids[0], raw_ids[11]}
    world.deadly = poisons

    # WHEN sweeps go by
    sweeps = 0
    while any(state(world, raw_id) is not State.STUCK for raw_id in poisons):
        sweeps += 1
        assert sweeps <= 20
        world.post_process() if by_request else world.sweep()

    # THEN the others are processed, and the two are stuck
    assert world.completed() == {*raw_ids} - poisons
    assert all(world.attempts(raw_id) <= 2 for raw_id in world.completed())
    world.notify(*poisons)
    world.drain()
    check(world, poisons)


def test_an_object_that_is_gone_is_a_dead_letter_and_stuck_with_its_reason(world: World) -> None:
    raw_ids = arrive(world, 12)
    gone = raw_ids[4]
    world.delete(gone)
    world.drain()
    sweep_until_stuck(world, [gone])
    check(world, [gone])
    assert "ObjectMissingError" in (world.tables.receipt_rows()[gone].last_error or "")


def test_a_redrive_processes_a_repaired_object_and_drops_processed_ones(world: World) -> None:
    # GIVEN a poison that ended as stuck, and dead letters of it and of a completed object
    raw_ids = arrive(world, 3)
    world.deadly = {raw_ids[1]}
    world.drain()
    sweep_until_stuck(world, world.deadly)
    world.queue.dead += [*world.queue.dead]
    world.notify(raw_ids[0])

    # WHEN the function is fixed, and the dead letters are given another life
    world.deadly = set()
    world.queue.redrive()
    world.drain()

    # THEN all is well
    assert world.queue.dead == []
    check_silver(world.tables, world.bronze(), world.sent)
    assert state(world, raw_ids[1]) in {State.PROCESSED, State.SUPERSEDED}


def test_a_poison_and_deaths_beside_it(new_world: NewWorld) -> None:
    """The culprit is distinguished from what merely was there when something else went wrong."""
    world = new_world(Plan([4]))
    raw_ids = arrive(world, 10)
    world.deadly = {poison := raw_ids[2]}
    world.drain()
    assert world.plan.died_at[0] != POISON
    world.queue.redrive()
    world.drain()
    sweep_until_stuck(world, [poison])
    check(world, [poison])
