"""Calls that run beside the test."""

import threading
from collections.abc import Callable
from concurrent.futures import Future


def in_background[T](call: Callable[[], T]) -> Future[T]:
    """Run a call in a thread of its own, which ends with the test run at the latest."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - handed to whoever asks for the result
            # Without this frame, which holds the future: a circle would keep what the call had open, such as a socket.
            trace = error.__traceback__
            future.set_exception(error.with_traceback(trace.tb_next if trace else None))

    threading.Thread(target=run, daemon=True).start()
    return future
