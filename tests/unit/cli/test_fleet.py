"""`dropzone replay --fleet`: what it asks, starts and says. tests/e2e/test_fleet.py has the real state machine."""

import json
from dataclasses import dataclass, field
from io import BytesIO
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import boto3
import pytest

from dropzone_cli.commands import fleet
from dropzone_cli.errors import CliError
from unit.cli.harness import REGION, Cli, document

pytestmark = pytest.mark.usefixtures("local")  # where no stack on AWS is named

REPLAY = str(UUID(int=7))
NOTHING_DONE: dict[str, Any] = {
    "replay_id": REPLAY,
    "state": "unfinished",
    "concurrency": 2,
    "ranges": 3,
    "done": 0,
    "objects": 300_000,
    "checked": 0,
    "rejected": 0,
    "unread": 0,
    "changes": {},
}
DONE = NOTHING_DONE | {"state": "done", "done": 3, "checked": 300_000, "changes": {"same": 300_000}}


@dataclass
class Scripted:
    """A stack's function and machine, which are as a test says."""

    reports: list[dict[str, Any]] = field(default_factory=lambda: [DONE])
    plans: list[dict[str, Any]] = field(default_factory=lambda: [NOTHING_DONE | {"is_planned": True}])
    execution: str | None = None
    restored: list[bool] = field(default_factory=list)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    started: list[str] = field(default_factory=list)

    def ask(self, action: str, **event: object) -> dict[str, Any]:
        self.asked.append((action, event))
        if action == "restore":
            return {"is_archived": self.restored.pop(0)}
        answers = {"plan": self.plans, "report": self.reports, "pause": self.reports}.get(action)
        return {"replay_id": REPLAY} if answers is None else answers.pop(0)

    def start(self, replay_id: str) -> str:
        self.started.append(replay_id)
        return "an execution"

    def is_running(self) -> bool:
        return len(self.reports) > 1


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    scripted = Scripted()
    monkeypatch.setattr(fleet._Fleet, "ask", lambda _, action, **event: scripted.ask(action, **event))
    monkeypatch.setattr(fleet._Fleet, "start", lambda _, replay_id: scripted.start(replay_id))
    monkeypatch.setattr(fleet._Fleet, "running", lambda *_: scripted.execution)
    monkeypatch.setattr(fleet._Fleet, "is_running", lambda *_: scripted.is_running())
    monkeypatch.setattr(fleet, "_LOCAL_SECONDS", 0.0)
    return scripted


def test_a_fleet_is_planned_estimated_started_and_watched(cli: Cli, stack: Scripted) -> None:
    stack.plans = [NOTHING_DONE | {"is_planned": is_planned} for is_planned in (False, True)]
    stack.reports = [NOTHING_DONE | {"checked": 150_000}, DONE]

    result = cli("replay", "--fleet", "--yes", "--from", "2026-01-01", "--contract", "hall", "--dry-run")

    assert result.exit_code == 0
    assert stack.asked[0] == (
        "begin",
        {"since": "2026-01-01T00:00:00Z", "until": None, "contract": "hall", "dry_run": True},
    )
    assert stack.started == [REPLAY]
    # Two calls do 500 objects a second each; 600 s of Lambda, 300,000 GETs, 300 LISTs and some transitions.
    assert (
        "300,000 objects in 3 ranges, 2 calls at once: about 5 min, and 0.13 USD beside the database." in result.stderr
    )
    assert f"dropzone replay --pause {REPLAY}" in result.stderr
    assert result.stdout.splitlines() == [
        "300,000 objects would be replayed, 3 of 3 ranges done",
        "    300,000  unchanged",
    ]


def test_a_sweep_by_fleet_begins_at_the_watermark(cli: Cli, stack: Scripted) -> None:
    stack.reports = [DONE | {"changes": {"new": 12}}]
    result = cli("sweep", "--fleet", "--yes")
    assert result.exit_code == 0
    assert stack.asked[0] == ("begin_sweep", {})
    assert stack.started == [REPLAY]
    assert result.stdout.splitlines() == [
        "300,000 objects checked, 3 of 3 ranges done",
        "         12  validated for the first time",
    ]
    assert cli("sweep", "--fleet", "--limit", "1").exit_code == 2


def test_a_month_of_arrival_is_asked_back(cli: Cli, stack: Scripted) -> None:
    stack.restored = [True, False, True]

    result = cli("archive", "--restore", "2026-05")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "starts to restore 2026-05; it is kept for 7 days" in result.stderr
    assert (
        "2026-04 is not archived; it is kept for at least 1 day"
        in cli("archive", "--restore", "2026-04", "--days", "1").stderr
    )
    assert document(cli("archive", "--restore", "2026-05", "--json")) == {
        "month": "2026-05",
        "is_archived": True,
        "days": 7,
    }
    assert stack.asked == [
        ("restore", {"month": month, "days": days}) for month, days in (("2026-05", 7), ("2026-04", 1), ("2026-05", 7))
    ]
    for wrong in (("2026-13",), ("2026-05-01",), ("2026-05", "--days", "0")):
        assert cli("archive", "--restore", *wrong).exit_code == 2
    assert len(stack.asked) == 3


def test_without_a_terminal_or_yes_nothing_is_started(cli: Cli, stack: Scripted) -> None:
    result = cli("replay", "--fleet")
    assert result.exit_code == 2
    assert "Use --yes to start." in result.stderr
    assert stack.started == []


def test_one_that_runs_is_watched_and_not_started_again(cli: Cli, stack: Scripted) -> None:
    stack.execution = "another"
    assert document(cli("replay", "--fleet", "--json"))["state"] == "done"
    assert stack.started == []


@pytest.mark.parametrize(
    ("report", "said"),
    [
        ({"state": "paused"}, "repeat the command that started it"),
        ({"state": "outdated"}, "The rules have changed since it started"),
        ({"state": "unfinished"}, "Some ranges are not done"),
        (DONE | {"unread": 2}, "2 objects could not be read"),
    ],
)
def test_what_is_left_is_said_and_is_no_success(cli: Cli, stack: Scripted, report: dict[str, Any], said: str) -> None:
    stack.reports = [NOTHING_DONE | report]
    result = cli("replay", "--fleet", "--yes")
    assert result.exit_code == 1
    assert said in result.stderr


def test_a_pause_names_the_replay(cli: Cli, stack: Scripted) -> None:
    stack.reports = [NOTHING_DONE | {"state": "paused"}]
    assert cli("replay", "--pause", REPLAY).exit_code == 0
    assert stack.asked == [("pause", {"replay_id": REPLAY})]


@pytest.mark.usefixtures("stack")
@pytest.mark.parametrize(
    "other", [("--code", "data.empty"), ("--raw-id", REPLAY), ("--limit", "1"), ("--cursor", REPLAY)]
)
def test_a_fleet_takes_times_and_a_contract_alone(cli: Cli, other: tuple[str, str]) -> None:
    result = cli("replay", "--fleet", *other)
    assert result.exit_code == 2
    assert "--fleet only works with --from, --to and --contract." in result.stderr


# ---- AWS -------------------------------------------------------------------------------------------------------------


def fleet_of(**aws: Any) -> fleet._Fleet:  # noqa: ANN401 - clients, by their service
    clients = SimpleNamespace(**{name: lambda client=client: client for name, client in aws.items()})
    machine = f"arn:aws:states:{REGION}:123456789012:stateMachine:replay"
    resources = SimpleNamespace(aws=clients, replay_function="Replay", replay_machine=machine)
    return fleet._Fleet(SimpleNamespace(resources=resources))  # type: ignore[arg-type] # what it needs of a session


def test_the_function_is_asked_and_a_failure_of_it_is_reported() -> None:
    called: list[dict[str, Any]] = []
    answers: list[dict[str, Any]] = [
        {"Payload": BytesIO(b'{"state": "done"}')},
        {"Payload": BytesIO(b'{"errorType": "NoSuchReplayError", "errorMessage": "it"}'), "FunctionError": "Unhandled"},
    ]

    def invoke(**call: Any) -> dict[str, Any]:  # noqa: ANN401 - of boto3
        called.append({**call, "Payload": json.loads(call["Payload"])})
        return answers.pop(0)

    asked = fleet_of(lambda_=SimpleNamespace(invoke=invoke))

    assert asked.ask("report", replay_id=REPLAY) == {"state": "done"}
    assert called == [{"FunctionName": "Replay", "Payload": {"action": "report", "replay_id": REPLAY}}]
    with pytest.raises(CliError, match=r"^The function Replay failed: NoSuchReplayError: it$"):
        asked.ask("report", replay_id=REPLAY)


@pytest.mark.usefixtures("account")
def test_only_an_execution_of_this_replay_that_runs_is_found() -> None:
    machine = boto3.client("stepfunctions", region_name=REGION)
    role = "arn:aws:iam::123456789012:role/machine"
    machine.create_state_machine(name="replay", definition='{"StartAt": "a", "States": {}}', roleArn=role)
    started = fleet_of(stepfunctions=machine)

    assert started.running(REPLAY) is None
    execution = started.start(REPLAY)

    assert started.running(REPLAY) == execution
    assert started.running(str(UUID(int=8))) is None
    assert started.is_running(execution)
    assert json.loads(machine.describe_execution(executionArn=execution)["input"]) == {"replay_id": REPLAY}
    machine.stop_execution(executionArn=execution)
    assert not started.is_running(execution)
    assert started.running(REPLAY) is None
