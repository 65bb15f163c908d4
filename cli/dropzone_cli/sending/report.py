"""The result of a run: counted by the threads that send, shown during the run and at its end."""

import json
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from dropzone_cli.errors import ExitCode
from dropzone_cli.output import Output
from dropzone_cli.sending.batches import Batch
from dropzone_cli.sending.events import Finding, Severity
from dropzone_cli.sending.inputs import Planned
from dropzone_cli.sending.options import SendOptions
from dropzone_cli.text import count

Document = dict[str, Any]

_PROBLEMS_PRINTED = 20
_RAW_IDS_PRINTED = 3
_STYLES = {Severity.PROBLEM: "red", Severity.WAITING: "yellow", Severity.WARNING: "yellow"}


class StoppedError(Exception):
    """There was a problem, and the run has to end at the first one."""


class Spool(list[Document]):
    """Documents on disk rather than in memory, since there may be many; for the JSON encoder, it is a list."""

    def __init__(self) -> None:
        super().__init__()
        self._file = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - it ends with the spool
        self._number = 0

    def append(self, document: Document) -> None:
        self._file.write(json.dumps(document) + "\n")
        self._number += 1

    def __len__(self) -> int:
        return self._number

    def __iter__(self) -> Iterator[Document]:
        self._file.seek(0)
        yield from map(json.loads, self._file)
        self._file.seek(0, 2)

    def close(self) -> None:
        self._file.close()


@dataclass(slots=True)
class Group:
    """Findings of one kind in one input."""

    input: str
    code: str
    severity: Severity
    reason: str
    """The reason of the first finding."""
    first_line: int
    count: int = 0
    events: int = 0
    """The number of events in batches that the API refused."""


@dataclass(slots=True)
class Totals:
    """Numbers of events and batches by result."""

    accepted: int = 0
    accepted_earlier: int = 0
    refused: int = 0
    reported: int = 0
    """The number of findings that the API has counted."""
    batches: int = 0
    replayed_batches: int = 0
    refused_batches: int = 0
    bytes: int = 0
    bytes_sent: int = 0


class Report:
    """Counts and reports results. Thread-safe."""

    def __init__(self, out: Output, clock: Callable[[], float], plan: Sequence[Planned], options: SendOptions) -> None:
        sizes = [planned.input.size for planned in plan]
        total = None if None in sizes else sum(size for size in sizes if size is not None)
        self.meter = out.meter("Read" if options.dry_run else "Sent", total)
        self.out = out
        self.lines: dict[str, int] = {}
        """The number of lines read from each input."""
        self.resume_files: dict[str, None] = {}
        self.rejects_files: dict[str, None] = {}
        self._fail_fast = options.fail_fast
        self._clock = clock
        self._began = clock()
        self._lock = threading.Lock()
        self._totals = Totals()
        self._raw_ids: list[UUID] = []  # the first few
        self._groups: dict[tuple[str, str], Group] = {}
        self._printed = 0
        self._sent = Spool()
        self._problems = Spool()

    @property
    def is_empty(self) -> bool:
        """Whether there are no findings, and nothing was sent."""
        return not self._groups and not self._totals.batches

    @property
    def exit_code(self) -> ExitCode:
        found = {group.severity for group in self._groups.values()}
        if Severity.PROBLEM in found:
            return ExitCode.NOT_ALL_WELL
        return ExitCode.WAITING if Severity.WAITING in found else ExitCode.DONE

    def add(self, name: str, finding: Finding, batch: Batch | None = None, status: int | None = None) -> None:
        """Count a finding, or a refused batch with the response's status; print the first ones at once.

        Raises:
            StoppedError: the run has to end at the first problem.
        """
        with self._lock:
            if batch is not None:
                self._totals.refused += batch.events
                self._totals.refused_batches += 1
            self._add(name, finding, 0 if batch is None else batch.events, status)
        if self._fail_fast and finding.severity is Severity.PROBLEM:
            raise StoppedError

    def _add(self, name: str, finding: Finding, events: int, status: int | None) -> None:
        first, last, code, reason, _, severity, *_ = finding
        group = self._groups.setdefault((name, code), Group(name, code, severity, reason, first))
        group.count += 1
        group.events += events
        if severity is Severity.MISSING or (severity is Severity.WARNING and group.count > 1):
            return
        if severity is not Severity.WARNING:
            problem = {"lines": [first, last], "events": events, "status": status, "code": code, "reason": reason}
            self._problems.append({"input": name, **problem})
        self._printed += 1
        if self._printed <= _PROBLEMS_PRINTED:
            lines = f"line {first:,}" if first == last else f"lines {first:,} to {last:,}"
            said = f"{status}, {reason}" if status else reason
            self.out.note(f"{name}, {lines}: {said}", style=_STYLES.get(severity, ""))
        if self._printed == _PROBLEMS_PRINTED + 1:
            self.out.note("There are more of these; they are counted, and --json lists them.", style="red")

    def add_sent(self, name: str, batch: Batch, raw_id: UUID, bytes_sent: int, *, is_replayed: bool) -> None:
        with self._lock:
            totals = self._totals
            totals.accepted += batch.events
            totals.batches += 1
            totals.replayed_batches += is_replayed
            totals.bytes += len(batch.body)
            totals.bytes_sent += bytes_sent
            if len(self._raw_ids) <= _RAW_IDS_PRINTED:
                self._raw_ids.append(raw_id)
            if self.out.as_json:
                sent = {"lines": [batch.first, batch.last], "events": batch.events, "raw_id": str(raw_id)}
                self._sent.append({"input": name, **sent, "replayed": is_replayed})
            self.meter.advance(batch.size, batch.events)

    def count(self, **numbers: int) -> None:
        """Add to totals by name."""
        with self._lock:
            for name, number in numbers.items():
                setattr(self._totals, name, getattr(self._totals, name) + number)

    def skip(self, batch: Batch) -> None:
        """Show that a batch that an earlier run had sent was read again."""
        with self._lock:
            self.meter.advance(batch.size, batch.events, fresh=False)

    def print_dry_run(self, documents: Sequence[Document]) -> None:
        sums = {name: sum(document[name] for document in documents) for name in ("events", "batches", "bytes")}
        if self.out.as_json:
            self.out.document({"dry_run": True, **sums, "inputs": documents, **self._findings()})
            return
        for document in documents:
            columns = f": {document['columns']}" if document["columns"] else ""
            self.out.line(f"{document['input']}: {str(document['format'] or 'not readable').upper()}{columns}")
            if document["unused_columns"]:
                self.out.line(f"  not used: {', '.join(map(repr, document['unused_columns']))}")
            if document["first_event"] is not None:
                self.out.line(f"  first: {json.dumps(document['first_event'], ensure_ascii=False)}")
            self.out.line(f"  {_amount(document)}")
        if len(documents) > 1:
            self.out.line(f"{len(documents):,} inputs: {_amount(sums)}")
        self._print_groups()

    def print(self, *, is_interrupted: bool, is_ended: bool) -> None:
        """Print the result; `is_ended` tells whether all inputs were read."""
        seconds = max(self._clock() - self._began, 0.001)
        with self._lock:
            if self.out.as_json:
                self.out.document(self._document(seconds, is_interrupted=is_interrupted))
                return
            self._print(seconds, is_ended=is_ended)

    def close(self) -> None:
        self._sent.close()
        self._problems.close()

    def _document(self, seconds: float, *, is_interrupted: bool) -> Document:
        return {
            "dry_run": False,
            "interrupted": is_interrupted,
            **asdict(self._totals),
            "unreadable": self._number(Severity.PROBLEM),
            "waiting": self._number(Severity.WAITING),
            "missing": self._number(Severity.MISSING),
            "seconds": round(seconds, 3),
            "events_per_second": round(self._totals.accepted / seconds, 1),
            "lines": self.lines,
            **self._findings(),
            "sent": self._sent,
            "resume_files": [*self.resume_files],
            "rejects_files": [*self.rejects_files],
        }

    def _findings(self) -> Document:
        return {"totals": [*map(asdict, self._groups.values())], "problems": self._problems}

    def _number(self, severity: Severity) -> int:
        """The number of findings, other than refused batches."""
        return sum(group.count for group in self._groups.values() if group.severity is severity and not group.events)

    def _print(self, seconds: float, *, is_ended: bool) -> None:
        totals, out = self._totals, self.out
        speed = f"{seconds:.1f} s, {totals.accepted / seconds:,.0f} events/s"
        packed = f", compressed {totals.bytes_sent:,}" if totals.bytes_sent < totals.bytes else ""
        out.line(
            f"{count(totals.accepted, 'event')} accepted in {count(totals.batches, 'batch')}: "
            f"{speed}, {totals.bytes:,} bytes{packed}"
        )
        if totals.accepted_earlier:
            out.line(f"{count(totals.accepted_earlier, 'event')} accepted by an earlier run")
        if totals.replayed_batches:
            out.line(f"{count(totals.replayed_batches, 'batch')} of these had arrived before and were not stored again")
        if totals.refused_batches:
            out.line(
                f"{count(totals.refused, 'event')} refused, in {count(totals.refused_batches, 'batch')}", style="red"
            )
        if number := self._number(Severity.PROBLEM):
            reported = f"; the API counts {totals.reported:,} of them as rejected" if totals.reported else ""
            out.line(f"{count(number, 'place')} in the input that can't be sent as an event{reported}", style="red")
        self._print_groups()
        if self.rejects_files:
            out.note(f"What was not sent is in {', '.join(self.rejects_files)}: correct it there, and send that file.")
        self._print_what_next(is_ended=is_ended)

    def _print_groups(self) -> None:
        if not self._groups:
            return
        groups = [*self._groups.values()]
        self.out.table(
            ("code", "count", "first line", "input", "reason"),
            [(each.code, f"{each.count:,}", f"{each.first_line:,}", each.input, each.reason) for each in groups],
        )
        for name, lines in self.lines.items():
            bad = [each for each in groups if each.input == name and each.severity is Severity.PROBLEM]
            if first := min((each.first_line for each in bad), default=0):
                after = max(0, lines - first)
                self.out.line(f"{name}: {first - 1:,} lines read before the first problem, {after:,} after it")

    def _print_what_next(self, *, is_ended: bool) -> None:
        totals = self._totals
        if not is_ended:
            text = "Continue with the same command." if self.resume_files else "Nothing was recorded to continue from."
        elif totals.accepted + totals.accepted_earlier == 0:
            text = "There was nothing to send."
        elif totals.accepted_earlier and not totals.accepted:
            text = "Nothing is new. --again sends everything again."
        elif len(self._raw_ids) == totals.batches:
            text = f"Look up the outcomes: dropzone status --wait {' '.join(map(str, self._raw_ids))}"
        elif len(self.resume_files) == 1:
            text = f"Look up the outcomes: dropzone status --wait --sent {next(iter(self.resume_files))}"
        else:
            return
        self.out.note(text)


def _amount(document: Document) -> str:
    events, batches = count(document["events"], "event"), count(document["batches"], "batch")
    return f"{events} in {batches}, {document['bytes']:,} bytes before compression"
