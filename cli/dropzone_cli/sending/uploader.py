"""Inputs on their way: read, cut into batches, and handed to the threads that send them."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING
from weakref import WeakSet

from dropzone_cli.api import RefusedError
from dropzone_cli.errors import CliError, ExitCode
from dropzone_cli.sending.batches import Shape, cut
from dropzone_cli.sending.events import BrokenInputError
from dropzone_cli.sending.inputs import Format
from dropzone_cli.sending.journal import TARGET, Journal, Run
from dropzone_cli.sending.plan import Planned, reading
from dropzone_cli.sending.report import Problem, Report, StoppedError
from dropzone_cli.sending.workers import Task, Upload, WorkerPool

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dropzone_cli.sending.csv_reader import CsvOptions
    from dropzone_cli.sending.options import SendOptions
    from dropzone_cli.session import Session

_GRACE_SECONDS = 10.0
_NDJSON = {"content-type": "application/x-ndjson"}
_PACKED = {"content-encoding": "gzip"}


class _ChangedError(Exception):
    """The input is another than the one whose run was begun."""

    def __init__(self, first: int, last: int) -> None:
        super().__init__()
        self.first = first
        self.last = last


class Uploader:
    """One call of `dropzone send`."""

    def __init__(self, session: Session, sending: SendOptions, options: CsvOptions, report: Report) -> None:
        """Send nothing yet."""
        self._session = session
        self._sending = sending
        self._options = options
        self._report = report
        self._journals: WeakSet[Journal] = WeakSet()

    def run(self, plan: Sequence[Planned]) -> None:
        """Send the inputs, and report the result, however it ends.

        Raises:
            CliError: nothing can be sent for the moment.
        """
        self._check_runs(plan)
        self._session.api.check_key()
        is_ended, is_interrupted = False, False
        try:
            self._send_all(plan)
            is_ended = True
        except StoppedError:
            pass
        except KeyboardInterrupt:
            is_interrupted = True
            raise
        finally:
            for journal in self._journals:
                journal.close()
            self._report.tell(is_interrupted=is_interrupted, is_ended=is_ended)

    def _check_runs(self, plan: Sequence[Planned]) -> None:
        """Find out before anything is sent which run can't go on.

        Raises:
            CliError: one was begun in another way.
        """
        if self._sending.again:
            return
        for planned in plan:
            if path := self._resume_file(planned):
                self._run(Journal(path, is_written=False), planned)

    def _send_all(self, plan: Sequence[Planned]) -> None:
        # Of all inputs, where it isn't beside each.
        shared = self._open(plan[0]).use() if self._sending.resume else None
        workers = WorkerPool(self._send, self._sending.parallel)
        try:
            with self._report.meter:
                for planned in plan:
                    self._send_one(planned, shared, workers)
                workers.finish()
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                self._report.out.note("Stopping: requests on their way may end. Ctrl-C again stops at once.")
            self._session.api.end()
            workers.stop(_GRACE_SECONDS)
            raise
        finally:
            if shared is not None:
                shared.release()

    def _send_one(self, planned: Planned, shared: Journal | None, workers: WorkerPool) -> None:
        journal = shared or self._open(planned)
        run = self._run(journal, planned)
        name = planned.input.name
        if run.is_complete and run.accepted and planned.input.is_rereadable and not self._is_same(planned, run):
            self._report.out.note(f"{name} is not what was sent under this name: all of it is sent.")
            run = journal.begin(planned.input.identity, self._settings(planned))
        self._report.add_earlier(sum(accepted.events for accepted in run.accepted.values()))
        upload = Upload(planned.input, journal, run)
        batches = None
        try:
            batches = self._hand_over(planned, upload, workers)
        except BrokenInputError as error:
            self._report.add_problem(Problem.broken(name, error))
        except _ChangedError as error:
            reason = "has changed since the run was stopped; --again sends all of it"
            self._report.add_problem(Problem(name, error.first, error.last, reason))
        finally:
            upload.end_reading(batches)

    def _hand_over(self, planned: Planned, upload: Upload, workers: WorkerPool) -> int:
        """Read an input and hand over the batches that did not arrive yet; return how many there are in all.

        Raises:
            BrokenInputError: it can't be read to its end.
            _ChangedError: what arrived is no longer in it.
        """
        run, number = upload.run, 0
        known = dict(run.accepted)  # to which the threads add
        name = planned.input.name
        with reading(planned, self._options) as source:
            batches = cut(
                source.events,
                self._shape,
                size_of=run.size_of,
                unreadable=lambda found: self._report.add_problem(Problem.of(name, found)),
                position=source.position,
            )
            for batch in batches:
                number += 1
                accepted = known.get(batch.number)
                if accepted is None:
                    workers.submit(Task(upload, batch))
                elif accepted.digest == batch.digest:
                    self._report.skip(batch)
                else:
                    raise _ChangedError(batch.first, batch.last)
        if missing := [accepted for which, accepted in known.items() if which >= number]:
            raise _ChangedError(min(one.first for one in missing), max(one.last for one in missing))
        return number

    def _is_same(self, planned: Planned, run: Run) -> bool:
        """Whether an input still begins with what arrived of it."""
        left = dict(run.accepted)
        try:
            with reading(planned, self._options) as source:
                for batch in cut(source.events, self._shape, size_of=run.size_of):
                    accepted = left.pop(batch.number, None)
                    if accepted is None or accepted.digest != batch.digest:
                        return False
                    if not left:
                        break
        except BrokenInputError:
            pass
        return not left

    def _send(self, task: Task) -> None:
        """Send a batch, record that it was accepted, and report it; called by several threads.

        Raises:
            CliError: no batch can be sent for the moment.
            StoppedError: it was refused, and that is to end everything.
        """
        upload, batch = task.upload, task.batch
        name = upload.input.name
        # Without the time of day in it, the same batch is packed into the same bytes.
        body = gzip.compress(batch.body, mtime=0) if self._sending.gzip else batch.body
        headers = _NDJSON | (_PACKED if self._sending.gzip else {})
        headers["idempotency-key"] = upload.run.key(batch.number, body)
        try:
            receipt = self._session.api.ingest(body, headers, self._sending.retry_for)
        except RefusedError as error:
            self._report.add_problem(Problem(name, batch.first, batch.last, error.reason, batch.events, error.status))
            return
        upload.journal.accept(upload.run, batch, receipt.raw_id)
        self._report.add_sent(name, batch, receipt.raw_id, len(body), is_replayed=receipt.is_replayed)
        if receipt.items != batch.events:
            message = f"The API counts {receipt.items} events in {receipt.raw_id}, where {batch.events} were sent."
            raise CliError(message, hint="It is of another version than this command.", exit_code=ExitCode.NOT_ALL_WELL)

    @property
    def _shape(self) -> Shape:
        return Shape(self._sending.batch_size, self._sending.batch_bytes)

    def _resume_file(self, planned: Planned) -> Path | None:
        if self._sending.no_resume:
            return None
        return self._sending.resume or planned.input.resume_file

    def _open(self, planned: Planned) -> Journal:
        journal = Journal(self._resume_file(planned))
        self._journals.add(journal)
        self._report.add_resume_file(journal.path)
        return journal

    def _run(self, journal: Journal, planned: Planned) -> Run:
        name = planned.input.name
        return journal.run(planned.input.identity, self._settings(planned), name, again=self._sending.again)

    def _settings(self, planned: Planned) -> dict[str, object]:
        """What has to stay the same when a run goes on: where it goes, and what its batches are made of."""
        settings: dict[str, object] = {
            TARGET: self._session.target.url,
            "--batch-size": self._sending.batch_size,
            "--batch-bytes": self._sending.batch_bytes,
            "--gzip": self._sending.gzip,
            "--format": None if planned.format is None else planned.format.value,
        }
        if planned.format in {None, Format.CSV}:
            zone = self._options.zone
            settings |= {
                "columns": planned.columns,
                "--timezone": None if zone is None else str(zone),
                "--merge-rows": self._options.merge_rows,
            }
        return settings
