"""Threads that send batches."""

import math
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from dropzone_cli.sending.batches import Batch
from dropzone_cli.sending.inputs import Input
from dropzone_cli.sending.journal import Journal, Run
from dropzone_cli.sending.rejects import Rejects


@dataclass(frozen=True, slots=True)
class Task:
    """A batch to be sent."""

    input: Input
    journal: Journal
    run: Run
    batch: Batch
    rejects: Rejects


class WorkerPool:
    """Threads that take tasks, a few of which wait. They don't keep the process alive."""

    def __init__(self, work: Callable[[Task], None], dropped: Callable[[Task], None], number: int) -> None:
        """Start the threads.

        Args:
            work: called with each task.
            dropped: called with a task that failed, or that nobody begins any more.
            number: of threads.
        """
        self._work = work
        self._dropped = dropped
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
        if self._failures:
            self._dropped(task)
            raise self._failures[0]
        task.journal.hold()
        try:
            self._tasks.put(task)
        except BaseException:  # interrupted while there was no room
            self._dropped(task)
            task.journal.release()
            raise

    def finish(self) -> None:
        """Wait until every task is done.

        Raises:
            Exception: what a task failed with.
        """
        self._join()
        if self._failures:
            raise self._failures[0]

    def stop(self, timeout: float) -> None:
        """Begin no further task, and wait a while for those that were begun."""
        self._is_stopping.set()
        with suppress(queue.Empty):
            while task := self._tasks.get_nowait():
                self._dropped(task)
                task.journal.release()
        self._join(timeout)

    def _join(self, timeout: float = math.inf) -> None:
        ends = time.monotonic() + timeout
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join(None if timeout == math.inf else max(0.0, ends - time.monotonic()))

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                self._do(task)
            finally:
                task.journal.release()

    def _do(self, task: Task) -> None:
        if self._is_stopping.is_set():
            self._dropped(task)
            return
        try:
            self._work(task)
        except BaseException as error:  # noqa: BLE001 - it is raised where tasks are handed over
            self._failures.append(error)
            self._is_stopping.set()
            self._dropped(task)
