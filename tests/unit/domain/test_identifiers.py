import time
from datetime import UTC, datetime, timedelta, timezone
from uuid import RFC_4122, UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dropzone.domain.identifiers import (
    InvalidKeyError,
    earliest_raw_id,
    new_raw_id,
    object_key,
    raw_id_of,
    received_at,
)

MILLISECOND = 1_000_000
"""In nanoseconds, the unit of the clock."""

NOW = 1_556_704_800_123_456_789
NOW_IN_UTC = datetime(2019, 5, 1, 10, 0, 0, 123_000, tzinfo=UTC)
END_OF_TIME = datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)

moments = st.integers(0, 253_402_300_799_999 * MILLISECOND)


@given(moments)
def test_is_a_uuid_of_version_7_and_of_the_rfcs_variant(now_ns: int) -> None:
    raw_id = new_raw_id(now_ns)
    assert raw_id.version == 7
    assert raw_id.variant == RFC_4122


@given(moments)
def test_carries_the_millisecond_of_its_making(now_ns: int) -> None:
    raw_id = new_raw_id(now_ns)
    assert int(raw_id.hex[:12], 16) == now_ns // MILLISECOND
    assert received_at(raw_id) == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=now_ns // MILLISECOND)


def test_received_at_is_in_utc() -> None:
    found = received_at(new_raw_id(NOW))
    assert found == NOW_IN_UTC
    assert found.tzinfo is UTC


def test_takes_the_systems_clock() -> None:
    before = time.time_ns() // MILLISECOND
    raw_id = new_raw_id()
    after = time.time_ns() // MILLISECOND
    assert before <= raw_id.int >> 80 <= after


@given(moments, st.integers(245, 10**12))
def test_order_is_the_order_of_time_also_within_a_millisecond(now_ns: int, later_by: int) -> None:
    # GIVEN two arrivals further apart than the fraction resolves (a 4096th of a millisecond)
    earlier, later = new_raw_id(now_ns), new_raw_id(now_ns + later_by)
    # THEN identifiers, their text and their keys are in the order of arrival
    assert earlier < later
    assert str(earlier) < str(later)
    assert object_key(earlier) < object_key(later)


def test_fraction_of_the_millisecond_takes_its_whole_range() -> None:
    first, last = new_raw_id(NOW // MILLISECOND * MILLISECOND), new_raw_id((NOW // MILLISECOND + 1) * MILLISECOND - 1)
    assert first.int >> 80 == last.int >> 80
    assert (first.int >> 64 & 0xFFF, last.int >> 64 & 0xFFF) == (0, 0xFFF)


def test_identifiers_of_one_instant_are_unique_and_differ_in_62_random_bits() -> None:
    made = [new_raw_id(NOW).int for _ in range(10_000)]
    assert len(set(made)) == len(made)
    seen_set = seen_clear = 0
    for value in made:
        seen_set |= value ^ made[0]
        seen_clear |= ~value
    assert seen_set == (1 << 62) - 1
    assert seen_clear & ((1 << 62) - 1) == (1 << 62) - 1


def test_received_at_of_an_identifier_beyond_the_calendar_is_the_calendars_end() -> None:
    beyond = UUID("ffffffff-ffff-7fff-bfff-ffffffffffff")
    assert received_at(beyond) == END_OF_TIME
    assert received_at(earliest_raw_id(END_OF_TIME)) == END_OF_TIME


@given(moments)
@example(0)
def test_keys_go_round_trip(now_ns: int) -> None:
    raw_id = new_raw_id(now_ns)
    key = object_key(raw_id)
    assert key == f"raw/{raw_id}.json"
    assert raw_id_of(key) == raw_id


VALID = "raw/016a72d6-2d7b-7a1b-8c3d-0123456789ab.json"


REFUSED = {
    "nothing": "",
    "the prefix alone": "raw/",
    "an identifier alone": "016a72d6-2d7b-7a1b-8c3d-0123456789ab",
    "no prefix": VALID.removeprefix("raw/"),
    "another prefix": VALID.replace("raw/", "clean/"),
    "a longer prefix": f"x{VALID}",
    "a leading slash": f"/{VALID}",
    "a doubled slash": VALID.replace("/", "//"),
    "a folder": VALID.replace("raw/", "raw/2019/"),
    "a way up": VALID.replace("raw/", "raw/../raw/"),
    "a way up behind": f"{VALID}/../x",
    "no suffix": VALID.removesuffix(".json"),
    "another suffix": VALID.replace(".json", ".jsonl"),
    "any character for the point": VALID.replace(".json", "xjson"),
    "a second suffix": f"{VALID}.gz",
    "a trailing newline": f"{VALID}\n",
    "a leading newline": f"\n{VALID}",
    "a trailing space": f"{VALID} ",
    "a trailing nul": f"{VALID}\x00",
    "upper case": VALID.upper(),
    "an upper case identifier": VALID.replace("2d7b", "2D7B"),
    "version 4": VALID.replace("-7a1b", "-4a1b"),
    "version 1": VALID.replace("-7a1b", "-1a1b"),
    "another variant": VALID.replace("-8c3d", "-cc3d"),
    "the variant of NCS": VALID.replace("-8c3d", "-7c3d"),
    "no hyphens": VALID.replace("-", ""),
    "braces": "raw/{016a72d6-2d7b-7a1b-8c3d-0123456789ab}.json",
    "a URN": "raw/urn:uuid:016a72d6-2d7b-7a1b-8c3d-0123456789ab.json",
    "a digit too few": VALID.replace("0123456789ab", "0123456789a"),
    "a digit too many": VALID.replace("0123456789ab", "0123456789abc"),
    "no hexadecimal": VALID.replace("0123456789ab", "0123456789ag"),
    "fullwidth digits": VALID.replace("0123456789ab", "\uff10123456789ab"),
    "URL encoding": VALID.replace("/", "%2F"),
    "a folder's marker": f"{VALID}/",
}


@pytest.mark.parametrize("key", [pytest.param(key, id=name) for name, key in REFUSED.items()])
def test_a_key_that_ingest_never_writes_is_refused(key: str) -> None:
    with pytest.raises(InvalidKeyError, match="not a key of the form raw/<UUIDv7>"):
        raw_id_of(key)


@given(moments)
def test_earliest_identifier_bounds_its_millisecond_from_below(now_ns: int) -> None:
    # GIVEN the bound for an identifier's own instant, and the bound a millisecond later
    raw_id = new_raw_id(now_ns)
    bound = earliest_raw_id(received_at(raw_id))
    # THEN nothing made in the millisecond is below the one or reaches the other
    assert bound <= raw_id
    assert bound.int + (1 << 80) > raw_id.int
    assert received_at(bound) == received_at(raw_id)
    assert raw_id_of(object_key(bound)) == bound


def test_earliest_identifier_is_the_smallest_there_can_be() -> None:
    assert earliest_raw_id(NOW_IN_UTC) == UUID("016a72d6-2d7b-7000-8000-000000000000")


def test_earliest_identifier_takes_any_zone_and_cuts_at_the_millisecond() -> None:
    elsewhere = NOW_IN_UTC.astimezone(timezone(timedelta(hours=-4))) + timedelta(microseconds=999)
    assert earliest_raw_id(elsewhere) == earliest_raw_id(NOW_IN_UTC)
