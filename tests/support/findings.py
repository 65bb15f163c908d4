"""What tests saw, such as sizes and counts, shown at the end of the run, whichever process they ran in."""

from collections.abc import Iterable

import pytest

_PROPERTY = "finding"


def show(item: pytest.Item, title: str, lines: Iterable[str]) -> None:
    """Keep lines for the end of the run."""
    item.user_properties.append((_PROPERTY, [title, *map(str, lines)]))


def write_findings(terminal: pytest.TerminalReporter) -> None:
    """Show what was kept."""
    called = [report for reports in terminal.stats.values() for report in reports if _is_of_a_call(report)]
    for title, *lines in (value for report in called for name, value in report.user_properties if name == _PROPERTY):
        terminal.section(title)
        for line in lines:
            terminal.write_line(line)


def _is_of_a_call(report: object) -> bool:
    return isinstance(report, pytest.TestReport) and report.when == "call"
