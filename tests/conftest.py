"""What holds for the whole run: which tests share a process, and what they saw, told at the end.

`make test` runs two processes. Tests that share something costly, such as a stack, stay in one of them.
"""

import pytest

from support.findings import write_findings

_TOGETHER = ("e2e", "artefact", "sam_local")
"""Folders whose tests share a stack or a build."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep tests together that share something costly; each of the others goes where there is room."""
    for item in items:
        for folder in _TOGETHER:
            if folder in item.path.parent.parts:
                item.add_marker(pytest.mark.xdist_group(folder))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what the tests saw."""
    write_findings(terminalreporter)
