"""`dropzone replay --fleet`, `dropzone sweep --fleet`: have a state machine process ranges, and watch it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dropzone_cli.errors import CliError, ExitCode, usage
from dropzone_cli.instants import rfc3339
from dropzone_cli.text import count

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from mypy_boto3_stepfunctions import SFNClient

    from dropzone_cli.details import Document
    from dropzone_cli.output import Output
    from dropzone_cli.session import Session

_KINDS = {
    "same": "unchanged",
    "new": "validated for the first time",
    "now_processed": "rejected before, processed now",
    "now_rejected": "processed before, rejected now",
    "other_figures": "processed with other figures",
    "other_flags": "processed with other warnings",
    "other_reasons": "rejected for other reasons",
    "gone": "no longer events",
}

_OBJECTS_A_SECOND = 500
"""An estimate per call: half the rate of one replay on two cores next to its database (make bench ARGS=replays)."""

# Prices in us-east-1 on arm64: of Lambda per second of 1 GB, of S3 per GET and per LIST of a thousand keys, and of Step
# Functions per transition.
_SECOND, _GET, _LIST, _TRANSITION = 0.0000133334, 0.4e-6, 5e-6, 0.025e-3
_TRANSITIONS_A_CALL, _CALL_SECONDS = 3, 900

_LOOK_EVERY_SECONDS, _LOCAL_SECONDS = 5.0, 0.5


@dataclass(slots=True)
class _Fleet:
    """A stack's function Replay and its state machine."""

    session: Session

    @property
    def _client(self) -> SFNClient:
        return self.session.resources.aws.stepfunctions()

    def ask(self, action: str, **event: object) -> Document:
        resources = self.session.resources
        answer = resources.aws.lambda_().invoke(
            FunctionName=resources.replay_function, Payload=json.dumps({"action": action} | event).encode()
        )
        document: Document = json.loads(answer["Payload"].read())
        if answer.get("FunctionError"):
            message = (
                f"The function Replay failed: {document.get('errorType', 'Error')}: {document.get('errorMessage')}"
            )
            raise CliError(message, hint="Its log has the details. What is done is kept: run the command again.")
        return document

    def running(self, replay_id: str) -> str | None:
        """Return the running execution of a replay, if any."""
        pages = self._client.get_paginator("list_executions").paginate(
            stateMachineArn=self.session.resources.replay_machine, statusFilter="RUNNING"
        )
        executions = (execution for page in pages for execution in page["executions"])
        return next((one["executionArn"] for one in executions if one["name"].startswith(replay_id)), None)

    def start(self, replay_id: str) -> str:
        """Start the state machine for the ranges that are not done; return the execution."""
        return self._client.start_execution(
            stateMachineArn=self.session.resources.replay_machine,
            name=f"{replay_id}-{int(time.time())}",
            input=json.dumps({"replay_id": replay_id}),
        )["executionArn"]

    def is_running(self, execution: str) -> bool:
        return self._client.describe_execution(executionArn=execution)["status"] == "RUNNING"


def replay_by_fleet(
    session: Session, since: datetime | None, until: datetime | None, contract: str | None, *, dry_run: bool, yes: bool
) -> ExitCode:
    """Plan a replay, or find an unfinished one of the same objects; start it, and watch it until it ends."""
    fleet = _Fleet(session)
    begun = fleet.ask(
        "begin",
        since=rfc3339(since or datetime(1970, 1, 1, tzinfo=UTC)),
        until=until and rfc3339(until),
        contract=contract,
        dry_run=dry_run,
    )
    if months := begun.get("archived"):
        message = f"Objects received in {', '.join(months)} are archived, so their outcomes can't be replaced."
        raise CliError(message, hint="Start after them (--from), or restore them first (dropzone archive --restore).")
    report = _run(fleet, begun["replay_id"], yes=yes)
    if report is None:
        return ExitCode.NOT_ALL_WELL
    return _shown(session.out, report, "would be replayed" if dry_run else "replayed", dry_run=dry_run)


def restore_month(session: Session, month: str, days: int) -> bool:
    """Request a month of arrival to be restored, and kept for some days; return whether it is archived."""
    return bool(_Fleet(session).ask("restore", month=month, days=days)["is_archived"])


def sweep_by_fleet(session: Session, *, yes: bool) -> ExitCode:
    """Process objects without a receipt, from the scheduled sweep's watermark on, and watch it until it ends."""
    fleet = _Fleet(session)
    report = _run(fleet, fleet.ask("begin_sweep")["replay_id"], yes=yes)
    return ExitCode.NOT_ALL_WELL if report is None else _shown(session.out, report, "checked")


def _run(fleet: _Fleet, replay_id: str, *, yes: bool) -> Document | None:
    """Plan, start and watch; return the last report, or None if the user did not confirm it."""
    session = fleet.session
    report = _plan(fleet, replay_id)
    execution = fleet.running(replay_id)
    if execution is None and report["state"] != "done":
        session.out.note(_estimate(report))
        refusal = usage("There is no terminal to ask for confirmation.", "Use --yes to start.")
        if not yes and not session.confirm("Start it?", (), without_terminal=refusal):
            session.out.note("Nothing was started.")
            return None
        execution = fleet.start(replay_id)
    if execution is not None:
        session.out.note(f"Replay {replay_id}. Pause it: dropzone replay --pause {replay_id}")
        report = _watch(fleet, replay_id, execution, report)
    return report


def pause_fleet(session: Session, replay_id: UUID) -> ExitCode:
    """Pause a replay: its calls end after their current thousand objects."""
    report = _Fleet(session).ask("pause", replay_id=str(replay_id))
    _show(session.out, report, "replayed")
    return ExitCode.DONE


def show_changes(out: Output, changes: Mapping[str, int]) -> None:
    """Print the number of events by the change of their outcome."""
    for kind, number in changes.items():
        if number:
            out.line(f"  {number:>9,}  {_KINDS.get(kind, kind)}")


def _plan(fleet: _Fleet, replay_id: str) -> Document:
    with fleet.session.out.progress("Counted") as progress:
        counted = 0
        while True:
            report = fleet.ask("plan", replay_id=replay_id)
            progress.advance(report["objects"] - counted, f"{report['ranges']:,} ranges")
            counted = report["objects"]
            if report["is_planned"]:
                return report


def _estimate(report: Document) -> str:
    left = max(report["objects"] - report["checked"], 0)
    ranges = report["ranges"] - report["done"]
    calls = min(report["concurrency"], max(ranges, 1))
    seconds = left / _OBJECTS_A_SECOND
    transitions = (report["ranges"] + seconds / _CALL_SECONDS) * _TRANSITIONS_A_CALL
    cost = seconds * _SECOND + left * _GET + left / 1_000 * _LIST + transitions * _TRANSITION
    return (
        f"{count(left, 'object')} in {count(ranges, 'range')}, {count(calls, 'call')} at once: "
        f"about {_duration(seconds / calls)}, and {cost:,.2f} USD beside the database."
    )


def _watch(fleet: _Fleet, replay_id: str, execution: str, report: Document) -> Document:
    """Show the progress until the execution ends; return the last report."""
    pause = _LOCAL_SECONDS if fleet.session.target.local else _LOOK_EVERY_SECONDS
    began, first, seen = time.monotonic(), report["checked"], 0
    try:
        with fleet.session.out.progress("Checked", report["objects"]) as progress:
            while True:
                is_running = fleet.is_running(execution)
                report = fleet.ask("report", replay_id=replay_id)
                rate = (report["checked"] - first) / max(time.monotonic() - began, 0.001)
                left = max(report["objects"] - report["checked"], 0)
                progress.advance(report["checked"] - seen, f"{_duration(left / rate)} left" if rate else "")
                seen = report["checked"]
                if not is_running:
                    return report
                time.sleep(pause)
    except KeyboardInterrupt:
        fleet.session.out.note("The replay continues. Run the same command again to watch it.")
        raise


def _duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min" if minutes else "1 min"


def _shown(out: Output, report: Document, what: str, *, dry_run: bool = False) -> ExitCode:
    _show(out, report, what, dry_run=dry_run)
    return ExitCode.DONE if report["state"] == "done" and not report["unread"] else ExitCode.NOT_ALL_WELL


def _show(out: Output, report: Document, what: str, *, dry_run: bool = False) -> None:
    if out.as_json:
        out.document({"dry_run": dry_run, **report})
        return
    out.line(
        f"{count(report['checked'], 'object')} {what}, {report['done']:,} of {count(report['ranges'], 'range')} done"
    )
    show_changes(out, report["changes"])
    if report["unread"]:
        out.note(
            f"{count(report['unread'], 'object')} could not be read and are unchanged: missing, or S3 failed. "
            "The logs of the function Replay name them.",
            style="red",
        )
    if report["state"] == "paused":
        out.note("It is paused. To continue, repeat the command that started it.")
    elif report["state"] == "outdated":
        out.note(
            "The rules have changed since it started: run the command again to start another with the current rules."
        )
    elif report["state"] != "done":
        out.note("Some ranges are not done, because calls failed. Run the same command again to continue.", style="red")
