"""The function Process, from AWS's event to the rows of a real Postgres; bronze is in memory."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from dropzone.domain.identifiers import object_key
from dropzone.ports import BronzeUnavailableError, SilverUnavailableError
from dropzone_process import queue
from dropzone_process.events import NotUnderstoodError
from dropzone_process.queue import UnprocessedError
from support.factories import (
    BUCKET,
    EXAMPLE,
    EXAMPLE_INSTANT,
    NOT_NUMERIC,
    WITHOUT_OFFSET,
    arrive,
    payload,
    raw_id,
    returned,
    s3_event,
    s3_test_event,
    sqs_event,
)
from support.fakes import HookedBronze, HookedSilver, InMemoryBronze
from support.lambda_context import Context
from support.postgres import PASSWORD, SilverInPostgres, writer_environment
from support.traces import assert_no_trace, traces
from support.world import refusing


@dataclass(slots=True)
class Function:
    """The function in its environment, and what it writes."""

    bronze: HookedBronze
    log: io.StringIO
    capsys: pytest.CaptureFixture[str]
    context: Context

    def __call__(self, event: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = queue.handler(event, self.context)
        return answer

    def arrive(self, body: bytes = EXAMPLE, correlation_id: str = "") -> UUID:
        return arrive(self.bronze.inner, body, correlation_id=correlation_id)

    def log_lines(self) -> list[dict[str, Any]]:
        """The log; each line of it is a JSON object."""
        return [json.loads(line) for line in self.log.getvalue().splitlines()]

    def metrics(self) -> list[dict[str, Any]]:
        """Everything on standard output, which is metrics alone, each line a JSON object in the EMF."""
        return [json.loads(line) for line in self.capsys.readouterr().out.splitlines()]


@pytest.fixture
def function(
    tables: SilverInPostgres, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Function]:
    for name, value in {
        "BRONZE_BUCKET": BUCKET,
        "AWS_REGION": "eu-central-1",
        **writer_environment(tables.server),
        "CALL_SECONDS": "20",
        "SWEEP_RETRY_SECONDS": "60",
        "MAX_RECEIVE_COUNT": "5",
    }.items():
        monkeypatch.setenv(name, value)
    queue.settings.cache_clear()
    queue.database.cache_clear()
    bronze, silver, log = HookedBronze(InMemoryBronze()), tables.silver(), io.StringIO()
    monkeypatch.setattr(queue, "bronze", lambda: bronze)
    monkeypatch.setattr(queue, "silver", lambda: silver)
    for handler in queue.logger.handlers:
        monkeypatch.setattr(handler, "stream", log)
    capsys.readouterr()
    yield Function(bronze, log, capsys, Context())
    queue.settings.cache_clear()
    queue.database.cache_clear()


def completed(tables: SilverInPostgres) -> set[UUID]:
    return {identifier for identifier, receipt in tables.receipt_rows().items() if receipt.complete}


def emitted(metrics: list[dict[str, Any]], name: str) -> list[float]:
    """The values of a metric, over all lines."""
    values = [line[name] for line in metrics if name in line]
    return [entry for value in values for entry in (value if isinstance(value, list) else [value])]


# ---- SQS -------------------------------------------------------------------------------------------------------------


def test_transform_path(function: Function, tables: SilverInPostgres) -> None:
    # GIVEN the seed's example in bronze
    identifier = function.arrive()

    # WHEN its notification comes through the queue
    answer = function(sqs_event([s3_event(identifier)]))

    # THEN the row is the seed's
    assert returned(answer) == []
    assert tables.query("SELECT measured_at::text, mean, std_dev, raw_id FROM measurements") == [
        ["2019-05-01 10:00:00+00", 1.0, 1.0, identifier]
    ]


def test_process_counts_failed(function: Function, tables: SilverInPostgres) -> None:
    # GIVEN a good object and two bad ones
    good, zoneless, text = function.arrive(), function.arrive(WITHOUT_OFFSET), function.arrive(NOT_NUMERIC)

    # WHEN they come in one batch
    answer = function(sqs_event([s3_event(identifier) for identifier in (good, zoneless, text)]))

    # THEN all messages are done, and the counts tell the good from the bad
    assert returned(answer) == []
    assert completed(tables) == {good, zoneless, text}
    metrics = function.metrics()
    assert emitted(metrics, "Checked") == [3.0]
    assert emitted(metrics, "Processed") == [1.0]
    assert emitted(metrics, "Failed") == [2.0]


@pytest.mark.parametrize(
    ("body", "code"), [(WITHOUT_OFFSET, "time_stamp.no_timezone"), (NOT_NUMERIC, "data.not_numeric")]
)
def test_rejections_are_recorded_with_their_reasons(
    function: Function, tables: SilverInPostgres, body: bytes, code: str
) -> None:
    function(sqs_event([s3_event(function.arrive(body))]))
    assert tables.query("SELECT outcome, violations -> 0 ->> 'code' FROM outcomes") == [["rejected", code]]
    assert tables.query("SELECT FROM measurements") == []


def test_upsert_replaces_existing(function: Function, tables: SilverInPostgres) -> None:
    # GIVEN a row, and a later event of the same instant
    function(sqs_event([s3_event(function.arrive())]))
    later = function.arrive(payload("2019-05-01T10:00:00Z", [10]))

    # WHEN it comes
    function(sqs_event([s3_event(later)]))

    # THEN it is there, alone
    (row,) = tables.measurement_rows().values()
    assert (row.raw_id, row.measurement.measured_at, row.measurement.aggregates.mean) == (later, EXAMPLE_INSTANT, 10.0)
    assert len(tables.outcome_rows()) == 2


def test_only_unprocessed_messages_are_returned(function: Function, tables: SilverInPostgres) -> None:
    # GIVEN a batch of everything that can come
    good, bad, throttled, missing = function.arrive(), function.arrive(NOT_NUMERIC), function.arrive(), raw_id()
    function.bronze.unreadable[throttled] = BronzeUnavailableError("SlowDown")
    bodies: list[object] = [
        s3_event(good),
        s3_event(missing),
        "not json",
        s3_event(throttled),
        s3_event(bad),
        {"unknown": True},
        s3_event(raw_id(), bucket="another-bucket"),
        s3_event("raw/not-an-identifier.json"),
        s3_test_event(),
    ]

    # WHEN it comes
    answer = function(sqs_event(bodies))

    # THEN what may go better later, or has to end in the DLQ, is returned
    assert sorted(returned(answer)) == [f"message-{number}" for number in (1, 2, 3, 5, 6, 7)]
    assert completed(tables) == {good, bad}
    metrics = function.metrics()
    assert emitted(metrics, "NotUnderstood") == [4.0]
    assert emitted(metrics, "ObjectErrors") == [2.0]
    levels = {(line["level"], line["message"]) for line in function.log_lines()}
    assert ("ERROR", "message could not be read; it returns to the queue") in levels
    assert ("ERROR", "objects can't be processed") in levels
    assert ("WARNING", "objects will be retried") in levels


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "[]",
        "{}",
        {"Records": []},
        {"Records": [{}]},
        {"Records": "x"},
        {"Event": "s3:AnotherEvent"},
        {**s3_event(raw_id()), "Records": [{**s3_event(raw_id())["Records"][0], "eventName": "ObjectRemoved:Delete"}]},
        s3_event("other/prefix.json"),
        s3_event("raw/00000000-0000-4000-8000-000000000000.json"),
        "s3:TestEvent",
        '{"Records": "HIDDENPAYLOAD"}',
        {"Records": [{"eventName": "HIDDENPAYLOAD"}]},
        {"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "HIDDENPAYLOAD"}}}]},
        s3_event("HIDDENPAYLOAD"),
        "[" * 100_000,
        '{"Records": [{"eventName": "ObjectCreated:Put", "s3": ' + '{"s3": ' * 100_000,
        "\ud800",
    ],
    ids=lambda body: str(body)[:40].encode("ascii", "replace").decode(),
)
def test_what_is_not_understood_goes_back_and_is_quoted_nowhere(function: Function, body: object) -> None:
    good = function.arrive()
    assert returned(function(sqs_event([body, s3_event(good)]))) == ["message-0"]
    lines = function.log_lines()
    (line,) = [line for line in lines if line["level"] == "ERROR"]
    assert line["message_id"] == "message-0"
    assert_no_trace(str(lines), "HIDDENPAYLOAD")


def test_one_message_may_name_several_objects(function: Function, tables: SilverInPostgres) -> None:
    identifiers = [function.arrive() for _ in range(3)]
    assert returned(function(sqs_event([s3_event(*identifiers)]))) == []
    assert completed(tables) == {*identifiers}


def test_a_message_goes_back_when_one_of_its_objects_does(function: Function, tables: SilverInPostgres) -> None:
    good = function.arrive()
    assert returned(function(sqs_event([s3_event(good, raw_id())]))) == ["message-0"]
    assert completed(tables) == {good}


@pytest.mark.parametrize("encode", [lambda key: key.replace("/", "%2F"), lambda key: key.replace("-", "%2d")])
def test_keys_are_decoded(function: Function, tables: SilverInPostgres, encode: Any) -> None:  # noqa: ANN401
    identifier = function.arrive()
    assert returned(function(sqs_event([s3_event(encode(object_key(identifier)))]))) == []
    assert completed(tables) == {identifier}


def test_keys_are_decoded_once(function: Function) -> None:
    identifier = function.arrive()
    twice = object_key(identifier).replace("/", "%252F")
    assert returned(function(sqs_event([s3_event(twice)]))) == ["message-0"]


def test_the_receive_count_is_read(function: Function, tables: SilverInPostgres) -> None:
    first, second = function.arrive(), function.arrive()
    function(sqs_event([s3_event(first)]))
    function(sqs_event([s3_event(second)], receive_count=3))
    # A try is recorded of what was received before.
    assert {raw_id: row.attempts for raw_id, row in tables.receipt_rows().items()} == {first: 0, second: 1}


def test_those_that_may_have_killed_their_reader_are_logged(function: Function, tables: SilverInPostgres) -> None:
    suspect, good = function.arrive(), function.arrive()
    for _ in range(2):
        tables.silver().record_attempts([suspect], only_due=False)
    answer = function(sqs_event([s3_event(suspect), s3_event(good)], receive_count=4))
    assert returned(answer) == ["message-0"]
    assert [line["raw_ids"] for line in function.log_lines() if line["level"] == "WARNING"] == [[str(suspect)]]


def test_a_duplicate_changes_nothing(function: Function, tables: SilverInPostgres) -> None:
    identifier = function.arrive()
    event = sqs_event([s3_event(identifier), s3_event(identifier)])
    function(event)
    before = tables.query("SELECT * FROM outcomes, measurements, receipts")
    assert returned(function(event)) == []
    assert tables.query("SELECT * FROM outcomes, measurements, receipts") == before
    metrics = function.metrics()
    assert emitted(metrics, "Checked") == [1.0, 0.0]
    assert emitted(metrics, "Duplicates") == [0.0, 1.0]


@pytest.mark.parametrize(("receive_count", "goes_back"), [(1, ["message-0"]), (4, ["message-0"]), (5, []), (6, [])])
def test_without_time_messages_go_back_but_for_the_last_receive(
    function: Function, tables: SilverInPostgres, receive_count: int, goes_back: list[str]
) -> None:
    function.context.seconds_left = 1.0
    assert returned(function(sqs_event([s3_event(function.arrive())], receive_count))) == goes_back
    assert tables.receipt_rows() == {}
    assert emitted(function.metrics(), "Deferred") == [1.0]


def test_a_database_that_is_away_raises_the_batch(function: Function, tables: SilverInPostgres) -> None:
    event = sqs_event([s3_event(function.arrive())])
    tables.query("ALTER ROLE dropzone_writer NOLOGIN")
    try:
        with pytest.raises(SilverUnavailableError, match="28000"):
            function(event)
    finally:
        tables.query("ALTER ROLE dropzone_writer LOGIN")
    assert tables.receipt_rows() == {}
    assert returned(function(event)) == []


def test_objects_processed_before_the_database_failed_are_logged_and_counted(
    function: Function, tables: SilverInPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GIVEN a batch of two chunks, and a database that goes away between them
    first, second = function.arrive(correlation_id="first"), function.arrive()
    away = refusing(SilverUnavailableError("SQLSTATE 57P01"), "write_outcomes", of=second)
    silver = HookedSilver(tables.silver(), before=away)
    monkeypatch.setattr(queue, "silver", lambda: silver)

    # WHEN it comes
    with pytest.raises(SilverUnavailableError):
        function(sqs_event([s3_event(identifier, size=20 * 1024 * 1024) for identifier in (first, second)]))

    # THEN the first is processed, and is in the log and in the metrics
    assert completed(tables) == {first}
    (line,) = [line for line in function.log_lines() if line["message"] == "processed"]
    assert [entry["raw_id"] for entry in line["objects"]] == [str(first)]
    metrics = function.metrics()
    assert emitted(metrics, "Checked") == [1.0]
    assert len(emitted(metrics, "ArrivalToSilver")) == 1


# ---- a bare event of S3 ----------------------------------------------------------------------------------------------


def test_a_bare_event_of_s3_is_processed(function: Function, tables: SilverInPostgres) -> None:
    good, bad = function.arrive(), function.arrive(NOT_NUMERIC)
    assert function(s3_event(good, bad)) == {}
    assert completed(tables) == {good, bad}


def test_a_bare_event_with_an_unprocessed_object_fails(function: Function, tables: SilverInPostgres) -> None:
    good = function.arrive()
    with pytest.raises(UnprocessedError):
        function(s3_event(good, raw_id()))
    assert completed(tables) == {good}


def test_the_test_event_of_s3_is_acknowledged_both_ways(function: Function, tables: SilverInPostgres) -> None:
    assert function(s3_test_event()) == {}
    assert returned(function(sqs_event([s3_test_event()]))) == []
    assert tables.receipt_rows() == {}
    (line,) = function.log_lines()
    assert (line["level"], line["message_id"]) == ("INFO", "message-0")


@pytest.mark.parametrize("event", [{}, {"Records": []}, {"detail-type": "Scheduled Event"}, s3_event("x.json")])
def test_another_event_is_refused(function: Function, event: dict[str, Any]) -> None:
    with pytest.raises(NotUnderstoodError):
        function(event)


# ---- logs and metrics ------------------------------------------------------------------------------------------------


def test_log_lines_carry_the_correlation_id_of_each_object(function: Function) -> None:
    good = function.arrive(correlation_id="request-of-good")
    bad = function.arrive(NOT_NUMERIC, correlation_id="request-of-bad")
    function(sqs_event([s3_event(good), s3_event(bad)]))
    (line,) = function.log_lines()
    assert line["message"] == "processed"
    assert line["service"] == "process"
    assert line["function_request_id"] == function.context.aws_request_id
    assert line["objects"] == [
        {"raw_id": str(good), "correlation_id": "request-of-good", "outcome": "processed"},
        {
            "raw_id": str(bad),
            "correlation_id": "request-of-bad",
            "outcome": "rejected",
            "codes": ["data.not_numeric"],
        },
    ]


def test_a_batch_is_rejected_where_all_of_its_events_are(function: Function) -> None:
    good, bad = EXAMPLE.decode(), NOT_NUMERIC.decode()
    partly, wholly = (function.arrive(f"[{first}, {bad}]".encode()) for first in (good, bad))
    function(sqs_event([s3_event(partly), s3_event(wholly)]))
    (line,) = function.log_lines()
    logged = {entry["raw_id"]: (entry["outcome"], entry["events"], entry["rejected"]) for entry in line["objects"]}
    assert logged == {str(partly): ("processed", 2, 1), str(wholly): ("rejected", 2, 2)}


def test_nothing_of_a_payload_or_a_secret_is_logged(function: Function, tables: SilverInPostgres) -> None:
    # GIVEN payloads with marks in them, good and bad, and objects and messages in every kind of trouble
    bodies = [
        payload("1987-06-05T04:03:02Z", [271828.25, 314159.5], note="telltale"),
        payload("1987-06-05T04:03:02", [271828.25]),
        payload("1987-06-05T04:03:02Z", ["telltale", 271828.25]),
        b"telltale 271828.25",
        payload("telltale 271828.25", [1]),
    ]
    identifiers = [function.arrive(body) for body in bodies]
    throttled = function.arrive(bodies[0])
    function.bronze.unreadable[throttled] = BronzeUnavailableError("SlowDown")
    messages: list[object] = [*map(s3_event, [*identifiers, throttled, raw_id()]), {"telltale": 271828.25}, "telltale"]

    # WHEN they come, and again while the database refuses to be written
    function(sqs_event(messages))
    tables.clear()
    tables.query("ALTER TABLE measurements ADD CONSTRAINT refuse CHECK (mean < 0)")
    try:
        answer = function(sqs_event(messages))
    finally:
        tables.query("ALTER TABLE measurements DROP CONSTRAINT refuse")
    assert "message-0" in returned(answer)
    assert "message-1" not in returned(answer)

    # THEN no line quotes any of it
    written = function.log.getvalue() + json.dumps(function.metrics())
    assert len(function.log_lines()) > 4
    for mark in ("271828", "314159", "292993", "1987", PASSWORD):
        assert mark not in written
    for form in traces("telltale") | traces("271828.25"):
        assert form not in written


def test_metrics_are_counted_by_rule_and_timed(function: Function) -> None:
    bodies = [EXAMPLE, WITHOUT_OFFSET, NOT_NUMERIC, payload("2019-05-01T06:00:00", ["2"])]
    function(sqs_event([s3_event(function.arrive(body)) for body in bodies]))
    metrics = function.metrics()
    by_rule = {line["rule"]: line["FailedByRule"] for line in metrics if "FailedByRule" in line}
    assert by_rule == {"time_stamp.no_timezone": [2.0], "data.not_numeric": [2.0]}
    latencies = emitted(metrics, "ArrivalToSilver")
    assert len(latencies) == 4
    assert all(0 <= latency < 60_000 for latency in latencies)


def test_metrics_of_a_large_batch_lose_nothing(function: Function) -> None:
    identifiers = [function.arrive() for _ in range(250)]
    function(sqs_event([s3_event(identifier) for identifier in identifiers]))
    metrics = function.metrics()
    assert sum(emitted(metrics, "Checked")) == 250
    assert len(emitted(metrics, "ArrivalToSilver")) == 250
