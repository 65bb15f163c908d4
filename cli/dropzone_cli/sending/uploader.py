"""Inputs on their way: read, cut into batches, and handed to the threads that send them."""

from __future__ import annotations

import gzip
import signal
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakSet

from dropzone_cli.api import RefusedError
from dropzone_cli.errors import CliError, ExitCode
from dropzone_cli.sending.batches import Batch, Batcher
from dropzone_cli.sending.events import BrokenInputError, Event, Severity
from dropzone_cli.sending.inputs import opened
from dropzone_cli.sending.journal import Journal, Run, check
from dropzone_cli.sending.rejects import Rejects
from dropzone_cli.sending.report import Report, StoppedError
from dropzone_cli.sending.workers import Task, WorkerPool

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import FrameType

    from dropzone_cli.sending.columns import CsvOptions
    from dropzone_cli.sending.events import Finding
    from dropzone_cli.sending.inputs import Opened
    from dropzone_cli.sending.options import SendOptions
    from dropzone_cli.sending.plan import Planned
    from dropzone_cli.sending.streams import LivePipe
    from dropzone_cli.session import Session

_GRACE_SECONDS = 10.0
_FLUSH_SECONDS = 30.0
_NDJSON = {"content-type": "application/x-ndjson"}
_COMPRESSED = {"content-encoding": "gzip"}


class _ChangedError(Exception):
    """The input is not the one that an earlier run sent."""


@dataclass(slots=True)
class _State:
    """An input that is being sent, over all the times that it is read."""

    planned: Planned
    journal: Journal
    rejects: Rejects
    run: Run | None = None
    reported: int = 0
    """The last line with a finding that was reported."""


class Uploader:
    """One call of `dropzone send`."""

    def __init__(self, session: Session, options: SendOptions, csv: CsvOptions, report: Report) -> None:
        self._session = session
        self._options = options
        self._csv = csv
        self._report = report
        self._journals: WeakSet[Journal] = WeakSet()
        self._rejects: dict[str, Rejects] = {}

    def run(self, plan: Sequence[Planned]) -> None:
        """Send the inputs, and report the result, however it ends.

        Raises:
            CliError: nothing can be sent for the moment.
        """
        self._session.api.check_key()
        for path in filter(None, map(self._resume_file, plan)):
            check(path)
        is_ended, is_interrupted, is_usage = False, False, False
        try:
            is_stopped = self._send_all(plan)
            is_ended = not is_stopped or len(plan) == 1
            if is_stopped:
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
                self._report.add_rejects(rejects.paths)
            if not is_usage:
                self._report.print(is_interrupted=is_interrupted, is_ended=is_ended)

    def _send_all(self, plan: Sequence[Planned]) -> bool:
        """Send the inputs; return whether a signal ended one that can't be read again, of which all was sent."""
        # Of all inputs, where it isn't beside each.
        shared = self._open(plan[0]).use() if self._options.resume else None
        workers = WorkerPool(self._send, self._dropped, self._options.parallel)
        try:
            with self._report.meter:
                is_stopped = any(self._send_one(planned, shared, workers) for planned in plan)
                if is_stopped:
                    self._report.out.note("Stopping: what was read is sent. Ctrl-C again stops at once.")
                self._finish(workers, is_stopped=is_stopped)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                self._report.out.note("Stopping: requests on their way may end. Ctrl-C again stops at once.")
            self._session.api.end()
            workers.stop(_GRACE_SECONDS)
            raise
        finally:
            if shared is not None:
                shared.release()
        return is_stopped

    def _finish(self, workers: WorkerPool, *, is_stopped: bool) -> None:
        timer = threading.Timer(_FLUSH_SECONDS, self._session.api.end)
        timer.daemon = True
        if is_stopped:
            timer.start()
        try:
            workers.finish()
        finally:
            timer.cancel()

    def _send_one(self, planned: Planned, shared: Journal | None, workers: WorkerPool) -> bool:
        """Read an input and hand over its batches; return whether that was stopped by a signal.

        Raises:
            CliError: nothing can be sent for the moment.
        """
        journal = (shared or self._open(planned)).use()
        state = _State(planned, journal, Rejects(planned.input))
        self._rejects[planned.input.identity] = state.rejects
        try:
            while True:
                try:
                    return self._read(state, workers)
                except _ChangedError:
                    continue
        except BrokenInputError as error:
            self._found(state, error.finding)
            return False
        finally:
            journal.release()

    def _read(self, state: _State, workers: WorkerPool) -> bool:
        planned, one, report = state.planned, state.planned.input, self._report
        earlier = 0
        with opened(one, is_complete=self._options.complete, piped=_stoppable) as source:
            events = source.read(planned.format or source.detect(), self._csv)
            if state.run is None:
                self._describe(one.name, source)
                state.run = self._run(state.journal, planned, source)
                state.rejects.table = source.table

            def emit(batch: Batch) -> None:
                nonlocal earlier
                run = state.run
                assert run is not None  # noqa: S101 - it was made above
                if batch.number in run.accepted:
                    earlier += batch.events
                    report.skip(batch)
                    return
                state.journal.add(run, batch)
                workers.submit(Task(one, state.journal, run, batch))

            def changed() -> None:
                assert state.run is not None  # noqa: S101
                report.out.note(f"{one.name} is not what was sent under this name: it is sent as a new input.")
                state.run = state.journal.restart(state.run)
                if one.is_rereadable:
                    raise _ChangedError

            batcher = Batcher(
                self._options.shape_of(one),
                emit,
                known=state.run.cuts,
                changed=changed,
                position=lambda: source.position,
            )
            if source.pipe is not None:
                source.pipe.idle = batcher.idle
            last = 0
            for found in events:
                last = found.last
                if isinstance(found, Event):
                    batcher.add(found)
                else:
                    self._found(state, found)
            batcher.end()
            report.add_earlier(earlier)
            report.add_lines(one.name, last)
            return source.pipe is not None and source.pipe.was_stopped

    def _found(self, state: _State, found: Finding) -> None:
        """Report a finding, once, however often the input is read."""
        if found.first <= state.reported:
            return
        state.reported = found.first
        one = state.planned.input
        told = one.told(found)
        if told.severity is Severity.PROBLEM and self._options.rejects:
            state.rejects.add(told)
        self._report.add(one.name, told)

    def _describe(self, name: str, source: Opened) -> None:
        if source.table is None or source.table.waiting:
            return
        if source.table.options.layout or source.sheet:
            self._report.out.note(f"{name}: {source.description}")
        if source.unused:
            self._report.out.note(f"{name}: columns that are not used: {', '.join(map(repr, source.unused))}")

    def _send(self, task: Task) -> None:
        """Send a batch, record that it was accepted, and report it; called by several threads.

        Raises:
            CliError: no batch can be sent for the moment.
            StoppedError: it was refused, and that is to end everything.
        """
        name, batch = task.input.name, task.batch
        body = gzip.compress(batch.body, mtime=0) if self._options.gzip else batch.body
        headers = _NDJSON | (_COMPRESSED if self._options.gzip else {})
        headers["idempotency-key"] = task.run.idempotency_key(batch)
        try:
            receipt = self._session.api.ingest(body, headers, self._options.retry_for)
        except RefusedError as error:
            code = f"api.{error.status}"
            if self._options.rejects:
                self._rejects[task.input.identity].add_batch(batch, code, error.reason)
            self._report.add_refused(name, batch, error.status, code, error.reason)
            return
        task.journal.accept(task.run, batch, receipt.raw_id)
        self._report.add_sent(name, batch, receipt.raw_id, len(body), is_replayed=receipt.is_replayed)
        if receipt.items != batch.events:
            message = f"The API counts {receipt.items} events in {receipt.raw_id}, where {batch.events} were sent."
            raise CliError(message, hint="It is of another version than this command.", exit_code=ExitCode.NOT_ALL_WELL)

    def _dropped(self, task: Task) -> None:
        """Tell of a batch that was not sent, and that can't be read again."""
        if task.input.is_rereadable:
            return
        reason = "was read and could not be sent"
        if self._options.rejects:
            self._rejects[task.input.identity].add_batch(task.batch, "batch.not_sent", reason)
        with suppress(StoppedError):
            self._report.add_refused(task.input.name, task.batch, None, "batch.not_sent", reason)

    def _resume_file(self, planned: Planned) -> Path | None:
        return None if self._options.no_resume else self._options.resume or planned.input.resume_file

    def _open(self, planned: Planned) -> Journal:
        journal = Journal(self._resume_file(planned))
        self._journals.add(journal)
        self._report.add_resume_file(journal.path)
        return journal

    def _run(self, journal: Journal, planned: Planned, source: Opened) -> Run:
        settings = {} if source.table is None else source.table.settings
        run = journal.run(planned.input.identity, self._session.target.url, settings, again=self._options.again)
        if not run.cuts and journal.has_others(run):
            self._report.out.note(f"{planned.input.name} was sent before, with other options or to another stack.")
        return run


@contextmanager
def _stoppable(pipe: LivePipe) -> Iterator[None]:
    """Let the first signal end an input that can't be read again; what was read is sent. The second one interrupts."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        if pipe.was_stopped:
            raise KeyboardInterrupt
        pipe.stop()

    numbers = [signal.SIGINT, signal.SIGTERM]
    hang_up = getattr(signal, "SIGHUP", None)  # Windows has none
    if hang_up is not None and signal.getsignal(hang_up) is not signal.SIG_IGN:
        numbers.append(hang_up)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
