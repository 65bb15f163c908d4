"""A dry run: everything is read, and nothing is sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from dropzone_cli.sending.batches import Shape, cut
from dropzone_cli.sending.events import BrokenInputError
from dropzone_cli.sending.plan import Planned, reading
from dropzone_cli.sending.report import Document, Problem, Report, StoppedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dropzone_cli.sending.csv_reader import CsvOptions
    from dropzone_cli.sending.options import SendOptions


def dry_run(plan: Sequence[Planned], sending: SendOptions, options: CsvOptions, report: Report) -> None:
    """Read the inputs, and print what would be sent."""
    documents: list[Document] = []
    shape = Shape(sending.batch_size, sending.batch_bytes)
    with report.meter:
        for planned in plan:
            document = _empty(planned)
            documents.append(document)
            try:
                _read(planned, shape, options, report, document)
            except BrokenInputError as error:
                report.add_problem(Problem.broken(planned.input.name, error))
            except StoppedError:
                break
    report.show_dry_run(documents)


def _empty(planned: Planned) -> Document:
    return {
        "input": planned.input.name,
        "format": planned.format,
        "columns": None,
        "events": 0,
        "batches": 0,
        "bytes": 0,
        "first_event": None,
    }


def _read(planned: Planned, shape: Shape, options: CsvOptions, report: Report, document: Document) -> None:
    name = planned.input.name
    with reading(planned, options) as source:
        document |= {"format": source.format.value, "columns": source.columns or None}
        batches = cut(
            source.events,
            shape,
            unreadable=lambda found: report.add_problem(Problem.of(name, found)),
            position=source.position,
        )
        for batch in batches:
            document["batches"] += 1
            document["events"] += batch.events
            document["bytes"] += len(batch.body)
            if document["first_event"] is None:
                document["first_event"] = json.loads(batch.body.partition(b"\n")[0])
            report.meter.advance(batch.size, batch.events)
