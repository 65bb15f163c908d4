"""What the runs saw is shown at the end."""

import pytest

from resilience.reports import write_reports


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show what the runs saw."""
    write_reports(terminalreporter, config)
