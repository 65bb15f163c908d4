"""Mutants of the code that decides: which faults, put in by mutmut one at a time, does no test see?

    make mutants ARGS="domain use_cases"

mutmut wants its sources in `src/` and its tests beside them, so it works on a copy of the project for each room, in
`.mutants/`. It runs, for each mutant, those of the room's tests that call the function, the quickest first, and stops
when the time is over (DROPZONE_MUTANTS_SECONDS, for all rooms together); what it has found stays there for the next
run. A test that fails without a mutant as well is left out, and named. The survivors of a room are in its
`survivors.diff`. docs/mutants.md says how to read them.
"""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
WORKSPACES = PROJECT / ".mutants"
SURVIVORS = "survivors.diff"
FAILING = "failing.json"
"""The tests that fail without a mutant, twice."""
SECONDS = float(os.environ.get("DROPZONE_MUTANTS_SECONDS", "7200"))


@dataclass(frozen=True, slots=True)
class Room:
    """Modules that get faults, and the tests that hold them."""

    modules: tuple[str, ...]
    """Patterns below `src/`, which has the layer's package and the functions'."""
    tests: tuple[str, ...]
    but: tuple[str, ...] = ()
    """Modules that another room has."""
    needs_servers: bool = False
    """Postgres and S3, which all mutants share: one mutant at a time."""


_OF_SERVERS = tuple(
    f"dropzone/use_cases/{name}.py" for name in ("archive_months", "check_expectations", "fleet", "notify", "run_range")
)

_CALLS_OF_HANDLERS = tuple(
    f"tests/functional/test_{name}.py"
    for name in (
        "access",
        "health",
        "ingest",
        "ingest_encodings",
        "ingest_refusals",
        "page",
        "process_request",
        "reads",
        "replay_request",
        "status_request",
        "web_headers",
    )
)

ROOMS = {
    "domain": Room(("dropzone/domain/*.py",), ("tests/unit/domain", "tests/unit/contracts", "tests/unit/use_cases")),
    "use_cases": Room(("dropzone/use_cases/*.py",), ("tests/unit/use_cases",), but=_OF_SERVERS),
    "api": Room(
        ("dropzone/api/*.py",),
        (
            "tests/unit/test_compression.py",
            *_CALLS_OF_HANDLERS,
        ),
        needs_servers=True,
    ),
    "adapters": Room(
        ("dropzone/adapters/*.py", *_OF_SERVERS),
        (
            "tests/unit/test_tls.py",
            "tests/functional/test_bronze_contract.py",
            "tests/functional/test_clients_document.py",
            "tests/functional/test_idempotency_store_contract.py",
            "tests/functional/test_notify.py",
            "tests/functional/test_reads.py::test_a_contract_as_it_runs_and_as_it_was_written",
            "tests/functional/test_s3_bronze_failures.py",
            "tests/functional/test_s3_connection.py",
            "tests/integration/test_archive.py",
            "tests/integration/test_contracts_in_silver.py",
            "tests/integration/test_database.py",
            "tests/integration/test_database_credentials.py",
            "tests/integration/test_expectations.py",
            "tests/integration/test_fleet.py",
            "tests/integration/test_gold.py::test_what_is_written_to_is_computed_later_and_every_mark_goes",
            "tests/integration/test_gold_stale.py",
            "tests/integration/test_partitions.py",
            "tests/integration/test_postgres_outcome_store.py",
            "tests/integration/test_postgres_silver.py",
            "tests/integration/test_replay.py",
            "tests/integration/test_silver_contract.py",
        ),
        needs_servers=True,
    ),
    "queries": Room(
        ("dropzone/queries/*.py",),
        (
            "tests/functional/test_access.py",
            "tests/functional/test_reads.py",
            "tests/functional/test_status_request.py",
            "tests/integration/test_bound_reads.py",
            "tests/integration/test_contracts_in_silver.py",
            "tests/integration/test_expectations.py",
            "tests/integration/test_gold.py",
            "tests/integration/test_measurements.py",
            "tests/integration/test_sources.py",
            "tests/integration/test_status_and_rejections.py",
        ),
        needs_servers=True,
    ),
    "functions": Room(
        tuple(f"dropzone_{name}/*.py" for name in ("archive", "ingest", "process", "query", "web")),
        (
            *_CALLS_OF_HANDLERS,
            "tests/functional/test_archive_files.py",
            "tests/functional/test_metrics.py",
            "tests/functional/test_notify.py",
            "tests/integration/test_archive.py",
            "tests/integration/test_fleet.py",
            "tests/integration/test_process_handler.py",
        ),
        needs_servers=True,
    ),
}

SUSPICIOUS, SKIPPED = 35, 34
"""What mutmut takes these exit statuses for."""

AT_IMPORT = (
    "dropzone.api.answers.x_answer__mutmut_",
    "dropzone.api.resolver.x_described__mutmut_",
    "dropzone.api.resolver.x_make_app__mutmut_",
    "dropzone.domain.contracts.expressions.x__called__mutmut_",
    "dropzone.domain.contracts.expressions.xǁ_Interpreterǁ",
)
"""Mutants of functions that run when their module is imported, before the fault is put in: no test can see them."""

UNSUITABLE = " and ".join(
    f"not {words}"
    for words in (
        *("emulator", "after_such_a_key"),
        *("restart_of_the_server", "server_that_stays_away"),
        *("bounded_time", "silence_ends", "read_in_time", "falls_silent", "keeps_silent", "silent_secrets"),
        *("two_fifths", "in_time_as_a_whole", "reads_more_than_it_needs"),
    )
)
"""Tests that need the emulator, or stop the server which all mutants share; and those that measure time, or what is
read: on a busy machine they may fail for any fault."""

SETTINGS = """[mutmut]
source_paths =
    src
only_mutate =
{modules}
do_not_mutate =
{but}
pytest_add_cli_args =
    -p
    no:randomly
    -p
    no:cacheprovider
    -k
    {unsuitable}
pytest_add_cli_args_test_selection =
{tests}
also_copy =
{copied}
timeout_constant = 5.0
track_dependencies = false
use_git_change_detection = false
"""

# mutmut 3.7 asks for an attribute that pytest 9 has under its public name alone.
CONFTEST = """

pytest.Item._nodeid = property(lambda item: item.nodeid)
"""

# In the copy, the servers are those that `servers` started.
POSTGRES = """

@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    from support.postgres import PASSWORD

    port = int(__import__("os").environ["MUTANTS_POSTGRES_PORT"])
    return Postgres(tmp_path_factory.mktemp("postgres"), port=port, password=PASSWORD)
"""
MOTO = """

@pytest.fixture(scope="session")
def moto_endpoint():
    import urllib.request

    endpoint = __import__("os").environ["MUTANTS_MOTO"]
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/moto-api/reset", method="POST")).close()
    return endpoint
"""
APPENDED = {"conftest.py": CONFTEST, "integration/conftest.py": POSTGRES, "functional/conftest.py": MOTO}


def prepare(room: Room, workspace: Path) -> None:
    """Copy the project; what mutmut knows of an earlier run stays where the sources are the same."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"],  # noqa: S607
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    files = [file for file in listed if file and (PROJECT / file).is_file()]
    copied = sorted({file.partition("/")[0] for file in files} - {"src"})
    # mutmut copies all of that on, and leaves what has been renamed since.
    for folder in (workspace, workspace / "mutants"):
        for name in (*copied, "src") if folder == workspace else copied:
            target = folder / name
            shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
    for file in files:
        target = workspace / file
        target.parent.mkdir(parents=True, exist_ok=True)
        # Without its time, by which mutmut would take a file that was changed back for one that it knows.
        shutil.copy(PROJECT / file, target)
    for package in (workspace / "layers/common/dropzone", *workspace.glob("functions/*/dropzone_*")):
        shutil.copytree(package, workspace / "src" / package.name, copy_function=shutil.copy)
    for path in (workspace / "mutants" / "src").rglob("*.py*"):
        source = workspace / path.relative_to(workspace / "mutants")
        if not source.with_name(source.name.removesuffix(".meta").removesuffix(".spans")).exists():
            path.unlink()
    for path in (workspace / "mutants" / "src").rglob("*.meta"):
        _check_survivors_again(path)
    for name, text in APPENDED.items():
        with (workspace / "tests" / name).open("a", encoding="utf-8") as opened:
            opened.write(text)

    (workspace / FAILING).write_text("[]", encoding="utf-8")

    def lines(values: Iterable[str]) -> str:
        return "\n".join(f"    {value}" for value in values)

    (workspace / "setup.cfg").write_text(
        SETTINGS.format(
            modules=lines(f"src/{name}" for name in room.modules),
            but=lines(f"src/{name}" for name in room.but or ("none.py",)),
            tests=lines(room.tests),
            copied=lines(copied),
            unsuitable=UNSUITABLE,
        ),
        encoding="utf-8",
    )


def _check_survivors_again(meta: Path) -> None:
    """Forget which mutants survived, or had no test: there may be new ones for them."""
    known = json.loads(meta.read_text(encoding="utf-8"))
    ends: dict[str, int | None] = known["exit_code_by_key"]
    known["exit_code_by_key"] = {name: None if code in {0, 33} else code for name, code in ends.items()}
    meta.write_text(json.dumps(known), encoding="utf-8")


@contextmanager
def servers(workspace: Path) -> Iterator[dict[str, str]]:
    """One Postgres and one S3 for all mutants; yields where they are, for the tests' environment."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - the other rooms need neither

    sys.path.insert(0, str(PROJECT / "tests"))
    from support.postgres import running_postgres  # noqa: PLC0415

    shutil.rmtree(workspace / "postgres", ignore_errors=True)
    logging.getLogger("werkzeug").disabled = True
    s3 = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    s3.start()
    try:
        with running_postgres(workspace / "postgres") as postgres:
            host, port = s3.get_host_and_port()
            yield {"MUTANTS_POSTGRES_PORT": str(postgres.port), "MUTANTS_MOTO": f"http://{host}:{port}"}
    finally:
        s3.stop()


def run(room: Room, workspace: Path, seconds: float) -> None:
    """Run mutmut until it is done.

    Raises:
        subprocess.TimeoutExpired: the time is over.
        subprocess.CalledProcessError: the tests fail without a mutant.
    """
    children = 1 if room.needs_servers else os.cpu_count() or 1
    command = [sys.executable, __file__, "--mutmut", str(children)]
    started: AbstractContextManager[dict[str, str]] = servers(workspace) if room.needs_servers else nullcontext({})
    with started as places:
        # A session of its own: with it end its forks, which may be running tests.
        process = subprocess.Popen(command, cwd=workspace, env=os.environ | places, start_new_session=True)  # noqa: S603
        try:
            if status := process.wait(seconds):
                raise subprocess.CalledProcessError(status, command)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class Failures:
    """A plugin of pytest: which tests failed."""

    def __init__(self) -> None:
        self.tests: set[str] = set()

    def pytest_runtest_logreport(self, report: Any) -> None:  # noqa: ANN401 - pytest isn't imported here
        """A test's preparation, itself, or what comes after it has ended."""
        if report.failed:
            self.tests.add(report.nodeid)


def mutmut(children: int) -> None:
    """`mutmut run`, whose own process only imports the tests, and leaves running them to others.

    Each mutant is a fork of it, and a fork can't use an S3 client of which its parent had the threads.
    """
    from mutmut import __main__  # type: ignore[import-not-found] # noqa: PLC0415

    program: Any = __main__
    runner, collect_stats = _runner(program), program.run_stats_collection

    def collect_apart(made: object, tests: object = None) -> None:
        if _apart(lambda: collect_stats(made, tests)) != 0:
            sys.exit("The tests can't be run without a mutant.")
        runner.all_have_run = tests is None
        program.load_stats()

    program.PytestRunner, program.run_stats_collection = runner, collect_apart
    program.collect_source_file_mutation_data = _without_those_at_import(program.collect_source_file_mutation_data)
    program.cli(["run", "--max-children", str(children)])


def _runner(program: Any) -> Any:  # noqa: ANN401 - mutmut has no types
    """The class that mutmut runs tests by, with a second try for those that fail without a mutant."""
    import pytest  # noqa: PLC0415

    class Runner(program.PytestRunner):  # type: ignore[misc]
        all_have_run = False

        def execute_pytest(self, params: list[str], plugins: Iterable[object] = ()) -> int:
            if os.environ["MUTANT_UNDER_TEST"] in ("", "stats"):
                return _twice(super().execute_pytest, params, plugins)
            try:
                return int(super().execute_pytest([*params, "--timeout", "60"], plugins=[*plugins]))
            except program.BadTestExecutionCommandsException:
                # Its exit status would be a failed test's.
                return SUSPICIOUS

        def run_tests(self, **options: Any) -> int:  # noqa: ANN401
            run, under_test = super().run_tests, os.environ["MUTANT_UNDER_TEST"]
            if under_test == "":
                with program.change_cwd("mutants"):
                    pytest.main(["--collect-only", "-qq", "--rootdir=.", *self._pytest_add_cli_args_test_selection])
                status = 0 if self.all_have_run else _apart(lambda: run(**options))
                _leave_out_failing(program.mutmut.tests_by_mangled_function_name)
                return status
            return _apart(lambda: run(**options)) if under_test == "fail" else int(run(**options))

    return Runner


def _twice(execute: Callable[..., int], params: Sequence[str], plugins: Iterable[object]) -> int:
    """Run tests without a mutant, and those that fail once more: a busy machine may be to blame."""
    first, again = Failures(), Failures()
    status = execute([each for each in params if each != "-x"], plugins=[*plugins, first])
    if first.tests:
        status = execute(["-q", *sorted(first.tests)], plugins=[*plugins, again])
    Path("..", FAILING).write_text(json.dumps(sorted(again.tests)), encoding="utf-8")
    return 0 if again.tests else int(status)


def _leave_out_failing(tests_of: Mapping[str, set[str]]) -> None:
    failing = json.loads(Path(FAILING).read_text(encoding="utf-8"))
    for tests in tests_of.values():
        tests.difference_update(failing)


def _without_those_at_import(collect: Callable[..., Any]) -> Callable[..., Any]:
    def skip(**options: object) -> tuple[list[tuple[Any, str, int | None]], dict[str, Any]]:
        mutants, files = collect(**options)
        for file in files.values():
            skipped = dict.fromkeys((name for name in file.exit_code_by_key if name.startswith(AT_IMPORT)), SKIPPED)
            if skipped:
                file.exit_code_by_key |= skipped
                file.save()
        return [(file, name, file.exit_code_by_key[name]) for file, name, _ in mutants], files

    return skip


def _apart(work: Callable[[], int | None]) -> int:
    """Do something in a process of its own; its exit status."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = work() or 0
        finally:
            sys.stdout.flush()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def report() -> None:
    """Print how many mutants ended how, and write the survivors; in a room's workspace."""
    from mutmut import __main__  # noqa: PLC0415

    program: Any = __main__
    program.Config.ensure_loaded()
    counted: Counter[str] = Counter()
    with Path(SURVIVORS).open("w", encoding="utf-8") as file:
        for path in program.walk_mutatable_files():
            found = program.SourceFileMutationData(path=path)
            found.load()
            for name, code in found.exit_code_by_key.items():
                status = program.status_by_exit_code[code]
                counted[status] += 1
                if status not in ("killed", "timeout", "not checked", "skipped"):
                    file.write(f"# {name}: {status}\n{program.get_diff_for_mutant(name, path=path)}\n\n")
    print(f"{Path.cwd().name}: {counted.total()} mutants:", dict(counted.most_common()))  # noqa: T201


def main() -> int:
    """Run mutmut for the rooms that are named, and list who survived."""
    rooms = sys.argv[1:] or list(ROOMS)
    ends = time.monotonic() + SECONDS
    WORKSPACES.mkdir(exist_ok=True)
    failed = 0
    for name in rooms:
        workspace = WORKSPACES / name
        prepare(ROOMS[name], workspace)
        try:
            run(ROOMS[name], workspace, ends - time.monotonic())
        except subprocess.TimeoutExpired:
            print(f"\nThe time is over ({SECONDS:g} s): call it again to go on.")  # noqa: T201
        except subprocess.CalledProcessError as error:
            failed = error.returncode
        subprocess.run([sys.executable, __file__, "--report"], cwd=workspace, check=True)  # noqa: S603
        if failing := json.loads((workspace / FAILING).read_text(encoding="utf-8")):
            failed = 1
            print("Left out, since they fail without a mutant as well:", *failing, sep="\n  ")  # noqa: T201
        print(f"What no test sees: {(workspace / SURVIVORS).relative_to(PROJECT)}")  # noqa: T201
    return failed


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--mutmut", children]:
            mutmut(int(children))
        case ["--report"]:
            report()
        case _:
            sys.exit(main())
