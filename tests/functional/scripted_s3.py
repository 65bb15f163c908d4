"""A server in place of S3 that answers what a test tells it to, and remembers what it was asked."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from dropzone.adapters.s3 import CLIENTS_KEY
from support.http_server import Request, serving


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    """End the connection after so many bytes of the body."""
    drop: bool = False
    """End the connection without a word."""
    hang: bool = False
    """Say nothing, until the server ends."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


def refusal(status: int, code: str, more: str = "") -> Answer:
    """What S3 says when it doesn't do it."""
    return Answer(status, f"<Error><Code>{code}</Code><Message>no</Message>{more}</Error>".encode())


def listing(*keys: str, more: bool = False) -> Answer:
    """A page of a listing, with more to come or not."""
    token = "<NextContinuationToken>next</NextContinuationToken>" if more else ""
    entries = "".join(
        f"<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;e&quot;</ETag>"
        "<Size>1</Size></Contents>"
        for key in keys
    )
    truncated = f"<IsTruncated>{str(more).lower()}</IsTruncated>"
    return Answer(body=f"<ListBucketResult>{truncated}{token}{entries}</ListBucketResult>".encode())


class ScriptedS3:
    """Answers in turn; the last answer also to everything that follows."""

    def __init__(self) -> None:
        self.script: list[Answer] = [Answer()]
        self.asked: list[Asked] = []
        self.missing = CLIENTS_KEY
        """What is never there, and not counted."""
        self.endpoint = ""
        self.ended = threading.Event()

    def answer_to(self, request: Asked) -> Answer:
        if request.path.endswith(self.missing):
            return refusal(404, "NoSuchKey")
        self.asked.append(request)
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


@contextmanager
def scripted() -> Iterator[ScriptedS3]:
    """A server for the time of a with block."""
    script = ScriptedS3()

    class Handler(Request):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def respond(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = script.answer_to(Asked(self.command, self.path, headers, self.body()))
            if answer.hang:
                script.ended.wait()
                self.close_connection = True
            elif answer.drop:
                self.hang_up()
            else:
                self._give(answer)

        def _give(self, answer: Answer) -> None:
            status, body, headers = answer.status, answer.body, dict(answer.headers)
            if asked := self.headers.get("range"):
                first = int(asked.removeprefix("bytes=").partition("-")[0])
                headers["Content-Range"] = f"bytes {first}-{len(body) - 1}/{len(body)}"
                status, body = 206, body[first:]
            given = {"ETag": '"e"', "Last-Modified": "Wed, 01 Jan 2025 00:00:00 GMT", **headers}
            self.answer(status, body[: answer.cut_after], content_length=str(len(body)), **given)
            if answer.cut_after is not None:
                self.wfile.flush()
                self.hang_up()

    with serving(Handler) as script.endpoint:
        try:
            yield script
        finally:
            script.ended.set()
