"""Keys for clients: made, rotated and revoked as docs/deploy.md says, by its own lines, and without a gap."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from dropzone_local.polling import wait_until
from e2e.client import EXAMPLE, Client

DOCUMENT = (Path(__file__).parents[2] / "docs" / "deploy.md").read_text(encoding="utf-8")
OF_THE_COMMAND_LINE = {"--query", "--output"}
"""What the command line does with the answer."""

SECONDS = 60.0
"""For which a change may take to be felt; on AWS, a minute."""

Answer = dict[str, Any]


def documented(operation: str) -> str:
    """The document's one line with a command of API Gateway."""
    [line] = re.findall(rf"^ {{4}}(aws apigateway {operation} .*)$", DOCUMENT, re.MULTILINE)
    return str(line)


def run(client: Client, operation: str, **names: str) -> Answer:
    """Do what the document's line does, with names in place of its capitals."""
    words = shlex.split(documented(operation))[3:]
    call = getattr(client.clients.apigateway(), operation.replace("-", "_"))
    answer: Answer = call(**arguments([names.get(word, word) for word in words]))
    return answer


def arguments(words: list[str]) -> dict[str, Any]:
    """The command line's options as boto3 takes them."""
    given: dict[str, Any] = {}
    while words:
        option, *words = words
        value: Any = True
        if words and not words[0].startswith("--"):
            value, *words = words
        if option in OF_THE_COMMAND_LINE:
            continue
        first, *others = option.removeprefix("--").split("-")
        given["".join([first, *(part.capitalize() for part in others)])] = shorthand(value)
    return given


def shorthand(value: Any) -> Any:  # noqa: ANN401 - of any option
    """The command line's `key=value,…`, a list of one structure."""
    if not isinstance(value, str) or "=" not in value:
        return value
    return [dict(pair.split("=", 1) for pair in value.split(","))]


def make_key(client: Client) -> tuple[str, str]:
    """A key's id and value, by the document's three lines."""
    key = run(client, "create-api-key")["id"]
    run(client, "create-usage-plan-key", PLAN=client.stack.deployment.outputs()["UsagePlanId"], KEY=key)
    return key, run(client, "get-api-key", KEY=key)["value"]


def status(client: Client, value: str) -> int:
    """What an event is answered that comes with this key."""
    return client.request("POST", "/ingest", EXAMPLE, key=value, content_type="application/json").status_code


def comes_to(client: Client, value: str, expected: int) -> bool:
    """Whether the key's requests are answered so, after a while."""
    return wait_until(lambda: status(client, value) == expected or None, seconds=SECONDS) is not None


@pytest.fixture
def first(client: Client) -> tuple[str, str]:
    return make_key(client)


def test_a_key_is_rotated_without_a_gap(client: Client, first: tuple[str, str]) -> None:
    # GIVEN a client with a key
    old_key, old = first
    assert comes_to(client, old, 202)

    # WHEN it is given a second one
    new_key, new = make_key(client)

    # THEN both work
    assert new_key != old_key
    assert new != old
    assert comes_to(client, new, 202)
    assert status(client, old) == 202

    # WHEN the old one is revoked for good
    run(client, "update-api-key", KEY=old_key)
    run(client, "delete-api-key", KEY=old_key)

    # THEN the new one alone works, and the stack's own, which was never touched
    assert comes_to(client, old, 403)
    assert status(client, new) == 202
    assert status(client, client.endpoints.api_key) == 202


def test_a_disabled_key_opens_nothing(client: Client, first: tuple[str, str]) -> None:
    key, value = first
    assert comes_to(client, value, 202)

    run(client, "update-api-key", KEY=key)

    assert comes_to(client, value, 403)


def test_a_key_opens_nothing_before_it_is_in_the_plan(client: Client) -> None:
    key = run(client, "create-api-key")["id"]
    value = run(client, "get-api-key", KEY=key)["value"]

    assert status(client, value) == 403
