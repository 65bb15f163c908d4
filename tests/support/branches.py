"""A plugin of coverage.py: branches by `sys.monitoring` on Python 3.13, which coverage.py does from 3.14 on.

Its other way, `sys.settrace`, slows down all Python code, ours or not: on 3.13 to a third of the speed, and what is
measured to a seventh. 3.13 has one event for both sides of a branch (`BRANCH`), which can only be disabled for both:
https://docs.python.org/3.13/library/sys.monitoring.html#branch-events
"""

import sys
from types import CodeType

import coverage.core
from coverage import env
from coverage.plugin_support import Plugins
from coverage.sysmon import DISABLE, MonitorReturn, SysMonitor


class Monitor(SysMonitor):
    """Takes the event of both sides for either, until it has seen both."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[tuple[int, int], int] = {}

    def sysmon_branch_either(self, code: CodeType, instruction_offset: int, destination_offset: int) -> MonitorReturn:
        branch = id(code), instruction_offset  # the monitor keeps the code
        first = self._seen.get(branch)
        if first == destination_offset:
            return None
        super().sysmon_branch_either(code, instruction_offset, destination_offset)
        self._seen.setdefault(branch, destination_offset)
        return None if first is None else DISABLE

    def stop(self) -> None:
        """Let go of the code, as Python 3.14 does by itself: the next monitor doesn't know it yet."""
        for code in self.code_objects if self.sysmon_on else ():
            sys.monitoring.set_local_events(self.myid, code, 0)
        super().stop()


def coverage_init(_: Plugins, __: object) -> None:
    """Let coverage.py take it (`core = "sysmon"`)."""
    events = sys.monitoring.events
    events.BRANCH_LEFT = events.BRANCH_RIGHT = events.BRANCH  # type: ignore[attr-defined] # their names in 3.14
    env.PYBEHAVIOR.branch_right_left = True
    coverage.core.SysMonitor = Monitor  # type: ignore[attr-defined]
