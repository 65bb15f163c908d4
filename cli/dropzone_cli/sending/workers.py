"""Threads that send batches."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue

from dropzone_cli.sending.batches import Batch
from dropzone_cli.sending.inputs import Input
from dropzone_cli.sending.journal import Journal, Run
from dropzone_cli.sending.rejects import Rejects

_TICK_SECONDS = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    input: Input
    journal: Journal
    run: Run
    batch: Batch
    rejects: Rejects


class WorkerPool:
    """Threads that process tasks, a few of which may wait. They don't keep the process alive."""

    def __init__(self, work: Callable[[Task], None], number: int, waiting: Callable[[], None] = lambda: None) -> None:
        """Start the threads.

        Args:
            work: called with each task.
            number: the number of threads.
            waiting: called repeatedly while this thread waits for them.
        """
        self._work, self._waiting = work, waiting
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._room = threading.Semaphore(number)
        self._undone: dict[Task, None] = {}
        self.failure: BaseException | None = None
        """The first error of a task, after which no further one is started."""
        self.is_stopping = False
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(number)]
        for thread in self._threads:
            thread.start()

    @property
    def undone(self) -> list[Task]:
        """The tasks that were submitted but are not done, in order."""
        return [*self._undone]

    def submit(self, task: Task) -> None:
        """Submit a task as soon as there is room; it stays undone if no further one is started."""
        self.leave(task)
        while not self.is_stopping:
            if self._room.acquire(timeout=_TICK_SECONDS):
                self._tasks.put(task)
                return
            self._waiting()

    def leave(self, task: Task) -> None:
        """Add a task to the undone ones."""
        task.journal.hold()
        self._undone[task] = None

    def fail(self, error: BaseException) -> None:
        """Start no further task, because of an error."""
        self.failure = self.failure or error
        self.is_stopping = True

    def finish(self) -> None:
        """Wait until every task is done.

        Raises:
            Exception: the first error of a task; others may not have ended.
        """
        self._end()
        for thread in self._threads:
            while thread.is_alive() and not self.failure:
                thread.join(_TICK_SECONDS)
                self._waiting()
        if self.failure:
            raise self.failure

    def stop(self, timeout: float) -> None:
        """Start no further task, and wait for the started ones, up to a timeout in seconds."""
        self.is_stopping = True
        ends = time.monotonic() + timeout
        self._end()
        for thread in self._threads:
            thread.join(max(0.0, ends - time.monotonic()))

    def _end(self) -> None:
        for _ in self._threads:
            self._tasks.put(None)

    def _run(self) -> None:
        while task := self._tasks.get():
            self._room.release()
            if self.is_stopping:
                continue
            try:
                self._work(task)
            except BaseException as error:  # noqa: BLE001 - it is raised where tasks are handed over
                self.fail(error)
            else:
                del self._undone[task]
                task.journal.release()
