"""What the function Ingest writes: one JSON object a line, the request's id in each, nothing of payload or key."""

from pathlib import Path
from typing import Any

import pytest

from functional.lambda_calls import Container, api_event, json_body, run_container
from functional.scripted_s3 import Answer, ScriptedS3, refusal
from support.traces import assert_no_trace

MODULE = "dropzone_ingest.handler"
PAYLOAD = "MARKER-OF-THE-PAYLOAD"
KEY = "MARKER-OF-THE-KEY"
BODY = b'{"time_stamp": "2019-05-01T06:00:00Z MARKER-OF-THE-PAYLOAD", "data": ["MARKER-OF-THE-PAYLOAD"]}'

REQUESTS = {
    "accepted": api_event(BODY, request_id="id-of-accepted"),
    "not-json": api_event(BODY[:-2], request_id="id-of-not-json"),
    "unsupported-media-type": api_event(BODY, request_id="id-of-type", headers={"Content-Type": "text/csv"}),
    "invalid-event": api_event(b'{"data": "MARKER-OF-THE-PAYLOAD"}', request_id="id-of-invalid"),
    "too-large": api_event(BODY.ljust(2_001), request_id="id-of-large"),
    "not-found": api_event(BODY, request_id="id-of-nowhere", path="/MARKER"),
}


def with_key(event: dict[str, Any]) -> dict[str, Any]:
    event["headers"]["x-api-key"] = KEY
    event["multiValueHeaders"]["x-api-key"] = [KEY]
    event["requestContext"]["identity"]["apiKey"] = KEY
    return event


@pytest.fixture
def container(ingest_environment: dict[str, str], tmp_path: Path) -> Container:
    environment = ingest_environment | {"MAX_BODY_BYTES": "2000", "POWERTOOLS_LOG_LEVEL": "DEBUG"}
    return run_container(MODULE, [with_key(event) for event in REQUESTS.values()], environment, tmp_path)


def test_nothing_but_json_lines_is_written_and_none_holds_payload_or_key(container: Container) -> None:
    assert [answer["statusCode"] for answer in container.answers] == [202, 400, 415, 422, 413, 404]
    assert container.stderr == ""
    assert len(container.lines) > len(REQUESTS)  # each is one JSON object, or this fails
    assert_no_trace(container.stdout, PAYLOAD, KEY)
    for marker in ("TOKENMARKER", "SECRETMARKER", "AKIDMARKER"):
        assert marker not in container.stdout


def test_every_log_line_carries_its_request(container: Container) -> None:
    ids = [line["correlation_id"] for line in container.log]

    assert ids == [event["requestContext"]["requestId"] for name, event in REQUESTS.items() if name != "not-found"]
    assert {line["service"] for line in container.log} == {"ingest"}


def test_the_line_of_an_accepted_event_carries_its_object(container: Container) -> None:
    [line] = [line for line in container.log if line["message"] == "accepted"]

    assert line["raw_id"] == json_body(container.answers[0])["raw_id"]


def test_the_line_of_a_refused_request_carries_the_reason(container: Container) -> None:
    refused = {line["reason"]: line["codes"] for line in container.log if line["message"] == "refused"}

    assert refused == {
        "not-json": [],
        "unsupported-media-type": [],
        "invalid-event": ["payload.missing_field", "data.not_array"],
        "too-large": [],
    }


def test_accepted_and_refused_are_counted(container: Container) -> None:
    [accepted] = container.metrics("Accepted")
    assert accepted["Accepted"] == [1.0]
    assert accepted["service"] == "ingest"
    assert accepted["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Dropzone"

    refused = container.metrics("Refused")
    assert [(line["reason"], line["service"], line["Refused"]) for line in refused] == [
        (reason, "ingest", [1.0]) for reason in ("not-json", "unsupported-media-type", "invalid-event", "too-large")
    ]
    assert {str(line["_aws"]["CloudWatchMetrics"][0]["Dimensions"]) for line in refused} == {"[['service', 'reason']]"}
    assert len(container.metrics("Requests")) == len(REQUESTS)


def test_request_that_comes_again_is_not_accepted_twice(ingest_environment: dict[str, str], tmp_path: Path) -> None:
    # UnprocessedAlarm compares what was accepted with what was processed, which is one object here.
    event = api_event(b'{"time_stamp": "2019-05-01T06:00:00Z", "data": [0]}', headers={"Idempotency-Key": "one"})

    container = run_container(MODULE, [event, event], ingest_environment, tmp_path)

    assert [answer["statusCode"] for answer in container.answers] == [202, 202]
    assert [line["Accepted"] for line in container.metrics("Accepted")] == [[1.0], [0.0]]


def test_a_failure_of_s3_is_logged_with_its_reason_and_nothing_of_the_request(
    ingest_environment: dict[str, str], scripted_s3: ScriptedS3, tmp_path: Path
) -> None:
    quoted = f"<Token>TOKENMARKER0</Token><Body>{PAYLOAD}</Body>"
    scripted_s3.script = [refusal(403, "SignatureDoesNotMatch", quoted), Answer()]
    environment = ingest_environment | {"AWS_ENDPOINT_URL": scripted_s3.endpoint}

    container = run_container(MODULE, [with_key(REQUESTS["accepted"])], environment, tmp_path)

    assert container.answers[0]["statusCode"] == 503
    [line] = [line for line in container.log if line["level"] == "ERROR"]
    assert line["reason"] == "S3 answered 403 SignatureDoesNotMatch"
    assert line["correlation_id"] == "id-of-accepted"
    assert_no_trace(container.stdout + container.stderr, PAYLOAD, KEY, "TOKENMARKER0")


def test_what_nobody_foresaw_is_logged_by_its_kind_and_place(
    ingest_environment: dict[str, str], tmp_path: Path
) -> None:
    sabotage = "module.ingest = lambda submission, **_: {}[submission.body]"

    container = run_container(MODULE, [with_key(REQUESTS["accepted"])], ingest_environment, tmp_path, sabotage)

    assert container.answers[0]["statusCode"] == 500
    [line] = [line for line in container.log if line["level"] == "ERROR"]
    assert line["error"] == "KeyError"
    assert any("dropzone_ingest" in frame for frame in line["frames"])
    assert line["correlation_id"] == "id-of-accepted"
    assert_no_trace(container.stdout + container.stderr, PAYLOAD, KEY)
