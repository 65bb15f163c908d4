"""Clients that send events, and keep every 202 as an obligation."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from uuid import UUID

import httpx

from dropzone_local.deployment import Endpoints
from resilience.events import Event

_TRIES = 4


def is_server_side(status: int) -> bool:
    """Whether a client may send the same again."""
    return status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR


@dataclass(slots=True)
class Obligations:
    """What was sent, and what was promised."""

    sent: dict[bytes, Event] = field(default_factory=dict)
    acknowledged: dict[UUID, Event] = field(default_factory=dict)
    surprises: list[str] = field(default_factory=list)
    """Answers that no fault explains."""
    counts: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, http: httpx.Client, endpoints: Endpoints, event: Event) -> UUID | None:
        """Send an event, again where that is safe; its identifier where it was acknowledged."""
        with self._lock:
            self.sent[event.body] = event
        for number in range(_TRIES):
            with self._lock:
                self.counts["requests"] += 1
                self.counts["requests sent again"] += number > 0
            try:
                response = http.post(
                    f"{endpoints.url}/ingest",
                    content=event.body,
                    headers={"x-api-key": endpoints.api_key, "content-type": "application/json"},
                )
            except httpx.HTTPError:
                continue
            if not is_server_side(response.status_code):
                return self._note(event, response)
        with self._lock:
            self.counts["events given up"] += 1
        return None

    def _note(self, event: Event, response: httpx.Response) -> UUID | None:
        with self._lock:
            if response.status_code == HTTPStatus.ACCEPTED and event.refused_with is None:
                raw_id = UUID(response.json()["raw_id"])
                if raw_id in self.acknowledged:
                    self.surprises.append(f"{raw_id} was promised twice")
                self.acknowledged[raw_id] = event
                return raw_id
            self.counts["events refused"] += 1
            if response.status_code != event.refused_with:
                self.surprises.append(f"{response.status_code} for {event.body[:200]!r}: {response.text[:200]}")
            return None


@contextmanager
def producing(
    obligations: Obligations, endpoints: Endpoints, events: Iterator[Event], *, clients: int, pause: float
) -> Iterator[None]:
    """Let clients send events, each a pause after its last one, for the time of a with block."""
    ended, turn = threading.Event(), threading.Lock()

    def produce() -> None:
        with httpx.Client(timeout=40, trust_env=False) as http:
            while not ended.is_set():
                with turn:
                    event = next(events)
                obligations.send(http, endpoints, event)
                ended.wait(pause)

    with ThreadPoolExecutor(clients) as pool:
        running = [pool.submit(produce) for _ in range(clients)]
        try:
            yield
        finally:
            ended.set()
        for future in running:
            future.result()
