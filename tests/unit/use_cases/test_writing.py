"""Objects with more events than one statement takes."""

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

import pytest

from dropzone.domain import validate as validate_module
from dropzone.domain.body import NDJSON
from dropzone.domain.contracts import DEFAULT, Contracts
from dropzone.domain.outcomes import Code, Rejection, ValidatedObject
from dropzone.domain.payloads import Event
from dropzone.domain.validate import Contents, validate
from dropzone.ports import MAX_ATTEMPTS, RawObject, RowRefusedError, SilverConflictError, SilverUnavailableError
from dropzone.use_cases import objects
from dropzone.use_cases.objects import ProcessingResult
from support.contracts import contract, contracts
from support.factories import EXAMPLE, NOT_NUMERIC, message, payload, raw_id
from support.fakes import InMemorySilver
from support.world import Clock, Failing, Queue, World

LIMIT = 10


@pytest.fixture(autouse=True)
def _small_statements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "MAX_CHUNK_EVENTS", LIMIT)


@pytest.fixture
def statements(world: World, monkeypatch: pytest.MonkeyPatch) -> list[list[tuple[UUID, int, int, bool]]]:
    """Each call of `write_outcomes`: of each object its first item, the number of events, and whether it is whole."""
    calls: list[list[tuple[UUID, int, int, bool]]] = []
    write_rows = InMemorySilver.write_outcomes

    def noted(silver: InMemorySilver, validated: list[ValidatedObject]) -> set[UUID]:
        calls.append([(entry.raw_id, entry.first_item, len(entry.outcomes), entry.is_whole) for entry in validated])
        return write_rows(silver, validated)

    monkeypatch.setattr(InMemorySilver, "write_outcomes", noted)
    assert isinstance(world.rows, InMemorySilver)
    return calls


def arrive(world: World, events: int, bad: Collection[int] = ()) -> UUID:
    """A batch arrives; its events are seconds apart, and those of these items break a rule."""
    identifier = raw_id()
    lines = [NOT_NUMERIC if n in bad else payload(f"2019-05-01T06:{n // 60:02}:{n % 60:02}Z") for n in range(events)]
    world.objects.put(RawObject(identifier, b"\n".join(lines), content_type=NDJSON, correlation_id="request-1"))
    return identifier


def items(world: World, identifier: UUID) -> list[int]:
    return sorted(item for owner, item in world.rows.outcome_rows() if owner == identifier)


Statements = list[list[tuple[UUID, int, int, bool]]]


def test_a_batch_is_written_in_parts_and_completed_by_its_last(world: World, statements: Statements) -> None:
    big = arrive(world, 25, bad={3, 24})

    result = world.process_objects(big)

    assert statements == [[(big, 0, 10, False)], [(big, 10, 10, False)], [(big, 20, 5, True)]]
    assert items(world, big) == list(range(25))
    (completed,) = result.objects
    assert (completed.events, completed.rejected, completed.codes) == (25, 2, {Code.DATA_NOT_NUMERIC: 2})
    assert completed.correlation_id == "request-1"
    assert (result.checked, result.processed, result.rejected) == (1, 0, 1)
    assert world.rows.receipt_rows()[big].items == 25


@pytest.mark.parametrize("events", [1, 9, 10, 11, 20, 21])
def test_any_number_of_events_is_whole(world: World, statements: Statements, events: int) -> None:
    big = arrive(world, events)
    world.process_objects(big)
    assert items(world, big) == list(range(events))
    assert [entry[3] for statement in statements for entry in statement].count(True) == 1
    assert all(sum(entry[2] for entry in statement) <= LIMIT for statement in statements)


def test_small_objects_share_a_statement_and_large_ones_come_last(world: World, statements: Statements) -> None:
    first, large, last = arrive(world, 4), arrive(world, 12), arrive(world, 3)

    world.process_objects(first, large, last)

    # THEN those of the small ones come first, so that the large one doesn't hold them up
    assert statements == [[(first, 0, 4, True), (last, 0, 3, True)], [(large, 0, 10, False)], [(large, 10, 2, True)]]
    assert world.completed == {first, large, last}


def test_a_statement_has_as_many_events_as_fit(world: World, statements: Statements) -> None:
    sent = [arrive(world, events) for events in (5, 5, 5, 4, 1, 1)]

    world.process_objects(*sent)

    assert [[entry[0] for entry in statement] for statement in statements] == [sent[:2], sent[2:5], sent[5:]]


def test_what_ends_in_the_middle_goes_on_where_it_comes_again(world: World, statements: Statements) -> None:
    # GIVEN a batch whose second statement meets a database that is gone
    big = arrive(world, 25)
    calls = 0

    def fail(method: str, _raw_ids: Collection[UUID]) -> None:
        nonlocal calls
        calls += method == "write_outcomes"
        if method == "write_outcomes" and calls == 2:
            reason = "gone"
            raise SilverUnavailableError(reason)

    world.silver.before = fail
    with pytest.raises(SilverUnavailableError):
        world.process_objects(big)
    assert items(world, big) == list(range(10))
    assert world.completed == set()

    # WHEN it comes again
    statements.clear()
    result = world.process_objects(big)

    # THEN it goes on behind what is written, and is processed, once and whole
    assert statements == [[(big, 10, 10, False)], [(big, 20, 5, True)]]
    assert items(world, big) == list(range(25))
    assert world.completed == {big}
    assert [entry.events for entry in result.objects] == [25]


def test_a_part_waits_for_another_try_that_the_sweep_finds(world: World) -> None:
    # GIVEN a batch of which a part was written, and whose message is lost
    big = arrive(world, 25)
    world.silver.after = Failing("write_outcomes", SilverUnavailableError("gone"))
    with pytest.raises(SilverUnavailableError):
        world.process_objects(big)
    assert world.rows.due_for_retry(10, exhausted=False) == []

    # WHEN the pause is over
    world.rows.pass_time(2 * world.rows._pause)

    # THEN the sweep finds it by its receipt
    assert world.rows.due_for_retry(10, exhausted=False) == [big]
    world.sweep()
    assert world.completed == {big}


@pytest.mark.parametrize("refused", [{0}, {9}, {10}, {24}, {3, 17}, set(range(25))])
def test_a_refused_row_leaves_the_other_events_in_silver_and_the_object_incomplete(
    world: World, monkeypatch: pytest.MonkeyPatch, refused: set[int]
) -> None:
    # GIVEN a batch with rows that the database refuses, among other objects
    before, big, after = arrive(world, 3), arrive(world, 25), arrive(world, 3)
    write_rows = InMemorySilver.write_outcomes

    def refuse(silver: InMemorySilver, validated: list[ValidatedObject]) -> set[UUID]:
        for entry in validated:
            if entry.raw_id == big and not refused.isdisjoint(range(entry.first_item, entry.items)):
                raise RowRefusedError("SQLSTATE 23514 outcomes")
        return write_rows(silver, validated)

    monkeypatch.setattr(InMemorySilver, "write_outcomes", refuse)

    # WHEN they are processed
    result = world.process_objects(before, big, after)

    # THEN it alone is returned, once, and its other events are kept
    assert [(failure.raw_id, failure.terminal) for failure in result.errors] == [(big, True)]
    assert world.completed == {before, after}
    assert items(world, big) == [n for n in range(25) if n not in refused]


def test_another_call_that_completes_the_same_batch_makes_it_a_duplicate(world: World) -> None:
    big = arrive(world, 25)
    world.process_objects(big)
    result = world.process_objects(big)
    assert (result.checked, result.duplicates) == (0, 1)


# ---- long objects ----------------------------------------------------------------------------------------------------


def spend_at_write(world: World, seconds: float) -> None:
    """Let each statement take so many seconds."""
    world.silver.after = lambda method, _raw_ids: world.clock.spend(seconds if method == "write_outcomes" else 0.0)


@pytest.mark.parametrize("path", ["queue", "queue, a later receive", "sweep"])
def test_an_object_that_outlasts_a_call_goes_on_with_the_next(world: World, path: str) -> None:
    # GIVEN a batch of seven parts, each of which takes a second, with bad events in the first and the last, a rule
    # that warns of the others, and calls of five seconds
    assert isinstance(world.rows, InMemorySilver)
    world.rows.contracts = contracts(contract(DEFAULT, {"rule": "minimum", "limit": 1, "severity": "warning"}))
    big = arrive(world, 65, bad={3, 4, 64})
    spend_at_write(world, 1.0)
    receive_count = 1 if path == "queue" else 2
    world.silver.before = failing = Failing("release_attempts", SilverConflictError("40P01"))

    # WHEN calls come
    reached, results = list[int](), list[ProcessingResult]()
    while big not in world.completed:
        if reached and path != "queue":
            assert world.rows.receipt_rows()[big].last_error == "no time was left"
            assert failing.times == 0
        assert not reached or world.attempts(big) == 0
        world.clock.left = 5.0
        if path == "sweep":
            swept = world.sweep()
            assert (swept.cursor is None) == (big in world.completed)
            results.append(swept)
        else:
            result = world.process(message(big, receive_count=receive_count))
            assert bool(result.returned) == (big not in world.completed)
            results.append(result)
            receive_count += 1
        reached.append(len(items(world, big)))

    # THEN each goes on where the one before stopped, none counts as an attempt, and the last one counts all events
    assert reached == [20, 40, 60, 65]
    assert [result.checked for result in results] == [0, 0, 0, 1]
    (completed,) = results[-1].objects
    assert (completed.events, completed.rejected, completed.codes) == (65, 3, {Code.DATA_NOT_NUMERIC: 3})
    assert completed.flagged == 62
    assert completed.correlation_id == "request-1"
    assert [result.errors for result in results] == [[]] * 4


def test_an_object_that_outlasts_all_receives_is_left_to_the_sweep(world: World) -> None:
    # GIVEN a batch of fifteen parts, each of which takes a second, calls that have time for two, and an object that is
    # gone
    big, missing = arrive(world, 150), raw_id()
    spend_at_write(world, 1.0)
    queue = Queue(world.bronze, world.silver, world.clock.time_left, max_receive_count=5)
    queue.send(big, missing)

    # WHEN the queue gives up
    while queue.waiting:
        world.clock.left = 5.0
        queue.deliver()

    # THEN only what needs somebody is a dead letter
    assert [dead.objects[0].raw_id for dead in queue.dead] == [missing]
    assert len(items(world, big)) == 100

    # AND the sweep ends the other
    while big not in world.completed:
        world.clock.left = 5.0
        before = len(items(world, big))
        world.sweep()
        assert len(items(world, big)) > before
    assert items(world, big) == list(range(150))


def test_a_part_ends_with_the_time(world: World, statements: Statements, monkeypatch: pytest.MonkeyPatch) -> None:
    # GIVEN events of which each takes a second to validate
    big = arrive(world, 25)
    slow = validate_module._read

    def slowly(payload: object) -> Event | Rejection:
        world.clock.spend(1.0)
        return slow(payload)

    monkeypatch.setattr(validate_module, "_read", slowly)
    world.clock.left = 5.5

    # WHEN a call comes
    world.process(message(big))

    # THEN what is validated by the time that is kept for writing is written
    assert statements == [[(big, 0, 4, False)]]


def test_a_call_with_little_time_writes_a_part_at_least(world: World, statements: Statements) -> None:
    big = arrive(world, 25)
    world.clock.left = 2.0
    world.bronze.after = lambda _method, _raw_ids: world.clock.spend(0.5)
    world.process(message(big))
    assert statements == [[(big, 0, 1, False)]]


def test_a_long_object_holds_up_no_other(world: World) -> None:
    # GIVEN a batch for which a call doesn't suffice, and objects that came after it
    big, *others = arrive(world, 65), *(arrive(world, 3) for _ in range(5))
    other_big = arrive(world, 12)
    spend_at_write(world, 1.0)
    world.clock.left = 5.0

    # WHEN they come together
    messages = [message(identifier) for identifier in (big, *others, other_big)]
    result = world.process(*messages)

    # THEN the others are processed, and of those that are long the first one gets on
    assert world.completed == {*others}
    assert len(items(world, big)) == 10
    assert result.deferred == [big, other_big]
    assert result.returned == [messages[0].message_id, messages[-1].message_id]


def test_few_events_in_many_bytes_are_long_as_well(
    world: World, statements: Statements, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "LONG_BYTES", 3 * len(EXAMPLE) - 1)
    parsed: list[UUID] = []
    contents_of = objects.contents_of

    def noted(raw: RawObject, contracts: Contracts) -> Contents:
        parsed.append(raw.raw_id)
        return contents_of(raw, contracts)

    monkeypatch.setattr(objects, "contents_of", noted)
    big, small = arrive(world, 4), arrive(world, 1)
    world.process_objects(big, small)
    assert statements == [[(small, 0, 1, True)], [(big, 0, 4, True)]]
    assert world.completed == {big, small}
    assert parsed == [small, big]  # the long one once


def test_the_parts_of_a_long_object_are_as_large_as_the_last_ones_grew(
    world: World, statements: Statements, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "_FIRST_PART_EVENTS", 4)
    first, second = arrive(world, 12), arrive(world, 12)
    world.process_objects(first, second)
    assert statements == [
        *([(first, 0, 4, False)], [(first, 4, 8, True)]),
        *([(second, 0, 10, False)], [(second, 10, 2, True)]),
    ]


def test_a_long_object_is_begun_whatever_the_few_events_of_the_last_one_took(
    world: World, statements: Statements, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GIVEN long objects of one event each, which take a third of a second, and one of many small events
    monkeypatch.setattr(objects, "MAX_CHUNK_EVENTS", 5_000)
    monkeypatch.setattr(objects, "LONG_BYTES", 1)
    arrived = [*(arrive(world, 1) for _ in range(4)), arrive(world, 600)]
    world.silver.before = lambda method, _: world.clock.spend(0.3 if method == "write_outcomes" else 0.0)

    # WHEN they come in one call
    world.clock.left = 10.0
    result = world.process_objects(*arrived)

    # THEN all are processed: a part of many more such events isn't to be feared
    assert (result.checked, result.deferred) == (5, [])
    assert statements[4:] == [[(arrived[4], 0, 500, False)], [(arrived[4], 500, 100, True)]]


def test_an_event_that_is_refused_again_does_not_hold_up_those_behind_it(
    world: World, statements: Statements, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GIVEN a long object of which one event was refused before the time ended
    monkeypatch.setattr(objects, "MAX_CHUNK_EVENTS", 2_000)
    big = arrive(world, 3_000)
    outcomes = validate(world.objects.objects[big].body, NDJSON)
    world.rows.write_outcomes([ValidatedObject(big, outcomes[1:10], 1, is_whole=False)])
    statements.clear()

    def write(method: str, _raw_ids: Collection[UUID]) -> None:
        if method == "write_outcomes":
            world.clock.spend(0.3)
            if not statements:
                statements.append([])
                raise RowRefusedError("22000")

    world.silver.before = write

    # WHEN it comes again
    world.clock.left = 28.0
    result = world.process_objects(big)

    # THEN that one is an error, and the others are written
    assert [error.raw_id for error in result.errors] == [big]
    assert items(world, big) == list(range(1, 3_000))


def test_an_object_of_refused_rows_for_which_the_time_is_never_enough_is_stuck_in_the_end(world: World) -> None:
    # GIVEN a long object whose rows are all refused, which takes longer to find out than a call has
    big = arrive(world, 25)

    def refuse(method: str, _raw_ids: Collection[UUID]) -> None:
        if method == "write_outcomes":
            world.clock.spend(0.2)
            raise RowRefusedError("22000")

    world.silver.before = refuse

    # WHEN it is tried again and again
    for _ in range(MAX_ATTEMPTS):
        world.clock.left = 6.0
        result = world.sweep()
        assert (result.deferred, [error.raw_id for error in result.errors]) == ([big], [big])
        world.rows.pass_time(timedelta(days=1))

    # THEN each attempt counted: it holds up no others
    assert world.rows.receipt_rows()[big].attempts == MAX_ATTEMPTS
    world.clock.left = 6.0
    assert world.sweep().errors == []


@pytest.mark.parametrize("written", [[range(10)], [range(3, 5)], [range(2), range(4, 25)], [range(25)], []])
def test_what_is_written_is_not_written_again(world: World, statements: Statements, written: list[range]) -> None:
    # GIVEN an object of which some events are written, such as all but those that the database refused
    big = arrive(world, 25)
    outcomes = validate(world.objects.objects[big].body, NDJSON)
    for run in written:
        world.rows.write_outcomes([ValidatedObject(big, outcomes[run.start : run.stop], run.start, is_whole=False)])
    if not written:
        world.rows.record_attempts([big], only_due=False)
    statements.clear()

    # WHEN it comes again
    assert world.process(message(big)).checked == 1

    # THEN the others are, and it is processed
    assert items(world, big) == list(range(25))
    new = sum(number for statement in statements for _, _, number, _ in statement)
    assert new == 25 - sum(map(len, written))
    assert world.rows.receipt_rows()[big].items == 25


def test_what_was_written_under_other_rules_is_written_again(world: World, statements: Statements) -> None:
    # GIVEN an object of which 15 events were written, 12 of them under the rules of before
    big = arrive(world, 25)
    old = validate(payload("2001-01-01T00:00:00Z"))[0]
    outcomes = [*[old] * 12, *validate(world.objects.objects[big].body, NDJSON)[12:15]]
    world.rows.write_outcomes([ValidatedObject(big, tuple(outcomes), 0, is_whole=False)])
    world.rows.outdate(big, range(12))
    statements.clear()

    # WHEN it comes again
    assert world.process(message(big)).checked == 1

    # THEN nothing is left of these
    assert statements == [[(big, 0, 10, False)], [(big, 10, 2, False)], [(big, 15, 10, True)]]
    current = {(row.raw_id, row.item): row.measurement for row in world.rows.measurement_rows().values()}
    assert current == {key: row.measurement for key, row in world.rows.outcome_rows().items()}
    assert len(current) == 25


@pytest.mark.parametrize("path", ["queue", "queue, a later receive", "sweep"])
def test_a_short_object_is_also_written_again_where_it_was_written_under_other_rules(world: World, path: str) -> None:
    # GIVEN three events, two of which were written under the rules of before, when the third was refused
    small = arrive(world, 3)
    old = validate(payload("2001-01-01T00:00:00Z"))[0]
    world.rows.write_outcomes([ValidatedObject(small, (old, old), 0, is_whole=False)])
    world.rows.outdate(small, range(2))
    world.rows.pass_time(timedelta(hours=1))

    # WHEN it comes again, and the database has to be asked twice
    world.silver.before = failing = Failing("written", SilverConflictError("40P01"))
    receives = 3 if path == "queue, a later receive" else 1
    result = world.sweep() if path == "sweep" else world.process(message(small, receive_count=receives))

    # THEN all three are those of today
    assert result.checked == 1
    assert failing.times == 0
    outcomes = validate(world.objects.objects[small].body, NDJSON)
    assert [world.rows.outcome_rows()[small, item].measurement for item in range(3)] == list(outcomes)


def test_where_the_time_ends_while_old_outcomes_are_discarded_the_object_is_deferred(world: World) -> None:
    # GIVEN an object with 25 outcomes of other rules, of which a second is enough for ten
    big = arrive(world, 25)
    outcomes = validate(world.objects.objects[big].body, NDJSON)
    world.rows.write_outcomes([ValidatedObject(big, outcomes, 0, is_whole=False)])
    world.rows.outdate(big, range(25))
    asked: list[str] = []

    def discard(method: str, _raw_ids: Collection[UUID]) -> None:
        asked.append(method)
        world.clock.spend(1.0 if method == "discard_outdated" else 0.0)

    world.silver.before = discard

    # WHEN a call has time for two of the three
    world.clock.left = 3.5
    first = message(big)
    result = world.process(first)

    # THEN it comes again, and is processed then
    assert asked.count("discard_outdated") == 2
    assert len(items(world, big)) == 5
    assert (result.deferred, result.returned) == ([big], [first.message_id])
    world.clock.left = 60.0
    assert world.process(first).checked == 1
    assert items(world, big) == list(range(25))


def test_a_last_part_after_a_gap_completes_nothing(world: World) -> None:
    big = arrive(world, 25)
    outcomes = validate(world.objects.objects[big].body, NDJSON)
    assert world.rows.write_outcomes([ValidatedObject(big, outcomes[20:], 20)]) == set()
    assert world.completed == set()


# ---- how large parts are ---------------------------------------------------------------------------------------------


def test_parts_begin_small_and_grow_while_they_take_little_time() -> None:
    clock = Clock()
    parts = objects.Parts(clock.time_left)
    contents = Contents(b"[" + b",".join([b"0"] * 100) + b"]")
    sizes = []
    for seconds in (0.1, 0.4, 1.0, 2.5, 2.5, 0.1):
        sizes.append(parts.size)
        with parts.next(contents, 0, 100) as outcomes:
            assert len(outcomes) == min(parts.size, 100)
            clock.spend(seconds)
    assert sizes == [LIMIT, LIMIT, LIMIT, LIMIT, LIMIT // 2, LIMIT // 4]
    assert parts.size == 2 * (LIMIT // 4)


def test_the_first_part_is_a_tenth_of_the_largest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "MAX_CHUNK_EVENTS", 5_000)
    parts = objects.Parts(lambda: 60.0)
    sizes = []
    for _ in range(6):
        sizes.append(parts.size)
        parts.learn(parts.size, 0.1)
    assert sizes == [500, 1_000, 2_000, 4_000, 5_000, 5_000]


def test_a_part_may_get_as_small_as_one_event() -> None:
    parts = objects.Parts(lambda: 60.0)
    for _ in range(5):
        parts.learn(parts.size, 3.0)
    assert parts.size == 1


@pytest.mark.parametrize(
    ("events", "left", "may"), [(LIMIT, 3.9, False), (LIMIT, 4.0, True), (1, 3.9, False), (1, 4.0, True)]
)
def test_a_part_is_begun_only_if_there_is_time_for_one_like_the_last(events: int, left: float, may: bool) -> None:
    clock = Clock(1.0)
    parts = objects.Parts(clock.time_left)
    assert parts.may_begin()
    clock.left = left
    parts.learn(events, 1.0)
    assert parts.may_begin() == may
