"""Mutants of the code that decides: which faults, put in by mutmut one at a time, does no test see?

    make mutants ARGS="domain use_cases"

mutmut wants its sources in `src/` and its tests beside them, so it works on a copy, in `.mutants/`. It runs, for each
mutant, the tests that call the function (`TESTS` below), and stops when the time is over (DROPZONE_MUTANTS_SECONDS);
what it has found stays there for the next run. docs/mutants.md says how to read the survivors.
"""

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
WORKSPACE = Path(os.environ.get("DROPZONE_MUTANTS_FOLDER", PROJECT / ".mutants"))
SECONDS = float(os.environ.get("DROPZONE_MUTANTS_SECONDS", "7200"))

TESTS = {
    "domain": ["tests/unit/domain", "tests/unit/contracts", "tests/unit/use_cases"],
    "use_cases": ["tests/unit/use_cases"],
    "adapters": [
        "tests/unit/test_tls.py",
        "tests/functional/test_bronze_contract.py",
        "tests/functional/test_idempotency_store_contract.py",
        "tests/functional/test_s3_bronze_failures.py",
        "tests/functional/test_s3_connection.py",
        "tests/integration/test_database.py",
        "tests/integration/test_database_credentials.py",
        "tests/integration/test_gold.py::test_what_is_written_to_is_computed_later_and_every_mark_goes",
        "tests/integration/test_gold_stale.py",
        "tests/integration/test_postgres_outcome_store.py",
        "tests/integration/test_postgres_silver.py",
        "tests/integration/test_silver_contract.py",
    ],
    "queries": [
        "tests/functional/test_reads.py",
        "tests/functional/test_status_request.py",
        "tests/integration/test_gold.py",
        "tests/integration/test_measurements.py",
        "tests/integration/test_sources.py",
        "tests/integration/test_status_and_rejections.py",
    ],
}
"""The rooms of the layer, and the tests that hold each."""

UNSUITABLE = " and ".join(
    f"not {words}"
    for words in (
        *("emulator", "behind_such_a_key_nothing"),
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
{rooms}
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
    events
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


def prepare(rooms: list[str]) -> None:
    """Copy what mutmut needs; what it knows of an earlier run stays where the sources are the same."""
    WORKSPACE.mkdir(exist_ok=True)
    for source, target in (("layers/common/dropzone", "src/dropzone"), ("tests", "tests"), ("events", "events")):
        shutil.rmtree(WORKSPACE / target, ignore_errors=True)
        # Without their times, by which mutmut would take a file that was changed back for one that it knows.
        shutil.copytree(
            PROJECT / source,
            WORKSPACE / target,
            ignore=shutil.ignore_patterns("__pycache__"),
            copy_function=shutil.copy,
        )
    shutil.copy2(PROJECT / "pyproject.toml", WORKSPACE)
    # mutmut copies all of that on, and leaves what has been renamed since.
    shutil.rmtree(WORKSPACE / "mutants" / "tests", ignore_errors=True)
    for path in (WORKSPACE / "mutants" / "src").rglob("*.py*"):
        copied = WORKSPACE / path.relative_to(WORKSPACE / "mutants")
        if not copied.with_name(copied.name.removesuffix(".meta").removesuffix(".spans")).exists():
            path.unlink()
    for name, text in APPENDED.items():
        with (WORKSPACE / "tests" / name).open("a", encoding="utf-8") as file:
            file.write(text)
    selected = dict.fromkeys(folder for room in rooms for folder in TESTS[room])
    (WORKSPACE / "setup.cfg").write_text(
        SETTINGS.format(
            rooms="\n".join(f"    src/dropzone/{room}/*.py" for room in rooms),
            tests="\n".join(f"    {folder}" for folder in selected),
            unsuitable=UNSUITABLE,
        ),
        encoding="utf-8",
    )


@contextmanager
def servers() -> Iterator[dict[str, str]]:
    """One Postgres and one S3 for all mutants; yields where they are, for the tests' environment."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - the other rooms need neither

    sys.path.insert(0, str(PROJECT / "tests"))
    from support.postgres import running_postgres  # noqa: PLC0415

    shutil.rmtree(WORKSPACE / "postgres", ignore_errors=True)
    logging.getLogger("werkzeug").disabled = True
    s3 = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    s3.start()
    try:
        with running_postgres(WORKSPACE / "postgres") as postgres:
            host, port = s3.get_host_and_port()
            yield {"MUTANTS_POSTGRES_PORT": str(postgres.port), "MUTANTS_MOTO": f"http://{host}:{port}"}
    finally:
        s3.stop()


def run(rooms: list[str]) -> None:
    """Run mutmut until it is done or the time is over."""
    command = [sys.executable, __file__, "--mutmut"]
    if {"adapters", "queries"}.isdisjoint(rooms):
        subprocess.run(command, cwd=WORKSPACE, check=True, timeout=SECONDS)  # noqa: S603
        return
    with servers() as places:
        subprocess.run(command, cwd=WORKSPACE, env=os.environ | places, check=True, timeout=SECONDS)  # noqa: S603


def mutmut() -> int:
    """`mutmut run`, whose own process only imports the tests, and leaves running them to others.

    Each mutant is a fork of it, and a fork can't use an S3 client of which its parent had the threads.
    """
    import pytest  # noqa: PLC0415
    from mutmut import __main__ as program  # type: ignore[import-not-found] # noqa: PLC0415

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
    program.cli(["run", "--max-children", "1"])
    return 0


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


def main() -> int:
    """Run mutmut for the rooms that are named, and list who survived."""
    rooms = sys.argv[1:] or list(TESTS)
    prepare(rooms)
    try:
        run(rooms)
    except subprocess.TimeoutExpired:
        print(f"\nThe time is over ({SECONDS:g} s): call it again to go on.")  # noqa: T201
    program = str(Path(sys.executable).with_name("mutmut"))
    return subprocess.run([program, "results"], cwd=WORKSPACE, check=False).returncode  # noqa: S603


if __name__ == "__main__":
    sys.exit(mutmut() if sys.argv[1:] == ["--mutmut"] else main())
