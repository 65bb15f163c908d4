"""The real template on the real emulator, with a real Postgres: one stack for the session, and one that waits."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dropzone_local.stack import LocalStack, Options
from e2e.client import Client

ORIGIN = "https://app.example.com"


@pytest.fixture(scope="session")
def stack_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stacks")


@pytest.fixture(scope="session")
def client(stack_root: Path) -> Iterator[Client]:
    """A client of a stack as `make up` makes it."""
    twice = [*stack_root.parent.parent.glob("popen-*/stacks*/flowing")]
    assert not twice, "Another process of this run has the stack as well: tests/conftest.py keeps its tests together."
    with LocalStack(stack_root / "flowing") as stack, Client(stack) as client:
        # Before the first request: what a function has read of the keys, it knows for a minute.
        client.make_keys()
        yield client


@pytest.fixture(scope="session")
def waiting_client(stack_root: Path) -> Iterator[Client]:
    """A client of a stack whose queue feeds nothing, so that objects wait for POST /process; and of one origin."""
    options = Options(parameters={"ProcessEnabled": "false", "SweepMinAge": "86400", "CorsOrigin": ORIGIN})
    with LocalStack(stack_root / "waiting", options) as stack, Client(stack) as client:
        yield client
