"""A day of the demo, as an analyst sees it: each of the ten questions, and each panel of Grafana's dashboards."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from itertools import chain
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from pg8000.native import Connection, literal

from dropzone.domain.body import NDJSON
from dropzone.domain.outcomes import ValidatedObject
from dropzone.domain.validate import validate
from dropzone_local.demo import DAY, SILENT_FOR, batches
from dropzone_local.postgres import Postgres
from support.analysts import QUERIES, QUESTIONS, rows_of, signed_in
from support.factories import raw_id
from support.postgres import silver_in_postgres

DASHBOARDS = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted(Path(__file__).parents[2].joinpath("grafana").glob("*.json"))
}
PANELS = [
    pytest.param(name, panel, id=f"{name}-{panel['title']}")
    for name, board in DASHBOARDS.items()
    for panel in board["panels"]
]
SOURCE = "yard/wind"
EMPTY = {("quality", "Flagged by rule")}
"""The panels that the demo has nothing for."""
QUERY_FIELDS = {"refId", "datasource", "format", "editorMode", "rawQuery", "rawSql"}
"""Those of a query of Grafana's SQL data sources, of which the package has no model."""

register_default_plugins()


@pytest.fixture(scope="module")
def analyst(postgres: Postgres) -> Iterator[Connection]:
    """An analyst's login, on a day of the demo and an object that waits; gold is computed."""
    now = datetime.now(UTC)
    with silver_in_postgres(postgres) as tables:
        silver = tables.silver()
        for number, batch in enumerate(batches(now - DAY, now, now - SILENT_FOR)):
            outcomes = tuple(validate(batch, NDJSON))
            silver.write_outcomes([ValidatedObject(raw_id(timedelta(minutes=number)), outcomes)])
        tables.query("INSERT INTO receipts (raw_id, attempts, last_error) VALUES (:id, 1, 'timeout')", id=raw_id(DAY))
        tables.query("SELECT gold.refresh(1000000, interval '0')")
        with signed_in(postgres) as connection:
            yield connection


def expanded(sql: str, variables: dict[str, str], since: datetime, until: datetime) -> str:
    """What Grafana sends: macros as its PostgreSQL data source expands them, with the values of variables."""
    bounds = {"$__timeFrom()": f"'{since:%FT%TZ}'", "$__timeTo()": f"'{until:%FT%TZ}'"}
    between = f"BETWEEN {bounds['$__timeFrom()']} AND {bounds['$__timeTo()']}"
    sql = re.sub(r"\$__timeFilter\((\w+)\)", rf"\1 {between}", sql)
    group = r"floor(extract(epoch from \1)/300)*300"
    sql = re.sub(r"\$__timeGroupAlias\((\w+), '5m'\)", rf'{group} AS "time"', sql)
    for macro, instant in bounds.items():
        sql = sql.replace(macro, instant)
    for name, value in variables.items():
        sql = sql.replace(f"${{{name}:sqlstring}}", literal(value)).replace(f"${name}", value)
    assert "$" not in sql, sql
    return sql


def asked(connection: Connection, sql: str) -> list[dict[str, Any]]:
    now = datetime.now(UTC)
    return rows_of(
        connection, expanded(sql, {"source": SOURCE, "bucket": "hour"}, now - DAY, now + timedelta(seconds=1))
    )


@pytest.mark.parametrize("name", sorted(QUESTIONS))
def test_each_question_has_an_answer_in_the_demo(analyst: Connection, name: str) -> None:
    assert any(value is not None for row in rows_of(analyst, QUERIES[name]) for value in row.values())


@pytest.mark.parametrize(("name", "panel"), PANELS)
def test_each_panel_shows_something_of_the_demo(analyst: Connection, name: str, panel: dict[str, Any]) -> None:
    [query] = panel["targets"]
    rows = asked(analyst, query["rawSql"])

    # Grafana draws a column of any other type at no time, or not at all.
    if query["format"] == "time_series":
        times = [row["time"] for row in rows]
        assert times == sorted(times)
        assert {type(at) for at in times} <= {datetime, Decimal}
        values = [value for row in rows for column, value in row.items() if column not in {"time", "metric"}]
        assert {type(value) for value in values} <= {int, float, Decimal, type(None)}
    if (name, panel["title"]) not in EMPTY:
        assert any(value is not None for row in rows for column, value in row.items() if column != "time"), query[
            "rawSql"
        ]
    # What a column's form is for is there.
    named = {override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]}
    assert not rows or named <= rows[0].keys()


def test_variables_offer_what_there_is(analyst: Connection) -> None:
    variables = {variable["name"]: variable for variable in DASHBOARDS["source"]["templating"]["list"]}

    assert {"source": SOURCE} in rows_of(analyst, variables["source"]["query"])
    offered = [option["value"] for option in variables["bucket"]["options"]]
    assert offered == variables["bucket"]["query"].split(",")
    assert analyst.run("SELECT enum_range(NULL::gold.granularity)::text[]") == [[offered]]


def test_a_quote_in_a_source_stays_in_its_name(analyst: Connection) -> None:
    sql = next(panel for panel in DASHBOARDS["source"]["panels"] if panel["title"] == "State")["targets"][0]["rawSql"]
    now = datetime.now(UTC)

    assert rows_of(analyst, expanded(sql, {"source": "it's' OR true --"}, now - DAY, now)) == []


@pytest.mark.parametrize("name", DASHBOARDS)
def test_dashboards_follow_the_schema_of_grafana(name: str) -> None:
    board = DASHBOARDS[name]
    model = Dashboard.from_json(board)

    # What the schema doesn't know would be lost on the way.
    assert missing(board, json.loads(json.dumps(model, cls=JSONEncoder))) == []
    assert wrong_words(model) == []
    for panel in board["panels"]:
        for query in panel["targets"]:
            assert query.keys() == QUERY_FIELDS
            assert query["format"] in {"table", "time_series"}


def test_dashboards_have_their_own_names_and_places() -> None:
    assert len({board["uid"] for board in DASHBOARDS.values()}) == len(DASHBOARDS) == 4
    for name, board in DASHBOARDS.items():
        taken = [cell for panel in board["panels"] for cell in cells(panel["gridPos"])]
        assert len(taken) == len(set(taken)), name
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"]), name
    # Rows of tables lead to the dashboard of one source.
    links = set(re.findall(r'"url": "/d/([^?]*)\?', json.dumps(DASHBOARDS)))
    assert links == {DASHBOARDS["source"]["uid"]}


def cells(place: dict[str, int]) -> list[tuple[int, int]]:
    return [
        (x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])
    ]


def missing(given: Any, kept: Any, at: str = "$") -> list[str]:  # noqa: ANN401 - any JSON
    """Where something of the first is not in the second, which may have more."""
    if isinstance(given, dict) and isinstance(kept, dict):
        return list(
            chain.from_iterable(
                missing(value, kept[key], f"{at}.{key}") if key in kept else [f"{at}.{key}"]
                for key, value in given.items()
                # What is left out means the same.
                if value is not None or key in kept
            )
        )
    if isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        return [
            path
            for place, pair in enumerate(zip(given, kept, strict=True))
            for path in missing(*pair, f"{at}[{place}]")
        ]
    return [] if given == kept else [at]


def wrong_words(model: object, at: str = "$") -> list[str]:
    """Where a value is none of those that the schema lists."""
    if isinstance(model, list):
        return [path for place, item in enumerate(model) for path in wrong_words(item, f"{at}[{place}]")]
    if isinstance(model, Enum) or not type(model).__module__.startswith("grafana_foundation_sdk.models"):
        return []
    found = []
    hints = get_type_hints(type(model))
    for name, value in vars(model).items():
        kinds = [kind for kind in (hints[name], *getattr(hints[name], "__args__", ())) if isinstance(kind, type)]
        words = [kind for kind in kinds if issubclass(kind, Enum)]
        if words and value is not None and value not in [word.value for kind in words for word in kind]:
            found.append(f"{at}.{name}: {value}")
        found += wrong_words(value, f"{at}.{name}")
    return found
