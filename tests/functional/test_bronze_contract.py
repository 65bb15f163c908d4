"""What every implementation of `Bronze` does: the fake of the unit tests, and S3Bronze against two servers."""

import gzip
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from dropzone.adapters.s3 import S3Bronze
from dropzone.domain.identifiers import new_raw_id
from dropzone.ports import (
    Bronze,
    BronzeUnavailableError,
    ListedObject,
    ObjectMissingError,
    RawIdTakenError,
    RawObject,
)
from functional.conftest import REGION, MakeBucket
from support.fakes import InMemoryBronze

NOTHING_BEFORE = UUID(int=0)
MANY = 1_005
LONG = 60.0

BODIES = {
    "empty": b"",
    "4 MiB": bytes(range(256)) * 16_384,
    "binary": bytes(range(256)),
    "CRLF and spaces": b' {"data" :\r\n\t[ 1.0, 1e0 ] }\r\n ',
    "UTF-8": '{"ü": "μ⊢漢🙂"}'.encode(),
    "what looks like a chunk of a signed stream": b"10;chunk-signature=0\r\n0123456789abcdef\r\n0\r\n\r\n",
}


@pytest.fixture(params=["memory", "moto", "emulator"])
def bronze(request: pytest.FixtureRequest, make_bucket: MakeBucket) -> Bronze:
    if request.param == "memory":
        return InMemoryBronze()
    endpoint: str = request.getfixturevalue(f"{request.param}_endpoint")
    return S3Bronze(make_bucket(endpoint), region=REGION, endpoint=endpoint)


def long_enough() -> float:
    return LONG


def put(bronze: Bronze, body: bytes = b"{}") -> UUID:
    raw_id = new_raw_id()
    bronze.put(RawObject(raw_id, body, content_type="application/json", correlation_id="c"))
    return raw_id


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_an_object_comes_back_as_it_went(bronze: Bronze, body: bytes) -> None:
    raw_id = new_raw_id()

    bronze.put(RawObject(raw_id, body, content_type="application/vnd.dropzone+json", correlation_id="a-b-c"))

    assert bronze.read([raw_id], timeout=LONG) == [RawObject(raw_id, body, "application/vnd.dropzone+json", "a-b-c")]


def test_an_object_keeps_how_and_by_whom_it_was_sent(bronze: Bronze) -> None:
    raw_id = new_raw_id()
    sent = RawObject(
        raw_id,
        gzip.compress(b"{}"),
        content_type="application/json",
        correlation_id="c",
        content_encoding="gzip",
        contract="telegraf",
        client="hall-3",
        writes=("hall-3/*", "größe"),
    )

    bronze.put(sent)

    assert bronze.read([raw_id], timeout=LONG) == [sent]


def test_an_object_of_another_writer_has_no_correlation_id(bronze: Bronze) -> None:
    raw_id = new_raw_id()

    bronze.put(RawObject(raw_id, b"{}", content_type="application/json", correlation_id=""))

    assert bronze.read([raw_id], timeout=LONG) == [RawObject(raw_id, b"{}", "application/json", "")]


def test_an_existing_object_is_not_overwritten(bronze: Bronze) -> None:
    raw_id = put(bronze, b"first")

    with pytest.raises(RawIdTakenError, match=str(raw_id)):
        bronze.put(RawObject(raw_id, b"second", content_type="text/plain", correlation_id="d"))

    assert bronze.read([raw_id], timeout=LONG) == [RawObject(raw_id, b"first", "application/json", "c")]


def test_of_many_puts_at_once_one_gets_the_place(bronze: Bronze) -> None:
    raw_id = new_raw_id()

    def attempt(number: int) -> bool:
        try:
            bronze.put(RawObject(raw_id, b"%d" % number, content_type="application/json", correlation_id=""))
        except RawIdTakenError:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        won = [number for number, stored in enumerate(threads.map(attempt, range(8))) if stored]

    assert len(won) == 1
    [kept] = bronze.read([raw_id], timeout=LONG)
    assert isinstance(kept, RawObject)
    assert kept.body == b"%d" % won[0]


def test_a_missing_object_is_reported_at_its_position(bronze: Bronze) -> None:
    first, second = put(bronze, b"1"), put(bronze, b"2")
    missing = new_raw_id()

    results = bronze.read([second, missing, first, missing, second], timeout=LONG)

    assert [result.body if isinstance(result, RawObject) else type(result) for result in results] == [
        b"2",
        ObjectMissingError,
        b"1",
        ObjectMissingError,
        b"2",
    ]
    assert str(missing) in str(results[1])


def test_one_missing_object_alone_is_a_result_as_well(bronze: Bronze) -> None:
    assert [type(result) for result in bronze.read([new_raw_id()], timeout=LONG)] == [ObjectMissingError]


def test_nothing_is_read_of_nothing(bronze: Bronze) -> None:
    assert bronze.read([], timeout=LONG) == []


def test_more_objects_than_threads_come_back_in_the_order_asked_for(bronze: Bronze) -> None:
    raw_ids = [put(bronze, b"%d" % number) for number in range(40)]
    asked = raw_ids[::-1]

    results = bronze.read(asked, timeout=LONG)

    assert [result.raw_id for result in results if isinstance(result, RawObject)] == asked
    assert [result.body for result in results if isinstance(result, RawObject)] == [
        b"%d" % n for n in range(39, -1, -1)
    ]


@pytest.mark.parametrize("count", [1, 40])
def test_what_is_not_read_in_time_is_unavailable_and_can_be_read_later(bronze: Bronze, count: int) -> None:
    raw_ids = [put(bronze) for _ in range(count)]

    assert [type(result) for result in bronze.read(raw_ids, timeout=0)] == [BronzeUnavailableError] * count

    assert [type(result) for result in bronze.read(raw_ids, timeout=LONG)] == [RawObject] * count


def test_a_page_that_does_not_come_in_time_is_unavailable(bronze: Bronze) -> None:
    raw_id = put(bronze)

    with pytest.raises(BronzeUnavailableError):
        list(bronze.list_after(NOTHING_BEFORE, timeout=lambda: 0.0))

    assert [entry.raw_id for page in bronze.list_after(NOTHING_BEFORE, timeout=long_enough) for entry in page] == [
        raw_id
    ]


def test_an_empty_bronze_lists_nothing(bronze: Bronze) -> None:
    assert [listed for page in bronze.list_after(NOTHING_BEFORE, timeout=long_enough) for listed in page] == []


def test_the_listing_is_in_the_order_of_arrival_with_sizes(bronze: Bronze) -> None:
    raw_ids = [new_raw_id() for _ in range(3)]
    for raw_id, size in zip(reversed(raw_ids), (30, 20, 10), strict=True):
        bronze.put(RawObject(raw_id, b"x" * size, content_type="application/json", correlation_id=""))

    listed = [entry for page in bronze.list_after(NOTHING_BEFORE, timeout=long_enough) for entry in page]

    assert listed == [ListedObject(raw_id, size) for raw_id, size in zip(raw_ids, (10, 20, 30), strict=True)]


def test_the_listing_leaves_out_its_start_and_what_lies_before(bronze: Bronze) -> None:
    first, second, third = put(bronze), put(bronze), put(bronze)

    assert [entry.raw_id for page in bronze.list_after(first, timeout=long_enough) for entry in page] == [second, third]
    assert [entry.raw_id for page in bronze.list_after(third, timeout=long_enough) for entry in page] == []


def test_the_listing_may_start_where_no_object_is(bronze: Bronze) -> None:
    put(bronze)
    between = new_raw_id()
    later = put(bronze)

    assert [entry.raw_id for page in bronze.list_after(between, timeout=long_enough) for entry in page] == [later]


# Puts cost most of it; one server that cuts a listing into pages shows what S3Bronze makes of them.
@pytest.mark.parametrize("bronze", ["memory", "moto"], indirect=True)
def test_a_long_listing_comes_in_pages(bronze: Bronze) -> None:
    raw_ids = [new_raw_id() for _ in range(MANY)]
    with ThreadPoolExecutor(8) as threads:
        for done in [
            threads.submit(bronze.put, RawObject(raw_id, b"", content_type="application/json", correlation_id=""))
            for raw_id in raw_ids
        ]:
            done.result()

    pages = list(bronze.list_after(raw_ids[1], timeout=long_enough))

    assert [len(page) for page in pages] == [1_000, 3]
    assert [entry.raw_id for page in pages for entry in page] == raw_ids[2:]
