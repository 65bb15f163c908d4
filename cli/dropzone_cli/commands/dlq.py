"""`dropzone dlq`: messages that failed as often as the queue allows."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import typer

from dropzone_cli.details import Document
from dropzone_cli.errors import CliError, ExitCode, usage
from dropzone_cli.instants import rfc3339
from dropzone_cli.queue import Message, objects_of
from dropzone_cli.redrive import FINAL, LEASE_SECONDS, Redrive, Report
from dropzone_cli.session import Session
from dropzone_cli.text import age, count

# A listing takes seconds. If it is killed, the messages become visible again after this time.
_PEEK_SECONDS = 60
_STAYS = "Raw objects stay in bronze; dropzone sweep processes those without an outcome."


@dataclass(frozen=True, slots=True)
class _Entry:
    message: Message
    raw_ids: tuple[UUID, ...] | None

    def reason(self, statuses: Mapping[UUID, Document | None]) -> str:
        """Return why the message failed, as far as known."""
        if self.raw_ids is None:
            return "not understood"
        if not self.raw_ids:
            return "an S3 test event"
        reasons = [_reason(statuses[raw_id]) if raw_id in statuses else "not known" for raw_id in self.raw_ids]
        return "; ".join(dict.fromkeys(reasons))

    def document(self, statuses: Mapping[UUID, Document | None]) -> Document:
        return {
            "message_id": self.message.message_id,
            "reason": self.reason(statuses),
            "objects": [{"raw_id": str(raw_id), **_facts(statuses, raw_id)} for raw_id in self.raw_ids or ()],
            "sent_at": rfc3339(self.message.sent_at, "milliseconds"),
            "age_seconds": max(0, int((datetime.now(UTC) - self.message.sent_at).total_seconds())),
            "receives": self.message.receives,
        }

    def row(self, statuses: Mapping[UUID, Document | None]) -> tuple[str, ...]:
        objects = self.raw_ids or ()
        shown = f"{objects[0]}{f' +{len(objects) - 1}' if len(objects) > 1 else ''}" if objects else "-"
        tries = max(((statuses.get(raw_id) or {}).get("attempts", 0) for raw_id in objects), default=0)
        return shown, age(self.message.sent_at), str(self.message.receives), str(tries), self.reason(statuses)


def _facts(statuses: Mapping[UUID, Document | None], raw_id: UUID) -> Document:
    if raw_id not in statuses:
        return {"status": None}
    status = statuses[raw_id]
    if status is None:
        return {"status": "missing"}
    return {name: status[name] for name in ("status", "attempts", "last_error") if name in status}


def _reason(status: Document | None) -> str:
    if status is None:
        return "object missing"
    if status["status"] in FINAL:
        return f"done meanwhile: {status['status']}"
    error = status.get("last_error")
    return f"{status['status']}: {error}" if error else str(status["status"])


def list_(
    session: Session,
    *,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=10_000, help="The maximum number of messages.")
    ] = 100,
) -> ExitCode:
    """List dead letters: object, age, how often received and tried, and why.

    Messages are received and released at once, which "received" counts too.
    """
    counts = session.dlq.counts()
    entries = _peek(session, limit)
    statuses: Mapping[UUID, Document | None] = {}
    failure = None
    try:
        statuses = session.api.statuses([raw_id for entry in entries for raw_id in entry.raw_ids or ()])
    except CliError as error:  # the list is useful even without statuses
        failure = error
    session.out.listing(
        {
            "messages": [entry.document(statuses) for entry in entries],
            "approximate_messages": counts.visible,
            "approximate_in_flight": counts.in_flight,
        },
        ("object", "age", "received", "failed tries", "reason"),
        [entry.row(statuses) for entry in entries],
        _summary(len(entries), counts.total),
    )
    if failure is not None:
        session.out.error(failure)
        return failure.exit_code
    return ExitCode.DONE


def _peek(session: Session, limit: int) -> list[_Entry]:
    held: dict[str, Message] = {}
    try:
        with session.out.progress("Dead letters read") as progress:
            for messages, fresh in session.dlq.receive_all(_PEEK_SECONDS, lambda message: message.message_id in held):
                held.update({message.message_id: message for message in messages})
                progress.advance(len(fresh))
                if len(held) >= limit:
                    break
    finally:
        session.dlq.release(held.values())
    messages = sorted(held.values(), key=lambda message: message.sent_at)[:limit]
    return [_Entry(message, objects_of(message.body, session.resources.bucket)) for message in messages]


def _summary(shown: int, total: int) -> str:
    if total == shown:
        return f"{count(shown, 'dead letter')}." if shown else "No dead letters."
    return f"{count(shown, 'dead letter')} shown of about {total:,}: raise --limit, or others hold the rest."


def redrive(
    session: Session,
    raw_ids: Annotated[
        list[UUID] | None,
        typer.Argument(metavar="RAW_ID", help="Only the messages of these objects. Default: all.", show_default=False),
    ] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done, without doing it.")] = False,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="The maximum number of messages.")] = None,
) -> ExitCode:
    """Send dead letters through the queue again.

    A message is sent before it is deleted, so that none is lost. A message whose objects are done meanwhile is dropped.
    Two redrives at the same time are safe.
    """
    chosen = frozenset(raw_ids or ())
    total = session.dlq.counts().visible
    with session.out.progress("Dead letters seen", total) as progress:
        work = Redrive(
            dlq=session.dlq,
            queue=session.queue,
            bucket=session.resources.bucket,
            statuses=session.api.statuses,
            chosen=chosen,
            limit=limit,
            dry_run=dry_run,
            advance=progress.advance,
        )
        try:
            report = work.run()
        except BaseException:
            if work.report.taken:  # an interrupted redrive has already sent some
                _show(session, work.report, frozenset(), dry_run=dry_run)
            raise
    _show(session, report, chosen - report.found, dry_run=dry_run)
    return ExitCode.NOT_ALL_WELL if report.failed or report.undeleted or chosen - report.found else ExitCode.DONE


def _show(session: Session, report: Report, not_found: frozenset[UUID], *, dry_run: bool) -> None:
    if session.out.as_json:
        counts = {name: number for name, number in asdict(report).items() if name != "found"}
        session.out.document({"dry_run": dry_run, **counts, "not_found": sorted(map(str, not_found))})
        return
    would = "would be " if dry_run else ""
    session.out.line(f"{count(report.redriven, 'message')} {would}redriven")
    session.out.line(f"{count(report.dropped, 'message')} {would}dropped: already processed")
    if report.not_understood or report.missing_objects:
        session.out.note(
            f"Of the redriven, {report.not_understood:,} are not understood and {report.missing_objects:,} name a "
            "missing object: unless that has changed, they will fail again."
        )
    if report.failed:
        session.out.note(f"{count(report.failed, 'message')} could not be sent, and stay: try again.", style="red")
    if report.undeleted:
        session.out.note(
            f"{count(report.undeleted, 'message')} could not be deleted, and are visible again after "
            f"{LEASE_SECONDS} s. A second redrive is safe.",
            style="red",
        )
    for raw_id in sorted(not_found):
        session.out.note(
            f"{raw_id}: no dead letter names it. Look up its status: dropzone status {raw_id}", style="red"
        )


def purge(
    session: Session, *, yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete without asking.")] = False
) -> ExitCode:
    """Delete all dead letters, after asking.

    Raw objects stay in bronze, and the sweep processes those without an outcome.
    """
    total = session.dlq.counts().total
    if not total:
        session.out.result({"purged": 0}, "No dead letters.")
        return ExitCode.DONE
    about = f"About {count(total, 'dead letter')}"
    if not yes:
        refusal = usage(
            f"There are {about.lower()}, and no terminal to ask for confirmation.", "Use --yes to delete them."
        )
        notes = (f"{about} of {session.target.name} will be deleted.", _STAYS)
        if not session.confirm("Delete them?", notes, without_terminal=refusal):
            session.out.note("Nothing was deleted.")
            return ExitCode.NOT_ALL_WELL
    session.dlq.purge()
    session.out.result({"purged": total}, f"{about} purged.")
    if not session.out.as_json:
        session.out.note(_STAYS)
    return ExitCode.DONE
