"""The API for those who sign in, with tokens: the emulator verifies them as API Gateway does, the functions decide.

That for IAM is in test_life_of_a_stack.py, whose stack has it.
"""

import json
import time
from typing import Any

import httpx
import pytest
from joserfc.jwk import RSAKey

from e2e.client import Client
from e2e.conftest import NARROW, ORIGIN
from e2e.issuer import AUDIENCE, Issuer


def ask(
    client: Client, token: str | None, path: str = "/sources", method: str = "GET", **headers: str
) -> httpx.Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    if token is not None:
        names["Authorization"] = f"Bearer {token}"
    return client.http.request(method, client.signed_url + path, headers=names)


def sources(answer: httpx.Response) -> set[str]:
    assert answer.status_code == 200, answer.text
    return {entry["source"] for entry in answer.json()["sources"]}


@pytest.fixture(scope="module")
def measured(waiting_client: Client) -> set[str]:
    """Two sources that have rows."""
    names = {f"{NARROW}/a", "tokens/b"}
    for name in names:
        waiting_client.ingest(
            json.dumps({"time_stamp": "2021-05-01T06:00:00Z", "data": [0, 2], "source": name}).encode()
        )
    waiting_client.process_all()
    return names


def test_token_reads(waiting_client: Client, issuer: Issuer, measured: set[str]) -> None:
    answer = ask(waiting_client, issuer.token("read"), "/sources?limit=1000")

    assert sources(answer) >= measured


def test_token_gets_the_bytes_and_headers_that_a_key_gets(waiting_client: Client, issuer: Issuer) -> None:
    token = issuer.token("read")

    answer = ask(waiting_client, token, "/contracts", Accept_Encoding="gzip", Origin=ORIGIN)
    by_key = waiting_client.request("GET", "/contracts", Accept_Encoding="gzip", Origin=ORIGIN)

    assert answer.content == by_key.content
    for name in ("content-type", "content-encoding", "etag", "vary", "access-control-allow-origin"):
        assert answer.headers[name] == by_key.headers[name]
    again = ask(waiting_client, token, "/contracts", If_None_Match=answer.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")
    head = ask(waiting_client, token, "/contracts", "HEAD")
    assert (head.status_code, head.content) == (200, b"")
    refused = ask(waiting_client, token, "/sources?limit=none")
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "http://127.0.0.1:1"},
        {"aud": "another"},
        {"aud": None, "client_id": "another"},
        {"exp": int(time.time()) - 1},
        {"nbf": int(time.time()) + 86_400},
    ],
    ids="-".join,
)
def test_token_that_is_not_for_this_api_now_is_refused(
    waiting_client: Client, issuer: Issuer, claims: dict[str, Any]
) -> None:
    assert ask(waiting_client, issuer.token("read", **claims)).status_code == 401


def test_nothing_but_the_issuer_s_signature_signs_in(waiting_client: Client, issuer: Issuer) -> None:
    key = waiting_client.endpoints.api_key
    forged = issuer.token("read", key=RSAKey.generate_key(2048))
    unsigned = issuer.token("read").rpartition(".")[0] + "."

    for token in (None, key, forged, unsigned):
        assert ask(waiting_client, token, x_api_key=key).status_code == 401


def test_token_without_a_scope_opens_nothing_whatever_key_comes_with_it(waiting_client: Client, issuer: Issuer) -> None:
    # A key that opens everything where keys are asked for.
    key = waiting_client.endpoints.api_key
    assert waiting_client.request("GET", "/sources").status_code == 200

    for token in (issuer.token(), issuer.token("ingest"), issuer.token(scope="read")):
        answer = ask(waiting_client, token, x_api_key=key)

        assert answer.status_code == 403
        assert answer.json()["type"] == "urn:dropzone:problem:scope-missing"


def test_token_operates_with_the_scope_for_it_alone(waiting_client: Client, issuer: Issuer) -> None:
    assert ask(waiting_client, issuer.token("read"), "/process?limit=1", "POST").status_code == 403
    answer = ask(waiting_client, issuer.token("operate"), "/process?limit=1", "POST")

    assert answer.status_code == 200, answer.text
    assert "processed" in answer.json()
    assert ask(waiting_client, issuer.token("operate")).status_code == 403


def test_entry_restricts_its_subject_and_no_other(waiting_client: Client, issuer: Issuer, measured: set[str]) -> None:
    everything = ("read", "operate")
    restricted = issuer.token(*everything, sub=NARROW)

    assert sources(ask(waiting_client, restricted, "/sources?limit=1000")) == {f"{NARROW}/a"}
    assert ask(waiting_client, restricted, "/process?limit=1", "POST").status_code == 403
    # Letter by letter.
    other = issuer.token(*everything, sub=NARROW.upper())
    assert sources(ask(waiting_client, other, "/sources?limit=1000")) >= measured


def test_audience_may_be_one_of_several(waiting_client: Client, issuer: Issuer) -> None:
    assert ask(waiting_client, issuer.token("read", aud=["another", AUDIENCE])).status_code == 200


def test_devices_send_with_keys_alone(waiting_client: Client, issuer: Issuer) -> None:
    answer = ask(waiting_client, issuer.token("ingest", "read", "operate"), "/ingest", "POST")

    assert answer.status_code == 404
