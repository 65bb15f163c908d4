"""Settings of the whole run: which tests share a process, and what is reported at the end.

`make test` runs two processes. Tests that share something costly, such as a stack, stay in one of them.
"""

import pytest

import support.examples  # noqa: F401 - registers hypothesis's profiles
from support.findings import write_findings

_TOGETHER = ("artefact", "sam_local", "template")
"""Folders whose tests share a build, or what SAM makes of the template."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep tests together that share something costly; each of the others goes where there is room.

    Coverage is of the examples written down: tracing hypothesis's many would cost a minute, and hides what has no test
    of its own.
    """
    for item in items:
        if item.get_closest_marker("hypothesis"):
            item.add_marker(pytest.mark.no_cover)
        if group := _group(item):
            item.add_marker(pytest.mark.xdist_group(group))


def _group(item: pytest.Item) -> str | None:
    folders = item.path.parent.parts
    if "e2e" in folders:
        # One of the two stacks that the folder has; what makes a stack of its own goes beside the one with less to do.
        return "stack" if "client" in getattr(item, "fixturenames", ()) else "waiting stack"
    return next((folder for folder in _TOGETHER if folder in folders), None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what the tests saw."""
    write_findings(terminalreporter)
