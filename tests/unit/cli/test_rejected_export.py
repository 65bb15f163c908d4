"""`dropzone rejected export`: the bytes of rejected events, cut out of their objects."""

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from dropzone.domain.body import is_ndjson, split
from dropzone_cli.stored import of_answer
from support.factories import raw_id, raw_ids
from unit.cli.harness import Cli, FakeApi, document

pytestmark = pytest.mark.usefixtures("local")  # where no stack on AWS is named

NDJSON, JSON = "application/x-ndjson", "application/json"
EMPTY = [{"code": "data.empty", "field": "data", "message": "is empty"}]


@dataclass
class Rejecting(FakeApi):
    """Pages of rejections, and objects."""

    pages: Sequence[Sequence[tuple[UUID, int]]] = ()
    objects: Mapping[UUID, tuple[str, bytes]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    events: Mapping[tuple[UUID, int], bytes] = field(default_factory=dict)
    """What mappings make of objects, by item."""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.path.endswith("/rejections"):
            number = int(request.url.params.get("cursor", "0"))
            rejections = [
                {"raw_id": str(each), "item": item, "source": "hall-3", "violations": EMPTY, "contract": "x"}
                for each, item in self.pages[number]
            ]
            more = {"cursor": str(number + 1)} if number + 1 < len(self.pages) else {}
            return httpx.Response(200, json={"rejections": rejections, **more})
        identifier = UUID(request.url.path.split("/")[-2])
        found = self.objects.get(identifier)
        if "item" in request.url.params:
            event = self.events.get((identifier, int(request.url.params["item"])))
            found = None if event is None else (JSON, event)
        if found is None:
            return httpx.Response(404, json={"type": "urn:dropzone:problem:not-found", "detail": "Gone."})
        return httpx.Response(200, content=found[1], headers={"Content-Type": found[0], **self.headers})

    def read(self) -> list[str]:
        return [request.url.path.split("/")[-2] for request in self.requests if request.url.path.endswith("/raw")]


def lines() -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path("bad.ndjson").read_bytes().splitlines()]


def test_each_event_is_written_with_its_own_bytes() -> None:
    # GIVEN rejected events of lines, of an array and alone, over two pages
    ndjson, array, alone = raw_ids(3)
    api = Rejecting(
        pages=[[(ndjson, 0), (ndjson, 2)], [(array, 1), (alone, 0)]],
        objects={
            ndjson: (NDJSON, b'{"data":[1e400]}\n\n{"a": 1}\r\n{"data": [ ],"n":12345678901234567890}'),
            array: (f"{JSON}; charset=utf-8", b'\xef\xbb\xbf[{"a": 1},\n {"data": "\xc2\xb0",\r\n "b": [1, 2]}]'),
            alone: (JSON, b'\n{"data": []}\n'),
        },
    )

    # WHEN they are exported
    result = Cli(api)("rejected", "export", "--code", "data.empty", "--source", "hall-3", "--out", "bad.ndjson")

    # THEN each line names an event and has its text as it came, and each object was asked for once
    assert result.exit_code == 0, result.stderr
    assert "4 rejected events in bad.ndjson" in result.stderr
    described = f'"source": "hall-3", "violations": {json.dumps(EMPTY)}, "event": '
    assert Path("bad.ndjson").read_text(encoding="utf-8").splitlines() == [
        f'{{"raw_id": "{ndjson}", "item": 0, {described}{{"data":[1e400]}}}}',
        f'{{"raw_id": "{ndjson}", "item": 2, {described}{{"data": [ ],"n":12345678901234567890}}}}',
        f'{{"raw_id": "{array}", "item": 1, {described}{{"data": "°",   "b": [1, 2]}}}}',
        f'{{"raw_id": "{alone}", "item": 0, {described}{{"data": []}}}}',
    ]
    assert sorted(api.read()) == sorted(map(str, [ndjson, array, alone]))
    assert dict(api.requests[0].url.params) == {"code": "data.empty", "source": "hall-3", "limit": "1000"}


@pytest.mark.parametrize("encoding", [{"Content-Encoding": "gzip"}, {}])
def test_packed_objects_are_unpacked(encoding: dict[str, str]) -> None:
    identifier = raw_id()
    body = gzip.compress(b'{"a": 1}\n{"a": 2}')
    api = Rejecting(pages=[[(identifier, 1)]], objects={identifier: (NDJSON, body)}, headers=encoding)

    assert Cli(api)("rejected", "export", "--out", "bad.ndjson").exit_code == 0

    assert [line["event"] for line in lines()] == [{"a": 2}]


def test_what_is_no_json_is_text_and_what_is_gone_is_reported() -> None:
    # GIVEN a line that is no JSON, an object that is gone, and a batch that ends early
    broken, gone, short = raw_ids(3)
    api = Rejecting(
        pages=[[(broken, 0), (broken, 1), (gone, 0), (short, 5)]],
        objects={
            broken: (NDJSON, b'{"a": \xff}\n{"a": NaN}'),
            short: (JSON, b'[{"a": 1}]'),
        },
    )

    result = Cli(api)("rejected", "export", "--out", "bad.ndjson", "--json")

    assert result.exit_code == 1
    assert document(result) == {"events": 4, "missing": 2, "file": "bad.ndjson"}
    assert [(line["raw_id"], line["event"], line["text"]) for line in lines()] == [
        (str(broken), None, '{"a": \\xff}'),
        (str(broken), None, '{"a": NaN}'),
        *((str(each), None, None) for each in (gone, short)),
    ]


def test_an_event_that_was_made_of_a_body_is_asked_for() -> None:
    # GIVEN a body that a mapping reads, of whose second event nothing could be made
    mapped = raw_id()
    body = b'{"metrics": [{}, {}]}'
    api = Rejecting(
        pages=[[(mapped, 0), (mapped, 1)]],
        objects={mapped: (JSON, body)},
        headers={"Dropzone-Contract": "telegraf"},
        events={(mapped, 0): b'{"schema_version":2,"data":[5]}'},
    )

    assert Cli(api)("rejected", "export", "--out", "bad.ndjson").exit_code == 0

    # THEN there is the event as it was validated, and the body where there is none
    assert [(line["event"], line.get("text")) for line in lines()] == [
        ({"schema_version": 2, "data": [5]}, None),
        (None, body.decode()),
    ]


def test_of_what_send_reported_there_is_the_line() -> None:
    reported = {"client_rejected": {"code": "row.cells", "reason": "has 2 cells", "text": "a,b"}}
    identifier = raw_id()
    api = Rejecting(pages=[[(identifier, 0)]], objects={identifier: (NDJSON, json.dumps(reported).encode() + b"\n")})

    assert Cli(api)("rejected", "export", "--out", "bad.ndjson").exit_code == 0

    assert [(line["event"], line["text"]) for line in lines()] == [(None, "a,b")]


def test_a_file_that_cannot_be_written_is_refused() -> None:
    api = Rejecting(pages=[[]])
    assert Cli(api)("rejected", "export", "--out", "absent/bad.ndjson").exit_code == 2
    assert api.requests == []
    assert Cli(api)("rejected", "export").exit_code == 2


@pytest.mark.parametrize("command", [["list"], ["export", "--out", "bad.ndjson"]])
def test_resolved_rejections_are_asked_for(command: list[str]) -> None:
    api = Rejecting(pages=[[]])
    for asked in ("true", "all", "false"):
        assert Cli(api)("rejected", *command, "--resolved", asked).exit_code == 0
    assert Cli(api)("rejected", *command, "--resolved", "yes").exit_code == 2

    assert [request.url.params["resolved"] for request in api.requests] == ["true", "all", "false"]


@pytest.mark.parametrize(
    "content_type",
    [NDJSON, "application/jsonl", "text/x-ndjson", "application/json-lines", "application/x-ldjson", JSON, "text/json"],
)
def test_events_are_counted_as_the_api_counts_them(content_type: str) -> None:
    body = b'\xef\xbb\xbf{"a": 1}\n\n{"a": 2}\n'
    expected = len(split(body, content_type)[0]) if is_ndjson(content_type) else 1
    assert len([*of_answer(f"{content_type}; charset=utf-8", body).items()]) == expected
