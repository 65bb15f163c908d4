"""`python -m benchmarks [subject …]` measures; without subjects, all but the long large, gold, sources and months."""

import argparse
import sys
import time
from importlib import import_module

from benchmarks import report
from benchmarks.surroundings import Surroundings

SUBJECTS = (
    *("validate", "contracts", "store", "read", "process", "many-events", "seed", "ingest", "access", "cold-start"),
    *("memory", "growth", "large", "gold", "backlog", "sources", "replays", "sweep", "months", "send"),
)
"""Modules of this package, each with a function `run`."""

_TAKE_LONG = {"large", "gold", "sources", "months"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("subjects", nargs="*", metavar="subject", help=f"of {', '.join(SUBJECTS)}")
    chosen = parser.parse_args().subjects or [subject for subject in SUBJECTS if subject not in _TAKE_LONG]
    with Surroundings() as surroundings:
        for subject in chosen:
            started = time.monotonic()
            module = import_module(f"benchmarks.{subject.replace('-', '_')}")
            found = [*module.run(surroundings)]
            report.write(subject, found)
            report.show(found, f"{subject}: {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
