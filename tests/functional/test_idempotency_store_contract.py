"""What every store of idempotency_store does: the fake of the use case's tests, and S3 on two servers."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from dropzone.adapters.s3 import S3Bronze, S3IdempotencyStore
from dropzone.domain.body import JSON
from dropzone.domain.identifiers import object_key
from dropzone.ports import BronzeUnavailableError, IdempotencyRecord, IdempotencyStore, StoredRecord
from dropzone.use_cases.ingest import Accepted, ingest_once
from functional.conftest import REGION, MakeBucket
from functional.scripted_s3 import Answer, ScriptedS3, refusal
from support.factories import EXAMPLE, raw_id, raw_object
from support.fakes import InMemoryIdempotencyStore

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# MiniStack writes whatever If-Match says (docs/local.md): only the other two can replace a record.
SUBJECTS = ["in memory", "moto", "emulator"]


@pytest.fixture
def idempotency_store(request: pytest.FixtureRequest, make_bucket: MakeBucket) -> IdempotencyStore:
    if request.param == "in memory":
        return InMemoryIdempotencyStore()
    endpoint: str = request.getfixturevalue(f"{request.param}_endpoint")
    return S3IdempotencyStore(make_bucket(endpoint), region=REGION, endpoint=endpoint)


every = pytest.mark.parametrize("idempotency_store", SUBJECTS, indirect=True)
with_if_match = pytest.mark.parametrize("idempotency_store", SUBJECTS[:2], indirect=True)


def record() -> IdempotencyRecord:
    return IdempotencyRecord(raw_id(), uuid4().hex)


@every
def test_the_first_record_is_kept(idempotency_store: IdempotencyStore) -> None:
    first, second, other = record(), record(), record()
    assert idempotency_store.put_if_absent("a", first) is None
    assert idempotency_store.put_if_absent("b", other) is None
    for _ in range(2):
        found = idempotency_store.put_if_absent("a", second)
        assert found is not None
        assert found.record == first


@every
def test_one_of_many_concurrent_records_is_stored(idempotency_store: IdempotencyStore) -> None:
    made = [record() for _ in range(40)]
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda one: idempotency_store.put_if_absent("a", one), made))
    [winner] = [one for one, current in zip(made, found, strict=True) if current is None]
    assert {current.record for current in found if current is not None} == {winner}


@every
def test_the_record_that_was_found_is_replaced(idempotency_store: IdempotencyStore) -> None:
    first, second = record(), record()
    idempotency_store.put_if_absent("a", first)
    current = idempotency_store.put_if_absent("a", second)
    assert current is not None
    assert idempotency_store.replace("a", current, second)
    found = idempotency_store.put_if_absent("a", record())
    assert found is not None
    assert found.record == second


@with_if_match
def test_another_record_is_not_replaced(idempotency_store: IdempotencyStore) -> None:
    first, second = record(), record()
    idempotency_store.put_if_absent("a", first)
    current = idempotency_store.put_if_absent("a", second)
    assert current is not None
    assert idempotency_store.replace("a", current, second)
    assert not idempotency_store.replace("a", current, record())
    found = idempotency_store.put_if_absent("a", record())
    assert found is not None
    assert found.record == second


@with_if_match
def test_what_is_gone_is_not_replaced(idempotency_store: IdempotencyStore) -> None:
    assert not idempotency_store.replace("a", StoredRecord(record(), '"0123456789abcdef"'), record())
    assert idempotency_store.put_if_absent("a", record()) is None


def test_where_they_lie(moto_endpoint: str, make_bucket: MakeBucket, s3_client: Callable[[str], "S3Client"]) -> None:
    bucket = make_bucket(moto_endpoint)
    S3IdempotencyStore(bucket, region=REGION, endpoint=moto_endpoint).put_if_absent("a" * 64, record())
    [entry] = s3_client(moto_endpoint).list_objects_v2(Bucket=bucket)["Contents"]
    assert entry.get("Key") == f"idempotency/{'a' * 64}"


@pytest.mark.parametrize("server", ["moto", "emulator"])
def test_two_hundred_at_once_are_one_object(
    server: str,
    request: pytest.FixtureRequest,
    make_bucket: MakeBucket,
    s3_client: Callable[[str], "S3Client"],
) -> None:
    # GIVEN one request, two hundred times, many of them at once
    endpoint: str = request.getfixturevalue(f"{server}_endpoint")
    bucket = make_bucket(endpoint)
    bronze = S3Bronze(bucket, region=REGION, endpoint=endpoint)
    idempotency_store = S3IdempotencyStore(bucket, region=REGION, endpoint=endpoint)

    def send(_: int) -> Accepted:
        return ingest_once(
            raw_object(EXAMPLE, JSON), key="a" * 64, limit=1_000, bronze=bronze, idempotency_store=idempotency_store
        )

    # WHEN they are taken in
    with ThreadPoolExecutor(32) as pool:
        accepted = list(pool.map(send, range(200)))

    # THEN each has the same answer, and there is one object
    assert len({answer.raw_id for answer in accepted}) == 1
    assert sum(not answer.is_replayed for answer in accepted) == 1
    [entry] = s3_client(endpoint).list_objects_v2(Bucket=bucket, Prefix="raw/")["Contents"]
    assert entry.get("Key") == object_key(accepted[0].raw_id)


def test_its_own_record_counts_as_stored(moto_endpoint: str, make_bucket: MakeBucket) -> None:
    # GIVEN a record whose answer got lost, so that the client sends it again
    subject, mine = S3IdempotencyStore(make_bucket(moto_endpoint), region=REGION, endpoint=moto_endpoint), record()
    subject.put_if_absent("a", mine)
    # THEN it is not taken for another's
    assert subject.put_if_absent("a", mine) is None


@pytest.mark.parametrize("missing", [refusal(404, "NoSuchKey"), refusal(403, "AccessDenied")], ids=["404", "403"])
@pytest.mark.parametrize("race", [refusal(409, "ConditionalRequestConflict"), refusal(412, "PreconditionFailed")])
def test_a_record_that_another_is_writing_is_waited_for(
    scripted_s3: ScriptedS3, monkeypatch: pytest.MonkeyPatch, race: Answer, missing: Answer
) -> None:
    # GIVEN a key that another request is just using: S3 refuses the write before the object can be read
    monkeypatch.setattr("dropzone.adapters.s3._LONGEST_PAUSE_SECONDS", 0)
    other = record()
    written = Answer(body=json.dumps({"raw_id": str(other.raw_id), "digest": other.digest}).encode())
    scripted_s3.script = [race, missing, race, missing, race, written]

    found = S3IdempotencyStore("bucket", region=REGION, endpoint=scripted_s3.endpoint).put_if_absent("a", record())

    assert found is not None
    assert found.record == other


def test_an_unreadable_record_is_reported_with_s3s_answer(
    scripted_s3: ScriptedS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dropzone.adapters.s3._LONGEST_PAUSE_SECONDS", 0)
    scripted_s3.script = [
        refusal(412, "PreconditionFailed"),
        refusal(403, "AccessDenied", "<Quoted>secret</Quoted>"),
    ] * 20
    subject = S3IdempotencyStore("bucket", region=REGION, endpoint=scripted_s3.endpoint)
    with pytest.raises(BronzeUnavailableError, match=r"S3 answered 403 AccessDenied$"):
        subject.put_if_absent("a", record())


def test_a_refusal_is_reported_without_its_text(scripted_s3: ScriptedS3) -> None:
    scripted_s3.script = [refusal(403, "AccessDenied", "<Quoted>secret</Quoted>")]
    subject = S3IdempotencyStore("bucket", region=REGION, endpoint=scripted_s3.endpoint)
    with pytest.raises(BronzeUnavailableError, match="S3 answered 403 AccessDenied"):
        subject.put_if_absent("a", record())
