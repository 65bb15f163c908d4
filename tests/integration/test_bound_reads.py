"""What a key that is bound to sources is shown: in every read, page, count and cursor, nothing of another source."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl

import pytest

from dropzone.domain.access import ClientsDocument, ListedClient, Scope
from dropzone.domain.body import JSON
from dropzone.domain.identifiers import earliest_raw_id
from dropzone.domain.patterns import matcher
from dropzone.ports import RawObject
from dropzone.use_cases.process import process
from dropzone_query import handler as query
from functional.lambda_calls import api_event, header
from functional.test_status_request import ENVIRONMENT
from support.factories import message
from support.fakes import InMemoryBronze, InMemoryClients
from support.lambda_context import Context
from support.postgres import SilverInPostgres

OURS = ["hall-3/a", "hall-3/b%c", "hall-3/b_c"]
OTHERS = ["hall-4/SECRET", "hall-30/SECRET", "Hall-3/SECRET", "SECRET", ""]
HIDDEN = "SECRET"
NOW = datetime.now(UTC).replace(microsecond=0)
KEYS = {
    "all": None,
    "bound": ("hall-3/*",),
    "exact": ("hall-3/b%c",),
    "several": ("hall-3/b_c", "hall-3/a", "hall-3/a", "hall-3/none"),
    "wild": ("hall-3/b_c", "%", "_*", ".*", "hall-[34]/*", "hall-3\\/*"),
    "none": (),
}
RANGE: dict[str, str] = {"from": (NOW - timedelta(days=1)).isoformat(), "to": (NOW + timedelta(days=1)).isoformat()}


class Bronze(InMemoryBronze):
    def sender(self, identifier: Any) -> str | None:  # noqa: ANN401 - an identifier
        found = self.objects.get(identifier)
        return None if found is None else found.client


class Api:
    """Query, with keys named after their bindings, over objects of all sources."""

    def __init__(self, tables: SilverInPostgres, monkeypatch: pytest.MonkeyPatch) -> None:
        bronze, silver = Bronze(), tables.silver()
        database = tables.open(database_user="dropzone_reader")
        sources = [*OURS, *OTHERS]
        self.batch, self.single = (earliest_raw_id(NOW - timedelta(seconds=seconds)) for seconds in (60, 30))
        good = [
            {"time_stamp": NOW.isoformat(), "data": [number], "source": each} for number, each in enumerate(sources)
        ]
        bad = [{**event, "data": []} for event in good]
        others = {**good[sources.index("hall-4/SECRET")], "time_stamp": (NOW - timedelta(minutes=1)).isoformat()}
        for identifier, events in ((self.batch, [*good, *bad]), (self.single, [others])):
            bronze.put(
                RawObject(
                    identifier, json.dumps(events).encode(), content_type=JSON, correlation_id="", client="device"
                )
            )
            process([message(identifier)], bronze=bronze, silver=silver, time_left=lambda: 60.0)
        entries = [
            ListedClient(
                name=name, sha256=sha256(name.encode()).hexdigest(), scopes=frozenset({Scope.READ}), reads=reads
            )
            for name, reads in KEYS.items()
        ]
        for name, value in (ENVIRONMENT | {"AWS_REGION": "eu-central-1"}).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(query, "settings", cache(query.settings.__wrapped__))
        monkeypatch.setattr(query, "clients", lambda: InMemoryClients(ClientsDocument(clients=tuple(entries))))
        monkeypatch.setattr(query, "bronze", lambda: bronze)
        monkeypatch.setattr(query, "database", lambda: database)

    def answer(
        self, key: str, path: str, _headers: Mapping[str, str] | None = None, /, **parameters: str
    ) -> dict[str, Any]:
        event = api_event(b"", like="api-process", path=path, query=parameters or None, headers=_headers)
        event["requestContext"]["identity"]["apiKey"] = key
        answer: dict[str, Any] = query.handler(event | {"httpMethod": "GET"}, Context())
        return answer

    def get(self, key: str, path: str, **parameters: str) -> dict[str, Any]:
        answer = self.answer(key, path, **parameters)
        assert answer["statusCode"] == 200, answer
        found: dict[str, Any] = json.loads(answer["body"])
        return found

    def pages(self, key: str, path: str, **parameters: str) -> list[dict[str, Any]]:
        """The rows of all pages of two rows each; none for an instant of which nothing may be read."""
        rows: list[dict[str, Any]] = []
        while True:
            answer = self.answer(key, path, limit="2", **parameters)
            if answer["statusCode"] == 404:
                return rows
            assert answer["statusCode"] == 200, answer
            page = json.loads(answer["body"])
            (found,) = (value for value in page.values() if isinstance(value, list))
            rows += found
            if "cursor" not in page:
                return rows
            assert len(found) == 2
            parameters["cursor"] = page["cursor"]


@pytest.fixture
def api(tables: SilverInPostgres, monkeypatch: pytest.MonkeyPatch) -> Api:
    return Api(tables, monkeypatch)


def asked(path: str) -> dict[str, str]:
    """What a list is asked for."""
    return {} if path == "/sources" else RANGE


LISTS: dict[str, dict[str, str]] = {
    "/measurements": RANGE,
    "/measurements/NOW": {},
    "/rejections": RANGE,
    "/sources": {},
    "/kpis": RANGE,
    "/quality": RANGE,
    "/kpis?granularity=minute": {"from": (NOW - timedelta(minutes=5)).isoformat()},
}


@pytest.mark.parametrize(
    ("path", "refreshed"),
    [*((path, False) for path in LISTS), *((path, True) for path in ("/sources", "/kpis", "/quality"))],
)
def test_list_has_the_rows_of_readable_sources_on_all_its_pages(
    api: Api, tables: SilverInPostgres, path: str, *, refreshed: bool
) -> None:
    if refreshed:
        tables.query("SELECT gold.refresh(1000000, interval '0')")
    parameters = LISTS[path]
    path, _, more = path.replace("NOW", NOW.isoformat()).partition("?")
    parameters = {**parameters, **dict(parse_qsl(more))}

    def sources(key: str, **also: str) -> list[str]:
        return sorted(row["source"] for row in api.pages(key, path, **parameters, **also))

    everything = sources("all")
    assert {*everything} == {*OURS, *OTHERS}
    assert sources("bound") == [each for each in everything if each in OURS]
    assert sources("exact") == [each for each in everything if each == "hall-3/b%c"]
    assert sources("several") == [each for each in everything if each in {"hall-3/a", "hall-3/b_c"}]
    assert sources("wild") == [each for each in everything if each == "hall-3/b_c"]
    assert sources("none") == []
    if path != "/sources":
        assert sources("bound", source="hall-4/SECRET") == []
    assert HIDDEN not in api.answer("bound", path, **parameters)["body"]


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("key", ["bound", "exact", "several"])
def test_pages_of_a_bound_key_are_in_the_order_of_all(api: Api, key: str, order: str) -> None:
    everything = api.pages("all", "/measurements", order=order, **RANGE)
    allowed = set(matched(key))

    assert api.pages(key, "/measurements", order=order, **RANGE) == [
        row for row in everything if row["source"] in allowed
    ]


def matched(key: str) -> list[str]:
    patterns = KEYS[key]
    return [source for source in [*OURS, *OTHERS] if patterns is None or matcher(patterns)(source)]


def test_figures_of_all_sources_together_count_only_the_readable_ones(api: Api) -> None:
    (all_,) = api.get("all", "/quality", together="true", granularity="month", **RANGE)["quality"][-1:]
    (bound,) = api.get("bound", "/quality", together="true", granularity="month", **RANGE)["quality"][-1:]

    assert all_["received"] == 2 * len([*OURS, *OTHERS]) + 1
    assert (bound["received"], bound["rejected"]) == (2 * len(OURS), len(OURS))


def test_status_has_the_events_of_readable_sources_and_their_counts(api: Api) -> None:
    status = api.get("bound", f"/ingest/{api.batch}")

    assert status["items"] == 2 * len(OURS)
    assert status["counts"] == {"processed": len(OURS), "superseded": 0, "rejected": len(OURS)}
    assert [event["item"] for event in status["events"]] == [0, 1, 2, 8, 9, 10]
    assert HIDDEN not in json.dumps(status)
    first = api.get("bound", f"/ingest/{api.batch}", limit="3")
    assert [event["item"] for event in first["events"]] == [0, 1, 2]
    second = api.get("bound", f"/ingest/{api.batch}", limit="3", cursor=str(first["cursor"]))
    assert [event["item"] for event in second["events"]] == [8, 9, 10]
    assert "cursor" not in second


def test_object_without_a_readable_event_is_not_there(api: Api) -> None:
    never = earliest_raw_id(NOW)
    missing = api.answer("bound", f"/ingest/{never}")

    assert missing["statusCode"] == 404
    assert api.answer("bound", f"/ingest/{api.single}")["body"] == missing["body"]
    assert api.answer("none", f"/ingest/{api.batch}")["statusCode"] == 404
    assert api.get("all", f"/ingest/{api.single}")["source"] == "hall-4/SECRET"


def test_measurement_of_another_source_is_not_found_at_its_instant(api: Api) -> None:
    instant = (NOW - timedelta(minutes=1)).isoformat()

    assert api.answer("all", f"/measurements/{instant}")["statusCode"] == 200
    assert api.answer("bound", f"/measurements/{instant}")["statusCode"] == 404


@pytest.mark.parametrize("path", ["/measurements", "/rejections", "/sources", "/kpis", "/quality"])
def test_cursor_made_under_another_key_opens_nothing_more(api: Api, path: str) -> None:
    parameters = asked(path)
    page = api.get("all", path, limit="1", **parameters)
    (first,) = (value for value in page.values() if isinstance(value, list))

    found = api.pages("bound", path, cursor=page["cursor"], **parameters)

    assert found
    assert found == [row for row in api.pages("bound", path, **parameters) if row not in first]


def test_tag_and_kept_copy_are_a_key_s_own(api: Api) -> None:
    mine = api.answer("all", "/measurements", **RANGE)
    tag = header(mine, "ETag")
    assert tag is not None

    theirs = api.answer("bound", "/measurements", {"If-None-Match": tag}, **RANGE)

    assert theirs["statusCode"] == 200
    assert header(theirs, "ETag") != tag
    for answer in (mine, theirs):
        assert {"X-Api-Key", "Authorization"} <= set((header(answer, "Vary") or "").split(", "))
        assert header(answer, "Cache-Control") == "private, no-cache"


def test_other_formats_are_limited_too(api: Api) -> None:
    for accept in ("text/csv", "application/x-ndjson"):
        for path in ("/measurements", "/kpis", "/quality", "/sources"):
            answer = api.answer("bound", path, {"Accept": accept}, **asked(path))
            assert answer["statusCode"] == 200
            assert "hall-3/a" in answer["body"]
            assert HIDDEN not in answer["body"]
