"""Threads that send batches, and the inputs that these come from."""

from __future__ import annotations

import queue
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from dropzone_cli.sending.batches import Batch
    from dropzone_cli.sending.inputs import Input
    from dropzone_cli.sending.journal import Journal, Run


class Upload:
    """One input that is being sent: its resume file is kept open until its last batch came to an end."""

    def __init__(self, one: Input, journal: Journal, run: Run) -> None:
        """Hold the resume file open."""
        self.input = one
        self.run = run
        self.journal = journal.use()
        self._lock = threading.Lock()
        self._under_way = 1  # the reading itself
        self._batches: int | None = None

    def begin_batch(self) -> None:
        """Count a batch that is on its way."""
        with self._lock:
            self._under_way += 1

    def end_batch(self) -> None:
        """Count it off."""
        with self._lock:
            self._under_way -= 1
            if self._under_way:
                return
        if len(self.run.accepted) == self._batches:
            self.journal.complete(self.run)
        self.journal.release()

    def end_reading(self, batches: int | None) -> None:
        """Tell how many batches there are; None where the input was not read to its end."""
        self._batches = batches
        self.end_batch()


@dataclass(frozen=True, slots=True)
class Task:
    """A batch to be sent."""

    upload: Upload
    batch: Batch


class WorkerPool:
    """Threads that take tasks, a few of which wait. They are no reason for the process to stay."""

    def __init__(self, work: Callable[[Task], None], number: int) -> None:
        """Start the threads, which call this with each task."""
        self._work = work
        self._tasks: queue.Queue[Task | None] = queue.Queue(maxsize=number)
        self._is_stopping = threading.Event()
        self._failures: list[BaseException] = []
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(number)]
        for thread in self._threads:
            thread.start()

    def submit(self, task: Task) -> None:
        """Hand over a task, as soon as there is room.

        Raises:
            Exception: what a task failed with; then no further ones are done.
        """
        self._check()
        task.upload.begin_batch()
        self._tasks.put(task)

    def finish(self) -> None:
        """Wait until every task is done.

        Raises:
            Exception: what a task failed with.
        """
        self._end()
        for thread in self._threads:
            thread.join()
        self._check()

    def stop(self, within_seconds: float) -> None:
        """Begin no further task, and wait a while for those that were begun."""
        self._is_stopping.set()
        ends = time.monotonic() + within_seconds
        with suppress(queue.Empty):
            while task := self._tasks.get_nowait():
                task.upload.end_batch()
        self._end()
        for thread in self._threads:
            thread.join(max(0.0, ends - time.monotonic()))

    def _check(self) -> None:
        if self._failures:
            raise self._failures[0]

    def _end(self) -> None:
        for _ in self._threads:
            self._tasks.put(None)

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                if not self._is_stopping.is_set():
                    self._work(task)
            except BaseException as error:  # noqa: BLE001 - it is raised where tasks are handed over
                self._failures.append(error)
                self._is_stopping.set()
            finally:
                task.upload.end_batch()
