"""`dropzone status`: the status of events."""

from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from dropzone_cli import details
from dropzone_cli.errors import ExitCode, usage
from dropzone_cli.session import Session

_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 5.0
_GOOD = {"processed", "superseded"}


def status(
    session: Session,
    raw_ids: Annotated[
        list[UUID] | None,
        typer.Argument(metavar="RAW_ID...", help="The raw_id that POST /ingest returned.", show_default=False),
    ] = None,
    *,
    sent: Annotated[
        list[Path] | None,
        typer.Option("--sent", metavar="FILE", help="Every object in a resume file of send. Repeatable."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Wait until every event has an outcome.")] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", "-t", min=0, metavar="SECONDS", help="How long to wait.")
    ] = 60.0,
    rejections: Annotated[
        int,
        typer.Option(
            "--rejections", "-r", min=0, metavar="N", help="The maximum number of rejected events to show per object."
        ),
    ] = 3,
    events: Annotated[bool, typer.Option("--events", help="Show every event of an object, one per line.")] = False,
) -> ExitCode:
    """Show the status of events: accepted, processed, superseded, rejected or stuck.

    For a batch, show how many events have each status, and why the first rejected ones were rejected.
    """
    wanted = [*(raw_ids or ()), *(raw_id for file in sent or () for raw_id in _sent(file))]
    if not wanted and not sent:
        raise usage("Nothing to look up.", "Give RAW_IDs, or a resume file: --sent FILE.")
    found = _waited_for(session, wanted, timeout) if wait else _look_up(session, wanted)
    for entry in found.values():
        if details.is_batch(entry):
            _add_events(session, entry, rejections, all_events=events)
    _show(session, found)
    waiting = sum(entry["status"] == "accepted" for entry in found.values())
    if wait and waiting:
        session.out.note(
            f"{waiting} of {len(found)} still waiting after {timeout:g} s. "
            "They may be in the queue, or be dead letters: dropzone dlq list"
        )
    states = {str(entry["status"]) for entry in found.values()}
    if states - _GOOD - {"accepted"} or any(map(details.rejected_of, found.values())):
        return ExitCode.NOT_ALL_WELL
    return ExitCode.WAITING if waiting else ExitCode.DONE


def _sent(resume_file: Path) -> list[UUID]:
    from dropzone_cli.sending.journal import raw_ids

    return raw_ids(resume_file)


def _show(session: Session, found: dict[UUID, details.Document]) -> None:
    if session.out.as_json:
        session.out.document({"statuses": list(found.values())})
    elif len(found) == 1 and session.out.for_eyes:
        session.out.fields(details.in_full(next(iter(found.values()))))
    else:
        session.out.table(
            ("raw_id", "status", "details"),
            [(str(entry["raw_id"]), str(entry["status"]), details.in_brief(entry)) for entry in found.values()],
        )
    if session.out.as_json:
        return
    events = [(entry["raw_id"], event) for entry in found.values() for event in entry.get("events", [])]
    if events:
        session.out.table(
            ("raw_id", "item", "status", "details"),
            [
                (str(raw_id), str(event.get("item")), str(event.get("status")), details.in_brief(event))
                for raw_id, event in events
            ],
        )


def _add_events(session: Session, entry: details.Document, rejections: int, *, all_events: bool) -> None:
    """Replace the API's page of events in a batch's status with the requested events."""
    raw_id = UUID(str(entry["raw_id"]))
    for name in ("events", "cursor"):
        entry.pop(name, None)
    if all_events:
        entry["events"] = [*session.api.events(raw_id)]
    elif rejections and details.rejected_of(entry):
        entry["rejections"] = session.api.rejections_of(raw_id, min(rejections, details.rejected_of(entry)))


def _look_up(session: Session, raw_ids: list[UUID]) -> dict[UUID, details.Document]:
    return {
        raw_id: details.unknown(raw_id) if status is None else status
        for raw_id, status in session.api.statuses(raw_ids).items()
    }


def _waited_for(session: Session, raw_ids: list[UUID], timeout: float) -> dict[UUID, details.Document]:
    """Poll objects until none is waiting, or until the timeout."""
    ends = session.client_options.clock() + timeout
    pause = _FIRST_PAUSE_SECONDS
    found = _look_up(session, raw_ids)
    with session.out.progress("Done", len(found)) as progress:
        waiting = _waiting(found)
        progress.advance(len(found) - len(waiting))
        while waiting and (left := ends - session.client_options.clock()) > 0:
            session.api.sleep(min(pause, left))
            pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)
            found |= _look_up(session, waiting)
            still = _waiting(found)
            progress.advance(len(waiting) - len(still))
            waiting = still
    return found


def _waiting(found: dict[UUID, details.Document]) -> list[UUID]:
    return [raw_id for raw_id, entry in found.items() if entry["status"] == "accepted"]
