"""The resume file: which batches were accepted, so that a run that was stopped goes on where it was.

A line of JSON for each: first what the file is, then for each input a line that begins a run of it, then a line for
each batch that the API accepted, written when its answer came. A process that is killed leaves at most a torn last
line, which the next run drops. When a run begins, the file is written again beside itself, and put in its place.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import secrets
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

from dropzone_cli.errors import CliError, ExitCode, usage
from dropzone_cli.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from dropzone_cli.sending.batches import Batch

_KIND = {"resume_file_of": "dropzone send", "version": 1}
_AGAIN = "--again sends all of it."
TARGET = "stack"

Line: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Accepted:
    """A batch that is in bronze."""

    events: int
    digest: str
    raw_id: UUID
    first: int
    last: int


@dataclass(slots=True)
class Run:
    """One sending of an input, over all the times that it was stopped."""

    identity: str
    settings: Mapping[str, object]
    """What has to stay the same when it goes on."""
    salt: str = ""
    """Part of its idempotency keys: a new one where the same batches are sent again on purpose."""
    began: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    accepted: dict[int, Accepted] = field(default_factory=dict)
    is_complete: bool = False
    """Whether all that the input held was accepted, without a gap."""

    def size_of(self, number: int) -> int | None:
        """How many events a batch has that was accepted."""
        batch = self.accepted.get(number)
        return None if batch is None else batch.events

    def key(self, number: int, body: bytes) -> str:
        """The idempotency key of a batch: the same whenever the same bytes are sent as the same batch of this run."""
        parts = (_KIND["resume_file_of"], self.salt, self.identity, number, sha256(body).hexdigest())
        return sha256("\n".join(map(str, parts)).encode()).hexdigest()

    def check(self, settings: Mapping[str, object], name: str) -> None:
        """Hold it against how it is to go on.

        Raises:
            CliError: it was begun in another way, and isn't at its end.
        """
        if self.is_complete or self.settings == settings:
            return
        differing = [what for what in {**self.settings, **settings} if self.settings.get(what) != settings.get(what)]
        if TARGET in differing:
            message = f"{name} was begun on another stack: {printable(str(self.settings.get(TARGET)))}"
            raise usage(message, f"Name that stack to go on there; here, {_AGAIN}")
        was = ", ".join(f"{what} {printable(str(self.settings.get(what)))}" for what in differing)
        message = f"{name} was begun with other options: {was}."
        raise usage(message, f"Go on with the same ones; or {_AGAIN}")


class Journal:
    """A resume file that this process alone writes; without a path, nothing is kept."""

    def __init__(self, path: Path | None, *, is_written: bool = True) -> None:
        """Open it, and read what is there.

        Raises:
            CliError: it is none, or another process is at it, or it can't be written.
        """
        self.path = path
        self._users = 0
        self._lock = threading.Lock()
        self._runs: dict[str, Run] = {}
        self._numbers: dict[str, int] = {}
        self._count = itertools.count()
        self._file: int | None = None
        if path is None:
            return
        if not is_written:
            self._runs = _read(path) if path.exists() else {}
            return
        try:
            self._file = _locked(path)
            self._runs = _read(path)
            self._rewrite(path)
        except (OSError, CliError) as error:
            self._close()
            if isinstance(error, OSError):
                raise _not_written(path, error) from None
            raise

    def run(self, identity: str, settings: Mapping[str, object], name: str, *, again: bool) -> Run:
        """Return the run of an input that is to go on, or begin one.

        Raises:
            CliError: see `Run.check`.
        """
        found = self._runs.get(identity)
        if found is None:
            # Where nothing is kept, nobody could say that the same events are to be sent again.
            return self.begin(identity, settings, "" if self.path else secrets.token_hex(8))
        if again or (found.is_complete and found.settings.get(TARGET) != settings.get(TARGET)):
            return self.begin(identity, settings, secrets.token_hex(8))
        found.check(settings, name)
        return found

    def begin(self, identity: str, settings: Mapping[str, object], salt: str | None = None) -> Run:
        """Begin a run of an input, in place of an earlier one."""
        run = Run(identity, settings, secrets.token_hex(8) if salt is None else salt)
        self._runs[identity] = run
        with self._lock:
            self._numbers[identity] = next(self._count)
            self._write(self._beginning(run))
        return run

    def accept(self, run: Run, batch: Batch, raw_id: UUID) -> None:
        """Keep that a batch was accepted."""
        accepted = Accepted(batch.events, batch.digest, raw_id, batch.first, batch.last)
        with self._lock:
            run.accepted[batch.number] = accepted
            run.is_complete = False  # the input has grown, where it was
            self._write(self._batch(run, batch.number, accepted))

    def complete(self, run: Run) -> None:
        """Keep that every batch of a run was accepted."""
        with self._lock:
            if not run.is_complete:
                run.is_complete = True
                self._write({"of": self._numbers.get(run.identity), "complete": True})

    def use(self) -> Journal:
        """Keep it open until `release` was called as often."""
        with self._lock:
            self._users += 1
        return self

    def release(self) -> None:
        """Close it, unless somebody else uses it."""
        with self._lock:
            self._users -= 1
            if not self._users:
                self._close()

    def close(self) -> None:
        """Close it, whoever uses it."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _write(self, line: Line) -> None:
        if self._file is None or self.path is None:
            return
        try:
            _write_all(self._file, [line])
        except OSError as error:
            self._close()  # its end may be torn: nothing may follow that
            raise CliError(
                f"The resume file {self.path} can't be written: {error.strerror}.",
                hint="What was accepted meanwhile is recognised by its idempotency key, for 24 hours.",
                exit_code=ExitCode.NOT_ALL_WELL,
            ) from None

    def _rewrite(self, path: Path) -> None:
        """Put a whole and clean file into the place of the one that was found, and go on in it."""
        path = path.resolve()
        fresh = path.with_name(path.name + ".new")
        file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write_all(file, self._lines())
            os.fsync(file)
            fresh.replace(path)
        except BaseException:
            os.close(file)
            raise
        self._close()
        self._file = file

    def _lines(self) -> Iterator[Line]:
        yield dict(_KIND)
        for run in self._runs.values():
            self._numbers[run.identity] = next(self._count)
            yield self._beginning(run)
            for number, accepted in run.accepted.items():
                yield self._batch(run, number, accepted)
            if run.is_complete:
                yield {"of": self._numbers[run.identity], "complete": True}

    def _beginning(self, run: Run) -> Line:
        return {
            "input": run.identity,
            "of": self._numbers[run.identity],
            "salt": run.salt,
            "began": run.began,
            "settings": dict(run.settings),
        }

    def _batch(self, run: Run, number: int, accepted: Accepted) -> Line:
        return {
            "of": self._numbers.get(run.identity),
            "batch": number,
            "lines": [accepted.first, accepted.last],
            "events": accepted.events,
            "digest": accepted.digest,
            "raw_id": str(accepted.raw_id),
        }


def raw_ids(path: Path) -> list[UUID]:
    """What a resume file knows of, in the order of the inputs and their lines.

    Raises:
        CliError: it is none.
    """
    return [run.accepted[number].raw_id for run in _read(path).values() for number in sorted(run.accepted)]


def _write_all(file: int, lines: Iterable[Line]) -> None:
    """Write lines, each of a size that goes in one piece."""
    with open(file, "wb", closefd=False) as writer:
        writer.writelines(json.dumps(line).encode() + b"\n" for line in lines)


def _locked(path: Path) -> int:
    """Open a file that no other process is at."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(file), path.stat()):
                return file
        except BlockingIOError:
            os.close(file)
            message = f"Another dropzone send is at it: it has {path} open."
            raise usage(message, "Wait until it has ended, or end it.") from None
        except FileNotFoundError:
            pass
        os.close(file)  # it was put into its place a moment ago


def _read(path: Path) -> dict[str, Run]:
    """Read what a resume file says; a last line without an end says nothing.

    Raises:
        CliError: it is none.
    """
    runs: dict[int, Run] = {}
    try:
        with path.open("rb") as file:
            first = file.readline(1_000)
            if first:
                _check_kind(json.loads(first))
            for line in file:
                if line.endswith(b"\n"):
                    _take(json.loads(line), runs)
    except OSError as error:
        raise usage(f"{path} can't be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        message = f"{path} is no resume file of dropzone send, or was changed by others."
        raise usage(message, "It is left as it is: name another file, --resume FILE, or remove it.") from None
    return {run.identity: run for run in runs.values()}


def _check_kind(line: Line) -> None:
    if line != _KIND:
        raise ValueError


def _take(line: Line, runs: dict[int, Run]) -> None:
    number = line["of"]
    if "input" in line:
        runs[number] = Run(str(line["input"]), dict(line["settings"]), str(line["salt"]), str(line["began"]))
    elif "batch" in line:
        first, last = line["lines"]
        runs[number].is_complete = False
        runs[number].accepted[int(line["batch"])] = Accepted(
            int(line["events"]), str(line["digest"]), UUID(line["raw_id"]), int(first), int(last)
        )
    else:
        runs[number].is_complete = bool(line["complete"])


def _not_written(path: Path, error: OSError) -> CliError:
    message = f"The resume file {path} can't be written: {error.strerror}."
    return usage(message, "Name another place: --resume FILE; or do without: --no-resume.")
