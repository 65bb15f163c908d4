"""The oracle: events through the real local stack while faults strike, and every promise checked against the result.

After vector's `tests/antithesis`: an acknowledgement is an obligation; when the faults have stopped, all are met.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import batched
from pathlib import Path
from random import Random
from typing import Any, Self
from uuid import UUID

import httpx
from pg8000.native import identifier

from dropzone.adapters.database import open_database
from dropzone.adapters.postgres_silver import PostgresSilver
from dropzone.adapters.s3 import S3Bronze
from dropzone.domain.identifiers import object_key, raw_id_of
from dropzone.ports import MAX_ATTEMPTS, ListedObject
from dropzone.settings import DatabaseSettings, MigrateSettings
from dropzone.use_cases.process import Message, process
from dropzone_local.environment import REGION
from dropzone_local.ports import LOOPBACK, find_free
from dropzone_local.postgres import SUPERUSER
from dropzone_local.stack import LocalStack, Options
from dropzone_migrate.migrations import migrate
from resilience.events import Event, generate, good_event, long_event
from resilience.expectations import check_silver, last_arrivals
from resilience.faulty_s3 import FaultyS3
from resilience.live_faults import Faults
from resilience.live_stack import LiveStack, objects_of
from resilience.obligations import Obligations, producing
from support.postgres import SilverInPostgres
from support.rows import Tables

PATIENCE_SECONDS = 420
"""From the end of the faults until all is completed, at the very most; usually a minute does."""

PROCESS_SECONDS = 15
"""For a function to start in, on a busy machine."""

VISIBILITY_SECONDS = 8
"""Shorter than a call may take, so that some messages come again while they are being worked on."""

POISONS = 1
DOOMED = 2
LONG_EVENTS = 12_000
"""Of the slowest values, in one object: it takes more statements than one, and may die between them."""

_ENOUGH_ROWS = 3

_INSTANT = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Report:
    """What a run saw."""

    seed: int
    events: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)

    def lines(self) -> Iterator[str]:
        """In words."""
        yield f"the oracle's run of seed {self.seed}:"
        for title, counts in (("events", self.events), ("faults", self.faults)):
            yield f"  {title}: " + ", ".join(f"{number} {name}" for name, number in sorted(counts.items()))
        yield "  seconds: " + ", ".join(f"{seconds:.0f} {name}" for name, seconds in self.seconds.items())

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Note how long a part took."""
        begun = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - begun


class Oracle:
    """A stack, faults for it, and the obligations."""

    def __init__(self, root: Path, seed: int) -> None:
        self.report = Report(seed)
        self.obligations = Obligations()
        self._root, self._seed = root, seed
        self._exit = ExitStack()
        self._redriven: set[UUID] = set()
        self._deleted: set[UUID] = set()

    def __enter__(self) -> Self:
        try:
            with self.report.timed("to start"):
                self._start()
        except BaseException:
            self._exit.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with self.report.timed("to stop"):
            self._exit.close()

    def _start(self) -> None:
        port = find_free()
        self.s3 = self._exit.enter_context(FaultyS3(port, self._seed, self._kill_client_at))
        parameters = {
            "BronzeEndpointUrl": self.s3.endpoint,
            "ProcessTimeout": str(PROCESS_SECONDS),
            "QueueVisibilityTimeout": str(6 * PROCESS_SECONDS),
            # Few at once: on a small machine, many that start at the same time are all late.
            "ProcessConcurrency": "3",
            "SweepRetry": "1",
            "SweepMinAge": "3600",
        }
        stack = self._exit.enter_context(LocalStack(self._root, Options(parameters=parameters, port=port)))
        self.live = LiveStack(stack)
        self.live.set_visibility(VISIBILITY_SECONDS)
        self.faults = Faults(self.live, self.s3, self._seed)
        self.http = self._exit.enter_context(httpx.Client(timeout=60, trust_env=False))

    def _kill_client_at(self, port: int) -> bool:
        return self.live.kill_client_at(port)

    # ---- while faults strike

    def suffer(self, enough: Callable[[int], bool], *, clients: int = 2, pause: float = 0.15) -> None:
        """Let events come and faults strike, one of each kind a cycle, until the number of cycles is enough."""
        endpoints = self.live.endpoints
        events = self._with_special_ones(generate(self._seed))
        ended, cycles = threading.Event(), 0
        with (
            self.report.timed("with faults"),
            producing(self.obligations, endpoints, events, clients=clients, pause=pause),
        ):
            # Rows are there first, so that there is something to fight about.
            while self._rows() < _ENOUGH_ROWS:
                time.sleep(0.1)
            while not enough(cycles):
                self.faults.cycle(ended)
                self.post_process()
                cycles += 1
        self.faults.undo()
        self._delete_the_doomed()
        self.report.faults += self.faults.counts + self.s3.counts
        self.report.faults["cycles"] = cycles

    @staticmethod
    def _with_special_ones(events: Iterator[Event]) -> Iterator[Event]:
        """Mix in objects that kill their reader, and such that will be deleted before anybody could read them."""
        special = [long_event("long", _INSTANT + timedelta(days=2), LONG_EVENTS)]
        special += [good_event(f"poison {n}", _INSTANT, ["1"]) for n in range(POISONS)]
        special += [good_event(f"doomed {n}", _INSTANT, ["2"]) for n in range(DOOMED)]
        for number, event in enumerate(events):
            if special and number % 15 == 5:
                yield special.pop()
            yield event

    def _rows(self) -> int:
        with self.live.stack.postgres.connect() as connection:
            ((count,),) = connection.run("SELECT count(*) FROM measurements")
        return int(count)

    def post_process(self) -> None:
        """Ask for a batch to be processed. The call may die of a poison, or find the database away."""
        response = self.http.post(
            f"{self.live.endpoints.url}/process",
            content=b'{"limit": 1000}',
            headers={"x-api-key": self.live.endpoints.api_key},
        )
        self.report.events["POST /process"] += 1
        if response.status_code != 200:
            self.report.events["POST /process that failed"] += 1
            return
        counts = response.json()
        assert counts["checked"] == counts["processed"] + counts["failed"]
        self.report.events["completed by POST /process"] += counts["checked"]

    def _delete_the_doomed(self) -> None:
        for path in list(self.s3.doomed):
            bucket, _, key = path.removeprefix("/").partition("/")
            self.live.s3.delete_object(Bucket=bucket, Key=key)
            self.s3.doomed.discard(path)
            self._deleted.add(raw_id_of(key))
        self.report.faults["objects deleted"] = len(self._deleted)

    # ---- and then

    @property
    def incomplete(self) -> set[UUID]:
        """The objects that can't be completed, and are dead letters and stuck."""
        poisons = {raw_id_of(path.removeprefix("/").partition("/")[2]) for path in self.s3.poisons}
        return poisons | self._deleted

    def recover(self) -> None:
        """Redrive the dead letters once, sweep, and wait until all is completed that can be."""
        with self.report.timed("to recover"):
            ends = time.monotonic() + PATIENCE_SECONDS
            while missing := self._missing():
                assert time.monotonic() < ends, f"after {PATIENCE_SECONDS} s: {missing}"
                self._redrive()
                self.post_process()
                time.sleep(1.0)

    def _missing(self) -> str:
        """What isn't as it has to be in the end, nothing where all is well."""
        endpoints = self.live.endpoints
        if waiting := self.live.waiting(endpoints.queue_url):
            return f"{waiting} messages wait"
        if not self._redriven >= self.incomplete:
            return "dead letters were not redriven yet"
        if (dead := self._dead_objects()) != self.incomplete:
            return f"dead letters are of {dead}, and not of {self.incomplete}"
        with self._tables() as tables:
            receipts = tables.receipt_rows()
        if left := self._listed() - self.incomplete - {raw_id for raw_id, row in receipts.items() if row.complete}:
            return f"{len(left)} objects are not completed, such as {min(left)}"
        if left := {raw_id for raw_id in self.incomplete if receipts[raw_id].attempts < MAX_ATTEMPTS}:
            return f"{left} is not stuck"
        return ""

    def _redrive(self) -> None:
        """Give each dead letter another life, once; and those of completed objects, which then are dropped."""
        for handle, body in self.live.dead_letters():
            objects = {*objects_of(body)}
            if objects <= self._redriven & self.incomplete:
                continue
            self.live.send(body)
            self.live.delete(self.live.endpoints.dlq_url, handle)
            self.report.events["dead letters redriven"] += 1
            self.report.events["dead letters redriven again"] += objects <= self._redriven
            self._redriven |= objects

    def _dead_objects(self) -> set[UUID]:
        time.sleep(2.1)  # until those that were looked at before are visible again
        return {raw_id for _, body in self.live.dead_letters() for raw_id in objects_of(body)}

    # ---- checks

    def check(self) -> None:
        """Hold everything against what was sent and promised."""
        with self.report.timed("to check"):
            bronze = self._bronze()
            self._check_promises(bronze)
            with self._tables() as tables:
                check_silver(tables, bronze, self.obligations.sent, incomplete=self.incomplete)
                self._count(tables, bronze)
            self._check_statuses(bronze)
            self._check_replay(bronze)
            self._check_replay_of_long_objects(bronze)
            self._check_a_fresh_event()
            assert self._dead_objects() == self.incomplete

    def _check_promises(self, bronze: Mapping[UUID, bytes]) -> None:
        """Acknowledged is part of bronze, byte for byte, and bronze is part of what was sent."""
        assert self.obligations.surprises == []
        for raw_id, event in self.obligations.acknowledged.items():
            if raw_id not in self._deleted:
                assert bronze.get(raw_id) == event.body, f"{raw_id} is not what was acknowledged"
        assert {*bronze.values()} <= self.obligations.sent.keys()

    def _check_statuses(self, bronze: Mapping[UUID, bytes]) -> None:
        """Each event is exactly one of processed, superseded and rejected, also in its status."""
        events = {
            raw_id: self.obligations.sent[body] for raw_id, body in bronze.items() if raw_id not in self.incomplete
        }
        current = last_arrivals(events)

        def expected(raw_id: UUID) -> dict[str, object]:
            if raw_id in self._deleted:
                return {"status": 404}
            if raw_id in self.incomplete:
                return {"status": "stuck"}
            event = events[raw_id]
            if event.batch:
                return {"status": "processed", "items": LONG_EVENTS}
            if not event.good or event.instant is None:
                return {"status": "rejected"}
            last, _ = current[event.instant]
            return {"status": "processed"} if last == raw_id else {"status": "superseded", "superseded_by": str(last)}

        def status_of(raw_id: UUID) -> dict[str, object]:
            response = self.http.get(
                f"{self.live.endpoints.url}/ingest/{raw_id}", headers={"x-api-key": self.live.endpoints.api_key}
            )
            allowed = 404 if raw_id in self._deleted else 200
            assert response.status_code == allowed, f"{raw_id}: {response.status_code} {response.text}"
            status: dict[str, object] = response.json()
            return status

        raw_ids = sorted({*events} | self.incomplete)
        with ThreadPoolExecutor(4) as pool:
            for raw_id, status in zip(raw_ids, pool.map(status_of, raw_ids), strict=True):
                wanted = expected(raw_id)
                assert {name: status.get(name) for name in wanted} == wanted, f"{raw_id} has the status {status}"
                self.report.events[str(status["status"])] += 1

    def _check_replay(self, bronze: Mapping[UUID, bytes]) -> None:
        """All of bronze in another order, into an empty database: the same rows."""
        postgres = self.live.stack.postgres
        name = "replayed"
        settings: dict[str, object] = {
            "database_host": LOOPBACK,
            "database_port": postgres.port,
            "database_name": name,
            "database_auth": "password",
            "database_password": postgres.password,
            "database_tls": "disable",
            "aws_region": REGION,
            "call_seconds": 60,
        }
        with postgres.connect("postgres") as connection:
            connection.run(f"CREATE DATABASE {identifier(name)}")
        migrate(MigrateSettings.of({**settings, "database_user": SUPERUSER, "role_auth": "password"}))
        database = open_database(DatabaseSettings.of({**settings, "database_user": "dropzone_writer"}))
        endpoints = self.live.endpoints
        objects = [ListedObject(raw_id, len(bronze[raw_id])) for raw_id in sorted(bronze.keys() - self.incomplete)]
        Random(self._seed).shuffle(objects)  # noqa: S311 - no secret
        try:
            for batch in batched(objects, 50, strict=False):
                result = process(
                    [Message(str(listed.raw_id), 1, (listed,)) for listed in batch],
                    bronze=S3Bronze(endpoints.bucket, region=REGION, endpoint=endpoints.emulator_url),
                    silver=PostgresSilver(database, retry_after=timedelta(minutes=1)),
                    time_left=lambda: 60.0,
                )
                assert result.returned == []
        finally:
            database.close()
        with self._tables() as once, self._tables(name) as again:
            assert again.outcome_rows() == once.outcome_rows()
            assert again.measurement_rows() == once.measurement_rows()
            completed = {raw_id: row.items for raw_id, row in once.receipt_rows().items() if row.complete}
            assert {raw_id: row.items for raw_id, row in again.receipt_rows().items()} == completed

    def _check_replay_of_long_objects(self, bronze: Mapping[UUID, bytes]) -> None:
        """By the API, from cursor to cursor: each call answers, and nothing changes."""
        for raw_id in [raw_id for raw_id, body in bronze.items() if self.obligations.sent[body].batch]:
            changes: Counter[str] = Counter()
            answer: dict[str, Any] = {"cursor": None}
            while "cursor" in answer:
                given = {"reprocess": True, "raw_ids": [str(raw_id)], "cursor": answer["cursor"]}
                response = self.http.post(
                    f"{self.live.endpoints.url}/process",
                    json=given,
                    headers={"x-api-key": self.live.endpoints.api_key},
                )
                assert response.status_code == 200, response.text
                answer = response.json()
                changes.update(answer["changes"])
            assert +changes == {"same": LONG_EVENTS}
            self.report.events["long objects replayed"] += 1

    def _check_a_fresh_event(self) -> None:
        event = good_event("fresh", _INSTANT + timedelta(days=1), ["0", "2"])
        raw_id = self.obligations.send(self.http, self.live.endpoints, event)
        assert raw_id is not None
        ends = time.monotonic() + PATIENCE_SECONDS
        while not self._is_complete(raw_id):
            assert time.monotonic() < ends, "a fresh event is not completed"
            time.sleep(0.1)

    def _is_complete(self, raw_id: UUID) -> bool:
        with self._tables() as tables:
            return bool(tables.query("SELECT FROM outcomes WHERE raw_id = :raw_id", raw_id=raw_id))

    def _count(self, tables: Tables, bronze: Mapping[UUID, bytes]) -> None:
        counts = self.report.events
        counts.update(self.obligations.counts)
        counts["sent"] = len(self.obligations.sent)
        counts["acknowledged"] = len(self.obligations.acknowledged)
        counts["stored and not acknowledged"] = len(bronze.keys() - self.obligations.acknowledged.keys())
        counts["completed after more than one try"] = sum(
            row.complete and row.attempts > 0 for row in tables.receipt_rows().values()
        )

    # ---- what lies where

    def _listed(self) -> set[UUID]:
        pages = self.live.s3.get_paginator("list_objects_v2").paginate(Bucket=self.live.endpoints.bucket)
        return {raw_id_of(entry["Key"]) for page in pages for entry in page.get("Contents", [])}

    def _bronze(self) -> dict[UUID, bytes]:
        def read(raw_id: UUID) -> bytes:
            answer = self.live.s3.get_object(Bucket=self.live.endpoints.bucket, Key=object_key(raw_id))
            return answer["Body"].read()

        raw_ids = sorted(self._listed())
        with ThreadPoolExecutor(4) as pool:
            return dict(zip(raw_ids, pool.map(read, raw_ids), strict=True))

    @contextmanager
    def _tables(self, database: str | None = None) -> Iterator[SilverInPostgres]:
        with self.live.stack.postgres.connect(database) as connection:
            connection.run("SET TimeZone TO 'UTC'")
            yield SilverInPostgres(self.live.stack.postgres, connection)
