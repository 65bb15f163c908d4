"""Runs a room of `make mutants`, in the workspace that tools/mutants.py has prepared.

    python mutants_run.py PROCESSES SECONDS

mutmut makes the faults, puts one in by an environment variable, and keeps what became of each. The tests are collected
once, and run once without a fault, to know which of them call which function. Each fault gets a fork of this process,
so that nothing is imported again, and with it a database and a folder of its own.
"""

import json
import math
import os
import shutil
import signal
import sys
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import chdir, redirect_stdout, suppress
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from io import StringIO
from itertools import chain
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from pathlib import Path
from types import CodeType
from typing import Any

import mutmut  # type: ignore[import-not-found]
import pytest
from mutmut import __main__ as program
from mutmut.mutation.data import MutantLineSpans  # type: ignore[import-not-found]

MEASURED = Path("measured.json")
"""How the tests went without a fault."""

FAILING = Path("failing.json")
"""The tests that fail without a fault, from which nothing follows."""

KILLED, SURVIVED, NO_TESTS, SKIPPED, SUSPICIOUS, TIMEOUT = 1, 0, 33, 34, 35, 36
"""What mutmut takes these exit statuses for."""

BUDGET = 20.0
"""Seconds that the tests of a fault may take together without it."""

LEAST_SECONDS, TIMES_AS_LONG = 15.0, 5
"""How long a test may take with a fault, beside what it takes without one."""

CONTROLLED = 20
"""Of so many faults that are seen, the tests that saw one run again without it."""

SHOWN = 50
"""So many faults are checked until a line says so."""

MONITOR = 4
"""One of the numbers that Python's own tools leave free."""

AT_IMPORT = (
    "dropzone.api.answers.x_answer__mutmut_",
    "dropzone.api.resolver.x_described__mutmut_",
    "dropzone.api.resolver.x_make_app__mutmut_",
    "dropzone.domain.expressions.x__called__mutmut_",
    "dropzone.domain.expressions.xǁ_Interpreterǁ",
)
"""Faults in functions that run when their module is imported, before the fault is put in: no test can see them."""


type Measured = tuple[float, list[str], list[str], bool]
"""Of a test: its seconds, the functions that it calls by mutmut's names, the lines of them that run, and whether it
failed. A line is `FILE:LINE` of what mutmut wrote."""


@dataclass(slots=True)
class Test:
    """How a test went without a fault."""

    item: pytest.Item
    seconds: float
    functions: frozenset[str]
    lines: frozenset[str]

    @property
    def limit(self) -> float:
        return LEAST_SECONDS + TIMES_AS_LONG * self.seconds


@dataclass(slots=True)
class Fault:
    """One of mutmut's mutants."""

    name: str
    file: Any
    """mutmut's data of the module, which keep what became of it."""

    @property
    def function(self) -> str:
        return str(program.mangled_name_from_mutant_name(self.name))

    @property
    def line(self) -> str:
        """The first line that it changes, in the function as it is without; `FILE:0` if that is its first."""
        names = program.generated_function_names(self.name)
        spans = MutantLineSpans.load(self.file.path)
        sources = spans.read_function_sources(names)
        without, changed = (
            source.replace(name, "").strip("\n").splitlines() for name, source in zip(names, sources, strict=True)
        )
        first = spans.span_by_function_name[names[0]].end - len(without) + 1
        differ = (place for place, pair in enumerate(zip(without, changed, strict=False)) if pair[0] != pair[1])
        return f"{Path('mutants', self.file.path).resolve()}:{first + next(differ, -first)}"

    def becomes(self, status: int) -> None:
        """Write down what became of it."""
        self.file.exit_code_by_key[self.name] = status
        self.file.save()


@dataclass(slots=True)
class Task:
    """Tests that run in a fork, with a fault or, to be sure that it was seen, without."""

    fault: Fault
    tests: Sequence[Test]
    is_control: bool = False


@dataclass(slots=True)
class Fork:
    """A process that runs tests, and the place that it has: a Postgres and a folder."""

    process: ForkProcess
    answer: Connection
    place: int
    deadline: float

    def end(self) -> None:
        """Kill it with what it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid or 0, signal.SIGKILL)
        self.process.kill()
        self.process.join()
        self.answer.close()


class Reports:
    """A plugin of pytest: which tests failed, and how long they took with their fixtures."""

    def __init__(self) -> None:
        self.failed: set[str] = set()
        self.seconds = defaultdict[str, float](float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test's preparation, itself, or what comes after it has ended."""
        self.seconds[report.nodeid] += report.duration
        if report.failed:
            self.failed.add(report.nodeid)


class Room:
    """A plugin of pytest, which runs the collected tests for each fault in place of once."""

    def __init__(self, places: int, ends: float) -> None:
        self.began, self.ends = time.monotonic(), ends
        self.free = list(range(places))
        self.running: dict[Connection, Fork] = {}
        self.tests_of = defaultdict[str, list[Test]](list)
        """By the function that they call."""
        self.seen_by = defaultdict[str, Counter[str]](Counter)
        """By function: how many faults each test saw."""
        self.killed_by = defaultdict[str, list[Fault]](list)
        self.failing: set[str] = set()
        self.controls: deque[Task] = deque()
        self.controlled = 0
        self.ended: Counter[int] = Counter()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Go through the faults; what mutmut keeps is below the folder above."""
        with chdir(".."):
            try:
                self._check(session.items)
            finally:
                for fork in self.running.values():
                    fork.end()
                FAILING.write_text(json.dumps(sorted(self.failing)), encoding="utf-8")
        return True

    def _check(self, items: Sequence[pytest.Item]) -> None:
        for test in self._without_a_fault(items):
            for function in test.functions:
                self.tests_of[function].append(test)
        faults = list(_faults())
        for fault in faults:
            if not self.tests_of[fault.function]:
                fault.becomes(NO_TESTS)
        self._say(f"{len(faults)} faults to check")
        self._run([fault for fault in faults if self.tests_of[fault.function]])
        self._say(f"{self.controlled} tests that saw a fault ran again without it, {len(self.failing)} tests fail")

    def _run(self, faults: Iterable[Fault]) -> None:
        """Check faults, as far as there is time."""
        waiting, at_work = deque(faults), dict[Connection, Task]()
        while waiting or self.controls or at_work:
            if self.free and (waiting or self.controls):
                task = self.controls.popleft() if self.controls else self._task(waiting.popleft())
                at_work[self._start(task).answer] = task
                continue
            fork, answer, late = self._next_answer()
            if time.monotonic() >= self.ends:
                break
            task = at_work.pop(fork.answer)
            failed = answer and answer[0]
            status = TIMEOUT if late else SUSPICIOUS if answer is None else KILLED if failed else SURVIVED
            if failed in self.failing:  # which was found out meanwhile
                status = SUSPICIOUS
            if task.is_control:
                self._controlled(task, status)
                continue
            task.fault.becomes(status)
            if status == KILLED:
                self._seen(task, failed)
            self.ended[status] += 1
            if self.ended.total() % SHOWN == 0:
                self._say(f"{self.ended.total()} checked, {self.ended[SURVIVED]} survived")

    def _seen(self, task: Task, failed: str) -> None:
        seen = self.seen_by[task.fault.function]
        seen[failed] += 1
        self.killed_by[failed].append(task.fault)
        if sum(map(Counter.total, self.seen_by.values())) % CONTROLLED == 0:
            # Behind the same tests, since one of them may be what makes it fail.
            before = [test.item.nodeid for test in task.tests].index(failed)
            self.controls.append(Task(task.fault, task.tests[: before + 1], is_control=True))

    def _controlled(self, task: Task, status: int) -> None:
        self.controlled += 1
        if status != SURVIVED:
            failing = task.tests[-1].item.nodeid
            self.failing.add(failing)
            for fault in self.killed_by.pop(failing, []):
                fault.becomes(SUSPICIOUS)

    def _task(self, fault: Fault) -> Task:
        tests = [test for test in self.tests_of[fault.function] if test.item.nodeid not in self.failing]
        line = fault.line
        tests = choose([test for test in tests if line in test.lines] or tests, BUDGET)
        # Those first that saw the most other faults of the function, then the quickest.
        seen = self.seen_by[fault.function]
        return Task(fault, sorted(tests, key=lambda test: (-seen[test.item.nodeid], test.seconds)))

    def _start(self, task: Task) -> Fork:
        def work() -> str | None:
            for test in task.tests:
                test.item.add_marker(pytest.mark.timeout(test.limit), append=False)
            return first_failure([test.item for test in task.tests])

        name = "" if task.is_control else task.fault.name
        return self._fork(work, name, LEAST_SECONDS + sum(test.limit for test in task.tests))

    def _say(self, what: str) -> None:
        print(f"{time.monotonic() - self.began:5.0f} s: {what}", flush=True)  # noqa: T201

    def _without_a_fault(self, items: Sequence[pytest.Item]) -> list[Test]:
        """How the tests go: from the last run, if neither they nor the sources have changed since."""
        digest = sha256(b"".join(path.read_bytes() for path in sorted(Path().glob("mutants/*/**/*.py")))).hexdigest()
        known = json.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.exists() else {}
        if known.get("digest") != digest:
            tests = self._measure(items)
            known = {"digest": digest, "tests": tests}
            if not any(failed for *_, failed in tests.values()):
                MEASURED.write_text(json.dumps(known), encoding="utf-8")
        results: dict[str, Measured] = known["tests"]
        self.failing = {name for name, (*_, failed) in results.items() if failed}
        return [
            Test(item, seconds, frozenset(functions), frozenset(lines))
            for item in items
            for seconds, functions, lines, failed in (results[item.nodeid],)
            if functions and not failed
        ]

    def _measure(self, items: Sequence[pytest.Item]) -> dict[str, Measured]:
        """Run all tests, those that fail once more: a busy machine may be to blame."""
        files: dict[Path, list[pytest.Item]] = defaultdict(list)
        for item in items:
            files[item.path].append(item)
        places = len(self.free)
        results = self._measured([list(chain(*list(files.values())[place::places])) for place in range(places)])
        if failed := [item for item in items if results[item.nodeid][-1]]:
            results |= self._measured([failed])
        return results

    def _measured(self, shares: Iterable[Sequence[pytest.Item]]) -> dict[str, Measured]:
        """What `measure` finds of each share, at once."""
        for share in filter(None, shares):
            self._fork(partial(measure, share), "stats", math.inf)
        results: dict[str, Measured] = {}
        while self.running:
            _, answer, _ = self._next_answer()
            if answer is None:
                pytest.exit("The tests can't be run without a fault, or not in time.", returncode=1)
            results |= answer[0]
        return results

    def _fork(self, work: Callable[[], object], fault: str, seconds: float) -> Fork:
        """Do something in a process of its own, with this fault; it sends what the work returns."""
        receiver, sender = get_context("fork").Pipe(duplex=False)
        place = self.free.pop()
        folder = Path("forks", str(place)).resolve()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

        def in_fork() -> None:
            os.setsid()
            os.chdir("mutants")
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, 1)
            os.dup2(nothing, 2)
            os.environ |= {
                "MUTANT_UNDER_TEST": fault,
                "MUTANTS_PLACE": str(place),
                "PYTEST_DEBUG_TEMPROOT": str(folder),
            }
            sender.send((work(),))

        process = get_context("fork").Process(target=in_fork)
        process.start()
        sender.close()
        fork = Fork(process, receiver, place, time.monotonic() + seconds)
        self.running[receiver] = fork
        return fork

    def _next_answer(self) -> tuple[Fork, Any, bool]:
        """The next fork that ends, what it sent in a tuple, or nothing, and whether its time was over."""
        deadline = min(self.ends, *(fork.deadline for fork in self.running.values()))
        ready = wait(list(self.running), max(0.0, deadline - time.monotonic()))
        answer = None
        if ready:
            fork = self.running[ready[0]]  # type: ignore[index] # what was waited for
            with suppress(EOFError):
                answer = fork.answer.recv()
        else:
            fork = min(self.running.values(), key=lambda fork: fork.deadline)
        del self.running[fork.answer]
        fork.end()
        self.free.append(fork.place)
        return fork, answer, not ready


def choose(tests: Iterable[Test], seconds: float) -> list[Test]:
    """One test at least, and as many as take so long: first those that call the fewest functions."""
    chosen: list[Test] = []
    for test in sorted(tests, key=lambda test: (len(test.functions), test.seconds)):
        if not chosen or test.seconds <= seconds:
            chosen.append(test)
            seconds -= test.seconds
    return chosen


def first_failure(items: Sequence[pytest.Item]) -> str | None:
    """Run tests until one fails: its name."""
    reports = Reports()
    items[0].config.pluginmanager.register(reports)
    for item, following in zip(items, [*items[1:], None], strict=True):
        item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
        if reports.failed:
            return item.nodeid
    return None


def measure(items: Sequence[pytest.Item]) -> dict[str, Measured]:
    reports, lines, monitoring = Reports(), set[str](), sys.monitoring
    items[0].config.pluginmanager.register(reports)

    def note(code: CodeType, line: int) -> object:
        if "__mutmut_orig" in code.co_qualname:
            lines.add(f"{code.co_filename}:{line}")
        return monitoring.DISABLE  # until the next test

    monitoring.use_tool_id(MONITOR, "mutants")
    monitoring.register_callback(MONITOR, monitoring.events.LINE, note)
    monitoring.set_events(MONITOR, monitoring.events.LINE)
    found = {}
    for item, following in zip(items, [*items[1:], None], strict=True):
        mutmut._stats.clear()  # noqa: SLF001 - where the functions write that they were called
        lines.clear()
        monitoring.restart_events()
        item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
        found[item.nodeid] = sorted(mutmut._stats), sorted(lines)  # noqa: SLF001
    return {name: (reports.seconds[name], *called, name in reports.failed) for name, called in found.items()}


def _faults() -> Iterator[Fault]:
    """The faults that are not checked yet."""
    mutants, files = program.collect_source_file_mutation_data(mutant_names=())
    for file in files.values():
        skipped = {name: SKIPPED for name in file.exit_code_by_key if name.startswith(AT_IMPORT)}
        if skipped:
            file.exit_code_by_key |= skipped
            file.save()
    return (Fault(name, file) for file, name, _ in mutants if file.exit_code_by_key[name] is None)


def report() -> None:
    """Print how many faults ended how, and write those that no test has seen."""
    counted: Counter[str] = Counter()
    with Path("survivors.diff").open("w", encoding="utf-8") as written:
        for path in program.walk_mutatable_files():
            file = program.SourceFileMutationData(path=path)
            file.load()
            for name, code in file.exit_code_by_key.items():
                status = program.status_by_exit_code[code]
                counted[status] += 1
                if code not in {None, KILLED, TIMEOUT, SKIPPED}:
                    written.write(f"# {name}: {status}\n{program.get_diff_for_mutant(name, path=path)}\n\n")
    print(f"{Path.cwd().name}: {counted.total()} faults:", dict(counted.most_common()))  # noqa: T201


def main() -> int:
    places, seconds = int(sys.argv[1]), float(sys.argv[2])
    ends = time.monotonic() + seconds
    os.environ["MUTANT_UNDER_TEST"] = ""
    program.Config.ensure_loaded()
    Path("mutants").mkdir(exist_ok=True)
    with redirect_stdout(StringIO()):
        program.copy_src_dir()
        program.copy_also_copy_files()
        program.setup_source_paths()
        program.create_mutants(places)
    config = program.Config.get()
    arguments = [*config.pytest_add_cli_args, *config.pytest_add_cli_args_test_selection]
    with chdir("mutants"):
        # No traceback with the sources around it: to find them takes longer than most tests.
        status = pytest.main(["--rootdir=.", "--tb=native", "-qq", "-s", *arguments], plugins=[Room(places, ends)])
    report()
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
