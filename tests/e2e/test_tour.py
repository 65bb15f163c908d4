"""README's example and docs/api.md, pasted whole into a shell: every command, and the answers that are shown."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from dropzone.domain.identifiers import PREFIX, object_key
from dropzone_local.demo import HOUR, Sender, body
from dropzone_local.polling import wait_until
from e2e.client import Client
from support.documents import PROJECT, document
from support.http_server import Request, serving

README, API = document("README.md"), document("docs/api.md")

_DIFFERENT_EACH_TIME = {"raw_id", "received_at", "settled_at", "processed_at", "request_id", "location"}
_AS_OF_NOW = {"usual_latency_seconds": float | int, "contract": str | None}
"""Of a source: what differs with the time of day, and what is null until the next scheduled run."""
_COUNTED = {"$.checked", "$.processed", "$.failed"}
"""Of POST /process: what else the stack has to do at that moment."""
_MARK = "@@@@"
_DEADLINE_SECONDS = 120.0


class Step(NamedTuple):
    """A command, and the answer that is shown for it."""

    heading: str
    command: str
    kind: str = ""
    shown: str = ""


def steps_of(name: str) -> list[Step]:
    steps: list[Step] = []
    for kind, text, heading in document(name).blocks:
        if kind == "sh":
            steps.append(Step(heading, text))
        elif kind in {"json", "http", "text"} and steps and not steps[-1].shown:
            steps[-1] = steps[-1]._replace(kind=kind, shown=text)
    return steps


STEPS = [(name, number) for name in (README.name, API.name) for number in range(len(steps_of(name)))]


def paste(folder: Path, steps: list[Step]) -> list[str]:
    """What a shell prints for each of the steps, when they are pasted into it one after the other at once."""
    script = f"\necho {_MARK}\n".join(step.command for step in steps)
    ran = subprocess.run(
        ["/bin/bash"],
        input=script,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=_DEADLINE_SECONDS,
        check=False,
    )
    assert ran.stderr == ""
    printed = ran.stdout.replace("\r\n", "\n").split(f"{_MARK}\n")
    assert len(printed) == len(steps)
    return printed


def problem(step: Step, printed: str) -> str | None:
    """How what is printed differs from what is shown."""
    if step.kind == "text":
        return None if _cells(printed) == _cells(step.shown) else f"is {printed!r}"
    head, answer = _parts(printed)
    if not step.shown:
        if not answer.strip():
            return None
        return None if json.loads(answer).get("status") == "accepted" else f"is not accepted: {answer}"
    lines, shown = _parts(step.shown)
    if missing := [line for line in lines.splitlines() if _constant(line) not in head.lower()]:
        return f"the answer has no {missing[0]!r}: {head}"
    return _difference(json.loads(shown), json.loads(answer)) if shown.strip() else None


def _cells(text: str) -> set[int]:
    """How many cells the lines of a table have."""
    return {line.count("\t") for line in text.strip("\n").splitlines()}


def _parts(text: str) -> tuple[str, str]:
    """Head and body of an answer; of several the last body, and all that is before it."""
    if "HTTP/1.1" not in text:
        return "", text
    head, _, answer = text.rstrip("\n").rpartition("\n\n")
    return (head, answer) if head else (answer, "")


def _constant(line: str) -> str:
    """What is the same in a line of a head each time."""
    name, colon, _ = line.partition(": ")
    return (f"{name}{colon}" if name in _DIFFERENT_EACH_TIME else line).lower()


def _difference(shown: Any, answer: Any, name: str = "$") -> str | None:  # noqa: ANN401 - JSON
    """How an answer differs from what is shown, where … is anything, and fields have no order."""
    if name.rpartition(".")[2] in _DIFFERENT_EACH_TIME:
        return None if isinstance(answer, str) else f"{name} is {answer!r}"
    if (kind := _AS_OF_NOW.get(name.rpartition(".")[2])) and shown == "…":
        return None if isinstance(answer, kind) else f"{name} is {answer!r}"
    if name in _COUNTED and type(answer) is int:
        return None
    match shown, answer:
        case dict(), dict() if shown.keys() == answer.keys():
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
def printed(client: Client, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What each document's commands print, on a stack that has some of the demo's data."""
    if not shutil.which("curl") or not shutil.which("jq"):
        pytest.skip("the tour takes curl and jq")
    _send_demo_data(client)
    folder = tmp_path_factory.mktemp("reader")
    (folder / "events").symlink_to(PROJECT / "events")
    _write_stack(client, folder)
    found = {API.name: paste(folder, steps_of(API.name))}
    send, read = steps_of(README.name)[:-1], steps_of(README.name)[-1]
    # The reader waits "a second or so" between the two.
    wait = Step("", 'until curl -sS "$URL/ingest/$RAW_ID" -H "x-api-key: $KEY" | grep -q settled; do sleep 0.1; done\n')
    *sent, _, answer = paste(folder, [*send, wait, read])
    return found | {README.name: [*sent, answer]}


def _send_demo_data(client: Client) -> None:
    now = datetime.now(UTC)
    with Sender(client.endpoints) as sender:
        sender.send(body(now - 2 * HOUR, now))
    wait_until(
        lambda: (
            client.request("GET", "/quality?granularity=day&source=hall-1/thermometer").json()["quality"]
            and client.request("GET", "/kpis?source=dock/humidity").json()["kpis"]
        ),
        seconds=_DEADLINE_SECONDS,
    )


def _write_stack(client: Client, folder: Path, **others: str) -> None:
    (folder / ".local").mkdir()
    (folder / ".local" / "stack.json").write_text(json.dumps(client.endpoints.document() | others))


@pytest.mark.parametrize(("name", "number"), STEPS)
def test_the_answer_is_the_one_that_is_shown(printed: dict[str, list[str]], name: str, number: int) -> None:
    step = steps_of(name)[number]

    assert problem(step, printed[name][number]) is None, step.command


def test_every_feature_has_its_command() -> None:
    commands = "\n".join(step.command for step in steps_of(API.name))
    for feature in (
        "application/json' \\\n    -d '{",
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


def test_every_path_of_the_api_is_there() -> None:
    paths = json.loads((PROJECT / "functions/web/dropzone_web/static/openapi.json").read_text(encoding="utf-8"))[
        "paths"
    ]
    shown = API.text.replace("$RAW_ID", "{id}").replace("2026-11-24T06:00:00Z", "{measured_at}")

    assert [path for path in paths if f"{path}" not in shown] == []


@dataclass
class BadLine:
    """A server on the way to the API that loses an answer, refuses once, and then lets pass."""

    client: Client
    seen: list[tuple[str, bytes]] = field(default_factory=list)

    @contextmanager
    def serve(self) -> Iterator[str]:
        line = self

        class Handler(Request):
            def respond(self) -> None:
                content = self.body()
                line.seen.append((self.headers["idempotency-key"], content))
                names = ("content-type", "content-encoding", "idempotency-key")
                headers = {name.replace("-", "_"): self.headers[name] for name in names}
                number = len(line.seen)
                if number == 2:
                    self.answer(503, retry_after="1")
                    return
                answer = line.client.request("POST", self.path, content, key=self.headers["x-api-key"], **headers)
                if number == 1:
                    return  # without an answer
                self.answer(answer.status_code, answer.content)

        with serving(Handler) as url:
            yield url


def python_client() -> str:
    """The program that docs/api.md shows."""
    [program] = [block.text for block in API.blocks if block.kind == "python"]
    return program


def test_the_python_client_tries_again_and_stores_once(client: Client, tmp_path: Path) -> None:
    # GIVEN the client that the document shows, on a line that loses the first answer and refuses the second request
    before = client.bronze_keys()

    # WHEN it is run
    line = BadLine(client)
    with line.serve() as url:
        _write_stack(client, tmp_path, url=url)
        began = time.monotonic()
        ran = subprocess.run(  # noqa: S603
            [sys.executable, "-W", "error", "-c", python_client()],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    # THEN it has tried three times, with one key and one body, and has waited as the answer said
    assert ran.returncode == 0, ran.stderr
    assert (len(line.seen), len(set(line.seen))) == (3, 1)
    assert time.monotonic() - began > 1

    # AND what it sent is there once, and becomes a row
    answer = json.loads(ran.stdout.replace("'", '"'))
    fresh = {key for key in client.bronze_keys() - before if key.startswith(PREFIX)}
    assert fresh == {object_key(UUID(answer["raw_id"]))}
    assert client.outcome(UUID(answer["raw_id"])) == "processed"


def test_the_python_client_reports_refusals(client: Client, tmp_path: Path) -> None:
    _write_stack(client, tmp_path, api_key="wrong")

    ran = subprocess.run(  # noqa: S603
        [sys.executable, "-c", python_client()], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )

    assert ran.returncode == 1
    assert "Forbidden" in ran.stderr
