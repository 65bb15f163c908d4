"""The README's tour, run as it stands there: its commands, and the answers that it shows; its client, on a bad line."""

import json
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from dropzone.domain.identifiers import PREFIX, object_key
from e2e.client import Client

PROJECT = Path(__file__).parents[2]
README = (PROJECT / "README.md").read_text(encoding="utf-8")

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DIFFERENT_EACH_TIME = {"raw_id", "received_at", "settled_at", "processed_at", "request_id", "location"}
_PATIENCE_SECONDS = 30.0


@dataclass
class Step:
    """A command, and the answer that the README shows for it."""

    title: str
    command: str
    shown: str = ""
    kind: str = ""
    problem: str | None = "was not run"

    @property
    def is_repeatable(self) -> bool:
        """Whether asking again is the reader's own way to wait."""
        return "$URL/ingest -H" not in self.command


def _blocks() -> list[tuple[str, str, str]]:
    """Kind, text and title of each block; the title is the bold text that stands before it."""
    found = []
    for match in _BLOCK.finditer(README):
        before = README[: match.start()]
        titles = re.findall(r"^(?:\*\*(.+?)\*\*|## (.+))", before, re.MULTILINE)
        found.append((match[1], match[2], "".join(titles[-1]) if titles else ""))
    return found


def _steps() -> list[Step]:
    steps: list[Step] = []
    for kind, text, title in _blocks():
        if kind == "sh":
            steps.append(Step(title, text))
        elif kind in {"json", "http"} and steps and not steps[-1].shown:
            steps[-1].shown, steps[-1].kind = text, kind
    return steps


STEPS = _steps()


@dataclass
class Reader:
    """Somebody who types the README's commands into one shell, and puts identifiers of their own in."""

    folder: Path
    identifiers: dict[str, str] = field(default_factory=dict)

    def follow(self, step: Step) -> None:
        """Run a command until its answer is the one that is shown, where asking again may help."""
        ends = time.monotonic() + _PATIENCE_SECONDS
        while True:
            step.problem = self._try(step)
            if step.problem is None or not step.is_repeatable or time.monotonic() > ends:
                return
            time.sleep(0.2)

    def _try(self, step: Step) -> str | None:
        command = _UUID.sub(lambda match: self.identifiers.get(match[0], match[0]), step.command)
        script = f"set -euo pipefail; set -a; [ ! -f shell ] || . ./shell\n{command}\nexport -p > shell"
        ran = subprocess.run(  # noqa: S603
            ["/bin/bash", "-c", script], cwd=self.folder, capture_output=True, text=True, timeout=60, check=False
        )
        if ran.returncode:
            return f"exit code {ran.returncode}: {ran.stderr}"
        return self._compare(step, ran.stdout)

    def _compare(self, step: Step, printed: str) -> str | None:
        head, body = _parts(printed.replace("\r\n", "\n"))
        if not body.strip():
            return "there is no answer" if step.shown else None
        answer = json.loads(body)
        if not step.shown:
            return None if answer.get("status") == "accepted" else f"is not accepted: {body}"
        lines, document = _parts(step.shown)
        missing = [line for line in lines.splitlines() if _constant(line) not in head.lower()]
        if missing:
            return f"the answer has no {missing[0]!r}: {head}"
        if not document.strip():
            return None
        shown = json.loads(document)
        if "raw_id" in shown and "raw_id" in answer:
            self.identifiers[shown["raw_id"]] = answer["raw_id"]
        return _difference(shown, answer)


def _parts(text: str) -> tuple[str, str]:
    """Head and body of an answer; of several the last body, and all that is before it."""
    if "HTTP/1.1" not in text:
        return "", text
    head, _, body = text.rpartition("\n\n")
    return (head, body) if head else (body, "")


def _constant(line: str) -> str:
    """What is the same in a line of a head each time."""
    name, colon, _ = line.partition(": ")
    return (f"{name}{colon}" if name in _DIFFERENT_EACH_TIME else line).lower()


def _difference(shown: Any, answer: Any, name: str = "$") -> str | None:  # noqa: ANN401 - JSON
    """How an answer differs from what is shown, where … stands for anything."""
    if name.rpartition(".")[2] in _DIFFERENT_EACH_TIME:
        return None if isinstance(answer, str) else f"{name} is {answer!r}"
    match shown, answer:
        case dict(), dict() if list(shown) == list(answer):
            pairs = [(shown[key], answer[key], f"{name}.{key}") for key in shown]
        case list(), list() if len(shown) == len(answer):
            pairs = [
                (one, other, f"{name}[{number}]") for number, (one, other) in enumerate(zip(shown, answer, strict=True))
            ]
        case str(), str() if "…" in shown:
            escaped = shown.replace("[", "[[]").replace("…", "*")
            return None if fnmatchcase(answer, escaped) else f"{name}: shown {shown!r}, is {answer!r}"
        case _:
            return (
                None if type(shown) is type(answer) and shown == answer else f"{name}: shown {shown!r}, is {answer!r}"
            )
    return next((difference for pair in pairs if (difference := _difference(*pair)) is not None), None)


@pytest.fixture(scope="module")
def tour(client: Client, tmp_path_factory: pytest.TempPathFactory) -> list[Step]:
    """All of it, in its order: what comes later refers to what came before."""
    if not shutil.which("curl") or not shutil.which("jq"):
        pytest.skip("the tour takes curl and jq")
    folder = tmp_path_factory.mktemp("reader")
    (folder / "events").symlink_to(PROJECT / "events")
    _write_stack(client, folder)
    reader = Reader(folder)
    for step in STEPS:
        reader.follow(step)
    return STEPS


def _write_stack(client: Client, folder: Path, **others: str) -> None:
    (folder / ".local").mkdir()
    (folder / ".local" / "stack.json").write_text(json.dumps(client.endpoints.document() | others))


@pytest.mark.parametrize("number", range(len(STEPS)), ids=[f"{step.title}-{step.kind}" for step in STEPS])
def test_the_tour_is_as_it_is_shown(tour: list[Step], number: int) -> None:
    assert tour[number].problem is None, tour[number].command


def test_every_feature_has_its_command() -> None:
    commands = "\n".join(step.command for step in STEPS)
    for feature in (
        "application/json' \\\n     -d '{",
        "-d '[{",
        "x-ndjson",
        "content-encoding: gzip",
        "idempotency-key",
        '"schema_version": 2',
        "/rejections?",
        "$URL/ingest/",
        "$URL/process",
    ):
        assert feature in commands, feature


@dataclass
class BadLine:
    """A server on the way to the API that loses an answer, refuses once, and then lets pass."""

    client: Client
    seen: list[tuple[str, bytes]] = field(default_factory=list)

    @contextmanager
    def serve(self) -> Iterator[str]:
        line = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                line.seen.append((self.headers["idempotency-key"], body))
                names = ("content-type", "content-encoding", "idempotency-key")
                headers = {name.replace("-", "_"): self.headers[name] for name in names}
                number = len(line.seen)
                if number == 2:
                    self.send_response(503)
                    self.send_header("retry-after", "1")
                    self.send_header("content-length", "0")
                    self.end_headers()
                    return
                answer = line.client.request("POST", self.path, body, key=self.headers["x-api-key"], **headers)
                if number == 1:
                    return  # without an answer
                self.send_response(answer.status_code)
                self.send_header("content-length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        with server:
            thread.start()
            yield f"http://127.0.0.1:{server.server_port}"
            server.shutdown()
            thread.join()


def test_the_python_client_tries_again_and_stores_once(client: Client, tmp_path: Path) -> None:
    # GIVEN the client that the README shows, on a line that loses the first answer and refuses the second request
    (program,) = [text for kind, text, _ in _blocks() if kind == "python"]
    before = client.bronze_keys()

    # WHEN it is run
    line = BadLine(client)
    with line.serve() as url:
        _write_stack(client, tmp_path, url=url)
        began = time.monotonic()
        ran = subprocess.run(  # noqa: S603
            [sys.executable, "-W", "error", "-c", program],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    # THEN it has tried three times, with one key and one body, and has waited as it was told
    assert ran.returncode == 0, ran.stderr
    assert (len(line.seen), len(set(line.seen))) == (3, 1)
    assert time.monotonic() - began > 1

    # AND what it sent is there once, and becomes a row
    answer = json.loads(ran.stdout.replace("'", '"'))
    fresh = {key for key in client.bronze_keys() - before if key.startswith(PREFIX)}
    assert fresh == {object_key(UUID(answer["raw_id"]))}
    assert client.outcome(UUID(answer["raw_id"])) == "processed"


def test_the_python_client_tells_what_is_refused(client: Client, tmp_path: Path) -> None:
    (program,) = [text for kind, text, _ in _blocks() if kind == "python"]
    _write_stack(client, tmp_path, api_key="wrong")

    ran = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )

    assert ran.returncode == 1
    assert "Forbidden" in ran.stderr
