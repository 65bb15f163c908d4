"""The store and the queries at five million rows in each table, keys ascending and random: `make bench-full`."""

import json
import random
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import Any
from uuid import UUID

from benchmarks.filling import fill
from benchmarks.measuring import MILLISECONDS, Entry, Series, alternate, entry, microseconds, timed
from benchmarks.store import EVENTS, never_used, storing
from benchmarks.surroundings import PROJECT, Surroundings, environment, silence
from benchmarks.workloads import FIRST_INSTANT
from support.lambda_context import Context

_ROWS = 5_000_000
_SMALL = 5_000
_RUNS = 40
_CALLS = 200

Handler = Callable[[dict[str, Any], Context], dict[str, Any]]


def run(surroundings: Surroundings) -> Iterator[Entry]:
    """Measure."""
    surroundings.empty_tables()
    fill(surroundings, 0, _SMALL)
    before = _queries(surroundings)
    fill(surroundings, _SMALL, _ROWS)
    yield from _store(surroundings)
    for name, after in _queries(surroundings).items():
        yield entry(f"{name}, {_ROWS:,} rows", MILLISECONDS, after, before[name])
    surroundings.empty_tables()


def _store(surroundings: Surroundings) -> Iterator[Entry]:
    """Beside the same on tables that are small."""
    spread_out = random.Random(6)  # noqa: S311 - the same keys every time

    def anywhere() -> list[Any]:
        microseconds = (spread_out.randrange(_ROWS * 1_000_000) for _ in range(EVENTS))
        return [FIRST_INSTANT - timedelta(microseconds=number) for number in microseconds]

    second = surroundings.second_database
    with surroundings.silver() as silver, surroundings.silver(second) as small:
        for name, instants in (("ascending keys", never_used), ("random keys", anywhere)):
            surroundings.empty_tables(second)
            taken = alternate(
                {"ours": storing(silver.settle, instants), "small": storing(small.settle, instants)}, _RUNS
            )
            ours, reference = taken["ours"].wall, taken["small"].wall
            yield entry(f"store, {name}, {_ROWS:,} rows", microseconds(EVENTS), ours, reference)


def _queries(surroundings: Surroundings) -> Mapping[str, Series]:
    """How long the function Query takes, by what it is asked."""
    with environment(surroundings.variables("dropzone_reader")), silence():
        return {
            "query, status": _asking(*[(f"/ingest/{raw_id}", {}) for raw_id in _some_objects(surroundings)]),
            "query, rejections": _asking(("/rejections", {})),
            "query, rejections by a rare rule": _asking(("/rejections", {"code": "data.not_finite"})),
        }


def _some_objects(surroundings: Surroundings) -> list[UUID]:
    with surroundings.connect() as connection:
        rows = connection.run("SELECT raw_id FROM receipts TABLESAMPLE BERNOULLI (0.1) LIMIT 500")
        rows = rows or connection.run("SELECT raw_id FROM receipts LIMIT 500")
    return [raw_id for (raw_id,) in rows or []]


def _asking(*requests: tuple[str, Mapping[str, str]]) -> Series:
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
