"""Sends inputs: reads them, makes batches, and submits these to the threads that send them."""

import gzip
import math
import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from dropzone_cli.api import Receipt, RefusedError
from dropzone_cli.errors import CliError, ExitCode
from dropzone_cli.sending.batches import Batch, Batcher, Shape
from dropzone_cli.sending.events import BrokenInputError, Event, Finding, Read, Severity, report_of
from dropzone_cli.sending.inputs import Input, Opened, Planned, opened
from dropzone_cli.sending.journal import Journal, Run, check
from dropzone_cli.sending.options import CsvOptions, SendOptions
from dropzone_cli.sending.rejects import Rejects
from dropzone_cli.sending.report import Report, StoppedError
from dropzone_cli.sending.streams import LivePipe
from dropzone_cli.sending.workers import Task, WorkerPool
from dropzone_cli.session import Session
from dropzone_cli.signals import handled_by

_GRACE_SECONDS = 10.0
_AT_ONCE_SECONDS = 1.0
_FLUSH_SECONDS = 30.0
_STOPPING = "Stopping: waiting for requests in flight. Press Ctrl-C again to stop at once."
_NDJSON = {"content-type": "application/x-ndjson"}
_COMPRESSED = {"content-encoding": "gzip"}

_HELD = 10_000
"""The number of findings that wait for the first event: an input without events was read with wrong options."""
_LONG = 2**16
"""A finding with a longer text is written at once, not held in memory until the API has counted it."""


class _ChangedError(Exception):
    """The input differs from the one that an earlier run sent."""


class Uploader:
    """One call of `dropzone send`."""

    def __init__(self, session: Session, options: SendOptions, csv: CsvOptions, report: Report) -> None:
        self._session = session
        self._options = options
        self._csv = csv
        self._report = report
        self._journals: list[Journal] = []
        """The open resume files."""
        self._rejects: dict[str, Rejects] = {}
        self._signals = 0
        """The number of signals received while a pipe was read."""
        self._ends = math.inf
        """When requests are abandoned after the first signal."""

    def run(self, plan: Sequence[Planned]) -> None:
        """Send the inputs, and report the result in any case.

        Raises:
            CliError: nothing can be sent at the moment.
        """
        self._session.api.check_key()
        for path in filter(None, map(self._resume_file, plan)):
            check(path)
        is_ended, is_interrupted, is_usage = False, False, False
        try:
            self._send_all(plan)
            is_ended = not self._signals or len(plan) == 1
            if self._signals:
                raise KeyboardInterrupt  # noqa: TRY301 - as if it had been one
        except StoppedError:
            pass
        except KeyboardInterrupt:
            is_interrupted = True
            raise
        except CliError as error:
            is_usage = error.exit_code is ExitCode.USAGE and self._report.is_empty
            raise
        finally:
            for journal in self._journals:
                journal.close()
            for rejects in self._rejects.values():
                rejects.close()
                self._report.rejects_files |= dict.fromkeys(map(str, rejects.paths))
                if rejects.error is not None:
                    self._report.out.error(rejects.error)
            if not is_usage:
                self._report.print(is_interrupted=is_interrupted, is_ended=is_ended)

    def _send_all(self, plan: Sequence[Planned]) -> None:
        self._workers = workers = WorkerPool(self._send, self._options.parallel, self._look)
        try:
            # One resume file for all inputs, if there isn't one next to each.
            with self._report.meter, self._open(plan[0]) if self._options.resume else nullcontext() as shared:
                for planned in plan:
                    with shared or self._open(planned) as journal:
                        self._send_one(planned, journal)
                    if self._signals or workers.is_stopping:
                        break
                self._look()
                if self._signals > 1:
                    raise KeyboardInterrupt  # noqa: TRY301 - as if it had been one
                workers.finish()
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and not self._signals:
                self._report.out.note(_STOPPING)
            self._session.api.end()
            workers.stop(_AT_ONCE_SECONDS if self._signals else _GRACE_SECONDS)
            raise
        finally:
            self._keep([task for task in workers.undone if task.batch.findings or not task.input.is_rereadable])

    def _look(self) -> None:
        """Act on signals received while a pipe was read: here, since a signal handler can't do much."""
        if not self._signals:
            return
        if self._ends == math.inf:
            self._ends = time.monotonic() + _FLUSH_SECONDS
            self._report.out.note("Stopping: sending what was read. Press Ctrl-C again to stop at once.")
        if self._signals > 1:
            self._workers.is_stopping = True
        if self._signals > 1 or time.monotonic() > self._ends:
            self._session.api.end()

    def _stoppable(self, pipe: LivePipe) -> AbstractContextManager[None]:
        """Have signals end an input that can't be read again; what was read is sent, or kept with the rejects."""

        def stop(_number: int, _frame: FrameType | None) -> None:
            self._signals += 1
            pipe.stop()

        return handled_by(stop)

    def _send_one(self, planned: Planned, journal: Journal) -> None:
        """Read an input and submit its batches: again from the start if it has changed since it was sent."""
        one, run, printed = planned.input, None, 0
        while True:
            if before := self._rejects.get(one.identity):
                before.close()
            rejects = self._rejects[one.identity] = Rejects(
                one, self._csv.encoding, is_kept=not self._options.no_rejects
            )
            reading = _Reading(one, journal, rejects, self._options, self._report, self._workers, printed)
            try:
                with opened(one, is_complete=self._options.complete, piped=self._stoppable) as source:
                    events = source.read(planned.format or source.detect(), self._csv)
                    rejects.table = source.table
                    if run is None:
                        run = self._begin(journal, planned, source)
                    reading.begin(run, source)
                    reading.take(events)
                    reading.end()
                    return
            except _ChangedError:
                # Findings that this reading printed are not printed again.
                run, printed = reading.run, reading.printed
            except BrokenInputError as error:
                reading.take([error.finding])
                return
            finally:
                reading.close()

    def _send(self, task: Task) -> None:
        """Send a batch, and record and report the result; called by several threads."""
        batch = task.batch
        body = gzip.compress(batch.body, mtime=0) if self._options.gzip else batch.body
        headers = _NDJSON | (_COMPRESSED if self._options.gzip else {})
        headers["idempotency-key"] = task.run.idempotency_key(batch)
        answer: Receipt | RefusedError
        try:
            answer = self._session.api.ingest(body, headers, self._options.retry_for)
        except RefusedError as error:
            answer = error
        try:
            self._record(task, answer, len(body))
        except (CliError, StoppedError) as error:  # no further task is started
            self._workers.fail(error)

    def _record(self, task: Task, answer: Receipt | RefusedError, size: int) -> None:
        name, batch = task.input.name, task.batch
        if isinstance(answer, RefusedError):
            code = f"api.{answer.status}"
            task.rejects.add_batch(batch, code, answer.reason)
            if not batch.findings:
                self._report.add(name, Finding(batch.first, batch.last, code, answer.reason), batch, answer.status)
            return
        if batch.findings:
            task.rejects.add_all(batch.findings, answer.raw_id)
            self._report.count(reported=batch.events)
        else:
            self._report.add_sent(name, batch, answer.raw_id, size, is_replayed=answer.is_replayed)
        task.journal.accept(task.run, batch, answer.raw_id)
        if task.journal.error is not None:
            raise task.journal.error
        if answer.items != batch.events:
            message = f"The API counts {answer.items} events in {answer.raw_id}, where {batch.events} were sent."
            raise CliError(message, hint="It is of another version than this command.", exit_code=ExitCode.NOT_ALL_WELL)

    def _keep(self, tasks: Sequence[Task]) -> None:
        """Write batches that can't be read again, and were not sent as far as known, to the rejects; report them."""
        code, reason = "batch.not_sent", "was read but could not be sent"
        for task in tasks:
            task.rejects.add_batch(task.batch, code, reason)
        for task in tasks:
            if not task.batch.findings:
                with suppress(StoppedError):
                    finding = Finding(task.batch.first, task.batch.last, code, reason)
                    self._report.add(task.input.name, finding, task.batch)

    def _resume_file(self, planned: Planned) -> Path | None:
        return None if self._options.no_resume else self._options.resume or planned.input.resume_file

    def _open(self, planned: Planned) -> Journal:
        journal = Journal(self._resume_file(planned))
        self._journals = [journal, *(other for other in self._journals if not other.is_closed)]
        if journal.path is not None:
            self._report.resume_files[str(journal.path)] = None
        return journal

    def _begin(self, journal: Journal, planned: Planned, source: Opened) -> Run:
        """Describe the columns of a table, and start or continue the run of its input."""
        name, table, out = planned.input.name, source.table, self._report.out
        if table is not None and (table.options.layout or source.sheet):
            out.note(f"{name}: {source.description}")
        if source.unused:
            out.note(f"{name}: unused columns: {', '.join(map(repr, source.unused))}")
        settings = {} if table is None else table.settings
        run = journal.run(planned.input.identity, self._session.target.url, settings, again=self._options.again)
        if not run.cuts and journal.has_others(run):
            out.note(f"{name} was sent before, with other options or to another stack.")
        return run


@dataclass(slots=True)
class _Reading:
    """One reading of an input, which processes its events and findings."""

    one: Input
    journal: Journal
    rejects: Rejects
    options: SendOptions
    report: Report
    workers: WorkerPool
    printed: int
    """The last line with a printed finding, in this reading and before."""
    pipe: LivePipe | None = None
    run: Run = field(init=False)
    _held: list[Event] | None = field(default_factory=list)
    """Reports of lines, held until there is an event; None from then on."""
    _earlier: int = 0
    _last: int = 0
    _printed_before: int = field(init=False)
    _events: Batcher = field(init=False)
    _reports: Batcher = field(init=False)

    def __post_init__(self) -> None:
        self._printed_before = self.printed

    def begin(self, run: Run, source: Opened) -> None:
        """Start with the first batches of events and of reports."""
        self.run = run
        # Events from a pipe are not held for long.
        linger = None if self.one.is_rereadable else self.options.linger
        shape = Shape(self.options.batch_size, self.options.batch_bytes, linger)
        self._events = Batcher(
            shape,
            lambda batch: self._emit(self.run, batch),
            known=dict(run.cuts),
            changed=self._change,
            position=lambda: source.position,
        )
        reports = self.journal.find(run.input, run.stack, run.options_of_reports)
        known = {} if reports is None else dict(reports.cuts)
        self._reports = Batcher(
            shape,
            lambda batch: self._emit(self.journal.reports_of(self.run, is_rereadable=self.one.is_rereadable), batch),
            known=known,
        )
        self.pipe = source.pipe
        if self.pipe is not None:
            self.pipe.idle = self._idle

    def _idle(self) -> float | None:
        waits = [wait for wait in (self._events.idle(), self._reports.idle()) if wait is not None]
        return min(waits, default=None)

    def _change(self) -> None:
        self.report.out.note(f"{self.one.name} has changed since it was sent: it is sent as a new input.")
        self.run = self.journal.restart(self.run)
        if self.one.is_rereadable:
            raise _ChangedError

    def _emit(self, run: Run, batch: Batch) -> None:
        if batch.number in run.accepted and run.cuts[batch.number] == batch.cut:
            self.rejects.add_all(batch.findings, run.accepted[batch.number])
            if not batch.findings:
                self._earlier += batch.events
                self.report.skip(batch)
            return
        self.journal.add(run, batch)
        if self.journal.error is not None:
            self._fail(self.journal.error)
        self.workers.submit(Task(self.one, self.journal, run, batch, self.rejects))
        if self.workers.failure is not None:
            self._fail(self.workers.failure)

    def _fail(self, error: BaseException) -> None:
        """End the reading. If the input can't be read again, what was read is still submitted, to be kept."""
        if self.pipe is None:
            raise error
        self.workers.fail(error)
        self.pipe.stop()

    def take(self, read: Iterable[Read]) -> None:
        for found in read:
            if isinstance(found, Event):
                self._last = found.last
                self._events.add(found)
                if self._held is not None:
                    held, self._held = self._held, None
                    for event in held:
                        self._reports.add(event)
            else:
                self._last = max(self._last, found.last)
                self._find(self.one.as_reported(found))

    def _find(self, finding: Finding) -> None:
        if finding.severity is Severity.PROBLEM:
            self._reject(finding)
        if finding.last > self._printed_before:
            self.printed = finding.last
            try:
                self.report.add(self.one.name, finding)
            except (StoppedError, OSError) as error:  # the latter if the disk is full
                self._fail(error)

    def _reject(self, finding: Finding) -> None:
        """Report a finding to the API, and write it to the rejects file once the API has counted it."""
        is_counted = finding.rejected is not None or not self.options.report
        is_full = self._held is not None and len(self._held) == _HELD
        if is_counted or is_full or len(finding.text) > _LONG:
            self.rejects.add(finding)
            finding = finding._replace(text="")
        if is_counted:
            return
        if self._held is None:
            self._reports.add(report_of(finding))
        elif not is_full:
            self._held.append(report_of(finding))

    def end(self) -> None:
        """Submit what is left: the input is at its end."""
        self._events.end(was_stopped=self.pipe is not None and self.pipe.was_stopped)
        if rest := self._events.rest():
            # It is the start of a batch that an earlier run may have sent: sent alone, it would seem a changed input.
            self.workers.leave(Task(self.one, self.journal, self.run, Batch(0, rest), self.rejects))
        self._reports.end()
        self.report.count(accepted_earlier=self._earlier)
        self.report.lines[self.one.name] = self._last

    def close(self) -> None:
        """Write findings that were not reported to the API to the rejects file."""
        for event in self._reports.rest() if self._held is None else self._held:
            if event.finding is not None:
                self.rejects.add(event.finding)
