"""The demo's data: plausible, slightly faulty, and the same each time; and how it is sent."""

import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import uuid4

import httpx
import pytest

from dropzone.domain.body import NDJSON
from dropzone.domain.outcomes import Rejection
from dropzone.domain.validate import validate
from dropzone_cli.api import ClientOptions
from dropzone_local.demo import (
    DAY,
    HOUR,
    SENSORS,
    SILENT,
    SILENT_FOR,
    Sender,
    batches,
    body,
    instants,
    send_a_day,
    send_live,
)
from dropzone_local.deployment import Endpoints
from dropzone_local.errors import LocalStackError

NOON = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
ENDPOINTS = Endpoints("http://api.test/v1", "the-key", "", "", "", "", "", "", "")

Answer = Callable[[httpx.Request], httpx.Response]


def sender(answer: Answer) -> Sender:
    """With a clock that goes on while it waits alone."""
    waits: list[float] = []
    return Sender(ENDPOINTS, ClientOptions(httpx.MockTransport(answer), waits.append, lambda: sum(waits)))


def taken(request: httpx.Request) -> httpx.Response:
    items = len(gzip.decompress(request.content).splitlines())
    return httpx.Response(202, json={"raw_id": str(uuid4()), "items": items})


def test_a_day_is_mostly_right_and_slightly_faulty() -> None:
    outcomes = validate(body(NOON - DAY, NOON), NDJSON)

    rejected = [outcome for outcome in outcomes if isinstance(outcome, Rejection)]
    assert 10_000 < len(outcomes) < 20_000
    assert 0.01 < len(rejected) / len(outcomes) < 0.02
    rules = Counter(violation.code for outcome in rejected for violation in outcome.violations)
    assert set(rules) >= {
        "data.empty",
        "data.not_numeric",
        "payload.missing_field",
        "payload.not_json",
        "time_stamp.no_timezone",
        "time_stamp.not_iso8601",
    }


def test_every_good_event_names_its_sensor_and_lies_near_its_level() -> None:
    sensors = {sensor.source: sensor for sensor in SENSORS}
    seen = set()
    for line in body(NOON - HOUR, NOON).splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        sensor = sensors[event["source"]]
        seen.add(sensor.source)
        assert (event["schema_version"], event["unit"], event["tags"]) == (2, sensor.unit, sensor.tags)
        for sample in event["data"]:
            if isinstance(sample, float):
                assert abs(sample - sensor.level) < sensor.swing + 30 * sensor.noise
    assert seen == set(sensors)


def test_the_same_time_is_the_same_bytes() -> None:
    assert body(NOON - HOUR, NOON) == body(NOON - HOUR, NOON)


def test_parts_are_the_whole() -> None:
    start, middle, end = NOON - timedelta(minutes=61), NOON - timedelta(seconds=90.5), NOON + timedelta(seconds=0.5)

    assert body(start, middle) + body(middle, end) == body(start, end)
    assert b"".join(batches(start, end)) == body(start, end)


def test_a_batch_is_an_hour_of_the_clock() -> None:
    found = list(batches(NOON - timedelta(minutes=90), NOON))

    assert found == [body(NOON - timedelta(minutes=90), NOON - HOUR), body(NOON - HOUR, NOON)]


def test_a_sensor_can_be_quiet_for_a_while() -> None:
    quiet = next(sensor for sensor in SENSORS if sensor.quiet)
    at = list(instants(quiet, NOON - DAY, NOON))

    longest = max(later - earlier for earlier, later in pairwise(at))
    assert longest > timedelta(minutes=30)


@pytest.mark.slow
def test_a_day_is_sent_in_batches_that_count_once() -> None:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return taken(request)

    sent = send_a_day(sender(answer), NOON)
    send_a_day(sender(answer), NOON)

    first, again = requests[:24], requests[24:]
    assert len(again) == 24
    silent = body(NOON - DAY, NOON - SILENT_FOR, [SILENT])
    assert sent == len(body(NOON - DAY, NOON).splitlines()) + len(silent.splitlines())
    keys = [request.headers["idempotency-key"] for request in first]
    assert len(set(keys)) == 24
    assert [request.headers["idempotency-key"] for request in again] == keys
    assert [request.content for request in again] == [request.content for request in first]
    assert {(r.headers["content-type"], r.headers["content-encoding"], r.headers["x-api-key"]) for r in first} == {
        ("application/x-ndjson", "gzip", "the-key")
    }


def test_trouble_that_passes_is_tried_again() -> None:
    statuses = iter([0, 503, 429])

    def answer(request: httpx.Request) -> httpx.Response:
        status = next(statuses, None)
        if status == 0:
            raise httpx.ConnectError("nobody there")
        return taken(request) if status is None else httpx.Response(status)

    assert sender(answer).send(b"{}\n") == 1


def test_a_body_of_faulty_events_alone_is_skipped() -> None:
    refusal = httpx.Response(422, json={"type": "urn:dropzone:problem:invalid-event"})
    assert sender(lambda _: refusal).send(b"{}\n") == 0


@pytest.mark.parametrize(("status", "is_retried"), [(403, False), (422, False), (503, True)])
def test_persistent_trouble_is_reported(status: int, is_retried: bool) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(status, json={"detail": "what is wrong"})

    with pytest.raises(LocalStackError) as caught:
        sender(answer).send(b"{}\n")

    assert (len(asked) > 1) == is_retried
    assert f"{status}: what is wrong" in caught.value.detail


class EndedError(Exception):
    """Of the clock."""


def clock(*seconds: float) -> Iterator[datetime]:
    yield from (NOON + timedelta(seconds=passed) for passed in seconds)


def test_live_goes_on_where_it_was_and_leaves_nothing_out() -> None:
    bodies: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append(gzip.decompress(request.content))
        return taken(request)

    # The clock may also be set back.
    times = clock(0.5, 1.5, 25, 24, 70)

    def now() -> datetime:
        if (at := next(times, None)) is None:
            raise EndedError
        return at

    with pytest.raises(EndedError):
        send_live(sender(answer), NOON, lambda _: None, now=now, pause=lambda _: None)

    assert bodies == [
        body(NOON, NOON + timedelta(seconds=0.5)),
        body(NOON + timedelta(seconds=1.5), NOON + timedelta(seconds=25)),
        body(NOON + timedelta(seconds=25), NOON + timedelta(seconds=70)),
    ]
