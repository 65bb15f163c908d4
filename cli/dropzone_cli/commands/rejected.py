"""`dropzone rejected`: events that broke rules, and their bytes as received."""

import io
import json
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import groupby, islice, product
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from dropzone_cli import details
from dropzone_cli.errors import CliError, ExitCode, usage
from dropzone_cli.formats import object_key
from dropzone_cli.instants import FORMS, bounds, instant_option
from dropzone_cli.sending.json_reader import no_constant
from dropzone_cli.session import Session
from dropzone_cli.stored import Stored, of_answer, stored
from dropzone_cli.text import count, preview

PREVIEW_BYTES = 2_048
_LISTED = 50
_REJECTIONS = 3
_LINE_ENDS = bytes.maketrans(b"\r\n", b"  ")

Since = Annotated[
    datetime | None, instant_option("--from", help=f"Only events received at or after this time. {FORMS}")
]
Until = Annotated[
    datetime | None, instant_option("--to", help="Only what arrived before this time, in the same forms as --from.")
]
Code = Annotated[
    str | None,
    typer.Option(
        "--code", metavar="CODE", help="Only events rejected by this rule, such as data.empty (docs/errors.md)."
    ),
]


class WhichResolved(StrEnum):
    """Open rejections, resolved ones (a processed event corrects them), or both."""

    FALSE = "false"
    TRUE = "true"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """The options that choose rejected events."""

    code: Code = None
    source: Annotated[
        str | None, typer.Option("--source", metavar="TEXT", help="Only this source; '' for events without one.")
    ] = None
    since: Since = None
    until: Until = None
    resolved: Annotated[
        WhichResolved | None,
        typer.Option("--resolved", help="Resolved ones, which a later event corrects, or all. Default: open ones."),
    ] = None

    @property
    def parameters(self) -> dict[str, object]:
        chosen = {"code": self.code, "source": self.source, "resolved": self.resolved}
        return {**chosen, **bounds(self.since, self.until)}


def list_(
    session: Session,
    *,
    which: Which,
    by: Annotated[
        str | None,
        typer.Option("--by", metavar="FIELDS", help="Count the events instead, by code, source, or code,source."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            "-n",
            min=1,
            help="The maximum number of events. Default: 50; with --by, no limit.",
            show_default=False,
        ),
    ] = None,
    cursor: Annotated[
        str | None,
        typer.Option("--cursor", metavar="CURSOR", help="Continue an earlier run from the cursor that it printed."),
    ] = None,
) -> ExitCode:
    """List rejected events, newest first, with the rules that each broke; or count them."""
    fields = _fields(by)
    parameters = {**which.parameters, "cursor": cursor}
    rejections: list[details.Document] = []
    counts: Counter[tuple[str, ...]] = Counter()
    number, left = 0, {}
    with session.out.progress("Rejected events") as progress:
        for page in session.api.pages("rejections", parameters, limit or (None if fields else _LISTED)):
            found = page["rejections"]
            if fields:
                counts.update(key for entry in found for key in _keys(entry, fields))
            else:
                rejections += found
            number += len(found)
            progress.advance(len(found))
            left = {"cursor": str(page["cursor"])} if "cursor" in page else {}
    if fields:
        _print_counts(session, fields, counts, number)
        return ExitCode.DONE
    rows = [
        (
            str(entry.get("received_at")),
            str(entry.get("raw_id")),
            str(entry.get("item", 0)),
            str(entry.get("source") or ""),
            details.reasons(entry.get("violations", [])),
        )
        for entry in rejections
    ]
    older = f" Older ones: --cursor {left['cursor']}" if left else ""
    session.out.listing(
        {"rejections": rejections} | left,
        ("received_at", "raw_id", "item", "source", "violations"),
        rows,
        f"{count(len(rejections), 'rejected event')}.{older}",
    )
    return ExitCode.DONE


def export(
    session: Session,
    *,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Write them here.", show_default=False)],
    which: Which,
) -> ExitCode:
    """Write rejected events to a file, newest first, a line of JSON each: raw_id, item, source, violations, event.

    `event` is the event as it was received. Where that is no JSON it is null, and `text` has it, escaped.
    """
    exported, missing = 0, 0
    try:
        with out.open("wb") as file, session.out.progress("Rejected events") as progress:
            for page in (found["rejections"] for found in session.api.pages("rejections", which.parameters)):
                for entry, text, is_event in _texts(session, page):
                    file.write(_exported(entry, text, is_event=is_event) + b"\n")
                    exported += 1
                    missing += text is None
                progress.advance(len(page))
    except OSError as error:
        raise usage(f"{out} can't be written: {error.strerror}.", "Name another file.") from None
    if session.out.as_json:
        session.out.document({"events": exported, "missing": missing, "file": str(out)})
    session.out.note(f"{count(exported, 'rejected event')} in {out}")
    if missing:
        session.out.note(f"Of {missing:,} the bytes are gone, or can't be extracted from their object.")
    return ExitCode.NOT_ALL_WELL if missing else ExitCode.DONE


def _texts(
    session: Session, entries: Sequence[details.Document]
) -> Iterator[tuple[details.Document, bytes | None, bool]]:
    """The events of a page, each with its text, if any, and whether the text is just that event."""
    objects = [(UUID(str(raw_id)), [*group]) for raw_id, group in groupby(entries, key=lambda entry: entry["raw_id"])]
    answers = session.api.raws([raw_id for raw_id, _ in objects])
    for (raw_id, group), answer in zip(objects, answers, strict=True):
        texts: list[bytes] = []
        if answer is not None and not answer.is_mapped:
            last = max(int(entry["item"]) for entry in group)
            texts = [*islice(of_answer(answer.content_type, answer.content).items(), last + 1)]
        for entry in group:
            item = int(entry["item"])
            if answer is not None and answer.is_mapped:
                # The converted event, or the whole body if it could not be converted.
                event = session.api.raw(raw_id, item)
                yield entry, answer.content if event is None else event.content, event is not None
            else:
                yield entry, texts[item] if item < len(texts) else None, True


def _exported(entry: details.Document, text: bytes | None, *, is_event: bool) -> bytes:
    """A line of the file, which includes the event's own text if it is JSON."""
    described: details.Document = {name: entry.get(name) for name in ("raw_id", "item", "source", "violations")}
    try:
        event = json.loads(text or b"", parse_int=float, parse_constant=no_constant)
    except (ValueError, RecursionError):
        event, shown = None, None if text is None else text.decode("utf-8", "backslashreplace")
    else:
        # A report by `send` contains the line that it is about.
        reported = event.get("client_rejected") if isinstance(event, dict) and "time_stamp" not in event else None
        event, shown = (None, reported.get("text")) if isinstance(reported, dict) else (event, None)
        if not is_event:
            event, shown = None, (text or b"").decode("utf-8", "backslashreplace")
    if event is None:
        return json.dumps({**described, "event": None, "text": shown}).encode()
    # In JSON, line ends only occur between tokens.
    event = (text or b"").strip().translate(_LINE_ENDS)
    return json.dumps(described).encode()[:-1] + b', "event": ' + event + b"}"


def _fields(by: str | None) -> list[str]:
    fields = [field.strip() for field in (by or "").split(",") if field.strip()]
    if not {*fields} <= {"code", "source"} or len({*fields}) != len(fields):
        raise usage(f"--by: can't count by {by!r}.", "Use code, source, or code,source.")
    return fields


def _keys(entry: details.Document, fields: list[str]) -> set[tuple[str, ...]]:
    """The keys that an event counts for: each rule that it broke, once."""
    codes = {str(violation.get("code")) for violation in entry.get("violations", [])}
    values = {"source": {str(entry.get("source") or "")}, "code": codes}
    return {*product(*(values[field] for field in fields))}


def _print_counts(session: Session, fields: list[str], counts: Counter[tuple[str, ...]], number: int) -> None:
    most_first = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    session.out.listing(
        {
            "events": number,
            "counts": [dict(zip(fields, key, strict=True)) | {"events": events} for key, events in most_first],
        },
        (*fields, "events"),
        [(*key, f"{events:,}") for key, events in most_first],
        f"{count(number, 'rejected event')}.",
    )


def show(
    session: Session,
    raw_id: Annotated[UUID, typer.Argument(metavar="RAW_ID", help="The object.", show_default=False)],
    *,
    item: Annotated[
        int | None,
        typer.Option(
            "--item", "-i", min=0, metavar="N", help="The position of an event in its object, counted from 0."
        ),
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Print the bytes exactly as received, and nothing else.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write these bytes to a file.")
    ] = None,
) -> ExitCode:
    """Show an object's or an event's violations, and the beginning of its text, escaped.

    --raw and --output give all bytes: the object's as stored, gzipped or not; with --item, the event's.
    """
    if raw or output is not None:
        if raw and output is not None:
            raise usage("--raw and --output exclude each other.", "Choose one of them.")
        if session.out.as_json:
            raise usage("--json excludes --raw and --output.", "Choose one of them.")
        _copy(session, raw_id, item, output)
        return ExitCode.DONE
    status = _status(session, raw_id, item)
    # The violations are shown even if the bytes are gone.
    try:
        with stored(session.target, raw_id) as found:
            document = _object(found, raw_id, item)
    except CliError as error:
        if error.exit_code != ExitCode.NOT_ALL_WELL:
            raise
        _show(session, status, None)
        session.out.error(error)
        return error.exit_code
    _show(session, status, document)
    return ExitCode.DONE


def _status(session: Session, raw_id: UUID, item: int | None) -> details.Document:
    status = session.api.status(raw_id, after=-1 if item is None else item - 1) or details.unknown(raw_id)
    if not details.is_batch(status):
        return status
    events = status.pop("events", [])
    status.pop("cursor", None)
    if item is not None:
        same = [event for event in events if event.get("item") == item]
        return {"raw_id": str(raw_id), **same[0]} if same else status
    if details.rejected_of(status):
        status["rejections"] = session.api.rejections_of(raw_id, _REJECTIONS)
    return status


def _object(found: Stored, raw_id: UUID, item: int | None) -> details.Document:
    text = found.beginning(PREVIEW_BYTES + 1) if item is None else _item(found, raw_id, item)
    return {
        "key": object_key(raw_id),
        "size": found.size,
        "packed": found.is_packed,
        "preview": preview(text[:PREVIEW_BYTES]),
        "truncated": len(text) > PREVIEW_BYTES,
    }


def _item(found: Stored, raw_id: UUID, item: int) -> bytes:
    text = found.item(item)
    if text is None:
        message = f"{raw_id} has no event {item}."
        raise CliError(message, hint="Events count from 0. --raw prints all of them.", exit_code=ExitCode.NOT_ALL_WELL)
    return text


def _show(session: Session, status: details.Document, document: details.Document | None) -> None:
    if session.out.as_json:
        session.out.document({"status": status, "object": document})
        return
    session.out.fields(details.in_full(status))
    if document is None:
        return
    packed = ", gzipped" if document["packed"] else ""
    session.out.fields([("size", f"{document['size']:,} bytes{packed}"), ("key", document["key"])])
    session.out.line()
    for line in document["preview"].split("\n"):
        session.out.line(line)
    if document["truncated"]:
        more = "more" if document["packed"] or "item" in status else f"{document['size'] - PREVIEW_BYTES:,} bytes more"
        session.out.note(f"… {more}: --raw prints all, --output FILE writes it.")


def _copy(session: Session, raw_id: UUID, item: int | None, output: Path | None) -> None:
    with stored(session.target, raw_id) as found:
        body = found.body if item is None else io.BytesIO(_item(found, raw_id, item))
        if output is None:
            sys.stdout.flush()
            shutil.copyfileobj(body, sys.stdout.buffer)
            sys.stdout.buffer.flush()
            return
        try:
            with output.open("wb") as file:
                shutil.copyfileobj(body, file)
                size = file.tell()
        except OSError as error:
            raise usage(f"{output} can't be written: {error.strerror}.", "Name another file.") from None
    session.out.note(f"{count(size, 'byte')} in {output}")
