"""A server in place of S3 that answers what a test tells it to, and remembers what it was asked."""

import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from dropzone.adapters.s3 import CLIENTS_KEY


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
        self._ended = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 5

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                if self.path.endswith(outer.missing):
                    outer._give(self, refusal(404, "NoSuchKey"))
                    return
                outer.asked.append(Asked(self.command, self.path, headers, body))
                outer._give(self, outer.script.pop(0) if len(outer.script) > 1 else outer.script[0])

            do_GET = do_HEAD = do_PUT = _answer  # noqa: N815 - the names that http.server looks for

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler

    def _give(self, request: BaseHTTPRequestHandler, answer: Answer) -> None:
        if answer.hang:
            self._ended.wait()
            request.close_connection = True
            return
        if answer.drop:
            _end(request)
            return
        status, body, headers = answer.status, answer.body, dict(answer.headers)
        if asked := request.headers.get("range"):
            first = int(asked.removeprefix("bytes=").partition("-")[0])
            headers["Content-Range"] = f"bytes {first}-{len(body) - 1}/{len(body)}"
            status, body = 206, body[first:]
        request.send_response(status)
        for name, value in {"ETag": '"e"', "Last-Modified": "Wed, 01 Jan 2025 00:00:00 GMT", **headers}.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body[: answer.cut_after])
        if answer.cut_after is not None:
            request.wfile.flush()
            _end(request)


def _end(request: BaseHTTPRequestHandler) -> None:
    request.close_connection = True
    request.connection.shutdown(socket.SHUT_RDWR)
