"""What came of a run: counted by the threads that send, shown while it goes on and at its end."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from dropzone_cli.text import count

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from dropzone_cli.output import Output
    from dropzone_cli.sending.batches import Batch
    from dropzone_cli.sending.events import BrokenInputError, Unreadable
    from dropzone_cli.sending.options import SendOptions
    from dropzone_cli.sending.plan import Planned

Document: TypeAlias = dict[str, Any]

_PROBLEMS_TOLD = 20
_PROBLEMS_KEPT = 1_000
_RAW_IDS_TOLD = 3


class StoppedError(Exception):
    """Told to end at the first problem, and there it is."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Lines of an input that did not arrive, and why."""

    input: str
    first: int
    last: int
    reason: str
    events: int = 0
    status: int | None = None
    """Of the API's answer, where it was asked."""

    @classmethod
    def of(cls, name: str, found: Unreadable) -> Problem:
        """Lines that are no event."""
        return cls(name, found.first, found.last, found.reason)

    @classmethod
    def broken(cls, name: str, error: BrokenInputError) -> Problem:
        """An input that can't be read to its end."""
        return cls(name, error.line, error.line, f"{error.reason}; nothing after it is sent")

    def __str__(self) -> str:
        """Say where, and why."""
        lines = f"line {self.first:,}" if self.first == self.last else f"lines {self.first:,} to {self.last:,}"
        status = f"{self.status}, " if self.status else ""
        return f"{self.input}, {lines}: {status}{self.reason}"

    def document(self) -> Document:
        """A form for JSON."""
        return {
            "input": self.input,
            "lines": [self.first, self.last],
            "events": self.events,
            "status": self.status,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Sent:
    """A batch that was accepted."""

    input: str
    first: int
    last: int
    events: int
    raw_id: UUID
    is_replayed: bool

    def document(self) -> Document:
        """A form for JSON."""
        return {
            "input": self.input,
            "lines": [self.first, self.last],
            "events": self.events,
            "raw_id": str(self.raw_id),
            "replayed": self.is_replayed,
        }


@dataclass(slots=True)
class _Tally:
    accepted: int = 0
    batches: int = 0
    earlier: int = 0
    replayed: int = 0
    refused: int = 0
    refused_batches: int = 0
    unreadable: int = 0
    bytes: int = 0
    bytes_sent: int = 0
    sent: list[Sent] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


class Report:
    """Counts and reports. Threads may share it."""

    def __init__(self, out: Output, clock: Callable[[], float], plan: Sequence[Planned], sending: SendOptions) -> None:
        """Begin to count."""
        sizes = [planned.input.size for planned in plan]
        total = None if None in sizes else sum(size for size in sizes if size is not None)
        self.meter = out.meter("Read" if sending.dry_run else "Sent", total)
        self.out = out
        self._fail_fast = sending.fail_fast
        self._clock = clock
        self._began = clock()
        self._lock = threading.Lock()
        self._tally = _Tally()
        self._resume_files: dict[str, None] = {}

    @property
    def has_problems(self) -> bool:
        """Whether something did not arrive."""
        return bool(self._tally.problems)

    def add_problem(self, problem: Problem) -> None:
        """Count a problem, and print the first ones at once.

        Raises:
            StoppedError: it is to be the last one.
        """
        with self._lock:
            tally = self._tally
            if problem.status is None:
                tally.unreadable += 1
            else:
                tally.refused += problem.events
                tally.refused_batches += 1
            if len(tally.problems) < _PROBLEMS_KEPT:
                tally.problems.append(problem)
            number = tally.unreadable + tally.refused_batches
            if number <= _PROBLEMS_TOLD:
                self.out.note(str(problem), style="red")
            if number == _PROBLEMS_TOLD + 1:
                self.out.note("There are more of these: they are counted, and --json lists them.", style="red")
        if self._fail_fast:
            raise StoppedError

    def add_sent(self, name: str, batch: Batch, raw_id: UUID, bytes_sent: int, *, is_replayed: bool) -> None:
        """Count a batch that was accepted."""
        with self._lock:
            tally = self._tally
            tally.accepted += batch.events
            tally.batches += 1
            tally.replayed += is_replayed
            tally.bytes += len(batch.body)
            tally.bytes_sent += bytes_sent
            if self.out.as_json or len(tally.sent) <= _RAW_IDS_TOLD:
                tally.sent.append(Sent(name, batch.first, batch.last, batch.events, raw_id, is_replayed))
            self.meter.advance(batch.size, batch.events)

    def add_earlier(self, events: int) -> None:
        """Count events that an earlier run had sent."""
        with self._lock:
            self._tally.earlier += events

    def skip(self, batch: Batch) -> None:
        """Show that a batch which an earlier run had sent was read again."""
        with self._lock:
            self.meter.advance(batch.size, batch.events, fresh=False)

    def add_resume_file(self, path: object) -> None:
        """Remember where it is kept what was accepted."""
        if path is not None:
            self._resume_files[str(path)] = None

    def show_dry_run(self, documents: Sequence[Document]) -> None:
        """Tell what would be sent."""
        if self.out.as_json:
            problems = [problem.document() for problem in self._tally.problems]
            self.out.document({"dry_run": True, "inputs": documents, "problems": problems})
            return
        for document in documents:
            columns = f": {document['columns']}" if document["columns"] else ""
            self.out.line(f"{document['input']}: {str(document['format'] or 'not readable').upper()}{columns}")
            if document["first_event"] is not None:
                self.out.line(f"  first: {json.dumps(document['first_event'], ensure_ascii=False)}")
            amount = f"{count(document['events'], 'event')} in {_batches(document['batches'])}"
            self.out.line(f"  {amount}, {document['bytes']:,} bytes before packing")

    def tell(self, *, is_interrupted: bool, is_ended: bool) -> None:
        """Tell what was sent; `is_ended` says whether all inputs were read."""
        seconds = max(self._clock() - self._began, 0.001)
        with self._lock:
            if self.out.as_json:
                self.out.document(self._document(seconds, is_interrupted=is_interrupted))
                return
            self._tell(seconds, is_ended=is_ended)

    def _document(self, seconds: float, *, is_interrupted: bool) -> Document:
        tally = self._tally
        return {
            "dry_run": False,
            "interrupted": is_interrupted,
            "accepted": tally.accepted,
            "accepted_earlier": tally.earlier,
            "refused": tally.refused,
            "unreadable": tally.unreadable,
            "batches": tally.batches,
            "replayed_batches": tally.replayed,
            "refused_batches": tally.refused_batches,
            "bytes": tally.bytes,
            "bytes_sent": tally.bytes_sent,
            "seconds": round(seconds, 3),
            "events_per_second": round(tally.accepted / seconds, 1),
            "sent": [sent.document() for sent in tally.sent],
            "problems": [problem.document() for problem in tally.problems],
            "resume_files": [*self._resume_files],
        }

    def _tell(self, seconds: float, *, is_ended: bool) -> None:
        tally, out = self._tally, self.out
        speed = f"{seconds:.1f} s, {tally.accepted / seconds:,.0f} events/s"
        size = f"{tally.bytes:,} bytes" + (f", packed {tally.bytes_sent:,}" if tally.bytes_sent < tally.bytes else "")
        out.line(f"{count(tally.accepted, 'event')} accepted in {_batches(tally.batches)}: {speed}, {size}")
        if tally.earlier:
            out.line(f"{count(tally.earlier, 'event')} accepted by an earlier run")
        if tally.replayed:
            out.line(f"{_batches(tally.replayed)} of these had arrived before, and were not stored again")
        if tally.refused_batches:
            out.line(f"{count(tally.refused, 'event')} refused, in {_batches(tally.refused_batches)}", style="red")
        if tally.unreadable:
            out.line(f"{count(tally.unreadable, 'place')} in the input with no event that can be sent", style="red")
        self._tell_what_next(is_ended=is_ended)

    def _tell_what_next(self, *, is_ended: bool) -> None:
        tally, out = self._tally, self.out
        if not is_ended:
            out.note("Go on with the same command." if self._resume_files else "Nothing was kept to go on with.")
        elif tally.accepted + tally.earlier == 0:
            out.note("There was nothing to send.")
        elif tally.earlier and not tally.accepted:
            out.note("Nothing is new. --again sends all of it.")
        elif len(tally.sent) == tally.batches:
            raw_ids = " ".join(str(sent.raw_id) for sent in tally.sent)
            out.note(f"See what became of it: dropzone status --wait {raw_ids}")
        elif len(self._resume_files) == 1:
            out.note(f"See what became of it: dropzone status --wait --sent {next(iter(self._resume_files))}")


def _batches(number: int) -> str:
    return count(number, "batch") if number == 1 else f"{number:,} batches"
