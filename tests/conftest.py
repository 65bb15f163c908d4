"""Settings of the whole run: which tests share a process or a server, and what is reported at the end.

`make test` runs four processes. Tests that share something costly, such as a stack, stay in one of them.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from dropzone_local import ports
from support.examples import explores  # which registers hypothesis's profiles
from support.findings import write_findings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dropzone_local.postgres import Postgres
    from support.postgres import SilverInPostgres

_TOGETHER = {"e2e", "artefact", "sam_local", "template"}
"""Folders whose tests share a stack, a build, or what SAM makes of the template."""

_WAITING = {
    "test_cli_waiting.py",
    "test_contract.py",
    "test_cors.py",
    "test_life_of_a_stack.py",
    "test_process_on_request.py",
    "test_refusals.py",
    "test_rejections.py",
    "test_signed_api.py",
}
"""Files of tests/e2e whose tests have another stack than the others, the one that waits (tests/e2e/conftest.py)."""

_LAST = "tests/e2e/test_life_of_a_stack.py"
"""It leaves its stack with another database."""

_PROCESSES = 8
"""As many have ports of their own."""

_LONG = (
    "tests/resilience/test_oracle.py",
    "tests/resilience",
    "tests/integration/test_walkthroughs.py",
    "tests/functional/test_bad_input.py",
)
"""Where single tests take long, the longest first. They begin early: no process waits for another at the end."""


class _Scheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Largest groups first. xdist's own groups have no effect under pytest 9.2, which ignores its way to name them."""

    def _split_scope(self, nodeid: str) -> str:
        file = PurePosixPath(nodeid.partition("::")[0])
        if file.name in _WAITING:
            return "waiting"
        return next((folder for folder in file.parts if folder in _TOGETHER), nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling:
    """Keep tests together that share something costly; each of the others goes where there is room."""
    return _Scheduling(config, log)


def _place(nodeid: str) -> int:
    """Return where a test is in the order; those that nothing is said of keep theirs."""
    others = len(_LONG)
    return next((place for place, long in enumerate(_LONG) if nodeid.startswith(long)), others) + nodeid.startswith(
        _LAST
    )


def pytest_configure(config: pytest.Config) -> None:
    """Give each process ports of its own: one that is free now may be another's before a server listens there."""
    name: str = getattr(config, "workerinput", {}).get("workerid", "gw0")
    number = int(name.removeprefix("gw"))
    ports.candidates = ports.candidates[number % _PROCESSES :: _PROCESSES]
    _begin_elsewhere(config, number)


def _begin_elsewhere(config: pytest.Config, number: int) -> None:
    """Let each process collect another folder first, so that in a new clone it finds others already compiled.

    All begin at the same time, and would compile the same. pytest-randomly's order of tests doesn't depend on this one.
    """
    if config.args == ["tests"] and config.pluginmanager.has_plugin("randomly"):
        files = (config.rootpath / "tests").rglob("test_*.py")
        folders = sorted({f"tests/{file.relative_to(config.rootpath).parts[1]}" for file in files})
        begin = number * 2 % len(folders)
        config.args = [*folders[begin:], *folders[:begin]]


@pytest.hookimpl(trylast=True)  # after pytest-randomly's shuffle
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, and measure coverage by the examples written down.

    Hypothesis's many would hide what has no test of its own.
    """
    items.sort(key=lambda item: _place(item.nodeid))
    for item in items:
        if item.get_closest_marker("hypothesis"):
            item.add_marker(pytest.mark.no_cover)
        if item.get_closest_marker("weekly") and not explores():
            item.add_marker(pytest.mark.skip(reason="make explore runs it"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what the tests saw."""
    write_findings(terminalreporter)


# What starts a server is imported where there is one: most tests need none.


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    from support.postgres import running_postgres  # noqa: PLC0415 - as above

    with running_postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture
def tables(postgres: Postgres) -> Iterator[SilverInPostgres]:
    """Silver's tables, which are empty at first."""
    from support.postgres import silver_in_postgres  # noqa: PLC0415 - as above

    with silver_in_postgres(postgres) as opened:
        yield opened


@pytest.fixture(scope="session")
def moto_endpoint() -> Iterator[str]:
    from support.moto_server import running_moto  # noqa: PLC0415 - as above

    with running_moto() as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def one_authority(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Variables by which a client of S3 trusts one authority: the system's hundreds take it 5 ms each time."""
    from support.tls import Authority  # noqa: PLC0415 - as above

    folder = tmp_path_factory.mktemp("authority")
    file = folder / "authority.pem"
    file.write_bytes(Authority().pem)
    return {"SSL_CERT_FILE": str(file), "SSL_CERT_DIR": str(folder / "none")}
