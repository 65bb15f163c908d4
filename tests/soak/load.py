"""Load on the local stack, on this machine's loopback alone, bounded in number and time."""

import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from threading import Lock
from uuid import UUID

import httpx

from dropzone.domain.identifiers import object_key, raw_id_of
from dropzone_local.polling import wait_until
from dropzone_local.stack import LocalStack
from resilience.events import Event, good_event
from support.postgres import SilverInPostgres

_BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
_ARRIVAL_SECONDS = 300.0
_WARM_UP = 5
_SECONDS = "SELECT raw_id, extract(epoch FROM processed_at)::float8 FROM outcomes"


@dataclass(slots=True)
class Load:
    """Events sent to a stack, and the moment of each 202."""

    stack: LocalStack
    acknowledged: dict[UUID, tuple[Event, float]] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    request_seconds: list[float] = field(default_factory=list)
    unanswered: set[bytes] = field(default_factory=set)
    """What was sent in vain, as far as its sender knows: it may be stored or not."""
    _warm: frozenset[UUID] = frozenset()
    _lock: Lock = field(default_factory=Lock)

    def send(self, http: httpx.Client, event: Event) -> None:
        """Send an event once."""
        endpoints = self.stack.endpoints
        assert endpoints is not None
        begun = time.time()
        headers = {"x-api-key": endpoints.api_key, "content-type": "application/json"}
        try:
            response = http.post(f"{endpoints.url}/ingest", content=event.body, headers=headers)
        except httpx.HTTPError as error:
            with self._lock:
                self.answers[type(error).__name__] += 1
                self.unanswered.add(event.body)
            return
        now = time.time()
        with self._lock:
            self.answers[str(response.status_code)] += 1
            self.request_seconds.append(now - begun)
            if response.status_code == HTTPStatus.ACCEPTED:
                self.acknowledged[UUID(response.json()["raw_id"])] = (event, now)

    def warm_up(self) -> None:
        """Let the functions start, which is not what is measured: a few events that count for nothing but the check."""
        with httpx.Client(timeout=60, trust_env=False) as http:
            for number in range(_WARM_UP):
                self.send(http, event(-1 - number))
                self.await_rows()
        assert self.answers == {str(HTTPStatus.ACCEPTED.value): _WARM_UP}
        self._warm = frozenset(self.acknowledged)
        self.answers.clear()
        self.request_seconds.clear()

    def at_rate(self, per_second: float, seconds: float, *, threads: int) -> None:
        """Send events at a steady rate: each at its moment, however long the ones before take."""
        begun, running = time.monotonic(), list[Future[None]]()
        with httpx.Client(timeout=60, trust_env=False) as http, ThreadPoolExecutor(threads) as pool:
            for number in range(int(per_second * seconds)):
                time.sleep(max(0.0, begun + number / per_second - time.monotonic()))
                running.append(pool.submit(self.send, http, event(number)))
        for future in running:
            future.result()

    def burst(self, count: int, *, in_flight: int) -> float:
        """Send events with so many in flight; how many seconds it took."""
        begun = time.monotonic()
        limits = httpx.Limits(max_connections=in_flight)
        with httpx.Client(timeout=120, trust_env=False, limits=limits) as http, ThreadPoolExecutor(in_flight) as pool:
            for future in as_completed([pool.submit(self.send, http, event(number)) for number in range(count)]):
                future.result()
        return time.monotonic() - begun

    def await_rows(self, seconds: float = _ARRIVAL_SECONDS) -> dict[UUID, float]:
        """Wait until each acknowledged event has its outcome; the seconds from its 202 to its row.

        The row's time is its transaction's, on the same machine's clock.
        """

        def completed() -> dict[UUID, float] | None:
            moments = self._moments()
            return moments if moments.keys() >= self.acknowledged.keys() else None

        moments = wait_until(completed, seconds=seconds, every=0.5)
        assert moments is not None, f"{len(self.acknowledged.keys() - self._moments().keys())} events have no outcome"
        return {
            raw_id: max(0.0, moments[raw_id] - moment)
            for raw_id, (_, moment) in self.acknowledged.items()
            if raw_id not in self._warm
        }

    def _moments(self) -> dict[UUID, float]:
        with self._tables() as tables:
            return dict(tables.query(_SECONDS))

    def check(self) -> None:
        """No loss, no trace of what was refused, and each event its own row."""
        listed = {*self._listed()}
        assert self.acknowledged.keys() <= listed, "an acknowledged event left no trace"
        refused = [body for body in map(self._body, listed - self.acknowledged.keys()) if body not in self.unanswered]
        assert refused == [], f"{len(refused)} refused events left a trace"
        with self._tables() as tables:
            current = {row.raw_id: row.measurement.measured_at for row in tables.measurement_rows().values()}
        expected = {raw_id: event.instant for raw_id, (event, _) in self.acknowledged.items()}
        assert expected.items() <= current.items()

    def _body(self, raw_id: UUID) -> bytes:
        assert self.stack.endpoints is not None
        client = self.stack.deployment.clients.s3()
        return client.get_object(Bucket=self.stack.endpoints.bucket, Key=object_key(raw_id))["Body"].read()

    def _listed(self) -> Iterator[UUID]:
        assert self.stack.endpoints is not None
        client = self.stack.deployment.clients.s3()
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=self.stack.endpoints.bucket):
            yield from (raw_id_of(entry["Key"]) for entry in page.get("Contents", []))

    @contextmanager
    def _tables(self) -> Iterator[SilverInPostgres]:
        with self.stack.postgres.connect() as connection:
            connection.run("SET TimeZone TO 'UTC'")
            yield SilverInPostgres(self.stack.postgres, connection)

    def lines(self, title: str, latencies: Sequence[float]) -> Iterator[str]:
        """What was seen, in words."""
        yield f"{title}: " + ", ".join(f"{number} times {answer}" for answer, number in sorted(self.answers.items()))
        yield f"  request: {percentiles(self.request_seconds)}"
        yield f"  from 202 to row: {percentiles(latencies)}"


def event(number: int) -> Event:
    """An event of an instant of its own."""
    return good_event(f"load-{number}", _BEGIN + timedelta(seconds=number), [f"{number}", f"{number}.5", "-1e-3"])


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that so many percent don't exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * share / 100) - 1)]


def percentiles(values: Sequence[float]) -> str:
    """In words."""
    return ", ".join(f"p{share} {percentile(values, share) * 1000:.0f} ms" for share in (50, 95, 99, 100))
