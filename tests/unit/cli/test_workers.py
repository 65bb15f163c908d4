"""The threads that send batches, interrupted."""

import signal
import threading

import pytest

from dropzone_cli.sending.batches import Batch
from dropzone_cli.sending.events import Event
from dropzone_cli.sending.inputs import Input
from dropzone_cli.sending.journal import Journal
from dropzone_cli.sending.rejects import Rejects
from dropzone_cli.sending.workers import Task, WorkerPool
from dropzone_cli.signals import handled_by
from dropzone_local.polling import wait_until


def test_a_batch_that_waits_for_room_when_it_is_interrupted_is_told_of() -> None:
    # GIVEN a thread that is busy, and a batch that waits for it
    begun, may_end = threading.Event(), threading.Event()
    dropped: list[int] = []

    def work(_task: Task) -> None:
        begun.set()
        may_end.wait(60)

    pool = WorkerPool(work, lambda task: dropped.append(task.batch.number), 1)
    journal, one = Journal(None), Input("-")
    run = journal.run("-", "stack", {})
    tasks = [
        Task(one, journal, run, Batch(number, [Event(b"{}", 1, 1)]), Rejects(one, is_kept=False)) for number in range(3)
    ]
    pool.submit(tasks[0])
    assert begun.wait(60)
    pool.submit(tasks[1])

    # WHEN a third one has no room, and the command is interrupted
    main = threading.get_ident()

    def interrupt_the_wait() -> None:
        assert wait_until(lambda: len(vars(pool._tasks.not_full)["_waiters"]) or None, seconds=60, every=0.01)
        signal.pthread_kill(main, signal.SIGTERM)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with handled_by(interrupt):
        threading.Thread(target=interrupt_the_wait).start()
        with pytest.raises(KeyboardInterrupt):
            pool.submit(tasks[2])

    # THEN both that were not sent are reported
    pool.stop(0)
    may_end.set()
    assert sorted(dropped) == [1, 2]
