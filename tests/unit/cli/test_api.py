"""Requests that are tried again, and refusals in words."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from support.factories import raw_id
from unit.cli.harness import KEY, Cli, FakeApi, document

pytestmark = pytest.mark.usefixtures("local")

DONE = {"checked": 0, "processed": 0, "failed": 0}


def done() -> httpx.Response:
    return httpx.Response(200, json=DONE)


def refusal(status: int, headers: dict[str, str] | None = None, **problem: object) -> httpx.Response:
    return httpx.Response(status, headers=headers, json={"status": status, "title": "t", "detail": "d", **problem})


def test_every_request_has_the_key(cli: Cli, api: FakeApi) -> None:
    api.answers = [done()]

    cli("sweep")

    assert [request.headers["x-api-key"] for request in api.requests] == [KEY]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_may_be_tried_again_is(cli: Cli, api: FakeApi, status: int) -> None:
    api.answers = [refusal(status), refusal(status), done()]

    assert cli("sweep").exit_code == 0
    assert len(api.requests) == 3
    assert 0 < cli.slept[0] <= 1
    assert 0 < cli.slept[1] <= 2


@pytest.mark.parametrize("status", [400, 403, 404, 409, 413, 415, 422])
def test_what_would_be_refused_again_is_not(cli: Cli, api: FakeApi, status: int) -> None:
    api.answers = [refusal(status)]

    result = cli("sweep")

    assert result.exit_code == (2 if status in {400, 422} else 3)
    assert len(api.requests) == 1
    assert str(status) in result.stderr
    assert result.stdout == ""


def test_retry_after_is_honoured(cli: Cli, api: FakeApi) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    api.answers = [refusal(503, {"Retry-After": "7"}), refusal(429, {"Retry-After": date}), done()]

    assert cli("sweep").exit_code == 0
    assert 7 < cli.slept[0] <= 8
    assert 5 < cli.slept[1] <= 22  # of 20, less what has passed


@pytest.mark.parametrize("value", ["soon", "-1", "1e9", "Wed, 21 Oct 2015 07:28:00 GMT", "²"])
def test_a_retry_after_that_says_nothing_is_skipped(cli: Cli, api: FakeApi, value: str) -> None:
    api.answers = [httpx.Response(503, headers=[(b"retry-after", value.encode("latin-1", "replace"))]), done()]

    assert cli("sweep").exit_code == 0
    assert cli.slept[0] <= 1


def test_patience_ends(cli: Cli, api: FakeApi) -> None:
    api.answers = [refusal(503, request_id="r-1", detail="Postgres is out of reach.") for _ in range(100)]

    result = cli("sweep")

    assert result.exit_code == 3
    assert 30 < sum(cli.slept) <= 60
    assert "Postgres is out of reach." in result.stderr
    assert "r-1" in result.stderr


def test_a_longer_pause_than_patience_is_not_waited_for(cli: Cli, api: FakeApi) -> None:
    api.answers = [refusal(429, {"Retry-After": "86400"})]

    assert cli("sweep").exit_code == 3
    assert cli.slept == []


def test_a_quota_that_is_used_up_is_not_asked_again(cli: Cli, api: FakeApi) -> None:
    api.answers = [refusal(429, type="urn:dropzone:problem:quota-exceeded")]

    result = cli("sweep")

    assert (result.exit_code, len(api.requests)) == (3, 1)
    assert "quota" in result.stderr


def test_an_api_out_of_reach_is_reported_soon(cli: Cli, api: FakeApi) -> None:
    api.answers = [httpx.ConnectError("Connection refused") for _ in range(10)]

    result = cli("sweep")

    assert (result.exit_code, len(api.requests)) == (3, 3)
    assert "Connection refused" in result.stderr
    assert "make up" in result.stderr


def test_a_connection_that_breaks_once_does_no_harm(cli: Cli, api: FakeApi) -> None:
    api.answers = [httpx.ReadError("reset"), done()]

    assert cli("sweep").exit_code == 0


@pytest.mark.parametrize("content", [b"<html>", b"[]", b"5", b"\xff"])
def test_another_server_is_recognised(cli: Cli, api: FakeApi, content: bytes) -> None:
    api.answers = [httpx.Response(200, content=content)]

    result = cli("sweep")

    assert result.exit_code == 3
    assert "is not Dropzone's API" in result.stderr


def test_a_redirect_is_not_followed_with_the_key(cli: Cli, api: FakeApi) -> None:
    api.answers = [httpx.Response(302, headers={"location": "https://elsewhere.example.com"})]

    assert cli("sweep").exit_code == 3
    assert len(api.requests) == 1


def test_violations_are_reported(cli: Cli, api: FakeApi) -> None:
    api.answers = [refusal(422, violations=[{"field": "limit", "code": "c", "message": "should be \x1b[31mless"}])]

    result = cli("sweep")

    assert "limit: should be \\x1b[31mless" in result.stderr


def test_an_answer_cant_steer_the_terminal(cli: Cli, api: FakeApi) -> None:
    api.answers = [refusal(403, detail="\x1b]0;title\x07 \u202egnp.exe", request_id="\r\n")]

    result = cli("sweep")

    assert not {"\x1b", "\x07", "\u202e", "\r"} & set(result.output)


def test_one_that_fails_ends_the_others(cli: Cli, api: FakeApi) -> None:
    api.answers = [refusal(403) for _ in range(500)]

    result = cli("status", *(raw_id() for _ in range(500)))

    assert result.exit_code == 3
    assert len(api.requests) < 500


def test_an_api_without_headway_is_given_up(cli: Cli, api: FakeApi) -> None:
    stuck = str(raw_id())
    api.answers = [httpx.Response(200, json=DONE | {"cursor": stuck}) for _ in range(100)]

    result = cli("sweep")

    assert result.exit_code == 3
    assert "no progress" in result.stderr
    assert len(api.requests) < 10


def test_json_is_all_there_is_on_stdout(cli: Cli, api: FakeApi) -> None:
    api.answers = [refusal(503), done()]

    assert document(cli("sweep", "--json")) == DONE
