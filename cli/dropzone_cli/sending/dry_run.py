"""A dry run: everything is read, but nothing is sent."""

import json
from collections.abc import Sequence
from contextlib import suppress

from dropzone_cli.sending.batches import Batch, Batcher, Shape
from dropzone_cli.sending.events import BrokenInputError, Event
from dropzone_cli.sending.inputs import Planned, opened
from dropzone_cli.sending.options import CsvOptions, SendOptions
from dropzone_cli.sending.report import Document, Report, StoppedError

_NOTHING: Document = {
    "input": None,
    "format": None,
    "columns": None,
    "unused_columns": [],
    "first_event": None,
    "events": 0,
    "batches": 0,
    "bytes": 0,
    "lines": 0,
}


def dry_run(plan: Sequence[Planned], options: SendOptions, csv: CsvOptions, report: Report) -> None:
    documents: list[Document] = []
    with report.meter, suppress(StoppedError):
        for planned in plan:
            documents.append({**_NOTHING, "input": planned.input.name, "format": planned.format})
            try:
                _read(planned, options, csv, report, documents[-1])
            except BrokenInputError as error:
                report.add(planned.input.name, error.finding)
    report.print_dry_run(documents)


def _read(planned: Planned, options: SendOptions, csv: CsvOptions, report: Report, document: Document) -> None:
    def count(batch: Batch) -> None:
        document["batches"] += 1
        document["events"] += batch.events
        document["bytes"] += len(batch.body)
        if document["first_event"] is None:
            document["first_event"] = json.loads(batch.body.partition(b"\n")[0])
        report.meter.advance(batch.size, batch.events)

    name = planned.input.name
    with opened(planned.input, is_complete=options.complete) as source:
        found = planned.format or source.detect()
        events = source.read(found, csv)
        document |= {"format": found.value, "columns": source.description or None, "unused_columns": source.unused}
        batcher = Batcher(Shape(options.batch_size, options.batch_bytes), count, position=lambda: source.position)
        for one in events:
            document["lines"] = one.last
            if isinstance(one, Event):
                batcher.add(one)
            else:
                report.add(name, planned.input.as_reported(one))
        batcher.end()
        report.lines[name] = document["lines"]
