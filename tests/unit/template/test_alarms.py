"""Monitoring: alarms that say what to do, a dashboard that CloudWatch can read, logs that end."""

import json
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from unit.template.intrinsics import broken_rules
from unit.template.loading import PROJECT, Template, defaults, resources
from unit.template.stacks import PARAMETERS, deployed

TOPIC = "arn:aws:sns:eu-central-1:111122223333:pager"
ADDRESS = "pager@example.com"


def seconds(**units: float) -> int:
    return int(timedelta(**units).total_seconds())


def milliseconds(**units: float) -> int:
    return seconds(**units) * 1000


@dataclass(frozen=True, slots=True)
class Measures:
    """What an alarm measures, and when it goes off."""

    what: str
    """Each metric with its resource: `Namespace Metric resource`, in order."""
    statistic: str
    when: str
    threshold: int
    period: int
    """In seconds."""
    points: str
    """How many periods of how many."""
    silence: str = "notBreaching"
    """What no data means."""


# What each alarm measures, in its metric's unit: RDS counts bytes, SQS seconds, ArrivalToSilver milliseconds.
TABLE = {
    "DeadLetterAlarm": Measures(
        "AWS/SQS ApproximateNumberOfMessagesVisible DeadLetterQueue", "Maximum", ">", 0, seconds(minutes=1), "1 of 1"
    ),
    "NotificationDeadLetterAlarm": Measures(
        "AWS/SQS ApproximateNumberOfMessagesVisible NotificationDeadLetterQueue",
        *("Maximum", ">", 0, seconds(minutes=1), "1 of 1"),
    ),
    "QueueAgeAlarm": Measures(
        "AWS/SQS ApproximateAgeOfOldestMessage Queue",
        *("Maximum", ">", seconds(minutes=15), seconds(minutes=1), "5 of 5"),
    ),
    "StuckAlarm": Measures("own Stuck sweep", "Maximum", ">", 0, seconds(minutes=5), "1 of 1"),
    "LatencyAlarm": Measures(
        "own ArrivalToSilver process, own ArrivalToSilver sweep",
        *("p95", ">", milliseconds(minutes=5), seconds(minutes=5), "3 of 4"),
    ),
    "ServerErrorAlarm": Measures("AWS/ApiGateway 5XXError v1", "Sum", ">", 0, seconds(minutes=1), "3 of 5"),
    "AccessDeniedAlarm": Measures("own Denied access", "Sum", ">", 50, seconds(minutes=5), "1 of 1"),
    "RejectionRateAlarm": Measures(
        "own Checked process, own Checked sweep, own Failed process, own Failed sweep",
        *("Sum", ">", 50, seconds(minutes=5), "2 of 3"),
    ),
    "FunctionErrorAlarm": Measures(
        ", ".join(
            f"AWS/Lambda Errors {name}Function"
            for name in ("Ingest", "Notify", "Process", "Query", "Replay", "Sweep", "Web")
        ),
        *("Sum", ">", 3, seconds(minutes=5), "2 of 3"),
    ),
    "ThrottleAlarm": Measures("AWS/Lambda Throttles IngestFunction", "Sum", ">", 0, seconds(minutes=1), "3 of 3"),
    "SweepAlarm": Measures("own ScheduledRuns sweep", "Sum", "<", 1, seconds(minutes=15), "5 of 5", "breaching"),
    "UnfinishedSweepAlarm": Measures(
        "own SweepLagSeconds sweep", "Minimum", ">", seconds(hours=1), seconds(hours=1), "1 of 1"
    ),
    "ArchiveAlarm": Measures(
        "own MonthsToArchive archive", "Minimum", ">", 0, seconds(hours=24), "3 of 3", "breaching"
    ),
    "GoldStaleAlarm": Measures(
        "own GoldStaleSeconds sweep", "Maximum", ">", seconds(hours=2), seconds(hours=1), "1 of 1"
    ),
    "MissingMonthsAlarm": Measures(
        "own MonthsMissing sweep", "Minimum", ">", 0, seconds(hours=24), "2 of 2", "breaching"
    ),
    "UnsentNotificationAlarm": Measures(
        "own NotificationLagSeconds sweep", "Maximum", ">", seconds(hours=1), seconds(hours=1), "1 of 1"
    ),
    "UnprocessedAlarm": Measures(
        "own Accepted ingest, own Checked process, own Checked sweep",
        *("Sum", ">", 0, seconds(minutes=30), "2 of 3"),
    ),
    "DatabaseStorageAlarm": Measures(
        "AWS/RDS FreeStorageSpace Database", "Minimum", "<", 2 * 2**30, seconds(minutes=5), "2 of 2"
    ),
    "DatabaseConnectionsAlarm": Measures(
        # Of the smallest class; test_network_and_database.py holds the others against what they take.
        "AWS/RDS DatabaseConnections Database",
        *("Maximum", ">", 75, seconds(minutes=1), "5 of 5"),
    ),
    "DatabaseMemoryAlarm": Measures(
        "AWS/RDS FreeableMemory Database", "Average", "<", 200 * 2**20, seconds(minutes=5), "3 of 3"
    ),
    "DatabaseCreditsAlarm": Measures(
        "AWS/RDS CPUCreditBalance Database", "Maximum", "<", 10, seconds(minutes=5), "12 of 12"
    ),
}
ALARMS = TABLE.keys()
DATABASE_ALARMS = {name for name in ALARMS if name.startswith("Database")}
SMALLEST = ("DatabaseInstanceClass", "db.t4g.micro")


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


def measures(alarm: dict[str, Any]) -> Measures:
    """An alarm's line of the table, as it was deployed."""
    statistics = [entry["MetricStat"] for entry in alarm.get("Metrics", []) if "MetricStat" in entry]
    [statistic] = {entry["Stat"] for entry in statistics} or {alarm["Statistic"]}
    [period] = {entry["Period"] for entry in statistics} or {alarm["Period"]}
    periods = alarm["EvaluationPeriods"]
    return Measures(
        ", ".join(sorted(map(named, measured(alarm)))),
        statistic,
        {"GreaterThanThreshold": ">", "LessThanThreshold": "<"}[alarm["ComparisonOperator"]],
        alarm["Threshold"],
        period,
        f"{alarm.get('DatapointsToAlarm', periods)} of {periods}",
        alarm["TreatMissingData"],
    )


def named(metric: dict[str, Any]) -> str:
    """A metric with the resource that it is of."""
    own = metric["Namespace"] == "dropzone-prod"
    [resource] = {entry["Value"].partition(".")[0] for entry in metric["Dimensions"]} - {"dropzone-prod"}
    resource = resource.removeprefix("Api").removesuffix("Stage")
    return f"{'own' if own else metric['Namespace']} {metric['MetricName']} {resource}"


def test_there_is_an_alarm_for_all_that_can_go_wrong() -> None:
    assert deployed().of("AWS::CloudWatch::Alarm").keys() == ALARMS
    assert deployed("yours-iam").of("AWS::CloudWatch::Alarm").keys() == ALARMS - DATABASE_ALARMS


@pytest.mark.parametrize("name", sorted(ALARMS))
def test_alarm_measures_what_the_table_says(name: str) -> None:
    assert measures(deployed("own", SMALLEST).one(name)) == TABLE[name]


@pytest.mark.parametrize(("kind", "has_credits"), [("db.t4g.medium", True), ("db.m8g.large", False)])
def test_credits_are_watched_where_a_class_has_them(kind: str, has_credits: bool) -> None:
    alarms = deployed("own", ("DatabaseInstanceClass", kind)).of("AWS::CloudWatch::Alarm").keys()

    assert ALARMS - alarms == (set() if has_credits else {"DatabaseCreditsAlarm"})


def test_every_burstable_class_is_known_as_one(template: Template) -> None:
    for kind, values in template["Mappings"]["DatabaseClasses"].items():
        assert (values["Burstable"] == "true") is kind.startswith("db.t"), kind


@pytest.mark.parametrize(
    ("changes", "recipient"),
    [
        ([], "WARNING: nobody. Set AlarmEmail or AlarmTopicArn, or subscribe to AlarmTopic."),
        ([("AlarmEmail", ADDRESS)], ADDRESS),
        ([("AlarmTopicArn", TOPIC)], TOPIC),
        ([("Monitoring", "false")], "WARNING: nobody, since there are no alarms. Set Monitoring to true."),
    ],
)
def test_every_deploy_says_in_one_line_who_is_notified(changes: list[tuple[str, str]], recipient: str) -> None:
    # sam deploy shows the outputs as its last lines.
    assert deployed("own", *changes).outputs["AlarmRecipient"]["Value"] == recipient


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"AlarmEmail": ADDRESS, "AlarmTopicArn": TOPIC}, "subscribe the address to that topic"),
        ({"AlarmEmail": ADDRESS, "Monitoring": "false"}, "needs Monitoring"),
    ],
)
def test_an_address_that_would_get_no_mail_is_refused(template: Template, changes: dict[str, str], remedy: str) -> None:
    [reason] = broken_rules(template, {**defaults(template), **changes})

    assert remedy in reason


@pytest.mark.parametrize(
    ("address", "is_one"),
    [(ADDRESS, True), ("", True), ("pager", False), ("a@example.com,b@example.com", False), ("a @example.com", False)],
)
def test_an_address_is_one_address(template: Template, address: str, is_one: bool) -> None:
    pattern = template["Parameters"]["AlarmEmail"]["AllowedPattern"]

    assert bool(re.fullmatch(pattern, address)) is is_one


def test_the_topic_takes_alarms_and_the_database_s_events_and_is_encrypted() -> None:
    stack = deployed("own", ("AlarmEmail", ADDRESS))
    publishers = {"cloudwatch.amazonaws.com", "events.rds.amazonaws.com"}

    assert stack.one("AlarmSubscription") == {"TopicArn": "AlarmTopic", "Protocol": "email", "Endpoint": ADDRESS}
    allowed, refused = stack.one("AlarmTopicPolicy")["PolicyDocument"]["Statement"]
    assert set(allowed["Principal"]["Service"]) == publishers
    assert (allowed["Effect"], allowed["Action"], allowed["Resource"]) == ("Allow", "sns:Publish", "AlarmTopic")
    # Only on this account's behalf, though the service is the same for all.
    assert allowed["Condition"] == {"StringEquals": {"aws:SourceAccount": "111122223333"}}
    assert (refused["Effect"], refused["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    # AWS's own key for SNS can't be used by CloudWatch, so that nothing would be sent.
    assert stack.one("AlarmTopic")["KmsMasterKeyId"] == "AlarmKey"
    assert stack.one("AlarmKey")["EnableKeyRotation"] is True
    _, use = stack.one("AlarmKey")["KeyPolicy"]["Statement"]
    assert set(use["Principal"]["Service"]) == publishers
    assert set(use["Action"]) == {"kms:Decrypt", "kms:GenerateDataKey*"}


@pytest.mark.parametrize(
    ("name", "changes", "kinds"),
    [
        ("own", [], {"KMS::Key", "SNS::Topic", "SNS::TopicPolicy", "RDS::EventSubscription"}),
        ("own", [("AlarmTopicArn", TOPIC)], {"RDS::EventSubscription"}),
        ("own", [("Monitoring", "false")], set()),
        ("yours-iam", [], {"KMS::Key", "SNS::Topic", "SNS::TopicPolicy"}),
        (
            "yours-iam",
            [("AlarmEmail", ADDRESS)],
            {"KMS::Key", "SNS::Topic", "SNS::TopicPolicy", "SNS::Subscription"},
        ),
    ],
)
def test_a_topic_is_made_where_none_is_given(name: str, changes: list[tuple[str, str]], kinds: set[str]) -> None:
    made = {entry["Type"].removeprefix("AWS::") for entry in deployed(name, *changes).resources.values()}

    assert {kind for kind in made if kind.startswith(("KMS::", "SNS::")) or kind == "RDS::EventSubscription"} == kinds


@pytest.mark.parametrize(("changes", "topic"), [([], "AlarmTopic"), ([("AlarmTopicArn", TOPIC)], TOPIC)])
def test_the_database_s_events_are_sent(changes: list[tuple[str, str]], topic: str) -> None:
    events = deployed("own", *changes).one("DatabaseEvents")

    assert events["SnsTopicArn"] == topic
    assert (events["SourceType"], events["SourceIds"]) == ("db-instance", ["Database"])
    assert {"failover", "failure", "low storage"} <= set(events["EventCategories"])


@pytest.mark.parametrize("name", sorted(ALARMS))
def test_an_alarm_has_its_entry_in_the_runbook(name: str) -> None:
    description = deployed().one(name)["AlarmDescription"]

    assert description.endswith(f"Runbook: docs/operations.md#{name.lower()}")
    assert name.lower() in anchors("docs/operations.md")


@pytest.mark.parametrize("name", sorted(ALARMS))
def test_an_alarm_and_its_end_are_published(name: str) -> None:
    alone = deployed().one(name)
    called = deployed("own", ("AlarmTopicArn", TOPIC)).one(name)

    assert alone["AlarmActions"] == alone["OKActions"] == ["AlarmTopic"]
    assert called["AlarmActions"] == called["OKActions"] == [TOPIC]


def test_no_function_fails_unseen() -> None:
    stack = deployed()
    watched = {metric["Dimensions"][0]["Value"] for metric in measured(stack.one("FunctionErrorAlarm"))}

    # CloudFormation calls Migrate, and a deploy fails with it. Archive is called every 20 minutes, too seldom for a
    # number of errors: an alarm of its own goes off where none of its calls ends well.
    assert watched == stack.of("AWS::Lambda::Function").keys() - {"MigrateFunction", "ArchiveFunction"}
    assert TABLE["ArchiveAlarm"].silence == "breaching"


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


def test_latency_alarms_when_only_the_sweep_processes() -> None:
    stack = deployed()
    alarm = stack.one("LatencyAlarm")

    # It leaves an object to the queue for so long that each one that it completes is late.
    assert int(stack.parameters["SweepMinAge"]) * 1_000 > alarm["Threshold"]
    # And it comes at least as often as the alarm looks, at the larger one of what the two completed.
    assert (stack.parameters["SweepRate"], TABLE["LatencyAlarm"].period) == ("5 minutes", 300)
    [result] = [entry["Expression"] for entry in alarm["Metrics"] if entry["ReturnData"] is True]
    assert result.startswith("MAX(")


def test_sweep_alarm_expects_a_run_no_sooner_than_the_schedule_makes_one(template: Template) -> None:
    alarm = TABLE["SweepAlarm"]
    rates = template["Parameters"]["SweepRate"]["AllowedValues"]

    for rate in rates:
        amount, unit = rate.split()
        every = seconds(**{unit.removesuffix("s") + "s": int(amount)})
        assert every + alarm.period <= alarm.period * deployed().one("SweepAlarm")["EvaluationPeriods"], rate
        assert (unit.endswith("s")) is (amount != "1"), "EventBridge refuses it otherwise"


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
        *("dlq", "errors", "throttles", "cold starts", "costs", "safety net"),
    ):
        assert subject in titles
    for subject in ("connections", "free storage", "free memory", "credits"):
        assert (subject in titles) is (name == "own")
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


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_log_group_ends(name: str) -> None:
    groups = deployed(name, ("LogRetentionDays", "14")).of("AWS::Logs::LogGroup")

    assert {properties["RetentionInDays"] for properties in groups.values()} == {"14"}
    assert "ApiAccessLogs" in groups


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize(("changes", "mode"), [([], None), ([("Tracing", "Active")], {"Mode": "Active"})])
def test_tracing_is_on_by_parameter_alone(name: str, changes: list[tuple[str, str]], mode: object) -> None:
    stack = deployed(name, *changes)

    assert stack.one("Apiv1Stage")["TracingEnabled"] is (mode is not None)
    for function in stack.of("AWS::Lambda::Function").values():
        assert function.get("TracingConfig") == mode


def test_no_artefact_carries_a_tracer(template: Template) -> None:
    for layer in resources(template, "AWS::Serverless::LayerVersion").values():
        requirements = PROJECT / layer["Properties"]["ContentUri"] / "requirements.txt"
        assert "xray" not in requirements.read_text(encoding="utf-8").lower()
