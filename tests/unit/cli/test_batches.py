"""What is shown of batches: counts, rejections, every event; and the bytes of one event, packed or not."""

import gzip
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from dropzone.domain.identifiers import object_key
from dropzone_cli import output
from support.factories import raw_id
from support.packing import gzipped
from unit.cli.harness import Cli, FakeApi, FakeIngest, Stack, document

pytestmark = pytest.mark.usefixtures("local")  # where no stack on AWS is named

REASON = [{"code": "data.empty", "field": "data", "message": "is empty"}]


def batch(processed: int = 0, superseded: int = 0, rejected: int = 0, **others: object) -> dict[str, Any]:
    return {
        "status": "processed" if processed else "superseded" if superseded else "rejected",
        "items": processed + superseded + rejected,
        "counts": {"processed": processed, "superseded": superseded, "rejected": rejected},
        "events": [{"item": 0, "status": "processed"}],
        "cursor": 0,
        **others,
    }


def page(**answer: object) -> httpx.Response:
    return httpx.Response(200, json=answer)


def rejection(identifier: UUID, item: int) -> dict[str, Any]:
    return {"raw_id": str(identifier), "item": item, "violations": REASON}


@pytest.mark.parametrize(
    ("status", "code", "details"),
    [
        (batch(processed=1_000), 0, "1,000 events: 1,000 processed"),
        (batch(processed=3, superseded=2), 0, "5 events: 3 processed, 2 superseded"),
        (batch(superseded=2), 0, "2 events: 2 superseded"),
    ],
)
def test_a_batch_is_counted(cli: Cli, api: FakeApi, status: dict[str, Any], code: int, details: str) -> None:
    identifier = raw_id()
    api.statuses = {identifier: status}

    result = cli("status", identifier)

    assert result.exit_code == code
    assert result.stdout == f"{identifier}\t{status['status']}\t{details}\n"
    assert dict(api.requests[0].url.params)["limit"] == "1"


def test_the_first_rejections_of_a_batch_are_reported(cli: Cli, api: FakeApi) -> None:
    identifier, other = raw_id(), raw_id()
    api.answers = [
        page(raw_id=str(identifier), **batch(processed=1, rejected=3)),
        page(rejections=[rejection(other, 0), rejection(identifier, 4)], cursor="next"),
        page(rejections=[rejection(identifier, 6), rejection(identifier, 7)]),
    ]

    result = cli("status", identifier, "--rejections", 2)

    assert result.exit_code == 1
    assert result.stdout.split("\t")[2] == (
        "4 events: 1 processed, 3 rejected; item 4 data.empty: data is empty; item 6 data.empty: data is empty; "
        "and 1 more\n"
    )
    asked = [dict(request.url.params) for request in api.requests[1:]]
    assert asked[1] == asked[0] | {"cursor": "next"}
    assert asked[0]["from"] < asked[0]["to"]


@pytest.mark.parametrize("number", [0, 3])
def test_the_rejections_of_a_batch_as_json(cli: Cli, api: FakeApi, number: int) -> None:
    identifier = raw_id()
    answered = batch(processed=1, rejected=1)
    api.answers = [page(raw_id=str(identifier), **answered), page(rejections=[rejection(identifier, 1)])]

    (status,) = document(cli("status", identifier, "--json", "--rejections", number))["statuses"]

    assert status.get("rejections") == ([rejection(identifier, 1)] if number else None)
    assert not {"events", "cursor"} & set(status)
    assert status["counts"] == answered["counts"]


@pytest.mark.parametrize("form", ["lines", "json"])
def test_every_event_of_a_batch(cli: Cli, api: FakeApi, form: str) -> None:
    identifier = raw_id()
    events = [
        {"item": 0, "status": "processed", "measured_at": "t", "mean": 1, "std_dev": 0, "sample_count": 1},
        {"item": 1, "status": "rejected", "violations": REASON},
        {"item": 2, "status": "superseded", "superseded_by": "x"},
    ]
    status = batch(processed=1, superseded=1, rejected=1)
    api.answers = [
        page(raw_id=str(identifier), **status),
        page(**status | {"events": events[:2], "cursor": 1}),
        page(**{name: value for name, value in status.items() if name != "cursor"} | {"events": events[2:]}),
    ]

    result = cli("status", identifier, "--events", *(["--json"] if form == "json" else []))

    assert result.exit_code == 1
    assert [dict(request.url.params) for request in api.requests[1:]] == [
        {"limit": "1000", "cursor": "-1"},
        {"limit": "1000", "cursor": "1"},
    ]
    if form == "json":
        assert document(result)["statuses"][0]["events"] == events
        return
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert lines[1][:3] == [str(identifier), "0", "processed"]
    assert lines[2] == [str(identifier), "1", "rejected", "data.empty: data is empty"]
    assert lines[3][:3] == [str(identifier), "2", "superseded"]


def test_a_batch_on_a_terminal(cli: Cli, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    identifier = raw_id()
    api.answers = [
        page(raw_id=str(identifier), **batch(processed=1, rejected=1)),
        page(rejections=[rejection(identifier, 1)]),
    ]
    monkeypatch.setattr(output.Output, "for_eyes", True)
    monkeypatch.setenv("COLUMNS", "120")

    shown = [" ".join(line.split()) for line in cli("status", identifier).stdout.splitlines()]

    assert "rejected 1" in shown
    assert "item 1 rejected: data.empty: data is empty" in shown
    assert not [line for line in shown if line.startswith("events")]


def test_status_waits_for_batches(cli: Cli, api: FakeApi) -> None:
    identifier = raw_id()
    waiting = page(raw_id=str(identifier), status="accepted", attempts=0)
    api.answers = [waiting, waiting, page(raw_id=str(identifier), **batch(processed=2))]

    result = cli("status", identifier, "--wait")

    assert (result.exit_code, len(api.requests)) == (0, 3)


def test_all_that_a_resume_file_tells_of(api: FakeApi, cli: Cli) -> None:
    bronze = FakeIngest()
    Path("a.ndjson").write_text('{"a":1}\n{"a":2}\n{"a":3}\n')
    assert Cli(bronze)("send", "a.ndjson", "--batch-size", 1, "--parallel", 1).exit_code == 0
    api.statuses = {identifier: batch(processed=1) for identifier in bronze.objects}
    extra = raw_id()

    result = cli("status", extra, "--sent", "a.ndjson.dropzone-resume")

    assert result.exit_code == 1
    assert [line.split("\t")[0] for line in result.stdout.splitlines()] == [*map(str, [extra, *bronze.objects])]
    for wrong in ("absent", "a.ndjson"):
        assert cli("status", "--sent", wrong).exit_code == 2


def test_rejected_events_of_a_source(cli: Cli, api: FakeApi) -> None:
    identifier = raw_id()
    api.answers = [page(rejections=[rejection(identifier, 0)], cursor=f"{identifier}.0"), page(rejections=[])]

    result = cli("rejected", "list", "--source", "hall-3", "--limit", 1)
    cli("rejected", "list", "--source", "", "--cursor", f"{identifier}.0")

    assert f"--cursor {identifier}.0" in result.stderr
    assert [dict(request.url.params) for request in api.requests] == [
        {"source": "hall-3", "limit": "1"},
        {"source": "", "cursor": f"{identifier}.0", "limit": "50"},
    ]


def test_a_rejected_event_is_listed_with_its_source(cli: Cli, api: FakeApi) -> None:
    api.answers = [page(rejections=[rejection(raw_id(), 3) | {"source": "hall-3"}, rejection(raw_id(), 4)])]

    lines = [line.split("\t") for line in cli("rejected", "list").stdout.splitlines()]

    assert [(line[2], line[3]) for line in lines] == [("3", "hall-3"), ("4", "")]


@pytest.mark.parametrize(
    ("by", "counted"),
    [
        ("code", [["data.empty", "5"], ["time_stamp.not_string", "1"]]),
        ("source", [["a", "3"], ["", "2"]]),
        ("code,source", [["data.empty", "a", "3"], ["data.empty", "", "2"], ["time_stamp.not_string", "a", "1"]]),
        ("source, code", [["a", "data.empty", "3"], ["", "data.empty", "2"], ["a", "time_stamp.not_string", "1"]]),
    ],
)
def test_rejected_events_are_counted_over_all_pages(cli: Cli, api: FakeApi, by: str, counted: list[list[str]]) -> None:
    twice = [*REASON, *REASON, {"code": "time_stamp.not_string", "field": "time_stamp", "message": "is no string"}]
    first = [rejection(raw_id(), 0) | {"source": "a"}, rejection(raw_id(), 0) | {"source": "a", "violations": twice}]
    second = [rejection(raw_id(), 0) | {"source": "a"}, rejection(raw_id(), 0), rejection(raw_id(), 0)]
    pages = [page(rejections=first, cursor="next"), page(rejections=second)]
    api.answers = [*pages, *pages]

    result, printed = cli("rejected", "list", "--by", by), document(cli("rejected", "list", "--by", by, "--json"))

    assert [line.split("\t") for line in result.stdout.splitlines()] == counted
    assert "5 rejected events." in result.stderr
    assert printed["events"] == 5
    assert [[*map(str, row.values())] for row in printed["counts"]] == counted
    assert dict(api.requests[1].url.params) == {"limit": "1000", "cursor": "next"}


@pytest.mark.parametrize("by", ["colour", "code,code", "code,raw_id"])
def test_rejected_events_are_counted_by_codes_and_sources_alone(cli: Cli, api: FakeApi, by: str) -> None:
    assert cli("rejected", "list", "--by", by).exit_code == 2
    assert api.requests == []


LINES = b'{"a":\x1b1}\n\n \r\n{"b": 2}\r\n[3]'


def put(stack: Stack, body: bytes, content_type: str = "application/x-ndjson", *, packed: bool = False) -> UUID:
    identifier = raw_id()
    stack.s3.put_object(
        Bucket=stack.bucket,
        Key=object_key(identifier),
        Body=gzipped(body) if packed else body,
        ContentType=content_type,
        **({"ContentEncoding": "gzip"} if packed else {}),  # type: ignore[arg-type]
    )
    return identifier


@pytest.mark.parametrize(
    ("body", "content_type", "item", "text"),
    [
        (LINES, "application/x-ndjson", 0, b'{"a":\x1b1}'),
        (LINES, "application/jsonl", 1, b'{"b": 2}\r'),
        (LINES, "application/x-ndjson", 2, b"[3]"),
        (LINES, "application/x-ndjson", 3, None),
        (b' [{"a":1},\n {"b": [2]}]', "application/json", 1, b'{"b": [2]}'),
        (b'[{"a":1}]', "application/json", 1, None),
        (b'[{"a":1}, ]', "application/json", 1, None),
        (b'{"a":\n1}', "application/json", 0, b'{"a":\n1}'),
        (b'{"a":1}', "application/json", 1, None),
    ],
)
def test_the_bytes_of_one_event(
    cli: Cli, stack: Stack, body: bytes, content_type: str, item: int, text: bytes | None
) -> None:
    for packed in (False, True):
        identifier = put(stack, body, content_type, packed=packed)

        result = cli("rejected", "show", identifier, "--item", item, "--raw")
        written = cli("rejected", "show", identifier, "--item", item, "--output", "out")

        assert (result.stdout_bytes, result.exit_code) == ((b"", 1) if text is None else (text, 0))
        assert written.exit_code == result.exit_code
        assert text is None or Path("out").read_bytes() == text
        assert text is not None or f"has no event {item}" in result.stderr


def test_one_event_of_a_batch_with_its_reasons(cli: Cli, api: FakeApi, stack: Stack) -> None:
    identifier = put(stack, LINES, packed=True)
    event = {"item": 1, "status": "rejected", "violations": REASON}
    api.answers = [page(**batch(processed=2, rejected=1) | {"events": [event]})] * 2

    result = cli("rejected", "show", identifier, "--item", 1)
    printed = document(cli("rejected", "show", identifier, "--item", 1, "--json"))

    assert dict(api.requests[0].url.params) == {"limit": "1", "cursor": "0"}
    assert result.stdout.startswith(f"raw_id\t{identifier}\nitem\t1\nstatus\trejected\nviolation\tdata.empty")
    assert result.stdout.endswith('\n\n{"b": 2}\\r\n')
    assert printed["status"] == {"raw_id": str(identifier), **event}
    assert printed["object"]["preview"] == '{"b": 2}\\r'
    assert printed["object"]["packed"] is True


def test_a_packed_batch_is_shown_unpacked(cli: Cli, api: FakeApi, stack: Stack) -> None:
    text = b'{"a":1}\n' * 1_000
    identifier = put(stack, text, packed=True)
    api.answers = [
        page(raw_id=str(identifier), **batch(processed=999, rejected=1)),
        page(rejections=[rejection(identifier, 7)]),
    ]

    result = cli("rejected", "show", identifier)

    assert "rejected\t1\nitem 7\trejected: data.empty: data is empty\nsize\t" in result.stdout
    assert "bytes, gzipped" in result.stdout
    assert result.stdout.endswith('{"a":1}\n' * 256 + "\n")
    assert "… more: --raw prints all" in result.stderr
    assert gzip.decompress(cli("rejected", "show", identifier, "--raw").stdout_bytes) == text


@pytest.mark.parametrize("damage", ["no gzip", "cut off"])
def test_what_is_said_to_be_packed_and_is_damaged_is_shown_as_it_is(
    cli: Cli, api: FakeApi, stack: Stack, damage: str
) -> None:
    identifier = raw_id()
    body = b"no gzip at all" if damage == "no gzip" else gzipped(json.dumps([*range(999)]).encode())[:100]
    stack.s3.put_object(
        Bucket=stack.bucket, Key=object_key(identifier), Body=body, ContentEncoding="gzip", ContentType="x"
    )
    api.statuses = {identifier: {"status": "rejected", "violations": REASON}}

    result = cli("rejected", "show", identifier)

    assert result.exit_code == 0
    assert ("no gzip at all" if damage == "no gzip" else "\\x1f\\x8b") in result.stdout
    assert cli("rejected", "show", identifier, "--item", 0, "--raw").exit_code == 1
