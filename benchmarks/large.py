"""The store and the queries at five million rows in each table, keys ascending and random: `make bench-full`."""

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import Any
from uuid import UUID

from benchmarks.filling import MOST, fill, refresh_gold
from benchmarks.measuring import MILLISECONDS, Entry, Series, alternate, entry, microseconds, timed
from benchmarks.store import EVENTS, never_used, storing
from benchmarks.surroundings import PROJECT, Surroundings, environment, silence
from benchmarks.workloads import FIRST_INSTANT
from support.lambda_context import Context

_RUNS = 40
_CALLS = 200

Request = tuple[str, Mapping[str, str]]
Handler = Callable[[dict[str, Any], Context], dict[str, Any]]


def run(surroundings: Surroundings) -> Iterator[Entry]:
    surroundings.empty_tables()
    fill(surroundings, 0, MOST)
    yield from _store(surroundings)
    with surroundings.connect() as connection:
        refresh_gold(connection)
        connection.run("VACUUM ANALYZE")
    yield from _queries(surroundings)
    surroundings.empty_tables()


def _store(surroundings: Surroundings) -> Iterator[Entry]:
    """Beside the same on tables that are small."""
    spread_out = random.Random(6)  # noqa: S311 - the same keys every time

    def anywhere() -> list[Any]:
        microseconds = (spread_out.randrange(MOST * 1_000_000) for _ in range(EVENTS))
        return [FIRST_INSTANT - timedelta(microseconds=number) for number in microseconds]

    second = surroundings.second_database
    with surroundings.silver() as silver, surroundings.silver(second) as small:
        for name, instants in (("ascending keys", never_used), ("random keys", anywhere)):
            surroundings.empty_tables(second)
            taken = alternate(
                {"ours": storing(silver.write_outcomes, instants), "small": storing(small.write_outcomes, instants)},
                _RUNS,
            )
            ours, reference = taken["ours"].wall, taken["small"].wall
            yield entry(f"store, {name}, {MOST:,} rows", microseconds(EVENTS), ours, reference)


def _queries(surroundings: Surroundings) -> Iterator[Entry]:
    """How long the function Query takes, by what it is asked."""
    week, year = FIRST_INSTANT - timedelta(days=7), {"from": "1999-01-01T00:00:00Z", "to": "2000-01-01T00:00:00Z"}
    asked: Mapping[str, Sequence[Request]] = {
        "status": [(f"/ingest/{raw_id}", {}) for raw_id in _some_objects(surroundings)],
        "rejections": [("/rejections", {})],
        "rejections by a rare rule": [("/rejections", {"code": "data.not_finite"})],
        "measurements, the newest": [("/measurements", {})],
        "measurements, of a week": [("/measurements", {"from": week.isoformat(), "order": "asc"})],
        "KPIs, hours of a week": [("/kpis", {"from": week.isoformat(), "to": FIRST_INSTANT.isoformat()})],
        "KPIs, days of a year": [("/kpis", {"granularity": "day", **year})],
        "quality, days of a month": [("/quality", {"granularity": "day"})],
    }
    with environment(surroundings.variables("dropzone_reader")), silence():
        taken = {name: _asking(requests) for name, requests in asked.items()}
    for name, series in taken.items():
        yield entry(f"query, {name}, {MOST:,} rows", MILLISECONDS, series)


def _some_objects(surroundings: Surroundings) -> list[UUID]:
    with surroundings.connect() as connection:
        rows = connection.run("SELECT raw_id FROM receipts TABLESAMPLE BERNOULLI (0.1) LIMIT 500")
    return [raw_id for (raw_id,) in rows or []]


def _asking(requests: Sequence[Request]) -> Series:
    """Ask in turn; the first time warms up."""
    from dropzone_query.handler import handler  # noqa: PLC0415 - it reads variables

    like = json.loads((PROJECT / "events" / "api-health.json").read_bytes())
    taken = []
    for number in range(_CALLS + 1):
        path, parameters = requests[number % len(requests)]
        several = {name: [value] for name, value in parameters.items()}
        event = like | {"path": path, "queryStringParameters": parameters, "multiValueQueryStringParameters": several}
        taken.append(timed(partial(_ask, handler, event)).wall)
    return Series(tuple(taken[1:]))


def _ask(handler: Handler, event: dict[str, Any]) -> None:
    answer = handler(event, Context())
    assert answer["statusCode"] == HTTPStatus.OK, answer  # noqa: S101
