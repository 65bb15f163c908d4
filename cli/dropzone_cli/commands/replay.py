"""`dropzone replay`: revalidate objects; `dropzone sweep`: process objects whose message was lost."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Annotated, Any
from uuid import UUID

import typer

from dropzone_cli.commands.fleet import pause_fleet, replay_by_fleet, show_changes, sweep_by_fleet
from dropzone_cli.commands.rejected import Code, Since, Until
from dropzone_cli.details import Document
from dropzone_cli.errors import ExitCode, usage
from dropzone_cli.formats import Cursor, Position, parse_cursor, received_at
from dropzone_cli.instants import bounds
from dropzone_cli.session import Session
from dropzone_cli.text import count

_NAMED_AT_ONCE = 1_000


def _parse_cursor(text: str) -> Cursor:
    try:
        return parse_cursor(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}.") from None


_cursor_option = partial(
    typer.Option, "--cursor", metavar="CURSOR", help="Continue an earlier run from the cursor that it printed."
)
ReplayCursor = Annotated[Any, _cursor_option(parser=_parse_cursor)]
SweepCursor = Annotated[UUID | None, _cursor_option()]
Fleet = Annotated[
    bool, typer.Option("--fleet", help="Run on the stack with many parallel calls, for millions of objects.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Start a fleet without confirmation.")]
Limit = Annotated[int | None, typer.Option("--limit", "-n", min=1, help="The maximum number of objects.")]


@dataclass(slots=True)
class _Totals:
    """The sums of the API's answers."""

    checked: int = 0
    processed: int = 0
    failed: int = 0
    unread: int = 0
    changes: Counter[str] = field(default_factory=Counter)
    cursor: Cursor | None = None

    def add(self, answer: Document) -> None:
        self.checked += int(answer["checked"])
        self.processed += int(answer["processed"])
        self.failed += int(answer["failed"])
        self.unread += int(answer.get("unread", 0))
        self.changes.update(answer.get("changes", {}))
        self.cursor = parse_cursor(answer["cursor"]) if "cursor" in answer else None

    def document(self) -> Document:
        counts: Document = {"checked": self.checked, "processed": self.processed, "failed": self.failed}
        return counts if self.cursor is None else counts | {"cursor": str(self.cursor)}


def replay(
    session: Session,
    *,
    since: Since = None,
    until: Until = None,
    code: Code = None,
    contract: Annotated[
        str | None,
        typer.Option(
            "--contract",
            metavar="NAME",
            help="Only what any version of this contract decided, unless the current rules have confirmed it.",
            show_default=False,
        ),
    ] = None,
    raw_ids: Annotated[
        list[UUID] | None,
        typer.Option("--raw-id", metavar="RAW_ID", help="Only this object; repeatable.", show_default=False),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would change.")] = False,
    limit: Limit = None,
    cursor: ReplayCursor = None,
    fleet: Fleet = False,
    pause: Annotated[
        UUID | None, typer.Option("--pause", metavar="REPLAY_ID", help="Pause a replay by fleet.", show_default=False)
    ] = None,
    yes: Yes = False,
) -> ExitCode:
    """Revalidate objects under the current rules: all, or by time of arrival, rule, contract, or RAW_ID.

    Afterwards, silver is what it would be if these rules had always applied. A second replay changes nothing.
    """
    if fleet or pause:
        if code or raw_ids or limit or cursor:
            raise usage("--fleet only works with --from, --to and --contract.", "Leave out the others, or --fleet.")
        if pause:
            return pause_fleet(session, pause)
        return replay_by_fleet(session, since, until, contract, dry_run=dry_run, yes=yes)
    selections = _selections(since, until, code, contract, raw_ids, cursor)
    totals = _Totals(cursor=cursor)
    try:
        with session.out.progress(
            "Would replay" if dry_run else "Replayed", None if not raw_ids else len(set(raw_ids))
        ) as progress:
            for number, selection in enumerate(selections):
                if number:
                    cursor = totals.cursor = _before(selection)
                left = None if limit is None else limit - totals.checked - totals.unread
                if left == 0:
                    break
                for answer in session.api.process_all(
                    left, cursor, reprocess=True, **selection, **({"dry_run": True} if dry_run else {})
                ):
                    totals.add(answer)
                    progress.advance(answer["checked"] + answer.get("unread", 0), _where(totals.cursor))
    except BaseException:
        # An interrupted run has replayed some objects, up to its cursor.
        if totals.checked or totals.unread or totals.cursor != cursor:
            _show_replay(session, totals, dry_run=dry_run)
        raise
    _show_replay(session, totals, dry_run=dry_run)
    return ExitCode.NOT_ALL_WELL if totals.unread else ExitCode.DONE


def _selections(
    since: datetime | None,
    until: datetime | None,
    code: str | None,
    contract: str | None,
    raw_ids: list[UUID] | None,
    cursor: Cursor | None,
) -> list[Document]:
    """Return the selections to replay, one per call of the API."""
    if raw_ids:
        if since or until or code or contract:
            raise usage("--raw-id can't be combined with --from, --to, --code or --contract.", "Choose one of them.")
        wanted = sorted(raw_id for raw_id in set(raw_ids) if _is_ahead(raw_id, cursor))
        starts = range(0, len(wanted), _NAMED_AT_ONCE)
        return [{"raw_ids": [*map(str, wanted[start : start + _NAMED_AT_ONCE])]} for start in starts]
    if code and contract:
        raise usage("--code can't be combined with --contract.", "Choose one of them.")
    rules = {"code": code, "contract": contract}
    return [bounds(since, until) | {name: value for name, value in rules.items() if value is not None}]


def _is_ahead(raw_id: UUID, cursor: Cursor | None) -> bool:
    """Return whether an object, or a part of it, comes after the cursor."""
    if isinstance(cursor, Position):
        return raw_id >= cursor.raw_id
    return cursor is None or raw_id > cursor


def _before(selection: Document) -> UUID | None:
    """Return the cursor before the first of a selection's named objects."""
    names = selection.get("raw_ids")
    return UUID(int=UUID(names[0]).int - 1) if names else None


def _where(cursor: Cursor | None) -> str:
    if cursor is None:
        return ""
    raw_id, event = (cursor.raw_id, f", event {cursor.item:,}") if isinstance(cursor, Position) else (cursor, "")
    return f"up to {received_at(raw_id):%Y-%m-%d %H:%M:%S} UTC{event}"


def _show_replay(session: Session, totals: _Totals, *, dry_run: bool) -> None:
    if session.out.as_json:
        session.out.document(
            {"dry_run": dry_run, **totals.document(), "unread": totals.unread, "changes": dict(totals.changes)}
        )
    else:
        would = "would be replayed" if dry_run else "replayed"
        session.out.line(f"{count(totals.checked, 'object')} {would}")
        show_changes(session.out, totals.changes)
    if totals.unread:
        session.out.note(
            f"{count(totals.unread, 'object')} could not be read, and stay as they are: "
            "missing, or S3 failed. The logs of the function Sweep name them.",
            style="red",
        )
    _show_cursor(session, totals.cursor)


def _show_cursor(session: Session, cursor: Cursor | None) -> None:
    if cursor is not None:
        session.out.note(f"There is more. Continue with the same options and --cursor {cursor}")


def sweep(
    session: Session, *, limit: Limit = None, cursor: SweepCursor = None, fleet: Fleet = False, yes: Yes = False
) -> ExitCode:
    """Process objects in bronze now that have no outcome yet, because their message was lost or is late.

    The schedule does the same every few minutes with objects older than a few minutes.
    """
    if fleet:
        if limit or cursor:
            raise usage("--fleet takes neither --limit nor --cursor.", "Leave out these, or --fleet.")
        return sweep_by_fleet(session, yes=yes)
    totals = _Totals(cursor=cursor)
    try:
        with session.out.progress("Processed") as progress:
            for answer in session.api.process_all(limit, cursor):
                totals.add(answer)
                progress.advance(answer["checked"], _where(totals.cursor))
    except BaseException:
        if totals.checked:
            _show_sweep(session, totals)
        raise
    _show_sweep(session, totals)
    return ExitCode.DONE


def _show_sweep(session: Session, totals: _Totals) -> None:
    checked = f"{count(totals.checked, 'object')} checked"
    session.out.result(totals.document(), f"{checked}: {totals.processed:,} processed, {totals.failed:,} rejected")
    _show_cursor(session, totals.cursor)
