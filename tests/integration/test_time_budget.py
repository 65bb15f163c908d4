"""Calls that API Gateway waits for, while the database or S3 is slow: there is an answer, and it comes in time."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from dropzone.adapters.postgres_outcome_store import PostgresOutcomeStore
from dropzone.adapters.postgres_silver import open_silver
from dropzone_process import sweep
from functional.lambda_calls import api_event
from support.factories import EXAMPLE_INSTANT, arrive
from support.fakes import HookedBronze, InMemoryBronze, InMemoryClients
from support.lambda_context import Context
from support.postgres import SilverInPostgres, writer_environment

BUDGET_SECONDS = 4.0
LATE_SECONDS = 20.0
"""Far more than the budget, on a machine that may be busy, and less than a statement gets of a minute."""
REQUESTS = [{}, {"reprocess": True}, {"reprocess": True, "code": "data.empty"}, {"reprocess": True, "dry_run": True}]
# The connection is made, or was there, before any request is looked at.
REQUESTS_AND_CONNECTIONS = [({}, False), *((request, True) for request in REQUESTS)]


@dataclass(slots=True)
class Function:
    """The function Sweep with the real database; a call of it may take a minute, of which a request gets a part."""

    objects: InMemoryBronze = field(default_factory=InMemoryBronze)
    bronze: HookedBronze = field(init=False)

    def __post_init__(self) -> None:
        self.bronze = HookedBronze(self.objects)

    def status(self, request: dict[str, object]) -> int:
        """The status of the answer, which has to come in time."""
        event = api_event(json.dumps(request).encode(), like="api-process")
        began = time.monotonic()
        answer: dict[str, Any] = sweep.handler(event, Context(60.0))
        assert time.monotonic() - began < LATE_SECONDS
        return int(answer["statusCode"])


@pytest.fixture
def function(tables: SilverInPostgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Function]:
    for name, value in {
        "BRONZE_BUCKET": "bucket",
        "AWS_REGION": "eu-central-1",
        **writer_environment(tables.server),
        "CALL_SECONDS": "60",
        "SWEEP_MIN_AGE_SECONDS": "600",
        "SWEEP_RETRY_SECONDS": "60",
        "DEFAULT_SCOPES": "operate",
    }.items():
        monkeypatch.setenv(name, value)
    function = Function()
    sweep.settings.cache_clear()
    database = tables.open(call_seconds=60)
    monkeypatch.setattr(sweep, "database", lambda: database)
    monkeypatch.setattr(sweep, "bronze", lambda: function.bronze)
    monkeypatch.setattr(sweep, "clients", InMemoryClients)
    monkeypatch.setattr(sweep, "silver", lambda: open_silver(sweep.settings(), database))
    monkeypatch.setattr(sweep, "outcome_store", lambda: PostgresOutcomeStore(database))
    monkeypatch.setattr(sweep, "API_SECONDS", BUDGET_SECONDS)
    yield function
    sweep.settings.cache_clear()


@contextmanager
def locked(tables: SilverInPostgres, *names: str) -> Iterator[None]:
    """Hold these tables, as a migration does."""
    tables.query("BEGIN")
    tables.query(f"LOCK TABLE {', '.join(names)}")
    try:
        yield
    finally:
        tables.query("ROLLBACK")


@pytest.mark.parametrize(("request_", "is_connected"), REQUESTS_AND_CONNECTIONS, ids=json.dumps)
def test_while_tables_are_locked_the_answer_is_503_in_time(
    function: Function, tables: SilverInPostgres, request_: dict[str, object], *, is_connected: bool
) -> None:
    # GIVEN an object, and perhaps a connection from an earlier call, that of the schedule
    arrive(function.objects)
    if is_connected:
        sweep.database().use_time_left(lambda: 60.0)
        sweep.database().run("SELECT 1")

    # WHEN a request comes while the tables are locked
    with locked(tables, "sweep", "receipts", "outcomes", "measurements"):
        assert function.status(request_) == 503

    # THEN the next one finds all as it should be
    assert function.status(request_) == 200


@pytest.mark.parametrize("request_", [{}, {"reprocess": True}], ids=json.dumps)
def test_while_rows_are_locked_the_answer_is_503_in_time(
    function: Function, tables: SilverInPostgres, request_: dict[str, object]
) -> None:
    identifier = arrive(function.objects)
    tables.hold(EXAMPLE_INSTANT)
    try:
        assert function.status(request_) == 503
    finally:
        tables.query("ROLLBACK")

    # The try did not count.
    assert all(row.attempts == 0 for row in tables.receipt_rows().values())
    assert function.status({"reprocess": True, "raw_ids": [str(identifier)]}) == 200


@pytest.mark.parametrize("request_", [{}, {"reprocess": True}], ids=json.dumps)
def test_slow_reads_leave_time_to_write_what_was_read(
    function: Function, tables: SilverInPostgres, request_: dict[str, object]
) -> None:
    # GIVEN reads that take all of the time that they get
    arrive(function.objects)
    function.bronze.after = lambda method, _raw_ids: (
        time.sleep(function.bronze.seconds[-1]) if method == "read" else None
    )

    # THEN there is an answer, and what was read is processed
    assert function.status(request_) == 200
    assert [row.complete for row in tables.receipt_rows().values()] == [True]
