"""Runs handlers in processes that die for real, at a chosen call to S3 or Postgres, before it or after it.

Run as a program it imports the functions once, and for each line on its standard input forks a child, which is one
Lambda container: cold, on its own connections, and ended by `os._exit(137)` where the order says so. No `finally`, no
`except BaseException`, no buffer is written: what a SIGKILL, the end of memory or a timeout leaves behind.
"""

import importlib
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

DIED = 137
POISON = "s3.get of a poison"
_DEATH = "died: "

HANDLERS = {
    "ingest": "dropzone_ingest.handler",
    "process": "dropzone_process.queue",
    "sweep": "dropzone_process.sweep",
}


@dataclass(frozen=True, slots=True)
class Order:
    """A call to make."""

    function: str
    event: dict[str, Any]
    environment: dict[str, str]
    die_at: int | None = None
    """The boundary to die at, counted from 0; each call to S3 or Postgres has one before it and one after it."""
    deadly: tuple[str, ...] = ()
    """Keys that kill whoever reads them."""
    freeze_at: int | None = None
    """The boundary to pause at, until there is a file `open` in the folder `gate`; `frozen` there says so."""
    gate: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a call ended."""

    boundaries: list[str]
    """Those that were passed."""
    died_at: str = ""
    """Where it died, empty where it lived."""
    answer: dict[str, Any] | None = None
    error: str = ""
    """What the handler raised."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Sums of what the call reported."""


# ---- the child -------------------------------------------------------------------------------------------------------


class _Boundaries:
    """Counts boundaries over all threads, writes them down at once, and dies at the chosen one."""

    def __init__(self, order: Order, path: Path) -> None:
        self._order, self._passed, self._lock = order, 0, threading.Lock()
        self._file = path.open("w", buffering=1)

    def reach(self, name: str) -> None:
        with self._lock:
            if self._passed == self._order.die_at:
                self.die(name)
            if self._passed == self._order.freeze_at:
                self._freeze(Path(self._order.gate))
            self._passed += 1
            self._file.write(f"{name}\n")

    @staticmethod
    def _freeze(gate: Path) -> None:
        (gate / "frozen").touch()
        while not (gate / "open").exists():
            time.sleep(0.002)

    def die(self, name: str) -> None:
        self._file.write(f"{_DEATH}{name}\n")
        os._exit(DIED)

    def around[**P, T](self, name: str, call: Callable[P, T]) -> Callable[P, T]:
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
            self.reach(f"before {name}")
            result = call(*args, **kwargs)
            self.reach(f"after {name}")
            return result

        return wrapped


def _install(order: Order, boundaries: _Boundaries) -> None:
    """Put boundaries around the two clients, below the adapters."""
    import obstore  # noqa: PLC0415
    from pg8000.native import Connection  # noqa: PLC0415

    def deadly[**P, T](call: Callable[P, T]) -> Callable[P, T]:
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
            if any(key in args for key in order.deadly):
                boundaries.die(POISON)
            return call(*args, **kwargs)

        return wrapped

    for name in ("get", "put", "list", "head"):
        setattr(obstore, name, boundaries.around(f"s3.{name}", deadly(getattr(obstore, name))))
    for name, method in {"connect": "__init__", "run": "run"}.items():
        setattr(Connection, method, boundaries.around(f"postgres.{name}", getattr(Connection, method)))


def _serve(order: Order, directory: Path) -> None:
    """Be the container of one call. Never returns."""
    os.environ.update(order.environment)
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    _install(order, _Boundaries(order, directory / "boundaries"))
    from support.lambda_context import Context  # noqa: PLC0415

    try:
        result = {"answer": importlib.import_module(HANDLERS[order.function]).handler(order.event, Context())}
    except Exception as error:  # noqa: BLE001 - as Lambda does
        result = {"error": f"{type(error).__name__}: {error}"}
    sys.stdout.flush()
    (directory / "result").write_text(json.dumps(result))
    os._exit(0)


# ---- the program -----------------------------------------------------------------------------------------------------


def _run(order: Order) -> Ended:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        child = os.fork()
        if child == 0:
            try:
                _serve(order, directory)
            finally:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        if code not in {0, DIED}:
            raise RuntimeError(f"the child ended with {code}: {(directory / 'stderr').read_text()[-2000:]}")
        boundaries = (directory / "boundaries").read_text().splitlines()
        if code == DIED:
            return Ended(boundaries[:-1], died_at=boundaries[-1].removeprefix(_DEATH))
        result = json.loads((directory / "result").read_text())
        metrics = _metrics((directory / "stdout").read_text())
        return Ended(boundaries, "", result.get("answer"), result.get("error", ""), metrics)


def _metrics(output: str) -> dict[str, float]:
    """Sum up the lines of the embedded metric format."""
    sums: dict[str, float] = {}
    lines = [json.loads(line) for line in output.splitlines() if '"_aws"' in line]
    for line in lines:
        for entry in (metric for directive in line["_aws"]["CloudWatchMetrics"] for metric in directive["Metrics"]):
            value = line[entry["Name"]]
            sums[entry["Name"]] = sums.get(entry["Name"], 0) + (sum(value) if isinstance(value, list) else value)
    return sums


def _order(document: Mapping[str, Any]) -> Order:
    return Order(**{**document, "deadly": tuple(document["deadly"])})


def _build_models(base: type[BaseModel]) -> None:
    """Build the models that put it off to their first use, which each child would do, for half of its time."""
    for model in base.__subclasses__():
        model.model_rebuild()
        _build_models(model)


def main() -> None:
    """Take orders, one line each, until there are no more."""
    for module in HANDLERS.values():
        importlib.import_module(module)
    _build_models(BaseModel)
    for line in sys.stdin:
        sys.stdout.write(json.dumps(asdict(_run(_order(json.loads(line))))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
