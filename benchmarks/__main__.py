"""`python -m benchmarks [subject …]` measures; without subjects, all but the long large, gold, sources and months."""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping

from benchmarks import (
    access,
    backlog,
    cold_start,
    contracts,
    gold,
    growth,
    ingest,
    large,
    many_events,
    memory,
    months,
    process,
    read,
    replays,
    report,
    seeds_way,
    send,
    sources,
    store,
    sweeping,
    validate,
)
from benchmarks.measuring import Entry
from benchmarks.surroundings import Surroundings

SUBJECTS: Mapping[str, Callable[[Surroundings], Iterator[Entry]]] = {
    "validate": validate.run,
    "contracts": contracts.run,
    "store": store.run,
    "read": read.run,
    "process": process.run,
    "many-events": many_events.run,
    "seed": seeds_way.run,
    "ingest": ingest.run,
    "access": access.run,
    "cold-start": cold_start.run,
    "memory": memory.run,
    "growth": growth.run,
    "large": large.run,
    "gold": gold.run,
    "backlog": backlog.run,
    "sources": sources.run,
    "replays": replays.run,
    "sweep": sweeping.run,
    "months": months.run,
    "send": send.run,
}
_TAKE_LONG = {"large", "gold", "sources", "months"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("subjects", nargs="*", metavar="subject", help=f"of {', '.join(SUBJECTS)}")
    chosen = parser.parse_args().subjects or [subject for subject in SUBJECTS if subject not in _TAKE_LONG]
    with Surroundings() as surroundings:
        for subject in chosen:
            started = time.monotonic()
            found = [*SUBJECTS[subject](surroundings)]
            report.write(subject, found)
            report.show(found, f"{subject}: {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
