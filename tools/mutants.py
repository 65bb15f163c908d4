"""Mutants of the code that decides: which faults, put in by mutmut one at a time, does no test see?

    make mutants ARGS="domain use_cases"

mutmut wants its sources in `src/` and its tests beside them, so it works on a copy of the project for each room, in
`.mutants/`. It runs, for each mutant, those of the room's tests that call the function, the quickest first, and stops
when the time is over (DROPZONE_MUTANTS_SECONDS, for all rooms together); what it has found stays there for the next
run. The survivors of a room are in its `survivors.diff`. docs/mutants.md says how to read them.
"""

import json
import logging
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
WORKSPACES = PROJECT / ".mutants"
SURVIVORS = "survivors.diff"
SECONDS = float(os.environ.get("DROPZONE_MUTANTS_SECONDS", "7200"))


@dataclass(frozen=True, slots=True)
class Room:
    """Modules that get faults, and the tests that hold them."""

    modules: tuple[str, ...]
    """Patterns below layers/common/dropzone."""
    tests: tuple[str, ...]
    but: tuple[str, ...] = ()
    """Modules that another room has."""
    needs_servers: bool = False
    """Postgres and S3, which all mutants share: one mutant at a time."""


_OF_SERVERS = ("use_cases/check_expectations.py", "use_cases/fleet.py", "use_cases/notify.py")

ROOMS = {
    "domain": Room(("domain/*.py",), ("tests/unit/domain", "tests/unit/contracts", "tests/unit/use_cases")),
    "use_cases": Room(("use_cases/*.py",), ("tests/unit/use_cases",), but=_OF_SERVERS),
    "api": Room(
        ("api/*.py",),
        (
            "tests/unit/test_compression.py",
            "tests/functional/test_access.py",
            "tests/functional/test_health.py",
            "tests/functional/test_ingest.py",
            "tests/functional/test_ingest_encodings.py",
            "tests/functional/test_ingest_refusals.py",
            "tests/functional/test_page.py",
            "tests/functional/test_process_request.py",
            "tests/functional/test_reads.py",
            "tests/functional/test_replay_request.py",
            "tests/functional/test_status_request.py",
            "tests/functional/test_web_headers.py",
        ),
        needs_servers=True,
    ),
    "adapters": Room(
        ("adapters/*.py", *_OF_SERVERS),
        (
            "tests/unit/test_tls.py",
            "tests/functional/test_bronze_contract.py",
            "tests/functional/test_clients_document.py",
            "tests/functional/test_idempotency_store_contract.py",
            "tests/functional/test_notify.py",
            "tests/functional/test_s3_bronze_failures.py",
            "tests/functional/test_s3_connection.py",
            "tests/integration/test_contracts_in_silver.py",
            "tests/integration/test_database.py",
            "tests/integration/test_database_credentials.py",
            "tests/integration/test_expectations.py",
            "tests/integration/test_fleet.py",
            "tests/integration/test_gold.py::test_what_is_written_to_is_computed_later_and_every_mark_goes",
            "tests/integration/test_gold_stale.py",
            "tests/integration/test_postgres_outcome_store.py",
            "tests/integration/test_postgres_silver.py",
            "tests/integration/test_replay.py",
            "tests/integration/test_silver_contract.py",
        ),
        needs_servers=True,
    ),
    "queries": Room(
        ("queries/*.py",),
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
}

UNSUITABLE = " and ".join(
    f"not {words}"
    for words in (
        *("emulator", "behind_such_a_key", "after_such_a_key"),
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
    --timeout
    60
    -k
    {unsuitable}
pytest_add_cli_args_test_selection =
{tests}
also_copy =
{copied}
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
    shutil.copytree(workspace / "layers/common/dropzone", workspace / "src/dropzone", copy_function=shutil.copy)
    for path in (workspace / "mutants" / "src").rglob("*.py*"):
        source = workspace / path.relative_to(workspace / "mutants")
        if not source.with_name(source.name.removesuffix(".meta").removesuffix(".spans")).exists():
            path.unlink()
    for path in (workspace / "mutants" / "src").rglob("*.meta"):
        _check_survivors_again(path)
    for name, text in APPENDED.items():
        with (workspace / "tests" / name).open("a", encoding="utf-8") as opened:
            opened.write(text)

    def lines(values: Iterable[str]) -> str:
        return "\n".join(f"    {value}" for value in values)

    (workspace / "setup.cfg").write_text(
        SETTINGS.format(
            modules=lines(f"src/dropzone/{name}" for name in room.modules),
            but=lines(f"src/dropzone/{name}" for name in room.but or ("none.py",)),
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
        subprocess.run(command, cwd=workspace, env=os.environ | places, check=True, timeout=seconds)  # noqa: S603


def mutmut(children: int) -> None:
    """`mutmut run`, whose own process only imports the tests, and leaves running them to others.

    Each mutant is a fork of it, and a fork can't use an S3 client of which its parent had the threads.
    """
    import pytest  # noqa: PLC0415
    from mutmut import __main__  # type: ignore[import-not-found] # noqa: PLC0415

    program: Any = __main__

    run_tests, collect_stats = program.PytestRunner.run_tests, program.run_stats_collection

    def run_apart(runner: Any, **options: object) -> int:  # noqa: ANN401 - mutmut has no types
        if os.environ["MUTANT_UNDER_TEST"] not in ("", "fail"):
            return int(run_tests(runner, **options))
        if os.environ["MUTANT_UNDER_TEST"] == "":
            with program.change_cwd("mutants"):
                pytest.main(["--collect-only", "-qq", "--rootdir=.", *runner._pytest_add_cli_args_test_selection])  # noqa: SLF001
        return _apart(lambda: run_tests(runner, **options))

    def collect_apart(runner: object, tests: object = None) -> None:
        if _apart(lambda: collect_stats(runner, tests)) != 0:
            sys.exit("The tests fail without a mutant.")
        program.load_stats()

    program.PytestRunner.run_tests, program.run_stats_collection = run_apart, collect_apart
    program.cli(["run", "--max-children", str(children)])


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
                if status not in ("killed", "timeout", "not checked"):
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
