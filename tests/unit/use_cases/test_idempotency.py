"""The same request, sent again: one object, whatever happened to the first."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest

from dropzone.domain.body import JSON, NDJSON, NotJsonError
from dropzone.ports import BronzeUnavailableError, IdempotencyRecord, RawIdTakenError, RawObject, StoredRecord
from dropzone.use_cases.ingest import Accepted, EnvelopeError, KeyReusedError, digest, ingest_once
from support.factories import EXAMPLE, WITHOUT_OFFSET, raw_id, raw_object
from support.fakes import InMemoryIdempotencyStore
from support.packing import gzipped
from support.world import Failing, World

Send = Callable[..., Accepted]


@pytest.fixture
def idempotency_store() -> InMemoryIdempotencyStore:
    return InMemoryIdempotencyStore()


@pytest.fixture
def send(world: World, idempotency_store: InMemoryIdempotencyStore) -> Send:
    """Send a body with a key."""

    def sent(body: bytes = EXAMPLE, key: str = "key", content_type: str = JSON) -> Accepted:
        submission = raw_object(body, content_type)
        return ingest_once(submission, key=key, limit=1_000, bronze=world.bronze, idempotency_store=idempotency_store)

    return sent


def stored(world: World) -> dict[UUID, bytes]:
    return {identifier: entry.body for identifier, entry in world.objects.objects.items()}


def test_the_same_request_again_is_the_same_object(world: World, send: Send) -> None:
    first, again = send(), send()
    assert (first.raw_id, first.events, first.is_replayed) == (again.raw_id, 1, False)
    assert again.events == 1
    assert again.is_replayed
    assert stored(world) == {first.raw_id: EXAMPLE}


def test_a_client_may_compress_again_when_it_retries(world: World, send: Send) -> None:
    first = send(gzipped(EXAMPLE, 1))
    assert [send(body).raw_id for body in (gzipped(EXAMPLE, 9), EXAMPLE)] == [first.raw_id] * 2
    assert stored(world) == {first.raw_id: gzipped(EXAMPLE, 1)}


def test_another_key_is_another_object(world: World, send: Send) -> None:
    assert send(key="a").raw_id != send(key="b").raw_id
    assert len(stored(world)) == 2


@pytest.mark.parametrize(
    "other", [{"body": WITHOUT_OFFSET}, {"content_type": NDJSON}, {"content_type": "application/ld+json"}]
)
def test_another_request_with_the_same_key_is_refused(world: World, send: Send, other: dict[str, str]) -> None:
    first = send()
    with pytest.raises(KeyReusedError):
        send(**other)
    assert stored(world) == {first.raw_id: EXAMPLE}
    assert send().raw_id == first.raw_id


@pytest.mark.parametrize(("body", "error"), [(b"{", NotJsonError), (b"{}", EnvelopeError)])
def test_a_refused_request_leaves_its_key_free(
    world: World, send: Send, idempotency_store: InMemoryIdempotencyStore, body: bytes, error: type[Exception]
) -> None:
    with pytest.raises(error):
        send(body)
    assert idempotency_store.records == {}
    accepted = send()
    assert stored(world) == {accepted.raw_id: EXAMPLE}


@pytest.mark.parametrize("stage", ["before", "after"])
def test_a_request_that_died_at_its_put_is_ended_by_the_next(
    world: World, send: Send, idempotency_store: InMemoryIdempotencyStore, stage: str
) -> None:
    # GIVEN a request whose put fails, or whose answer gets lost
    setattr(world.bronze, stage, Failing("put", BronzeUnavailableError("gone")))
    with pytest.raises(BronzeUnavailableError):
        send()

    # WHEN it is sent again
    again = send()

    # THEN there is one object, under the identifier of the first record
    assert again.is_replayed
    assert stored(world) == {idempotency_store.records["key"].record.raw_id: EXAMPLE} == {again.raw_id: EXAMPLE}


def test_many_at_once_are_one_object(world: World, send: Send) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: send(), range(200)))
    assert stored(world) == {answers[0].raw_id: EXAMPLE}
    assert {answer.raw_id for answer in answers} == {answers[0].raw_id}
    assert sum(not answer.is_replayed for answer in answers) == 1


def grow_old(world: World, idempotency_store: InMemoryIdempotencyStore, age: timedelta, *, is_stored: bool) -> UUID:
    """Let the key belong to a request of long ago, whose put went through, or did not."""
    old = raw_id(age)
    idempotency_store.records["key"] = StoredRecord(
        IdempotencyRecord(old, digest(raw_object(EXAMPLE, JSON), EXAMPLE)), "1"
    )
    if is_stored:
        world.objects.put(RawObject(old, EXAMPLE, content_type=JSON, correlation_id=""))
    return old


@pytest.mark.parametrize("age", [timedelta(minutes=1), timedelta(hours=1), timedelta(hours=23, minutes=59)])
def test_a_key_is_valid_for_a_day(
    world: World, send: Send, idempotency_store: InMemoryIdempotencyStore, age: timedelta
) -> None:
    old = grow_old(world, idempotency_store, age, is_stored=True)
    assert send().raw_id == old
    assert stored(world) == {old: EXAMPLE}


def test_a_key_is_free_after_a_day(world: World, send: Send, idempotency_store: InMemoryIdempotencyStore) -> None:
    old = grow_old(world, idempotency_store, timedelta(hours=24, seconds=1), is_stored=True)
    new = send(WITHOUT_OFFSET)
    assert not new.is_replayed
    assert stored(world) == {old: EXAMPLE, new.raw_id: WITHOUT_OFFSET}
    assert send(WITHOUT_OFFSET).raw_id == new.raw_id


def test_nothing_is_put_below_the_watermark(
    world: World, send: Send, idempotency_store: InMemoryIdempotencyStore
) -> None:
    # GIVEN a record of 15 minutes ago, whose put never came
    old = grow_old(world, idempotency_store, timedelta(minutes=15), is_stored=False)
    # other objects stand around it
    for age in (timedelta(minutes=14), timedelta(minutes=16)):
        world.arrive(age=age)

    # WHEN the request is sent again
    new = send()

    # THEN it is stored as of now, where the sweep looks, and its key names it
    assert old not in stored(world)
    assert stored(world)[new.raw_id] == EXAMPLE
    assert send().raw_id == new.raw_id
    assert len(stored(world)) == 3


def test_of_two_that_replace_an_old_record_one_wins(
    world: World, send: Send, idempotency_store: InMemoryIdempotencyStore
) -> None:
    # GIVEN an old record, which another request replaces at the same time
    grow_old(world, idempotency_store, timedelta(minutes=15), is_stored=False)
    replace, other = idempotency_store.replace, raw_id()

    def overtaken(key: str, existing: StoredRecord, record: IdempotencyRecord) -> bool:
        if idempotency_store.records[key].record.raw_id != other:
            assert replace(key, existing, IdempotencyRecord(other, record.digest))
        return replace(key, existing, record)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(InMemoryIdempotencyStore, "replace", lambda _self, *args: overtaken(*args))
        answer = send()

    # THEN both have the same answer
    assert answer.raw_id == other
    assert stored(world) == {other: EXAMPLE}


def test_a_taken_identifier_is_taken_by_the_same_request(world: World, send: Send) -> None:
    world.bronze.before = Failing("put", RawIdTakenError("taken"))
    assert not send().is_replayed
