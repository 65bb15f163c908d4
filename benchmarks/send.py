"""`dropzone send`: rows and lines read, batched and handed over, beside the least that does it; and its memory."""

import csv
import gzip
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import httpx
from typer.testing import CliRunner

from benchmarks.measuring import Entry, Goal, Spent, Work, alternate, entry, per_second, timed
from benchmarks.surroundings import Surroundings
from benchmarks.workloads import fresh_instants
from dropzone_cli.api import ClientOptions
from dropzone_cli.main import app

_ROWS, _BATCH = 50_000, 1_000
_LARGE = 64 * 2**20
"""Bytes of a file that doesn't fit into the memory that is allowed, beside the interpreter and its modules."""

# The least neither checks nor records anything: no times, no digests, no resume file, no findings.
_CSV, _NDJSON, _MEMORY = Goal("≥", 0.55), Goal("≥", 0.6), Goal("≤", 100)
_URL, _KEY = "http://127.0.0.1:1", "k" * 20


def run(_: Surroundings) -> Iterator[Entry]:
    with TemporaryDirectory() as name:
        folder = Path(name)
        rows, lines = folder / "rows.csv", folder / "lines.ndjson"
        instants = [instant.isoformat() for instant in fresh_instants(_ROWS)]
        rows.write_text("time,value\n" + "".join(f"{at},{n % 97}.25\n" for n, at in enumerate(instants)))
        lines.write_bytes(b"".join(_least_of_csv(rows)))
        for path, least, goal in ((rows, _least_of_csv, _CSV), (lines, _least_of_ndjson, _NDJSON)):
            taken = alternate({"ours": _ours(path), "least": _least(path, least)})
            ours, reference = taken["ours"].cpu, taken["least"].cpu
            yield entry(f"send, {path.suffix[1:]}, by the processors", per_second(_ROWS), ours, reference, goal)
        with _served() as url:
            for what, path in _large(folder, instants):
                yield Entry(f"memory of send, {what}", "MB", _peak(path, url), goal=_MEMORY)
                path.unlink()


def _ours(path: Path) -> Work:
    def send() -> None:
        done = _send(path, "--no-resume")
        assert done == 0, done  # noqa: S101

    return _work(send)


def _send(path: Path, *options: str) -> int:
    environment = {"DROPZONE_URL": _URL, "DROPZONE_API_KEY": _KEY}
    result = CliRunner().invoke(app, ["send", str(path), *options], obj=ClientOptions(_api()), env=environment)
    return result.exit_code


def _api() -> httpx.MockTransport:
    def accept(request: httpx.Request) -> httpx.Response:
        items = gzip.decompress(request.content).count(b"\n")
        return httpx.Response(202, json={"raw_id": str(uuid4()), "items": items})

    return httpx.MockTransport(accept)


def _least(path: Path, read: Callable[[Path], Iterable[bytes]]) -> Work:
    """Read, write JSON, compress and send, a batch at a time."""

    def send() -> None:
        found = iter(read(path))
        with httpx.Client(transport=_api()) as client:
            while batch := b"".join(islice(found, _BATCH)):
                client.post(f"{_URL}/ingest", content=gzip.compress(batch, mtime=0)).raise_for_status()

    return _work(send)


def _least_of_csv(path: Path) -> Iterator[bytes]:
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            yield json.dumps({"time_stamp": row["time"], "data": [float(row["value"])]}).encode() + b"\n"


def _least_of_ndjson(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        for line in file:
            json.loads(line)
            yield line


def _work(do: Callable[[], object]) -> Work:
    def work() -> Spent:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            return timed(do)

    return work


def _large(folder: Path, instants: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """Files of each kind, which have in common that they don't fit into the memory that is allowed."""
    good = "".join(f"{at},1.25\n" for at in instants[:10_000]).encode()
    event = b'{"time_stamp":"2031-01-01T00:00:00Z","data":[1.25]}'
    kinds: dict[str, tuple[bytes, bytes, bytes]] = {
        "rows.csv": (b"time,value\n", good, b""),
        "no-numbers.csv": (b"time,value\n" + good, b"2031-01-01T00:00:00Z,n/a" + b"x" * 1_000 + b"\n", b""),
        "one-row.csv": (b"time,value\n", b"1,", b""),
        "array.json": (b"[" + event, b"," + event, b"]"),
        "one-string.json": (b'{"time_stamp":"', b"x" * 64, b""),
        "lines.ndjson": (b"", event + b"\n", b""),
    }
    for name, (beginning, part, end) in kinds.items():
        path = folder / name
        with path.open("wb") as file:
            file.write(beginning)
            block = part * max(1, 2**20 // len(part))
            for _ in range(_LARGE // len(block)):
                file.write(block)
            file.write(end)
        yield f"{_LARGE // 2**20} MiB, {name}", path
    packed = folder / "zeros.csv.gz"
    with gzip.open(packed, "wb", compresslevel=1) as unpacked:
        unpacked.write(b"time,value\n")
        for _ in range(_LARGE // 2**20):
            unpacked.write(b"\0" * 2**20)
    yield f"{_LARGE // 2**20} MiB of zeros, {packed.name}", packed


def _peak(path: Path, url: str) -> float:
    """The most memory of a process that sends a file."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", _SENDING, "send", str(path)],
        cwd=path.parent,
        env={**os.environ, "DROPZONE_URL": url, "DROPZONE_API_KEY": _KEY},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    return int(done.stdout.splitlines()[-1]) / 1e3


# Not by getrusage: what a process was started from counts there.
_SENDING = """
import re, runpy
try:
    runpy.run_module("dropzone_cli", run_name="__main__")
except SystemExit as end:
    assert end.code in {0, 1, 4}, end.code
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""


class _Taker(BaseHTTPRequestHandler):
    """An API that takes everything."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        answer = json.dumps({"raw_id": str(uuid4()), "items": gzip.decompress(body).count(b"\n")}).encode()
        self.send_response(202)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _served() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Taker) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
