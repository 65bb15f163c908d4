"""`POST /process`, and the schedule: parameters, counts and refusals; what a sweep does is tested with its use case."""

import json
import time
from dataclasses import dataclass
from functools import cache, partial
from typing import Any
from uuid import UUID

import boto3
import pytest

from dropzone.adapters.postgres_silver import open_silver
from dropzone.domain.identifiers import new_raw_id
from dropzone.ports import BronzeUnavailableError, RawObject, SilverUnavailableError, TimeLeft
from dropzone_process import sweep
from functional.lambda_calls import ENVIRONMENT, EXAMPLE, api_event, header, json_body, sample
from support.fakes import HookedBronze, HookedSilver, InMemoryBronze, InMemoryClients, InMemorySilver
from support.lambda_context import Context
from support.world import refusing

BAD = b'{"time_stamp": "2019-05-01T06:00:00", "data": [0, 2]}'
HOUR_NS = 3_600 * 10**9


class Sweep:
    """The function with its ports in memory."""

    def __init__(self, page_size: int = 1_000) -> None:
        self.objects = InMemoryBronze(page_size=page_size)
        self.bronze = HookedBronze(self.objects)
        self.silver = HookedSilver(InMemorySilver())
        self.context = Context()

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in ENVIRONMENT.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sweep, "settings", cache(sweep.settings.__wrapped__))
        monkeypatch.setattr(sweep, "database", cache(sweep.database.__wrapped__))
        monkeypatch.setattr(sweep, "bronze", lambda: self.bronze)
        monkeypatch.setattr(sweep, "clients", InMemoryClients)
        monkeypatch.setattr(sweep, "silver", lambda: self.silver)

    def arrive(self, body: bytes = EXAMPLE, *, age_ns: int = HOUR_NS) -> UUID:
        raw_id = new_raw_id(time.time_ns() - age_ns)
        self.bronze.put(RawObject(raw_id, body, content_type="application/json", correlation_id="c"))
        return raw_id

    def __call__(self, body: bytes = b"", query: dict[str, str] | None = None) -> dict[str, Any]:
        answer: dict[str, Any] = sweep.handler(api_event(body, like="api-process", query=query), self.context)
        return answer

    def counts(self, body: bytes = b"", query: dict[str, str] | None = None) -> dict[str, Any]:
        answer = self(body, query)
        assert answer["statusCode"] == 200, answer["body"]
        assert header(answer, "Content-Type") == "application/json"
        return json_body(answer)

    def violations(self, body: bytes = b"", query: dict[str, str] | None = None) -> list[tuple[str, str]]:
        """Of the problem that the parameters are refused with."""
        answer = self(body, query)
        assert answer["statusCode"] == 422, answer["body"]
        assert header(answer, "Content-Type") == "application/problem+json"
        assert "MARKER" not in answer["body"]
        problem = json_body(answer)
        assert problem["type"] == "urn:dropzone:problem:invalid-request"
        assert problem["request_id"] == sample("api-process")["requestContext"]["requestId"]
        assert all(entry.keys() == {"field", "code", "message"} for entry in problem["violations"])
        return [(entry["field"], entry["code"]) for entry in problem["violations"]]


@pytest.fixture
def function(monkeypatch: pytest.MonkeyPatch) -> Sweep:
    function = Sweep()
    function.install(monkeypatch)
    return function


def test_nothing_to_do_is_counted_as_nothing(function: Sweep) -> None:
    assert function.counts() == {"checked": 0, "processed": 0, "failed": 0}


def test_process_counts_failed(function: Sweep) -> None:
    for body in (EXAMPLE, BAD, EXAMPLE):
        function.arrive(body)

    assert function.counts() == {"checked": 3, "processed": 2, "failed": 1}
    assert function.counts() == {"checked": 0, "processed": 0, "failed": 0}


def test_an_object_is_processed_however_young_it_is(function: Sweep) -> None:
    function.arrive(age_ns=0)

    assert function.counts()["checked"] == 1


@pytest.mark.parametrize(
    ("body", "query", "checked"),
    [
        (b"", None, 100),
        (b" ", None, 100),
        (b"{}", None, 100),
        (b'{"limit": 1}', None, 1),
        (b'{"limit": 3.0}', None, 3),
        (b"", {"limit": "2"}, 2),
        (b'{"limit": 1}', {"limit": "2"}, 1),
        (b'{"limit": 1000}', None, 105),
        (b"{}", {"limit": "1000"}, 105),
    ],
)
def test_the_limit_comes_with_the_body_or_the_query(
    function: Sweep, body: bytes, query: dict[str, str] | None, checked: int
) -> None:
    for _ in range(105):
        function.arrive()

    assert function.counts(body, query)["checked"] == checked


@pytest.mark.parametrize("in_body", [True, False])
def test_the_cursor_goes_on_where_the_limit_ended(function: Sweep, in_body: bool) -> None:
    # Young enough to stand above the watermark, which would lead to the same place otherwise.
    first = function.arrive(age_ns=0)
    function.arrive(age_ns=0)
    function.arrive(age_ns=0)

    counts = function.counts(b'{"limit": 1}')
    assert counts == {"checked": 1, "processed": 1, "failed": 0, "cursor": str(first)}

    cursor = counts["cursor"]
    body, query = (json.dumps({"cursor": cursor}).encode(), None) if in_body else (b"", {"cursor": cursor})
    rest = function.counts(body, query)
    assert rest == {"checked": 2, "processed": 2, "failed": 0}
    assert function.bronze.listed_after[-1] == first


@pytest.mark.parametrize(
    ("body", "violations"),
    [
        (b'{"limit": 0}', [("limit", "request.out_of_range")]),
        (b'{"limit": -1}', [("limit", "request.out_of_range")]),
        (b'{"limit": 1001}', [("limit", "request.out_of_range")]),
        (b'{"limit": "5"}', [("limit", "request.invalid")]),
        (b'{"limit": true}', [("limit", "request.invalid")]),
        (b'{"limit": 1.5}', [("limit", "request.invalid")]),
        (b'{"limit": null}', [("limit", "request.invalid")]),
        (b'{"limit": [5]}', [("limit", "request.invalid")]),
        (b'{"limits": 5}', [("limits", "request.unknown")]),
        (b'{"cursor": "MARKER"}', [("cursor", "request.invalid")]),
        (b'{"cursor": 5}', [("cursor", "request.invalid")]),
        (b'{"cursor": "MARKER", "limit": "MARKER"}', [("limit", "request.invalid"), ("cursor", "request.invalid")]),
        (b'{"limit": 0, "cursor": ""}', [("limit", "request.out_of_range"), ("cursor", "request.invalid")]),
        (b"[]", [("$", "request.invalid")]),
        (b"5", [("$", "request.invalid")]),
        (b"null", [("$", "request.invalid")]),
    ],
)
def test_other_bodies_are_refused_and_nothing_is_done(
    function: Sweep, body: bytes, violations: list[tuple[str, str]]
) -> None:
    function.arrive()

    assert function.violations(body) == violations
    assert function.bronze.listed_after == []


@pytest.mark.parametrize(
    ("query", "violations"),
    [
        ({"limit": "0"}, [("limit", "request.out_of_range")]),
        ({"limit": "1001"}, [("limit", "request.out_of_range")]),
        ({"limit": "1.5"}, [("limit", "request.invalid")]),
        ({"limit": "true"}, [("limit", "request.invalid")]),
        ({"limit": ""}, [("limit", "request.invalid")]),
        ({"limits": "5"}, [("limits", "request.unknown")]),
        ({"cursor": "here"}, [("cursor", "request.invalid")]),
    ],
)
def test_other_queries_are_refused_and_nothing_is_done(
    function: Sweep, query: dict[str, str], violations: list[tuple[str, str]]
) -> None:
    assert function.violations(b"", query) == violations
    assert function.violations(b'{"limit": 5}', query) == violations


@pytest.mark.parametrize("body", [b'{"limit": 5', b"limit=5", b"\xef\xbb\xbf{}", b'{"limit": NaN}', b'{"x": "\xff"}'])
def test_a_body_that_is_no_json_is_refused(function: Sweep, body: bytes) -> None:
    answer = function(body)

    assert answer["statusCode"] == 400
    assert json_body(answer)["type"] == "urn:dropzone:problem:not-json"


def test_while_silver_is_out_of_reach_the_answer_is_503(function: Sweep) -> None:
    function.arrive()
    function.silver.before = refusing(SilverUnavailableError("the database starts up"))

    answer = function()

    assert answer["statusCode"] == 503
    assert header(answer, "Retry-After") == "5"
    assert json_body(answer)["type"] == "urn:dropzone:problem:unavailable"
    assert "database" not in json_body(answer)["detail"]


def test_objects_processed_before_silver_failed_are_counted(
    function: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    # GIVEN pages of one object, and a database that goes away at the second
    function.objects.page_size = 1
    function.arrive()
    second = function.arrive()

    function.silver.before = refusing(SilverUnavailableError("down"), "write_outcomes", of=second)
    capsys.readouterr()

    # WHEN a batch is asked for
    assert function()["statusCode"] == 503

    # THEN the first counts, in the log and in the metrics
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["Checked"] for line in lines if "Checked" in line] == [[1.0]]


def test_while_nobody_may_sign_in_to_the_database_the_answer_is_503(
    function: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GIVEN a function that may not sign tokens, and the real adapter
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setattr(sweep, "silver", lambda: open_silver(sweep.settings(), sweep.database()))

    answer = function()

    assert (answer["statusCode"], header(answer, "Retry-After")) == (503, "5")


def test_while_bronze_cannot_be_listed_the_answer_is_503(function: Sweep) -> None:
    function.arrive()
    function.bronze.before = refusing(BronzeUnavailableError("S3 answered 503 SlowDown"), "list_after")

    answer = function()

    assert (answer["statusCode"], header(answer, "Retry-After")) == (503, "5")
    assert json_body(answer)["type"] == "urn:dropzone:problem:unavailable"


def test_what_nobody_foresaw_is_a_problem(function: Sweep) -> None:
    function.silver.before = refusing(ZeroDivisionError("MARKER"))

    answer = function()

    assert answer["statusCode"] == 500
    assert "MARKER" not in answer["body"]


def test_another_path_is_not_found(function: Sweep) -> None:
    answer = sweep.handler(api_event(b"", like="api-process", path="/elsewhere"), Context())

    assert answer["statusCode"] == 404
    assert function.bronze.listed_after == []


def test_the_schedule_leaves_young_objects_to_the_queue(function: Sweep) -> None:
    function.arrive()
    function.arrive(age_ns=0)

    assert sweep.handler(sample("schedule"), Context()) == {"checked": 1, "processed": 1, "failed": 0}


def test_the_schedule_takes_more_than_a_request_may(function: Sweep) -> None:
    for _ in range(1_001):
        function.arrive()

    assert sweep.handler(sample("schedule"), Context())["checked"] == 1_001


def counted(capsys: pytest.CaptureFixture[str], *names: str) -> dict[str, list[float]]:
    """Those of these metrics that a call has counted, with their values."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "CloudWatchMetrics" in line]
    return {name: value for line in lines for name, value in line.items() if name in names}


@pytest.mark.parametrize(("limit", "lag"), [(1, 7_200.0), (3, 0.0)])
def test_scheduled_sweep_says_that_it_ran_and_how_far_it_is_behind(
    function: Sweep, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], limit: int, lag: float
) -> None:
    # An alarm waits for the first, and one looks at the second.
    monkeypatch.setattr(sweep, "SCHEDULED_LIMIT", limit)
    function.arrive(age_ns=2 * HOUR_NS)
    function.arrive()

    sweep.handler(sample("schedule"), Context())

    found = counted(capsys, "ScheduledRuns", "SweepLagSeconds")
    assert found == {"ScheduledRuns": [1.0], "SweepLagSeconds": [pytest.approx(lag, abs=120)]}


def test_scheduled_sweep_counts_what_waits_for_another_attempt(
    function: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    raw_ids = [function.arrive() for _ in range(2)]
    function.silver.record_attempts(raw_ids, only_due=False)

    sweep.handler(sample("schedule"), Context())

    assert counted(capsys, "Backlog", "Stuck") == {"Backlog": [2.0], "Stuck": [0.0]}


def test_gold_leaves_the_sweep_two_thirds_of_the_time(function: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    # GIVEN a gold that has no end, and a call of a minute
    clock, function_context = Clock(), Context()
    monkeypatch.setattr(function_context, "get_remaining_time_in_millis", lambda: (60 - clock.now) * 1000)

    def refresh_gold(_keeper: object, *, time_left: TimeLeft) -> int:
        while time_left() > 0:
            clock.now += 1
        return 7

    monkeypatch.setattr(sweep, "refresh_gold", refresh_gold)
    monkeypatch.setattr(sweep, "gold_store", StaleGold)
    function.arrive()

    # WHEN the schedule calls
    counts = sweep.handler(sample("schedule"), function_context)

    # THEN it took a third, and the sweep did its work
    assert clock.now == 20
    assert counts["processed"] == 1


def test_gold_and_expectations_are_in_the_database_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Named:
        def __init__(self, name: str) -> None:
            self.name = name

        def run(self, _sql: str) -> list[tuple[float]]:
            asked.append(self.name)
            return [(0.0,)]

    for name in ("first", "second"):
        monkeypatch.setattr(sweep, "database", partial(Named, name))
        sweep.gold_store().stale_seconds()
        sweep.expectation_store().unsent_seconds()

    assert asked == ["first", "first", "second", "second"]


class StaleGold:
    """A gold whose oldest stale part is an hour and a half old."""

    def stale_seconds(self) -> float:
        return 5400.0


@dataclass
class Clock:
    """Seconds that have passed."""

    now: float = 0.0


def test_sweep_on_request_is_no_scheduled_one(function: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    function.arrive()
    function.arrive()

    assert function.counts(b'{"limit": 1}')["checked"] == 1

    assert counted(capsys, "ScheduledRuns", "SweepLagSeconds", "Checked") == {"Checked": [1.0]}


def test_a_scheduled_sweep_that_fails_raises(function: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    function.silver.before = refusing(SilverUnavailableError("down"))

    with pytest.raises(SilverUnavailableError):
        sweep.handler(sample("schedule"), Context())
    assert counted(capsys, "Calls", "ScheduledRuns") == {"Calls": [1.0]}


def test_the_answer_comes_before_api_gateway_gives_up(function: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "API_SECONDS", 0.0)
    for _ in range(3):
        function.arrive()

    assert function.counts() == {"checked": 0, "processed": 0, "failed": 0, "cursor": str(UUID(int=0))}
