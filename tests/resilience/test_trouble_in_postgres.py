"""Errors that Postgres itself raises, through the real handler and the queue; and messages that nobody understands."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from resilience.events import good_event
from resilience.expectations import check_silver
from resilience.harness import World
from resilience.test_crash_points import INSTANT
from resilience.test_poison import arrive, sweep_until_stuck
from support.factories import s3_test_event
from support.postgres import SilverInPostgres

CONFLICTS = ("40001", "40P01")
INFRASTRUCTURE = ("08006", "25006", "28000", "3D000", "42P01", "53200", "53300", "57014", "57P01", "58030", "XX000")


@contextmanager
def trapped(tables: SilverInPostgres, state: str, when: str) -> Iterator[None]:
    """Have writes of measurements raise a state where a condition on the row `new` holds."""
    tables.query(
        "CREATE OR REPLACE FUNCTION trap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF {when} THEN RAISE EXCEPTION USING ERRCODE = '{state}'; END IF; RETURN new; END $$"
    )
    tables.query("CREATE TRIGGER trap BEFORE INSERT ON measurements FOR EACH ROW EXECUTE FUNCTION trap()")
    try:
        yield
    finally:
        tables.query("DROP TRIGGER trap ON measurements")
        tables.query("DROP FUNCTION trap")


@pytest.mark.parametrize("state", CONFLICTS)
def test_conflicts_are_tried_again_within_the_call(world: World, state: str) -> None:
    # GIVEN a conflict at the first three tries: what a transaction did is undone, and a sequence's numbers are not
    world.tables.query("CREATE SEQUENCE tries")
    world.tables.query("GRANT USAGE ON SEQUENCE tries TO dropzone_writer")
    arrive(world, 5)
    try:
        with trapped(world.tables, state, "nextval('tries') <= 3"):
            # WHEN the messages come once
            world.deliver()
            ((tries,),) = world.tables.query("SELECT last_value FROM tries")
    finally:
        world.tables.query("DROP SEQUENCE tries")

    # THEN all is processed within the one call
    assert tries > 3
    assert world.queue.waiting == []
    assert world.checked == 5
    check_silver(world.tables, world.bronze(), world.sent)


@pytest.mark.parametrize("state", INFRASTRUCTURE)
def test_another_state_raises_the_batch_and_nothing_is_half_written(world: World, state: str) -> None:
    # GIVEN a database that can't be written for now
    arrive(world, 3)
    with trapped(world.tables, state, "true"):
        # WHEN the messages come as often as they may, once less
        for _ in range(4):
            world.deliver()

        # THEN they all wait, nothing is written, and no try counts against the objects
        assert len(world.queue.waiting) == 3
        assert world.completed() == set()
        assert world.tables.outcome_rows() == {}
        assert world.tables.measurement_rows() == {}
        assert all(row.attempts == 0 for row in world.tables.receipt_rows().values())

    # AND once it can be, all is processed
    world.deliver()
    assert world.queue.waiting == []
    check_silver(world.tables, world.bronze(), world.sent)


@pytest.mark.parametrize("state", ["22003", "23514"])
def test_a_refused_row_alone_is_a_dead_letter(world: World, state: str) -> None:
    # GIVEN one object among twenty whose row the database refuses
    raw_ids = arrive(world, 19)
    refused = world.arrive(good_event("refused", INSTANT, ["666"]))
    with trapped(world.tables, state, "new.mean = 666"):
        # WHEN the queue has done what it can
        world.deliver()
        assert world.completed() == {*raw_ids}
        world.drain()

        # THEN it alone is a dead letter, and the sweep leaves it as stuck, with the reason
        assert world.dead_objects() == [refused]
        sweep_until_stuck(world, [refused])
        assert state in (world.tables.receipt_rows()[refused].last_error or "")
        check_silver(world.tables, world.bronze(), world.sent, incomplete=[refused])

    # AND a redrive completes it when the cause is gone
    world.queue.redrive()
    world.drain()
    check_silver(world.tables, world.bronze(), world.sent)


def test_what_is_not_understood_is_a_dead_letter_alone(world: World) -> None:
    strange = ["not json", {"Records": []}, {"Records": [{"eventName": "ObjectRemoved:Delete"}]}]
    world.queue.send(s3_test_event(), strange[0])
    arrive(world, 4)
    world.queue.send(*strange[1:], s3_test_event())
    world.drain()
    assert [letter.body for letter in world.queue.dead] == strange
    check_silver(world.tables, world.bronze(), world.sent)
