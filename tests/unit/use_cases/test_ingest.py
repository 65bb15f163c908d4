"""Taking events in: what is stored, under which identifier, and what isn't."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from dropzone.domain.batches import JSON, NDJSON
from dropzone.domain.identifiers import received_at
from dropzone.domain.json_text import NotJsonError
from dropzone.domain.outcomes import Code, Violation
from dropzone.ports import BronzeUnavailableError, RawIdTakenError, RawObject
from dropzone.use_cases.ingest import Accepted, EnvelopeError, Submission, TooLargeError, ingest
from support.factories import EXAMPLE, NOT_NUMERIC, WITHOUT_OFFSET
from support.packing import gzipped
from support.world import Failing, World


def take_in(world: World, body: bytes, limit: int = 1_000) -> Accepted:
    return ingest(Submission(body, JSON, correlation_id="request-1"), limit=limit, bronze=world.bronze)


def test_ingest_stores_raw(world: World) -> None:
    # GIVEN bytes that any rewriting would change
    body = b'{ "data": [1.0, 10e-1],\r\n "time_stamp": "2019-05-01T06:00:00-04:00", "note": "caf\xc3\xa9", "x": {} }\n'

    # WHEN they are taken in
    accepted = take_in(world, body)

    # THEN they stand in bronze as they came, with what was said about them
    assert world.objects.objects == {accepted.raw_id: RawObject(accepted.raw_id, body, "application/json", "request-1")}
    assert accepted.received_at == received_at(accepted.raw_id)
    assert timedelta(seconds=-1) < datetime.now(UTC) - accepted.received_at < timedelta(seconds=10)


@pytest.mark.parametrize("body", [WITHOUT_OFFSET, NOT_NUMERIC, b'{"time_stamp": "", "data": []}'])
def test_what_breaks_a_rule_of_quality_is_taken_in(world: World, body: bytes) -> None:
    assert take_in(world, body).raw_id in world.objects.objects


def test_the_same_body_twice_is_two_objects(world: World) -> None:
    first, second = take_in(world, EXAMPLE), take_in(world, EXAMPLE)
    assert first.raw_id < second.raw_id
    assert len(world.objects.objects) == 2


def test_a_body_may_be_as_long_as_the_limit(world: World) -> None:
    take_in(world, EXAMPLE, limit=len(EXAMPLE))
    with pytest.raises(TooLargeError, match=f"has {len(EXAMPLE)} bytes; at most {len(EXAMPLE) - 1}"):
        take_in(world, EXAMPLE, limit=len(EXAMPLE) - 1)
    assert len(world.objects.objects) == 1


@pytest.mark.parametrize(
    ("body", "content_type", "events"),
    [
        (EXAMPLE, JSON, 1),
        (b"[" + EXAMPLE + b"]", JSON, 1),
        (b"[1, 2, 3]", JSON, 3),
        (EXAMPLE + b"\n\n" + EXAMPLE, NDJSON, 2),
        (b"no JSON\n[1, 2, 3]", NDJSON, 2),
        (gzipped(EXAMPLE + b"\n" + EXAMPLE), NDJSON, 2),
        (b"[" + b",".join([b"0"] * 100_000) + b"]", JSON, 100_000),
    ],
)
def test_events_are_counted(world: World, body: bytes, content_type: str, events: int) -> None:
    accepted = ingest(Submission(body, content_type), limit=1_000_000, bronze=world.bronze)

    assert accepted.events == events
    assert world.objects.objects[accepted.raw_id].content_type == content_type


@pytest.mark.parametrize(
    ("body", "limit", "reason"),
    [
        (b"[" + b",".join([b"0"] * 100_001) + b"]", 1_000_000, "100001 events"),
        (gzipped(EXAMPLE.ljust(1_001)), 1_000, "1000 bytes"),
    ],
)
def test_too_much_at_once_is_refused(world: World, body: bytes, limit: int, reason: str) -> None:
    with pytest.raises(TooLargeError, match=reason):
        ingest(Submission(body, JSON), limit=limit, bronze=world.bronze)
    assert world.objects.objects == {}


@pytest.mark.parametrize("body", [b"", b"\xef\xbb\xbf{}", b"\xff", b"{", b'{"a": NaN}'])
def test_what_is_not_json_is_not_stored(world: World, body: bytes) -> None:
    with pytest.raises(NotJsonError):
        take_in(world, body)
    assert world.objects.objects == {}


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        (b"5", [Code.NOT_OBJECT]),
        (b"[]", [Code.EMPTY_BATCH]),
        (b"{}", [Code.MISSING_FIELD, Code.MISSING_FIELD]),
        (b'{"time_stamp": 1, "data": {}}', [Code.TIME_STAMP_NOT_STRING, Code.DATA_NOT_ARRAY]),
    ],
)
def test_what_is_no_event_is_not_stored(world: World, body: bytes, codes: list[Code]) -> None:
    with pytest.raises(EnvelopeError) as raised:
        take_in(world, body)
    assert [violation.code for violation in raised.value.violations] == codes
    assert world.objects.objects == {}


def test_an_empty_batch_says_what_is_wrong(world: World) -> None:
    with pytest.raises(EnvelopeError) as raised:
        take_in(world, b"[]")
    assert raised.value.violations == [Violation(Code.EMPTY_BATCH, "$", "holds no event")]


@pytest.mark.parametrize(("body", "encoding"), [(EXAMPLE, ""), (gzipped(EXAMPLE), "gzip")], ids=["plain", "packed"])
def test_how_a_body_is_packed_is_stored_with_it(world: World, body: bytes, encoding: str) -> None:
    stored = world.objects.objects[take_in(world, body).raw_id]
    assert (stored.body, stored.content_encoding) == (body, encoding)


def test_a_taken_identifier_is_left_for_another(world: World) -> None:
    # GIVEN identifiers that are taken, four in a row
    tried: list[UUID] = []
    failing = Failing("put", RawIdTakenError("taken"), times=4)

    def hook(method: str, raw_ids: list[UUID]) -> None:
        tried.extend(raw_ids)
        failing(method, raw_ids)

    world.bronze.before = hook  # type: ignore[assignment] # it is given a list

    # WHEN an event comes
    accepted = take_in(world, EXAMPLE)

    # THEN it is stored once, under the fifth
    assert list(world.objects.objects) == [accepted.raw_id] == tried[4:]
    assert len(set(tried)) == 5


def test_five_taken_identifiers_are_enough(world: World) -> None:
    world.bronze.before = Failing("put", RawIdTakenError("taken"), times=5)
    with pytest.raises(BronzeUnavailableError):
        take_in(world, EXAMPLE)
    assert world.objects.objects == {}


def test_what_cannot_be_stored_is_not_promised(world: World) -> None:
    world.bronze.before = Failing("put", BronzeUnavailableError("slow down"))
    with pytest.raises(BronzeUnavailableError, match="slow down"):
        take_in(world, EXAMPLE)
