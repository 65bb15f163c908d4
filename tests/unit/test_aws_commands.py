"""The AWS CLI's commands in the documents exist, and take the options that they are given."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name

DOCUMENTS = sorted((Path(__file__).parents[2] / "docs").glob("*.md"))

SESSION = botocore.session.get_session()

GENERAL = {"query", "output", "region"}
"""Options of the CLI's own, for every command."""

CUSTOM = {("rds", "generate-db-auth-token"): {"hostname", "port", "username"}}
"""Commands of the CLI's own, which are no operation of a service, with their options."""

CLIENT_SIDE = {("ec2-instance-connect", "open-tunnel")}
"""Such commands whose options the documents leave to the reader."""


def commands() -> list[tuple[str, str]]:
    """Each command with the document that has it, also one within another, its continued lines joined."""
    found = []
    for path in DOCUMENTS:
        text = re.sub(r"\\\n\s*", " ", path.read_text(encoding="utf-8"))
        for match in re.finditer(r"(?=\b(aws [a-z][a-z0-9-]+ [a-z][^\n`]*))", text):
            # Up to where another one begins.
            found.append((path.name, re.split(r"\$\(|\| |; ", match[1])[0]))
    return found


@cache
def service(name: str) -> Any:  # noqa: ANN401 - botocore carries no types
    return SESSION.get_service_model("s3" if name == "s3api" else name)


@cache
def waits_for(name: str) -> set[str]:
    waiters = SESSION.get_waiter_model(name).waiter_names
    return {xform_name(waiter, "-") for waiter in waiters}


@cache
def operations(name: str) -> dict[str, str]:
    """A service's operations, by the command of each."""
    return {xform_name(entry, "-"): entry for entry in service(name).operation_names}


def options_of(name: str, command: str) -> set[str]:
    """What an operation takes."""
    shape = service(name).operation_model(operations(name)[command]).input_shape
    return {xform_name(entry, "-") for entry in shape.members} if shape else set()


@pytest.mark.parametrize(("document", "line"), commands())
def test_a_command_exists_and_takes_its_options(document: str, line: str) -> None:
    name, command, *words = line.split()[1:]
    if (name, command) in CLIENT_SIDE:
        return
    if command == "wait":
        assert words[0] in waits_for(name), document
        return
    known = CUSTOM.get((name, command)) or options_of(name, command)
    options = {option.removeprefix("no-") for option in re.findall(r"\s--([a-z-]+)", line)}
    assert options - GENERAL <= known, document
