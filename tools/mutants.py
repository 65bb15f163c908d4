"""Mutants of the code that decides: which faults, put in by mutmut one at a time, does no test see?

    make mutants ARGS="domain use_cases"

mutmut wants its sources in `src/` and its tests beside them, so this works on a copy of the project for each room, in
`.mutants/`, where tools/mutants_run.py puts the faults in until the time is over (DROPZONE_MUTANTS_SECONDS, for all
rooms together). What it has found stays there for the next run. The survivors of a room are in its `survivors.diff`.
docs/mutants.md says how to read them.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
WORKSPACES = PROJECT / ".mutants"
FAILING = "failing.json"
"""The tests that fail without a fault."""
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
    """A Postgres for each process."""


_OF_SERVERS = tuple(f"dropzone/use_cases/{name}.py" for name in ("archive_months", "fleet", "upkeep"))

_CALLS_OF_HANDLERS = tuple(
    f"tests/functional/test_{name}.py"
    for name in (
        *("access", "health", "ingest", "ingest_encodings", "ingest_refusals", "page", "process_request", "reads"),
        *("replay_request", "status_request", "web_headers"),
    )
)

ROOMS = {
    "domain": Room(("dropzone/domain/*.py",), ("tests/unit/domain", "tests/unit/contracts", "tests/unit/use_cases")),
    "use_cases": Room(("dropzone/use_cases/*.py",), ("tests/unit/use_cases",), but=_OF_SERVERS),
    "api": Room(("dropzone/api/*.py",), ("tests/unit/test_compression.py", *_CALLS_OF_HANDLERS), needs_servers=True),
    "adapters": Room(
        ("dropzone/adapters/*.py", *_OF_SERVERS),
        (
            "tests/unit/test_tls.py",
            "tests/unit/use_cases/test_archive_months.py",
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
            "tests/integration/test_database_tls.py",
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
track_dependencies = false
use_git_change_detection = false
"""

# In the copy, the server is the one that `servers` started for this process, and its database a new one.
POSTGRES = """

@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    import os

    from dropzone_local.postgres import Postgres
    from support.postgres import PASSWORD

    port = os.environ["MUTANTS_POSTGRES"].split()[int(os.environ["MUTANTS_PLACE"])]
    server = Postgres(tmp_path_factory.mktemp("postgres"), port=int(port), password=PASSWORD)
    with server.connect("postgres") as connection:
        connection.run(f"DROP DATABASE IF EXISTS {server.database} WITH (FORCE)")
        connection.run(f"CREATE DATABASE {server.database} TEMPLATE migrated")
    return server
"""


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
    with (workspace / "tests/conftest.py").open("a", encoding="utf-8") as opened:
        opened.write(POSTGRES)

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
    """Forget which mutants survived, had no test or no clear end: there may be new tests for them."""
    known = json.loads(meta.read_text(encoding="utf-8"))
    ends: dict[str, int | None] = known["exit_code_by_key"]
    known["exit_code_by_key"] = {name: None if code in {0, 33, 35} else code for name, code in ends.items()}
    meta.write_text(json.dumps(known), encoding="utf-8")


@contextmanager
def servers(workspace: Path, number: int) -> Iterator[dict[str, str]]:
    """A Postgres for each process; yields where they are, for the tests' environment."""
    sys.path.insert(0, str(PROJECT / "tests"))
    from support.postgres import running_postgres  # noqa: PLC0415 - the other rooms need none

    shutil.rmtree(workspace / "postgres", ignore_errors=True)
    with ExitStack() as stack:
        ports = []
        for place in range(number):
            server = stack.enter_context(running_postgres(workspace / "postgres" / str(place)))
            with server.connect("postgres") as connection:
                connection.run(f"ALTER DATABASE {server.database} RENAME TO migrated")
            ports.append(str(server.port))
        yield {"MUTANTS_POSTGRES": " ".join(ports)}


def run(room: Room, workspace: Path, seconds: float) -> int:
    """Check a room's mutants until they are done, or the time is over; pytest's status."""
    processes = os.cpu_count() or 1
    command = [sys.executable, str(Path(__file__).with_name("mutants_run.py")), str(processes), str(seconds)]
    started: AbstractContextManager[dict[str, str]]
    started = servers(workspace, processes) if room.needs_servers else nullcontext({})
    with started as places:
        return subprocess.run(command, cwd=workspace, env=os.environ | places, check=False).returncode  # noqa: S603


def main() -> int:
    """Run mutmut for the rooms that are named, and list who survived."""
    rooms = sys.argv[1:] or list(ROOMS)
    ends = time.monotonic() + SECONDS
    WORKSPACES.mkdir(exist_ok=True)
    failed = 0
    for name in rooms:
        workspace = WORKSPACES / name
        prepare(ROOMS[name], workspace)
        failed = run(ROOMS[name], workspace, ends - time.monotonic()) or failed
        if failing := json.loads((workspace / FAILING).read_text(encoding="utf-8")):
            failed = 1
            print("Left out, since they fail without a fault as well:", *failing, sep="\n  ")  # noqa: T201
        print(f"What no test sees: {(workspace / 'survivors.diff').relative_to(PROJECT)}")  # noqa: T201
    return failed


if __name__ == "__main__":
    sys.exit(main())
