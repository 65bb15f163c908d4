"""What the functions count, in which unit, and that alarms and dashboard look at nothing else."""

import json
import re
from collections.abc import Iterator
from datetime import date
from functools import cache
from io import StringIO
from typing import Any, NamedTuple

import pytest

from dropzone.domain.contracts import DEFAULT
from dropzone.ports import ArchivedMonth, FileDiffersError, Months, SilverUnavailableError
from dropzone.use_cases.archive_months import ArchiveResult
from dropzone_archive import handler as archive
from dropzone_process import queue, sweep
from functional.ingest_function import IngestFunction
from functional.lambda_calls import ENVIRONMENT, api_event, sample
from functional.test_process_request import BAD, StaleGold, Sweep
from support.contracts import contract, contracts
from support.factories import EXAMPLE, s3_event, sqs_event
from support.fakes import InMemoryClients, InMemorySilver
from support.lambda_context import Context
from unit.template.loading import PROJECT
from unit.template.stacks import deployed

STACK = "dropzone-prod"
"""As the template's tests deploy it."""


class Metric(NamedTuple):
    """A metric's identity in CloudWatch."""

    name: str
    service: str
    dimension: str = ""


class Counted(NamedTuple):
    """What was emitted of a metric."""

    unit: str
    values: list[float]


def emitted(output: str) -> dict[Metric, Counted]:
    """The metrics in what functions wrote (EMF, a JSON object a line)."""
    found: dict[Metric, Counted] = {}
    for line in map(json.loads, filter(None, output.splitlines())):
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
            [dimensions] = directive["Dimensions"]
            [dimension] = set(dimensions) - {"service"} or {""}
            for entry in directive["Metrics"]:
                metric = Metric(entry["Name"], line["service"], dimension)
                values = found.setdefault(metric, Counted(entry["Unit"], [])).values
                values += line[entry["Name"]]
    return found


class Outbox:
    """Changes of two hours ago, which can't be read; nor can anything else."""

    def deploy(self) -> None:
        raise SilverUnavailableError

    def unsent(self, _limit: int) -> list[tuple[str, bytes]]:
        raise SilverUnavailableError

    def unsent_seconds(self) -> float:
        return 7200.0


@pytest.fixture
def counted(
    ingest_function: IngestFunction, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> dict[Metric, Counted]:
    """What the functions count of events that are good, bad and refused, an hour after their arrival."""
    ingest_function(api_event())
    ingest_function(api_event(b"no JSON"))
    world = Sweep()
    for name, value in (ENVIRONMENT | {"DEFAULT_SCOPES": "ingest"}).items():
        monkeypatch.setenv(name, value)
    for module in (queue, sweep):
        monkeypatch.setattr(module, "settings", cache(module.settings.__wrapped__))
        monkeypatch.setattr(module, "database", cache(module.database.__wrapped__))
        monkeypatch.setattr(module, "bronze", lambda: world.bronze)
        monkeypatch.setattr(module, "silver", lambda: world.silver)
    monkeypatch.setattr(sweep, "refresh_gold", lambda *_, **__: 3)
    monkeypatch.setattr(sweep, "add_months", lambda *_, **__: Months(made=1, missing=2))
    monkeypatch.setattr(sweep, "gold_store", StaleGold)
    monkeypatch.setattr(sweep, "expectation_store", Outbox)
    assert isinstance(world.silver.inner, InMemorySilver)
    world.silver.inner.contracts = contracts(contract(DEFAULT, {"rule": "minimum", "limit": 1, "severity": "warning"}))
    body = b"[%s, %s]" % (BAD, EXAMPLE)
    queue.handler(sqs_event([s3_event(world.arrive(body), bucket=ENVIRONMENT["BRONZE_BUCKET"])]), Context())
    world.arrive(body)
    sweep.handler(sample("schedule"), Context())
    monkeypatch.setattr(sweep, "clients", InMemoryClients)
    assert sweep.handler(sample("api-process"), Context())["statusCode"] == 403
    prepare_archive(monkeypatch, ArchiveResult(waiting=2))
    assert archive.handler({}, Context())["waiting"] == 2
    return emitted(capsys.readouterr().out)


def prepare_archive(monkeypatch: pytest.MonkeyPatch, result: ArchiveResult) -> None:
    """Let the function Archive have this result."""
    for name, value in (ENVIRONMENT | {"SILVER_MONTHS": "12"}).items():
        monkeypatch.setenv(name, value)
    for name in ("settings", "database"):
        monkeypatch.setattr(archive, name, cache(getattr(archive, name).__wrapped__))
    monkeypatch.setattr(archive, "archive_months", lambda *_, **__: result)


def test_a_run_with_months_that_fail_fails_and_is_counted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    month, error = ArchivedMonth("measured", date(2019, 5, 1)), FileDiffersError("its file is damaged")
    prepare_archive(monkeypatch, ArchiveResult(errors={month: error}, waiting=1))
    log = StringIO()
    monkeypatch.setattr(archive.logger.registered_handler, "stream", log)

    with pytest.raises(ExceptionGroup) as failed:
        archive.handler({}, Context())

    assert failed.value.exceptions == (error,)
    assert emitted(capsys.readouterr().out)[Metric("MonthsToArchive", "archive")].values == [1.0]
    _, line = map(json.loads, log.getvalue().splitlines())
    assert (line["level"], line["month"], line["reason"]) == ("ERROR", "2019-05", "its file is damaged")


def watched() -> set[Metric]:
    """The stack's own metrics that its alarms and its dashboard look at."""
    stack = deployed()
    found = {
        Metric(metric["MetricName"], metric["Dimensions"][0]["Value"])
        for alarm in stack.of("AWS::CloudWatch::Alarm").values()
        for metric in ([alarm] if "MetricName" in alarm else metrics_of(alarm))
        if metric["Namespace"] == STACK
    }
    for line in dashboard_lines(stack.one("Dashboard")["DashboardBody"]):
        if line[0] == STACK:
            found.add(Metric(line[1], line[3]))
        elif isinstance(line[0], dict) and (search := SEARCHED.search(line[0]["expression"])):
            found.add(Metric(search["name"], "*", search["dimension"]))
    return found


SEARCHED = re.compile(r"""SEARCH\('\{"dropzone-prod",(?P<dimension>\w+),service\} (?P<name>\w+)'""")


def metrics_of(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry["MetricStat"]["Metric"] for entry in alarm["Metrics"] if "MetricStat" in entry]


def dashboard_lines(text: str) -> Iterator[list[Any]]:
    """The dashboard's lines, those that repeat what the line before has (`.`) written out."""
    for widget in json.loads(text)["widgets"]:
        before: list[Any] = []
        for line in widget["properties"].get("metrics", []):
            if line[0] != "...":
                before = [before[place] if entry == "." else entry for place, entry in enumerate(line)]
                yield before


def test_alarms_and_dashboard_look_at_what_is_counted(counted: dict[Metric, Counted]) -> None:
    of_any_service = {metric._replace(service="*") for metric in counted}

    assert len(watched()) > 10
    assert watched() <= counted.keys() | of_any_service


def test_each_metric_has_its_unit(counted: dict[Metric, Counted]) -> None:
    units = {metric.name: entry.unit for metric, entry in counted.items()}

    assert {name: unit for name, unit in units.items() if unit != "Count"} == {
        "ArrivalToSilver": "Milliseconds",
        "GoldStaleSeconds": "Seconds",
        "NotificationLagSeconds": "Seconds",
        "SweepLagSeconds": "Seconds",
    }


def test_latency_is_in_its_unit(counted: dict[Metric, Counted]) -> None:
    for service in ("process", "sweep"):
        [latency] = counted[Metric("ArrivalToSilver", service)].values
        assert latency == pytest.approx(3_600_000, rel=0.01)


def test_each_service_counts_its_own(counted: dict[Metric, Counted]) -> None:
    values = {metric: entry.values for metric, entry in counted.items()}

    for service in ("process", "sweep"):
        assert values[Metric("Checked", service)] == values[Metric("Failed", service)] == [1.0]
        assert values[Metric("Events", service)] == [2.0]
        assert values[Metric("EventsRejected", service)] == values[Metric("Flagged", service)] == [1.0]
        assert values[Metric("FailedByRule", service, "rule")] == [1.0]
    assert values[Metric("Accepted", "ingest")] == values[Metric("Refused", "ingest", "reason")] == [1.0]
    assert values[Metric("MonthsToArchive", "archive")] == [2.0]
    assert values[Metric("MonthsMissing", "sweep")] == [2.0]
    assert values[Metric("GoldParts", "sweep")] == [3.0]
    assert values[Metric("GoldStaleSeconds", "sweep")] == [5400.0]
    assert values[Metric("NotificationLagSeconds", "sweep")] == [7200.0]


def test_the_costs_in_the_document_count_them_all(counted: dict[Metric, Counted]) -> None:
    text = (PROJECT / "docs" / "deploy.md").read_text(encoding="utf-8")
    [(at_rest, price)] = re.findall(
        r"custom metrics that the schedules of Sweep and Archive write \| (\d+) × 0\.30 \| (\S+) \|", text
    )
    [(in_all, price_of_all)] = re.findall(r"write their metrics, too: (\d+) in all, (\S+) USD", text)

    every = [metric for metric in counted if not metric.dimension]
    # Latency is written where objects are processed.
    scheduled = {"sweep", "archive"}
    schedule = [metric for metric in every if metric.service in scheduled and metric.name != "ArrivalToSilver"]
    assert (int(at_rest), price) == (len(schedule), f"{len(schedule) * 0.3:.2f}")
    assert (int(in_all), price_of_all) == (len(every), f"{len(every) * 0.3:.2f}")
