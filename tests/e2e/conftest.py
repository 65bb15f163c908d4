"""The real template on the real emulator, with a real Postgres: one stack for the session, and one that waits."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from dropzone_local.demo import Sender, send_a_day
from dropzone_local.polling import wait_until
from dropzone_local.stack import LocalStack, Options
from e2e.client import Client
from e2e.issuer import AUDIENCE, SCOPE_PREFIX, Issuer, issuing

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # What moves while the page loads is drawn by the processors here, sixty times a second.
    "--force-prefers-reduced-motion",
]
ORIGIN = "https://app.example.com"
NARROW = "narrow"
"""A subject whose entry restricts it to the sources below its name."""
TOPIC_ARN = "arn:aws:sns:us-east-1:000000000000:changes"
WEBHOOK_SECRET_ARN = "arn:aws:secretsmanager:us-east-1:000000000000:secret:webhook"  # noqa: S105 - a name
"""Of a topic and of a secret that only the test that needs them makes (test_notifications.py)."""


@pytest.fixture(scope="session")
def stack_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stacks")


def once(root: Path) -> Path:
    """The folder of a stack that no other process of this run has."""
    twice = [*root.parents[2].glob(f"popen-*/stacks*/{root.name}")]
    assert not twice, "Another process of this run has the stack as well: tests/conftest.py keeps its tests together."
    return root


@pytest.fixture(scope="session")
def client(stack_root: Path) -> Iterator[Client]:
    """A client of a stack as `make up` makes it, which tells a topic and a webhook as well what sources break."""
    options = Options(parameters={"NotificationTopicArn": TOPIC_ARN, "WebhookSecretArn": WEBHOOK_SECRET_ARN})
    with LocalStack(once(stack_root / "flowing"), options) as stack, Client(stack) as client:
        # Before the first request: what a function has read of the keys, it knows for a minute.
        client.make_keys()
        yield client


@pytest.fixture(scope="module")
def demo(client: Client) -> Client:
    """The stack with the demo's day, all of it processed."""
    with Sender(client.endpoints) as sender:
        sent = send_a_day(sender, datetime.now(UTC))
    assert wait_until(lambda: client.query("SELECT count(*) FROM outcomes")[0][0] >= sent, seconds=180)
    return client


@pytest.fixture(scope="session")
def issuer() -> Iterator[Issuer]:
    with issuing() as issuer:
        yield issuer


@pytest.fixture(scope="session")
def waiting_client(stack_root: Path, issuer: Issuer) -> Iterator[Client]:
    """A client of a stack whose queue feeds nothing, so that objects wait for POST /process.

    Pages of one origin may read, and tokens of one issuer sign in.
    """
    tokens = {"SignIn": "jwt", "JwtIssuer": issuer.url, "JwtAudience": AUDIENCE, "JwtScopePrefix": SCOPE_PREFIX}
    parameters = {"ProcessEnabled": "false", "SweepMinAge": "86400", "CorsOrigin": ORIGIN, **tokens}
    with LocalStack(once(stack_root / "waiting"), Options(parameters=parameters)) as stack, Client(stack) as client:
        # Before the first request, as with keys.
        client.key_keeper.enlist({"name": NARROW, "subject": NARROW, "scopes": ["read"], "reads": [f"{NARROW}/*"]})
        yield client


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=60_000)
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium: as root, make test installs it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()
