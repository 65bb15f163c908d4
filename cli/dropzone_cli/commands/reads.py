"""`dropzone kpis`, `measurements`, `quality`, `sources` and `archive`: the API's reads as tables, CSV or JSON."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial
from operator import itemgetter
from typing import Annotated, Any, TypeAlias

import typer

from dropzone_cli.details import Document
from dropzone_cli.errors import ExitCode, usage
from dropzone_cli.instants import FORMS, bounds, instant_option
from dropzone_cli.session import Session
from dropzone_cli.text import count

_NESTED = ("gaps", "latency_ms", "last_day")
"""Objects whose fields are separate columns in CSV, as in the API's CSV."""

Column: TypeAlias = str | tuple[str, Callable[[Document], object]]
"""A field of a row, or a title and a function that returns the value."""


class Granularity(StrEnum):
    """The length of a bucket of time."""

    SECOND = "second"
    MINUTE = "minute"
    QUARTER_HOUR = "quarter_hour"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class State(StrEnum):
    """The state of a source, by its expected interval."""

    OK = "ok"
    LATE = "late"
    SILENT = "silent"
    UNNAMED = "unnamed"


AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV with all columns.")]
Limit = Annotated[
    int | None, typer.Option("--limit", "-n", min=1, help="The maximum number of rows.", show_default=False)
]
Source = Annotated[
    str | None, typer.Option("--source", metavar="TEXT", help="Only this source; '' for events without one.")
]
Since = Annotated[datetime | None, instant_option("--from", help=f"Start at this time. {FORMS}")]
Until = Annotated[datetime | None, instant_option("--to", help="End before this time, in the same forms as --from.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Buckets:
    """The options of reads by buckets of time."""

    source: Source = None
    by: Annotated[Granularity, typer.Option("--by", help="The length of a bucket.")] = Granularity.HOUR
    since: Since = None
    until: Until = None
    tz: Annotated[
        str, typer.Option("--tz", metavar="ZONE", help="The time zone of the buckets, such as Europe/Berlin.")
    ] = "UTC"

    @property
    def parameters(self) -> dict[str, object]:
        return {"granularity": self.by, "tz": self.tz, "source": self.source, **bounds(self.since, self.until)}


def kpis(
    session: Session,
    *,
    buckets: Buckets,
    expected: Annotated[
        float | None,
        typer.Option("--expected", min=1e-6, metavar="SECONDS", help="The expected time between two events."),
    ] = None,
    limit: Limit = None,
    as_csv: AsCsv = False,
) -> ExitCode:
    """Show figures by source and bucket of time: events, mean, deviation, gaps, what was rejected.

    Without --from: the last 5 minutes by second, hour by minute, day by quarter_hour, 7 days by hour, 30 days by day.
    """
    columns: Sequence[Column] = (
        *("start", "source", "events", "mean", "std_dev", "min", "max"),
        ("gaps", lambda row: row["gaps"]["count"]),
        *("received", "rejected"),
    )
    asked = {**buckets.parameters, "expected_seconds": expected}
    _show(session, "kpis", asked, limit, columns, as_csv=as_csv)
    return ExitCode.DONE


def measurements(
    session: Session,
    *,
    source: Source = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="The maximum number of rows.")] = 50,
    as_csv: AsCsv = False,
) -> ExitCode:
    """Show measurements, the newest first."""
    columns: Sequence[Column] = (
        *("measured_at", "source", "mean", "std_dev", "min", "max", "unit"),
        ("samples", lambda row: row["sample_count"]),
        ("flags", lambda row: " ".join(row["flags"])),
    )
    _show(session, "measurements", {"source": source, **bounds(since, until)}, limit, columns, as_csv=as_csv)
    return ExitCode.DONE


def quality(
    session: Session,
    *,
    buckets: Buckets,
    together: Annotated[bool, typer.Option("--together", help="Add up all sources.")] = False,
    limit: Limit = None,
    as_csv: AsCsv = False,
) -> ExitCode:
    """Show outcomes by source and bucket of arrival, and the rules by which events were rejected or flagged."""
    columns: Sequence[Column] = (
        *("start", "source", "received", "processed", "flagged", "rejected", "open"),
        ("p95_ms", lambda row: _number(row["latency_ms"]["p95"])),
        ("rules", lambda row: ", ".join(map(_rule, row["rules"]))),
    )
    asked = {**buckets.parameters, "together": "true" if together else None}
    _show(session, "quality", asked, limit, columns, as_csv=as_csv)
    return ExitCode.DONE


def sources(
    session: Session,
    *,
    prefix: Annotated[
        str, typer.Option("--prefix", metavar="TEXT", help="Only sources whose names start with this.")
    ] = "",
    state: Annotated[State | None, typer.Option("--state", help="Only sources in this state.")] = None,
    silent: Annotated[
        datetime | None,
        instant_option(
            "--silent", help="Only sources without measurements since then, such as 1h; exit code 1 if there are any."
        ),
    ] = None,
    limit: Limit = None,
    as_csv: AsCsv = False,
) -> ExitCode:
    """Show sources: state, last value, last measurement, and what was rejected in the last 24 hours."""
    asked = {"prefix": prefix or None, "state": state}
    columns: Sequence[Column] = (
        *("source", "state", "last_measured_at"),
        ("last_value", lambda row: f"{_number(row['last_mean'])} {row['unit'] or ''}".strip()),
        ("received", lambda row: row["last_day"]["received"]),
        ("rejected", lambda row: row["last_day"]["rejected"]),
        ("contract", lambda row: row["contract"] or ""),
    )
    is_wanted = partial(_is_silent_since, silent) if silent else None
    found = _show(session, "sources", asked, limit, columns, as_csv=as_csv, is_wanted=is_wanted)
    return ExitCode.NOT_ALL_WELL if silent and found else ExitCode.DONE


def archive(
    session: Session,
    *,
    since: Since = None,
    until: Until = None,
    restore: Annotated[
        datetime | None,
        typer.Option(
            "--restore", formats=["%Y-%m"], metavar="MONTH", help="Restore what arrived in a month, such as 2026-05."
        ),
    ] = None,
    days: Annotated[int, typer.Option("--days", min=1, max=366, help="How long to keep the restored month.")] = 7,
) -> ExitCode:
    """List the months (UTC) whose measurements are archived: in Parquet files in the bucket, no longer in silver.

    Reads of measurements, and of figures by the minute, lack these months. With --restore, the outcomes of what arrived
    in a month are brought back, so that statuses are whole and it can be replayed; Archive does it every 20 minutes.
    """
    if restore is not None:
        return _restore(session, f"{restore:%Y-%m}", days)
    # Any page names the archived months of the range.
    [page] = session.api.pages("measurements", bounds(since, until), 1)
    months: list[str] = page.get("archived", [])
    rows = [[month] for month in months]
    session.out.listing({"archived": months}, ["month"], rows, f"{count(len(months), 'month')}.")
    return ExitCode.DONE


def _restore(session: Session, month: str, days: int) -> ExitCode:
    from dropzone_cli.commands.fleet import restore_month

    is_archived = restore_month(session, month, days)
    if session.out.as_json:
        session.out.document({"month": month, "is_archived": is_archived, "days": days})
    elif is_archived:
        session.out.note(
            f"The next run of Archive, within the hour, starts to restore {month}; it is kept for {count(days, 'day')}."
        )
    else:
        session.out.note(f"What arrived in {month} is not archived; it is kept for at least {count(days, 'day')}.")
    return ExitCode.DONE


def _is_silent_since(instant: datetime, source: Document) -> bool:
    last = source["last_measured_at"]
    return source["state"] != State.UNNAMED and (last is None or datetime.fromisoformat(last) < instant)


def _show(
    session: Session,
    name: str,
    asked: Mapping[str, object],
    limit: int | None,
    columns: Sequence[Column],
    *,
    as_csv: bool,
    is_wanted: Callable[[Document], bool] | None = None,
) -> int:
    """Print all pages of a list, up to a limit of rows; return the number of rows."""
    if session.out.as_json and as_csv:
        raise usage("--json and --csv exclude each other.", "Choose one.")
    rows: list[Document] = []
    archived: set[str] = set()
    with session.out.progress(name.capitalize()) as progress:
        for page in session.api.pages(name, asked, None if is_wanted else limit):
            rows += [row for row in page[name] if is_wanted is None or is_wanted(row)]
            archived.update(page.get("archived", ()))
            progress.advance(len(page[name]))
            if limit is not None and len(rows) >= limit:
                break
    rows = rows[:limit]
    if session.out.as_json:
        session.out.document({name: rows} | ({"archived": sorted(archived)} if archived else {}))
    elif as_csv:
        _print_csv(rows)
    else:
        cells = [(each, itemgetter(each)) if isinstance(each, str) else each for each in columns]
        session.out.table([title for title, _ in cells], [[_text(of(row)) for _, of in cells] for row in rows])
        session.out.note(f"{count(len(rows), 'row')}.")
    if archived and not session.out.as_json:
        first, last = min(archived), max(archived)
        span = f"in {first}" if first == last else f"in months from {first} to {last} (dropzone archive lists them)"
        session.out.note(f"Incomplete: measurements {span} are archived, in files of the bucket.")
    return len(rows)


def _print_csv(rows: Iterable[Document]) -> None:
    writer = None
    for row in rows:
        flat: dict[str, object] = {}
        for key, value in row.items():
            if key in _NESTED:
                flat |= {f"{key}_{inner}": each for inner, each in value.items()}
            else:
                flat[key] = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
        if writer is None:
            writer = csv.DictWriter(sys.stdout, [*flat], lineterminator="\n")
            writer.writeheader()
        writer.writerow(flat)
    sys.stdout.flush()


def _text(value: object) -> str:
    if value is None:
        return ""
    return _number(value) if isinstance(value, float) else str(value)


def _number(value: Any) -> str:  # noqa: ANN401 - of JSON
    return "" if value is None else f"{value:.6g}"


def _rule(broken: Document) -> str:
    """The code, the contract's rule if it has one, and the number of events that broke it."""
    of_contract = f" ({broken['contract']}: {broken['rule']})" if broken["rule"] else ""
    return f"{broken['code']}{of_contract} {broken['events']}"
