"""The costs in docs/deploy.md add up, and are those of what the template makes."""

import re

import pytest

from unit.template.loading import PROJECT
from unit.template.stacks import deployed

SECTION = (PROJECT / "docs" / "deploy.md").read_text(encoding="utf-8").partition("## What it costs\n")[2]
NUMBERS = ["", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
NUMBERS += [f"{stem}teen" for stem in ("thir", "four", "fif", "six", "seven", "eigh", "nine")] + ["twenty"]
NUMBERS += [f"twenty-{digit}" for digit in NUMBERS[1:10]] + ["thirty"]
NUMBERS += [f"thirty-{digit}" for digit in NUMBERS[1:10]]


def table(title: str) -> list[list[str]]:
    """The rows below this title."""
    text = SECTION.partition(f"**{title}**\n\n")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]


@pytest.mark.parametrize("title", ["At rest, a month", "A million events, one a request"])
def test_they_add_up(title: str) -> None:
    *rows, (_, _, total) = table(title)

    assert sum(float(row[2]) for row in rows) == pytest.approx(float(total.strip("*")), abs=0.011)


def test_the_alarms_are_all_counted() -> None:
    alarms = deployed().of("AWS::CloudWatch::Alarm").values()
    metrics = sum(len([entry for entry in alarm.get("Metrics", []) if "MetricStat" in entry]) or 1 for alarm in alarms)

    [row] = [row for row in table("At rest, a month") if "alarms on" in row[0]]
    words = re.match(r"([\w-]+) alarms on ([\w-]+) metrics, one dashboard", row[0])
    assert words
    assert [NUMBERS.index(word) for word in words.groups()] == [len(alarms), metrics]
    assert row[1] == f"{metrics} × 0.10 + 3.00"


def test_nothing_else_is_paid_for_at_rest() -> None:
    # Interface endpoints, secrets, NAT gateways, addresses and keys cost by the hour or the month.
    paid = {"AWS::EC2::NatGateway", "AWS::EC2::EIP", "AWS::SecretsManager::Secret", "AWS::KMS::Key"}
    stack = deployed()

    assert {
        name
        for name, entry in stack.resources.items()
        if entry["Type"] in paid or entry["Properties"].get("VpcEndpointType") == "Interface"
    } == {"AlarmKey"}
