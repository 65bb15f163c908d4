"""What tells people: alarms that say what to do, a dashboard that CloudWatch can read, logs that end."""

import json
import re
from typing import Any

import pytest

from unit.template.loading import PROJECT, Template, resources
from unit.template.stacks import PARAMETERS, deployed

TOPIC = "arn:aws:sns:eu-central-1:111122223333:pager"
DATABASE_ALARMS = {"DatabaseStorageAlarm", "DatabaseConnectionsAlarm"}
ALARMS = {
    "DeadLetterAlarm",
    "QueueAgeAlarm",
    "StuckAlarm",
    "LatencyAlarm",
    "ServerErrorAlarm",
    "RejectionRateAlarm",
    "FunctionErrorAlarm",
    "ThrottleAlarm",
    *DATABASE_ALARMS,
}
KINDS_OF_AWS = {"AWS/SQS", "AWS/ApiGateway", "AWS/Lambda", "AWS/RDS"}
CODE = "\n".join(
    path.read_text(encoding="utf-8")
    for folder in ("layers/common/dropzone", "functions")
    for path in (PROJECT / folder).rglob("*.py")
)


def anchors(page: str) -> set[str]:
    """The anchors that GitHub gives a page's headings, and those written into it."""
    text = (PROJECT / page).read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings} | set(
        re.findall(r'<a (?:id|name)="([^"]+)"', text)
    )


def measured(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    """The metrics that an alarm looks at."""
    if "MetricName" in alarm:
        return [alarm]
    return [entry["MetricStat"]["Metric"] for entry in alarm["Metrics"] if "MetricStat" in entry]


def test_there_is_an_alarm_for_all_that_can_go_wrong() -> None:
    assert deployed().of("AWS::CloudWatch::Alarm").keys() == ALARMS
    assert deployed("yours-iam").of("AWS::CloudWatch::Alarm").keys() == ALARMS - DATABASE_ALARMS


@pytest.mark.parametrize("name", sorted(ALARMS))
def test_an_alarm_has_its_entry_in_the_runbook(name: str) -> None:
    description = deployed().one(name)["AlarmDescription"]

    assert description.endswith(f"Runbook: docs/operations.md#{name.lower()}")
    assert name.lower() in anchors("docs/operations.md")


@pytest.mark.parametrize("name", sorted(ALARMS))
def test_an_alarm_calls_somebody_only_with_a_topic(name: str) -> None:
    alone = deployed().one(name)
    called = deployed("own", ("AlarmTopicArn", TOPIC)).one(name)

    assert not {"AlarmActions", "OKActions", "InsufficientDataActions"} & alone.keys()
    assert called["AlarmActions"] == called["OKActions"] == [TOPIC]


@pytest.mark.parametrize("name", sorted(ALARMS))
def test_an_alarm_is_quiet_where_nothing_happens(name: str) -> None:
    assert deployed().one(name)["TreatMissingData"] == "notBreaching"


@pytest.mark.parametrize("name", sorted(ALARMS))
def test_an_alarm_looks_at_what_is_there(name: str) -> None:
    stack = deployed()

    for metric in measured(stack.one(name)):
        namespace, dimensions = metric["Namespace"], metric["Dimensions"]
        if namespace == "dropzone-prod":
            assert f'"{metric["MetricName"]}"' in CODE
            [service] = dimensions
            assert service["Name"] == "service"
            assert re.search(rf'service="{service["Value"]}"', CODE)
        else:
            assert namespace in KINDS_OF_AWS
            named = {entry["Value"].partition(".")[0] for entry in dimensions} - {"v1", "dropzone-prod", "Apiv1Stage"}
            assert named <= stack.resources.keys()


@pytest.mark.parametrize("name", sorted(ALARMS))
def test_an_alarm_of_several_metrics_answers_one_number(name: str) -> None:
    metrics = deployed().one(name).get("Metrics", [])

    answering = [entry for entry in metrics if entry["ReturnData"] is True]
    assert len(answering) == (1 if metrics else 0)
    for entry in answering:
        names = set(re.findall(r"\b[a-z]+\b", entry["Expression"]))
        assert names == {other["Id"] for other in metrics} - {entry["Id"]}


def test_an_alarm_that_fills_gaps_is_not_calmed_by_the_newest_of_them() -> None:
    # The newest period is a gap until its metrics have come in; filled, it would end an alarm that goes on.
    for name in ALARMS:
        alarm = deployed().one(name)
        if any("FILL" in entry.get("Expression", "") for entry in alarm.get("Metrics", [])):
            assert alarm["DatapointsToAlarm"] < alarm["EvaluationPeriods"], name


def test_latency_counts_whoever_settles() -> None:
    # With the notifications dead, Process settles nothing and the sweep all.
    metrics = deployed().one("LatencyAlarm")["Metrics"]

    stats = [entry["MetricStat"] for entry in metrics if "MetricStat" in entry]
    assert {stat["Metric"]["Dimensions"][0]["Value"] for stat in stats} == {"process", "sweep"}
    assert {(stat["Metric"]["MetricName"], stat["Stat"]) for stat in stats} == {("ArrivalToSilver", "p95")}
    [result] = [entry["Expression"] for entry in metrics if entry["ReturnData"] is True]
    assert result.startswith("MAX(")


def test_latency_alarms_where_the_sweep_alone_settles() -> None:
    stack = deployed()
    alarm = stack.one("LatencyAlarm")

    # It leaves an object to the queue for so long that each one that it settles is late.
    assert int(stack.parameters["SweepMinAge"]) * 1_000 > alarm["Threshold"]
    # And it comes at least as often as the alarm looks.
    assert stack.parameters["SweepRate"] == "5 minutes"
    assert {entry["MetricStat"]["Period"] for entry in alarm["Metrics"] if "MetricStat" in entry} == {300}


def test_a_queue_that_waits_alarms_long_before_messages_are_lost() -> None:
    stack = deployed()

    assert stack.one("QueueAgeAlarm")["Threshold"] < stack.one("Queue")["MessageRetentionPeriod"] / 100


@pytest.mark.parametrize("monitoring", ["true", "false"])
def test_alarms_and_dashboard_are_there_by_parameter(monitoring: str) -> None:
    kinds = {entry["Type"] for entry in deployed("own", ("Monitoring", monitoring)).resources.values()}

    assert ({"AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard"} <= kinds) is (monitoring == "true")


@pytest.mark.parametrize("name", ["own", "yours-iam"])
def test_the_dashboard_is_json_and_shows_what_is_there(name: str) -> None:
    stack = deployed(name)
    widgets = json.loads(stack.one("Dashboard")["DashboardBody"])["widgets"]

    assert "${" not in stack.one("Dashboard")["DashboardBody"]
    titles = " ".join(widget["properties"]["title"].lower() for widget in widgets)
    for subject in (
        *("accepted", "refused", "checked", "processed", "failed", "per rule", "arrival to silver", "queue", "age"),
        *("dlq", "errors", "throttles", "cold starts", "costs"),
    ):
        assert subject in titles
    assert ("connections" in titles) is (name == "own")
    places = [(widget["x"], widget["y"]) for widget in widgets]
    assert len(set(places)) == len(places)
    for widget in widgets:
        assert widget["x"] + widget["width"] <= 24
        assert widget["properties"]["region"] == "eu-central-1"


@pytest.mark.parametrize("metric", ["Checked", "Processed", "Failed", "ArrivalToSilver"])
def test_the_dashboard_shows_what_process_and_sweep_do(metric: str) -> None:
    widgets = json.loads(deployed().one("Dashboard")["DashboardBody"])["widgets"]
    shown = {line[3] for widget in widgets for line in widget["properties"].get("metrics", []) if line[1:2] == [metric]}

    assert shown == {"process", "sweep"}


def test_the_dashboard_s_own_metrics_are_those_that_functions_count() -> None:
    widgets = json.loads(deployed().one("Dashboard")["DashboardBody"])["widgets"]
    lines = [line for widget in widgets for line in widget["properties"].get("metrics", [])]

    own = {line[1] for line in lines if line[0] == "dropzone-prod"}
    searched = [line[0]["expression"] for line in lines if isinstance(line[0], dict)]
    assert own == {"Accepted", "Checked", "Processed", "Failed", "ArrivalToSilver", "Stuck", "GoldParts"}
    for metric in own:
        assert f'"{metric}"' in CODE
    assert searched
    for expression in searched:
        # A stack's name has hyphens, which CloudWatch takes in quotation marks only.
        found = re.search(
            r"""SEARCH\('\{"dropzone-prod",(reason|rule),service\} (Refused|FailedByRule)', 'Sum', \d+\)""", expression
        )
        assert found, expression
        assert re.search(rf'"{found.group(2)}", "{found.group(1)}"', CODE)


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_log_group_ends(name: str) -> None:
    groups = deployed(name, ("LogRetentionDays", "14")).of("AWS::Logs::LogGroup")

    assert {properties["RetentionInDays"] for properties in groups.values()} == {"14"}
    assert "ApiAccessLogs" in groups


@pytest.mark.parametrize("name", PARAMETERS)
def test_tracing_is_off_and_asks_for_nothing(name: str) -> None:
    stack = deployed(name)

    assert stack.one("Apiv1Stage")["TracingEnabled"] is False
    for function in stack.of("AWS::Lambda::Function").values():
        assert "TracingConfig" not in function
    assert "aws_xray_sdk" not in CODE
    assert "Tracer" not in CODE


def test_tracing_is_on_by_parameter() -> None:
    stack = deployed("own", ("Tracing", "Active"))

    assert stack.one("Apiv1Stage")["TracingEnabled"] is True
    for function in stack.of("AWS::Lambda::Function").values():
        assert function["TracingConfig"] == {"Mode": "Active"}


def test_no_artefact_carries_a_tracer(template: Template) -> None:
    for layer in resources(template, "AWS::Serverless::LayerVersion").values():
        requirements = PROJECT / layer["Properties"]["ContentUri"] / "requirements.txt"
        assert "xray" not in requirements.read_text(encoding="utf-8").lower()
