"""How much of the disk an event takes, as docs/deploy.md says; and when, by that, a disk is full."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import batched
from pathlib import Path
from typing import Any

import pytest

from dropzone.adapters.database import open_database
from dropzone.adapters.postgres_silver import PostgresSilver
from dropzone.use_cases.process import process
from dropzone_local.postgres import Postgres
from dropzone_migrate.migrations import migrate
from support.factories import arrive, message
from support.fakes import InMemoryBronze
from support.postgres import RETRY_AFTER, database_settings, empty_database, migrate_settings

DOCUMENT = (Path(__file__).parents[2] / "docs" / "deploy.md").read_text(encoding="utf-8")
SECTION = DOCUMENT.partition("**The database grows.**")[2].partition("\n## ")[0]

EVENTS = 4_000
# What a table begins with (maps of its free space, half empty pages) would count much among so few.
BEFORE = 1_000
TOLERANCE = 0.08
GIB, DAY = 1024**3, 86_400
RESERVED_GIB = 2

MORE = {"schema_version": 2, "unit": "celsius", "tags": {"site": "berlin", "line": "7"}}


def rows(columns: int) -> list[list[str]]:
    """The cells of the section's tables that are so wide."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\|.*\|$", SECTION, re.M)]
    return [row for row in cells if len(row) == columns and re.match(r"[\d,.]+$", row[-1])]


SIZES = {name: float(size) for name, size in rows(2)}


def events(more: dict[str, Any]) -> Iterator[dict[str, Any]]:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    for number in range(EVENTS):
        source = {"source": f"boiler-{number % 10}"} if more else {}
        instant = (start + timedelta(seconds=number)).isoformat()
        yield {"time_stamp": instant, "data": [number % 7, number % 11, 1.5], **source, **more}


def size(server: Postgres, database: str) -> int:
    with server.connect(database) as connection:
        connection.run("VACUUM")
        [[size]] = connection.run("SELECT pg_database_size(current_database())") or []
    return int(size)


@pytest.mark.parametrize(
    ("name", "an_object", "more"),
    [
        ("alone in its object", 1, {}),
        ("alone, with source, unit and two tags", 1, MORE),
        ("a thousand in an object", 1_000, {}),
        ("a thousand in an object, with source, unit and two tags", 1_000, MORE),
    ],
)
def test_an_event_takes_what_the_document_says(
    postgres: Postgres, name: str, an_object: int, more: dict[str, Any]
) -> None:
    bronze = InMemoryBronze()
    for batch in batched(events(more), an_object, strict=True):
        arrive(bronze, json.dumps(batch[0] if an_object == 1 else batch).encode(), timedelta(hours=1))
    with empty_database(postgres) as database:
        migrate(migrate_settings(postgres, database_name=database))
        connection = open_database(database_settings(postgres, database_name=database))
        silver = PostgresSilver(connection, retry_after=RETRY_AFTER)
        sizes = []
        objects = sorted(bronze.objects)
        for part in (objects[: BEFORE // an_object], objects[BEFORE // an_object :]):
            for identifiers in batched(part, 100, strict=False):
                messages = [message(identifier) for identifier in identifiers]
                process(messages, bronze=bronze, silver=silver, time_left=lambda: 60.0)
            sizes.append(size(postgres, database))
        connection.close()

    before, after = sizes
    assert (after - before) / (EVENTS - BEFORE) == pytest.approx(SIZES[name], rel=TOLERANCE)


def test_a_disk_is_full_when_the_document_says() -> None:
    [size] = map(int, re.findall(r"At (\d+) bytes an event", SECTION))
    assert min(SIZES.values()) < size < max(SIZES.values())

    table = [[float(cell.replace(",", "")) for cell in row] for row in rows(4)]
    assert [row[0] for row in table] == [10, 100, 1_000]
    for rate, a_day, small, large in table:
        exact = rate * size * DAY / GIB
        assert a_day == pytest.approx(exact, rel=0.02)
        assert small == pytest.approx((20 - RESERVED_GIB) / exact, rel=0.05)
        assert large == pytest.approx((400 - RESERVED_GIB) / exact, rel=0.02)
