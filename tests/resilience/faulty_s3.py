"""A gateway in front of the emulator's S3, on the loopback interface, that does on purpose what S3 does on bad days."""

import http.client
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler
from typing import Any, Self
from uuid import UUID

from dropzone_local.polling import wait_until
from dropzone_local.ports import LOOPBACK
from support.http_server import Request, serving

POISON = b'"event": "poison'
"""Begins the body of an object that kills whoever reads it."""

DOOMED = b'"event": "doomed'
"""Begins the body of an object that can't be read until it is deleted."""

_BUSY = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}
_TIMEOUT_SECONDS = 20
_KILL_SECONDS = 2


class Weather(StrEnum):
    """What can be wrong with S3."""

    READS_FAIL = "reads answered with 503"
    READS_SLOW = "reads that take seconds"
    READS_CUT = "reads cut in the middle"
    PUTS_FAIL = "puts answered with 503"
    PUT_ANSWERS_LOST = "puts done, whose answer is lost"


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class FaultyS3:
    """Passes requests on; seeded chance decides which of them meet the weather."""

    port_of_s3: int
    seed: int
    kill_reader: Callable[[int], bool]
    """Kills the process whose connection has this port on its side; whether there was one."""
    counts: Counter[str] = field(default_factory=Counter)
    poisons: set[str] = field(default_factory=set)
    doomed: set[str] = field(default_factory=set)
    """Keys, as paths."""
    _weather: dict[Weather, float] = field(default_factory=dict)
    endpoint: str = ""
    """Where the functions find their S3."""
    _random: random.Random = field(init=False)
    _serving: AbstractContextManager[str] = field(init=False)
    _ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - no secret
        self._serving = serving(type("Handler", (_Handler,), {"gateway": self}))

    def __enter__(self) -> Self:
        self.endpoint = self._serving.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:  # noqa: ANN401 - a context manager's
        self._ended.set()
        self._serving.__exit__(*error)

    @contextmanager
    def weather(self, kind: Weather, chance: float) -> Iterator[None]:
        """Let requests meet this weather with a chance, for the time of a with block."""
        self._weather[kind] = chance
        try:
            yield
        finally:
            self._weather.pop(kind, None)

    def meets(self, kind: Weather) -> bool:
        """Whether a request meets this weather."""
        if self._random.random() >= self._weather.get(kind, 0):
            return False
        self.counts[kind] += 1
        return True

    def is_special(self, raw_id: UUID) -> bool:
        """Whether an object is a poison or doomed."""
        return any(str(raw_id) in path for path in [*self.poisons, *self.doomed])

    def pause(self) -> None:
        """Take as long as a slow read, from one second to more than a function has."""
        self._ended.wait(self._random.choice((0.5, 1.0, 1.0, 2.0, 17.0)))

    def forward(self, request: BaseHTTPRequestHandler, body: bytes) -> _Answer:
        """Have the emulator answer."""
        connection = http.client.HTTPConnection(LOOPBACK, self.port_of_s3, timeout=_TIMEOUT_SECONDS)
        try:
            connection.request(request.command, request.path, body or None, dict(request.headers.items()))
            answer = connection.getresponse()
            content = answer.read()
            headers = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP}
            headers["Content-Length"] = (
                answer.getheader("Content-Length", "0") if request.command == "HEAD" else str(len(content))
            )
            return _Answer(answer.status, headers, content)
        finally:
            connection.close()


class _Handler(Request):
    protocol_version = "HTTP/1.1"
    timeout = 30
    gateway: FaultyS3

    def respond(self) -> None:
        if self.command in {"GET", "HEAD"}:
            self._read()
        else:
            self._write()

    def _read(self) -> None:
        key = self.path.partition("?")[0]
        if key in self.gateway.poisons and self.command == "GET":
            # Whoever gets away with it is at least given nothing to read.
            if wait_until(lambda: self.gateway.kill_reader(self.client_address[1]), seconds=_KILL_SECONDS):
                self.gateway.counts["readers killed by a poison"] += 1
            self.hang_up()
        elif key in self.gateway.doomed or self.gateway.meets(Weather.READS_FAIL):
            self._busy()
        else:
            if self.gateway.meets(Weather.READS_SLOW):
                self.gateway.pause()
            self._pass_on(b"", cut=self.gateway.meets(Weather.READS_CUT))

    def _write(self) -> None:
        body = self.body()
        if POISON in body:
            self.gateway.poisons.add(self.path)
        if DOOMED in body:
            self.gateway.doomed.add(self.path)
        if self.gateway.meets(Weather.PUTS_FAIL):
            self._busy()
        elif self.gateway.meets(Weather.PUT_ANSWERS_LOST):
            with suppress(OSError, http.client.HTTPException):
                self.gateway.forward(self, body)
            self.hang_up()
        else:
            self._pass_on(body)

    def _pass_on(self, body: bytes, *, cut: bool = False) -> None:
        try:
            answer = self.gateway.forward(self, body)
        except (OSError, http.client.HTTPException):
            self.hang_up()
            return
        with suppress(OSError):
            self._send(answer, cut=cut)

    def _busy(self) -> None:
        with suppress(OSError):
            self._send(_Answer(503, {"Content-Length": str(len(_BUSY))}, _BUSY))

    def _send(self, answer: _Answer, *, cut: bool = False) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body[: len(answer.body) // 2] if cut else answer.body)
        if cut:
            self.wfile.flush()
            self.hang_up()

    def handle(self) -> None:
        # Its client may be killed at any moment.
        with suppress(OSError):
            super().handle()
