"""`POST /ingest`: what is refused, how, and that nothing of it stays."""

from base64 import b64encode
from functools import cache

import pytest

from dropzone_ingest import handler
from functional.conftest import MAX_BODY_BYTES
from functional.ingest_function import IngestFunction
from functional.lambda_calls import EXAMPLE, api_event, header, json_body
from functional.scripted_s3 import Answer, ScriptedS3, refusal

MARKER = "MARKER-OF-THE-PAYLOAD"

NO_JSON = {
    "empty": b"",
    "blank": b" \r\n",
    "broken": b'{"time_stamp": "MARKER-OF-THE-PAYLOAD',
    "more than one": EXAMPLE * 2,
    "NaN": b'{"time_stamp": "MARKER-OF-THE-PAYLOAD", "data": [NaN]}',
    "Infinity": b'{"time_stamp": "MARKER-OF-THE-PAYLOAD", "data": [-Infinity]}',
    "a byte order mark alone": b"\xef\xbb\xbf",
    "UTF-16": EXAMPLE.decode().encode("utf-16"),
    "not UTF-8": b'{"time_stamp": "MARKER-OF-THE-PAYLOAD\xff", "data": []}',
    "a lone surrogate, escaped": rb'{"time_stamp": "MARKER-OF-THE-PAYLOAD\ud800", "data": []}',
    "a lone surrogate, in CESU-8": b'{"time_stamp": "MARKER-OF-THE-PAYLOAD\xed\xa0\x80", "data": []}',
    "too deep": b'{"data": [' * 100_000,
    "too deep, though closed": b"[" * 5_000 + b"]" * 5_000,
    "single quotes": b"{'time_stamp': 'MARKER-OF-THE-PAYLOAD', 'data': []}",
}

NO_EVENT: dict[str, tuple[bytes, list[tuple[str, str]]]] = {
    "an empty array": (b" [] ", [("$", "payload.empty_batch")]),
    "a string": (b'"MARKER-OF-THE-PAYLOAD"', [("$", "payload.not_object")]),
    "null": (b"null", [("$", "payload.not_object")]),
    "a number": (b"1e400", [("$", "payload.not_object")]),
    "an empty object": (b"{}", [("time_stamp", "payload.missing_field"), ("data", "payload.missing_field")]),
    "without a time": (b'{"data": [0]}', [("time_stamp", "payload.missing_field")]),
    "without data": (b'{"time_stamp": "MARKER-OF-THE-PAYLOAD"}', [("data", "payload.missing_field")]),
    "both of the wrong type": (
        b'{"time_stamp": 5, "data": "MARKER-OF-THE-PAYLOAD"}',
        [("time_stamp", "time_stamp.not_string"), ("data", "data.not_array")],
    ),
    "both null": (
        b'{"time_stamp": null, "data": null}',
        [("time_stamp", "time_stamp.not_string"), ("data", "data.not_array")],
    ),
    "names in capitals": (
        b'{"TIME_STAMP": "MARKER-OF-THE-PAYLOAD", "DATA": []}',
        [("time_stamp", "payload.missing_field"), ("data", "payload.missing_field")],
    ),
}

OTHER_TYPES = [
    "text/csv",
    "text/jsonx",
    "application/xml",
    "application/jsonx",
    "application/json-seq",
    "application/+json",
    "multipart/form-data; boundary=x",
    "application/json, application/json",
    f"application/{'x' * 2_000}+json",
]


@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON.keys())
def test_what_is_no_json_is_refused(ingest_function: IngestFunction, body: bytes) -> None:
    problem = ingest_function.refused(api_event(body), 400)

    assert problem["type"] == "urn:dropzone:problem:not-json"
    assert "violations" not in problem
    assert MARKER not in str(problem)


@pytest.mark.parametrize(("body", "violations"), NO_EVENT.values(), ids=NO_EVENT.keys())
def test_what_is_no_event_is_refused_with_all_its_reasons(
    ingest_function: IngestFunction, body: bytes, violations: list[tuple[str, str]]
) -> None:
    problem = ingest_function.refused(api_event(body), 422)

    assert problem["type"] == "urn:dropzone:problem:invalid-event"
    assert [(entry["field"], entry["code"]) for entry in problem["violations"]] == violations
    assert all(entry.keys() == {"field", "code", "message"} and entry["message"] for entry in problem["violations"])
    assert MARKER not in str(problem)


@pytest.mark.parametrize(
    ("path", "media_type", "body", "detail", "field"),
    [
        ("/ingest", "application/json", b"5", "The body must be an event (", "$"),
        ("/ingest", "application/x-ndjson", b"5", "The body must be an event (", "$[0]"),
        ("/ingest", "application/senml+json", b"{}", "The body must be a SenML pack: ", "$"),
        ("/ingest", "application/sensml+json", b"[5]", "The body must be a SenML pack: ", "$[0]"),
        ("/ingest", "application/cloudevents+json", b"{}", "The body must be a CloudEvent 1.0 ", "specversion"),
        ("/ingest", "application/cloudevents-batch+json", b"[{}]", "The body must be an array of ", "$[0].specversion"),
        ("/ingest", "text/plain", b'{"data": []}', "The body must be InfluxDB's line protocol ", "$[0]"),
        ("/ingest/telegraf", "application/x-ndjson", b"\n", "The body must be JSON or NDJSON ", "$"),
    ],
)
def test_a_refusal_says_what_a_body_of_its_media_type_must_be(
    ingest_function: IngestFunction, path: str, media_type: str, body: bytes, detail: str, field: str
) -> None:
    event = api_event(body, path=path, headers={"Content-Type": media_type})
    if path != "/ingest":
        event["pathParameters"] = {"id": path.rpartition("/")[2]}
    problem = ingest_function.refused(event, 422)

    assert problem["detail"].startswith(detail)
    assert problem["violations"][0]["field"] == field


@pytest.mark.parametrize(
    ("media_type", "status", "reason", "codes"),
    [
        ("text/html", 415, "Send JSON with the header Content-Type: application/json", []),
        ("application/json", 400, "The body is not JSON: expected value at line 1 column 1.", []),
        ("application/x-ndjson", 422, "The body must be an event (", ["payload.not_json"]),
        ("text/plain", 422, "The body must be InfluxDB's line protocol ", ["payload.mapping_failed"]),
    ],
)
def test_an_html_page_is_refused_by_the_media_type_that_it_is_sent_with(
    ingest_function: IngestFunction, media_type: str, status: int, reason: str, codes: list[str]
) -> None:
    page = b"<!DOCTYPE html>\n<html>\n<title>MARKER-OF-THE-PAYLOAD</title>\n</html>\n"
    problem = ingest_function.refused(api_event(page, headers={"Content-Type": media_type}), status)

    assert problem["detail"].startswith(reason)
    assert [violation["code"] for violation in problem.get("violations", [])] == codes
    assert MARKER not in str(problem)


@pytest.mark.parametrize("contract", ["telegraf", "default"])
def test_lines_of_influxdb_get_a_hint_to_name_no_contract(ingest_function: IngestFunction, contract: str) -> None:
    event = api_event(b"m f=1", path=f"/ingest/{contract}", headers={"Content-Type": "text/plain; charset=utf-8"})
    problem = ingest_function.refused(event | {"pathParameters": {"id": contract}}, 415)

    assert problem["detail"].startswith(
        "Send InfluxDB's line protocol to POST /ingest, without a contract's identifier"
    )


def test_several_events_on_a_line_get_a_hint_how_to_send_them(ingest_function: IngestFunction) -> None:
    body, hint = EXAMPLE + EXAMPLE, "to send several events, put each on its own line"
    problem = ingest_function.refused(api_event(body), 400)
    assert problem["detail"].endswith(f"{hint}, with Content-Type: application/x-ndjson.")
    problem = ingest_function.refused(api_event(body, headers={"Content-Type": "application/x-ndjson"}), 422)
    assert problem["violations"][0]["message"].endswith(hint)


def test_lines_in_utf_16_are_no_json(ingest_function: IngestFunction) -> None:
    body = (EXAMPLE.decode() + "\r\n").encode("utf-16")
    problem = ingest_function.refused(api_event(body, headers={"Content-Type": "application/x-ndjson"}), 400)

    assert problem["type"] == "urn:dropzone:problem:not-json"
    assert problem["detail"] == "The body is not JSON: it is encoded in UTF-16; send UTF-8."


@pytest.mark.parametrize("size", [MAX_BODY_BYTES + 1, MAX_BODY_BYTES + 400_000])
def test_what_is_too_large_is_refused_with_both_sizes(ingest_function: IngestFunction, size: int) -> None:
    problem = ingest_function.refused(api_event(EXAMPLE.ljust(size)), 413)

    assert problem["type"] == "urn:dropzone:problem:too-large"
    assert str(size) in problem["detail"]
    assert str(MAX_BODY_BYTES) in problem["detail"]


@pytest.mark.parametrize("content_type", OTHER_TYPES)
def test_another_media_type_is_refused(ingest_function: IngestFunction, content_type: str) -> None:
    problem = ingest_function.refused(api_event(headers={"Content-Type": content_type}), 415)

    assert problem["type"] == "urn:dropzone:problem:unsupported-media-type"
    assert "Content-Type: application/json" in problem["detail"]


def test_curls_default_media_type_is_refused_with_a_hint(ingest_function: IngestFunction) -> None:
    event = api_event(headers={"content-type": "application/x-www-form-urlencoded"})

    problem = ingest_function.refused(event, 415)

    assert "-H 'content-type: application/json'" in problem["detail"]


@pytest.mark.parametrize("body", ["not base64!", "eyJ0", "ü", f"{b64encode(EXAMPLE).decode()}!"])
def test_a_body_that_is_not_the_base64_it_says_is_refused(ingest_function: IngestFunction, body: str) -> None:
    ingest_function.refused({**api_event(), "body": body}, 400)


@pytest.mark.parametrize("body", [None, "", "\ud800", '{"time_stamp": "\udfff", "data": []}'])
def test_a_body_of_text_is_refused_by_the_same_rules(ingest_function: IngestFunction, body: str | None) -> None:
    ingest_function.refused({**api_event(), "body": body, "isBase64Encoded": False}, 400)


def test_another_path_is_not_found(ingest_function: IngestFunction) -> None:
    problem = ingest_function.refused(api_event(path="/elsewhere"), 404)

    assert problem["type"] == "urn:dropzone:problem:not-found"


def test_another_method_is_not_found(ingest_function: IngestFunction) -> None:
    ingest_function.refused({**api_event(), "httpMethod": "DELETE"}, 404)


@pytest.fixture
def failing_s3(
    ingest_function: IngestFunction, scripted_s3: ScriptedS3, monkeypatch: pytest.MonkeyPatch
) -> tuple[IngestFunction, ScriptedS3]:
    """The function with a script in place of S3."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", scripted_s3.endpoint)
    return ingest_function, scripted_s3


@pytest.mark.parametrize(
    "answer_of_s3", [refusal(503, "SlowDown"), refusal(403, "AccessDenied"), refusal(404, "NoSuchBucket")]
)
def test_while_s3_fails_nothing_is_promised(
    failing_s3: tuple[IngestFunction, ScriptedS3], answer_of_s3: Answer
) -> None:
    function, server = failing_s3
    server.script = [answer_of_s3]

    answer = function(api_event())

    assert header(answer, "Retry-After") == "5"
    problem = function.refused(api_event(), 503)
    assert problem["type"] == "urn:dropzone:problem:unavailable"
    assert "AccessDenied" not in problem["detail"]


def test_identifiers_that_are_all_taken_are_no_promise(failing_s3: tuple[IngestFunction, ScriptedS3]) -> None:
    function, server = failing_s3
    server.script = [refusal(412, "PreconditionFailed")]

    function.refused(api_event(), 503)

    assert len({asked.path for asked in server.asked}) == len(server.asked) > 1


class BrokenBronze:
    """Fails in a way that nobody foresaw."""

    def put(self, *_: object, **__: object) -> None:
        raise ZeroDivisionError(MARKER)


def test_what_nobody_foresaw_is_a_problem_too(ingest_function: IngestFunction, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handler, "bronze", cache(BrokenBronze))

    problem = ingest_function.refused(api_event(), 500)

    assert problem["type"] == "urn:dropzone:problem:internal-error"
    assert MARKER not in str(problem)


def test_a_taken_identifier_is_followed_by_another(failing_s3: tuple[IngestFunction, ScriptedS3]) -> None:
    function, server = failing_s3
    server.script = [refusal(412, "PreconditionFailed"), refusal(503, "SlowDown"), Answer()]

    answer = function(api_event())

    assert answer["statusCode"] == 202
    first, second, third = (asked.path for asked in server.asked)
    assert first != second == third
    assert json_body(answer)["raw_id"] in third
