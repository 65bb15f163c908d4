"""Mutants of the code that decides: which faults, put in by mutmut one at a time, does no test see?

    make mutants ARGS="domain use_cases"

mutmut wants its sources in `src/` and its tests beside them, so it works on a copy, in `.mutants/`. It runs, for each
mutant, the tests that call the function (`tests` below), and stops when the time is over (DROPZONE_MUTANTS_SECONDS);
what it has found stays there for the next run. docs/mutants.md says how to read the survivors.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
WORKSPACE = Path(os.environ.get("DROPZONE_MUTANTS_FOLDER", PROJECT / ".mutants"))
SECONDS = float(os.environ.get("DROPZONE_MUTANTS_SECONDS", "7200"))

TESTS = {
    "domain": ["tests/unit/domain", "tests/unit/use_cases"],
    "use_cases": ["tests/unit/use_cases"],
    "adapters": ["tests/functional", "tests/integration"],
}
"""The rooms of the layer, and the tests that hold each."""

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


def prepare(rooms: list[str]) -> None:
    """Copy what mutmut needs; what it knows of an earlier run stays where the sources are the same."""
    WORKSPACE.mkdir(exist_ok=True)
    for source, target in (("layers/common/dropzone", "src/dropzone"), ("tests", "tests"), ("events", "events")):
        shutil.rmtree(WORKSPACE / target, ignore_errors=True)
        shutil.copytree(PROJECT / source, WORKSPACE / target, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(PROJECT / "pyproject.toml", WORKSPACE)
    with (WORKSPACE / "tests" / "conftest.py").open("a", encoding="utf-8") as file:
        file.write(CONFTEST)
    selected = dict.fromkeys(folder for room in rooms for folder in TESTS[room])
    (WORKSPACE / "setup.cfg").write_text(
        SETTINGS.format(
            rooms="\n".join(f"    src/dropzone/{room}/*.py" for room in rooms),
            tests="\n".join(f"    {folder}" for folder in selected),
        ),
        encoding="utf-8",
    )


def main() -> int:
    """Run mutmut for the rooms that are named, and list who survived."""
    rooms = sys.argv[1:] or list(TESTS)
    prepare(rooms)
    mutmut = str(Path(sys.executable).with_name("mutmut"))
    try:
        subprocess.run([mutmut, "run", "--max-children", "1"], cwd=WORKSPACE, check=True, timeout=SECONDS)  # noqa: S603
    except subprocess.TimeoutExpired:
        print(f"\nThe time is over ({SECONDS:g} s): call it again to go on.")  # noqa: T201
    return subprocess.run([mutmut, "results"], cwd=WORKSPACE, check=False).returncode  # noqa: S603


if __name__ == "__main__":
    sys.exit(main())
