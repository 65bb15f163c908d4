"""A function dies before and after each call to S3, SQS and Postgres; what was acknowledged is completed once, rightly.

A life is lived without a death first, which counts its boundaries. It is then lived once more for each of them, with a
death there, and what comes after it is what AWS does: the messages come again, the schedule strikes.

What a process knows dies with it: a death after a call leaves the same world as one before the next, and so does one
before and after a read. Each world is tried once (`distinct`).
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from dropzone.use_cases.process import CAUTIOUS_FROM_RECEIVE
from resilience.conftest import NewWorld
from resilience.events import bad_event, generate, good_event
from resilience.expectations import check_silver
from resilience.harness import Containers, Message, Plan, World
from resilience.mortal import Ended
from support.factories import s3_event

INSTANT = datetime(2019, 5, 1, 10, tzinfo=UTC)

Life = Callable[[World], None]


def lives(new_world: NewWorld, live: Life) -> Iterator[World]:
    """Live the life without a death, then with a death at each of its boundaries; each is checked."""
    untroubled = new_world(Plan())
    live(untroubled)
    check(untroubled)
    assert untroubled.checked == len(untroubled.completed())
    yield untroubled
    for boundary in distinct(untroubled.plan.passed[: untroubled.plan.interesting]):
        world = new_world(Plan([boundary]))
        live(world)
        assert len(world.plan.died_at) == 1
        check(world)
        yield world


_READS = {"after s3.get", "after s3.head", "after s3.list"}
"""Objects never change: whoever dies after it read one leaves what it found."""


def distinct(passed: Sequence[str]) -> list[int]:
    """The boundaries at which the world differs: neither after a read, nor before a call that directly follows one."""
    pairs = zip(["", *passed], passed, strict=False)
    return [
        number
        for number, (last, name) in enumerate(pairs)
        if name not in _READS and not (last.startswith("after ") and name.startswith("before "))
    ]


def check(world: World) -> None:
    """Whatever happened: everything is completed, once and rightly, and nothing was counted twice."""
    where = f"died at {world.plan.died_at}"
    assert not world.queue.waiting, where
    assert not world.queue.dead, where
    assert world.checked <= len(world.completed()), where
    try:
        check_silver(world.tables, world.bronze(), world.sent)
    except AssertionError as error:
        error.add_note(where)
        raise


def failures(ended: Ended) -> set[str]:
    """The messages that a call sent back."""
    assert ended.answer is not None, ended.error
    return {entry["itemIdentifier"] for entry in ended.answer["batchItemFailures"]}


def boundaries(worlds: Iterator[World]) -> set[str]:
    """Where something died, in all lives."""
    return {name for world in worlds for name in world.plan.died_at}


def put_events(world: World) -> list[Message]:
    """Two events of one instant, one of another, a bad one; the first is notified twice."""
    first, *others = [
        world.arrive(good_event("first", INSTANT, ["0", "2"])),
        world.arrive(good_event("second", INSTANT, ["5"], time_stamp="2019-05-01T06:00:00-04:00")),
        world.arrive(good_event("third", INSTANT + timedelta(hours=1), ["1e308", "1e308"])),
        world.arrive(bad_event("fourth")),
    ]
    world.notify(first)
    assert len(others) == 3
    return world.queue.waiting


# ---- ingest ----------------------------------------------------------------------------------------------------------


def test_ingest_dies_at_any_boundary(new_world: NewWorld) -> None:
    def live(world: World) -> None:
        acknowledged = world.ingest(good_event("first", INSTANT, ["1"]))
        world.recover()
        assert acknowledged in world.completed()

    worlds = list(lives(new_world, live))
    assert boundaries(iter(worlds)) >= {"before s3.put", "after s3.put"}
    # One that died after the put was stored and never acknowledged; its sender sent it again, and both are processed.
    assert {len(world.bronze()) for world in worlds} == {1, 2}


# ---- process ---------------------------------------------------------------------------------------------------------


def test_process_dies_at_any_boundary(new_world: NewWorld) -> None:
    def live(world: World) -> None:
        world.queue.batch_size = 3
        put_events(world)
        world.recover()

    died = boundaries(lives(new_world, live))
    assert died >= {
        "before postgres.connect",
        "after postgres.connect",
        "after postgres.run",
        "sqs received, not processed",
        "sqs answered, not deleted",
        "sqs deleted, the next one not",
    }


def test_process_dies_at_any_boundary_while_it_takes_objects_one_at_a_time(new_world: NewWorld) -> None:
    def live(world: World) -> None:
        for message in put_events(world):
            message.receives = 2
        world.recover()

    assert len(boundaries(lives(new_world, live))) >= 6


def test_process_dies_at_any_boundary_of_a_bare_notification(new_world: NewWorld) -> None:
    def live(world: World) -> None:
        raw_ids = [world.put(good_event("first", INSTANT, ["1"])), world.put(bad_event("second"))]
        event = s3_event(*raw_ids, bucket=world.bucket)
        # Lambda calls an asynchronous function twice more where it fails.
        any(world.call("process", event).answer == {} for _ in range(3))
        world.recover()

    assert len(boundaries(lives(new_world, live))) >= 3


@pytest.mark.parametrize("receives", [1, 3])
def test_process_is_overtaken_at_any_boundary(
    new_world: NewWorld, other_containers: Containers, tmp_path: Path, receives: int
) -> None:
    """A call pauses somewhere, another one does its work; each object is processed, and counted, once."""

    def overtaken(number: int | None) -> Ended:
        world, gate = new_world(Plan()), tmp_path / f"{number}"
        gate.mkdir()
        messages = put_events(world)
        for message in messages:
            message.receives = receives
        event = {"Records": [message.record() for message in messages]}
        slow, quick = world.overtake(event, number, gate, other_containers)
        failed = [failures(slow), failures(quick)]
        # Objects on which one call recorded an attempt may have killed it, as far as the other can know: those wait.
        assert failed == [set(), set()] or receives >= CAUTIOUS_FROM_RECEIVE, f"frozen at boundary {number}"
        world.queue.waiting = [message for message in messages if all(message.message_id in ids for ids in failed)]
        world.drain()
        check(world)
        assert world.checked == len(world.completed())
        assert (gate / "frozen").exists() == (number is not None)
        return slow

    # All of them: unlike one that dies, a call that pauses keeps what it knows.
    passed = overtaken(None).boundaries
    assert len(passed) > 8
    for number in range(len(passed)):
        overtaken(number)


# ---- sweep -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_request", [False, True])
def test_sweep_dies_at_any_boundary(new_world: NewWorld, *, by_request: bool) -> None:
    # The notifications are lost, and one of the objects was tried before.
    def live(world: World) -> None:
        put_events(world)
        tried = world.put(bad_event("fifth", 3))
        world.tables.silver().record_attempts([tried], only_due=False)
        world.queue.waiting.clear()
        if by_request:
            world.post_process(limit=3)
        else:
            world.sweep()
        world.recover()

    died = boundaries(lives(new_world, live))
    assert died >= {"before postgres.connect", "after postgres.connect", "after postgres.run"}


# ---- many deaths in one life -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, 2, *(pytest.param(seed, marks=pytest.mark.weekly) for seed in (3, 4))])
def test_a_life_with_many_deaths(new_world: NewWorld, seed: int) -> None:
    random = Random(seed)  # noqa: S311 - no secret
    deaths = [boundary for boundary in range(200) if random.random() < 0.12]
    world = new_world(Plan(deaths))
    world.queue.batch_size = random.randint(1, 5)

    # GIVEN events that arrive while functions die, whose notifications get lost, doubled and mixed up
    events = (event for event in generate(seed, instants=3) if event.refused_with is None)
    acknowledged = []
    for _, event in zip(range(12), events, strict=False):
        acknowledged.append(world.ingest(event))
        if random.random() < 0.2 and world.queue.waiting:
            world.queue.waiting.pop(random.randrange(len(world.queue.waiting)))
        if random.random() < 0.3:
            world.notify(random.choice(acknowledged))
        random.shuffle(world.queue.waiting)
        if random.random() < 0.3:
            world.deliver()
        if random.random() < 0.15:
            world.sweep()

    # WHEN the deaths come to an end
    for _ in range(3):
        world.deliver()
    world.plan = Plan()
    world.recover()

    # THEN every obligation is met
    assert {*acknowledged} <= world.completed()
    check(world)
