"""The resume file: the batches of an input and which of them were accepted, so that no event is sent twice.

JSON lines: first the kind of file; then, for each run (an input, sent to a stack with certain options), a line that
starts it, and two for each batch: before it is sent, and when the API has accepted it. A process that is killed leaves
at most a torn last line, which the next run removes.
"""

import io
import json
import secrets
import sys
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Self
from uuid import UUID

from dropzone_cli.errors import CliError, ExitCode, usage
from dropzone_cli.sending.batches import Batch, Cut

if sys.platform == "win32":
    import msvcrt

    def _lock(file: io.FileIO) -> None:
        # Far beyond the end, since such a lock prevents others from reading the range that it covers.
        file.seek(2**40)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: io.FileIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


REPORTS = "reports"
"""An option of runs that report lines that are not sent."""

_KIND = {"resume_file_of": "dropzone send", "version": 2}

Line = dict[str, Any]


@dataclass(slots=True)
class Run:
    """The sending of an input to a stack with certain options, including all continuations."""

    number: int
    """The number of the run in the resume file."""
    input: str
    stack: str
    options: Mapping[str, object]
    """The options that determine which events are made of the input."""
    salt: str
    """Part of the idempotency keys; a new one if the same batches are sent again on purpose."""
    began: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    cuts: dict[int, Cut] = field(default_factory=dict)
    """The batches by number."""
    accepted: dict[int, UUID] = field(default_factory=dict)
    """The objects of accepted batches by number."""

    @property
    def key(self) -> str:
        return _run_key(self.input, self.stack, self.options)

    @property
    def options_of_reports(self) -> Mapping[str, object]:
        """The options of the run that reports lines that are not sent."""
        return {**self.options, REPORTS: True}

    def idempotency_key(self, batch: Batch) -> str:
        """The idempotency key of a batch: the same for the same events in the same batch of this run."""
        parts = (_KIND["resume_file_of"], self.salt, self.key, batch.number, batch.digest)
        return sha256("\n".join(map(str, parts)).encode()).hexdigest()


def _run_key(identity: str, stack: str, options: Mapping[str, object]) -> str:
    return json.dumps([identity, stack, dict(options)], sort_keys=True)


class Journal:
    """A resume file that only this process writes; without a path, nothing is recorded.

    It is closed at the end of its last `with` block, and of the last batch that was submitted within one.
    """

    def __init__(self, path: Path | None) -> None:
        """Open the file, and read its runs.

        Raises:
            CliError: it is not a resume file, or another process uses it, or it can't be written.
        """
        self.path = path
        self._mutex = threading.Lock()
        self._runs: dict[str, Run] = {}
        self._file: io.FileIO | None = None
        self._holders = 0
        self.error: CliError | None = None
        """The error of writing, after which nothing more is recorded."""
        if path is None:
            return
        try:
            with ExitStack() as failed:
                file = failed.enter_context(_opened(path))
                self._runs, end = _read(path)
                if end < file.seek(0, 2):
                    file.truncate(end)
                if not end:
                    _write_line(file, _KIND)
                failed.pop_all()
        except OSError as error:
            message = f"The resume file {path} can't be written: {error.strerror}."
            raise usage(message, "Choose another place with --resume FILE, or use --no-resume.") from None
        self._file = file

    def hold(self) -> Self:
        """Keep it open until `release`."""
        with self._mutex:
            self._holders += 1
        return self

    def release(self) -> None:
        with self._mutex:
            self._holders -= 1
            if self._holders == 0:
                self.close()

    __enter__ = hold

    def __exit__(self, *_: object) -> None:
        self.release()

    def close(self) -> None:
        """Close it, even if it is held: nothing more is recorded."""
        if self._file is not None:
            self._file.close()

    @property
    def is_closed(self) -> bool:
        return self._file is None or self._file.closed

    def run(self, identity: str, stack: str, options: Mapping[str, object], *, again: bool = False) -> Run:
        """Return the run of an input to continue, or start one.

        With `again`, everything is sent again, even if it was sent before.
        """
        found = self.find(identity, stack, options)
        if found is not None and not again:
            return found
        # Without a record, every run has a new salt: otherwise the same events could never be sent again.
        salt = secrets.token_hex(8) if again or self.path is None else ""
        return self._begin(identity, stack, options, salt)

    def reports_of(self, run: Run, *, is_rereadable: bool) -> Run:
        """Return the run that reports the lines of the same input that are not sent, each once."""
        run_of_reports = (run.input, run.stack, run.options_of_reports)
        salt = "" if is_rereadable or self.path else secrets.token_hex(8)
        return self.find(*run_of_reports) or self._begin(*run_of_reports, salt)

    def find(self, identity: str, stack: str, options: Mapping[str, object]) -> Run | None:
        return self._runs.get(_run_key(identity, stack, options))

    def restart(self, run: Run) -> Run:
        """Start the run again, since its input has changed."""
        return self._begin(run.input, run.stack, run.options, secrets.token_hex(8))

    def has_others(self, run: Run) -> bool:
        """Whether the same input was also sent with other options."""
        others = (other for other in self._runs.values() if other.key != run.key and REPORTS not in other.options)
        return any(other.input == run.input for other in others)

    def _begin(self, identity: str, stack: str, options: Mapping[str, object], salt: str) -> Run:
        with self._mutex:
            number = max((run.number for run in self._runs.values()), default=-1) + 1
            run = Run(number, identity, stack, dict(options), salt)
            self._runs[run.key] = run
            names = ("input", "stack", "options", "salt", "began")
            self._write({"run": number, **{name: getattr(run, name) for name in names}})
            return run

    def add(self, run: Run, batch: Batch) -> None:
        """Record a batch that is about to be sent."""
        if run.cuts.get(batch.number) == batch.cut:
            return
        with self._mutex:
            run.cuts[batch.number] = batch.cut
            run.accepted.pop(batch.number, None)
            lines = [batch.first, batch.last]
            self._write({"run": run.number, "batch": batch.number, "lines": lines, **batch.cut._asdict()})

    def accept(self, run: Run, batch: Batch, raw_id: UUID) -> None:
        with self._mutex:
            run.accepted[batch.number] = raw_id
            self._write({"run": run.number, "batch": batch.number, "raw_id": str(raw_id)})

    def _write(self, line: Line) -> None:
        if self._file is None or self._file.closed:
            return
        try:
            _write_line(self._file, line)
        except OSError as error:
            self._file.close()  # its end may be torn, so nothing may be appended
            self.error = CliError(
                f"The resume file {self.path} can't be written: {error.strerror}.",
                hint="What was accepted since is recognised by its idempotency key, for 24 hours.",
                exit_code=ExitCode.NOT_ALL_WELL,
            )


def raw_ids(path: Path) -> list[UUID]:
    """The objects in a resume file, in order of the runs and their batches.

    Raises:
        CliError: it is not a resume file.
    """
    return [run.accepted[number] for run in _read(path)[0].values() for number in sorted(run.accepted)]


def check(path: Path) -> None:
    """Reject an existing file that is not a resume file, before anything is sent."""
    if path.exists():
        _read(path)


def _opened(path: Path) -> io.FileIO:
    """Open a file, and lock it against other processes."""
    file = path.open("a+b", buffering=0)
    try:
        _lock(file)
    except OSError:
        file.close()
        message = f"Another dropzone send is using {path}."
        raise usage(message, "Wait until it has finished, or stop it.") from None
    return file


def _write_line(file: io.FileIO, line: Line) -> None:
    text = json.dumps(line).encode() + b"\n"
    if file.write(text) != len(text):
        raise OSError(28, "No space left on device")


def _read(path: Path) -> tuple[dict[str, Run], int]:
    """Read a resume file; return its runs, and the end of its last complete line: a torn line is ignored."""
    runs: dict[str, Run] = {}
    numbered: dict[int, Run] = {}
    try:
        with path.open("rb") as file:
            first = file.readline(1_000)
            if json.dumps(_KIND).encode().startswith(first):  # empty, or torn
                return runs, 0
            end = len(first)
            if json.loads(first) != _KIND:
                raise ValueError  # noqa: TRY301 - like what json raises
            for line in file:
                if line.endswith(b"\n"):
                    end += len(line)
                    _apply(json.loads(line), runs, numbered)
            return runs, end
    except OSError as error:
        raise usage(f"{path} can't be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        message = f"{path} is not a resume file of this version of dropzone send."
        raise usage(message, "It was not changed: name another file with --resume FILE, or remove it.") from None


def _apply(line: Line, runs: dict[str, Run], numbered: dict[int, Run]) -> None:
    number = int(line.pop("run"))
    if "input" in line:
        run = Run(number, **line)
        numbered[number] = runs[run.key] = run
        return
    run, batch = numbered[number], int(line["batch"])
    if "raw_id" in line:
        if batch not in run.cuts:
            raise ValueError
        run.accepted[batch] = UUID(line["raw_id"])
    else:
        run.cuts[batch] = Cut(int(line["events"]), str(line["digest"]), str(line["beginning"]))
        run.accepted.pop(batch, None)
