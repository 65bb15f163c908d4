"""docs/disaster-recovery.md: a database that is lost, and made again from a snapshot or from nothing.

RDS's snapshots are copies of a disk in use. So is this one: the server is killed, and its files are copied.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from dropzone.use_cases.process import process
from dropzone.use_cases.sweep import sweep
from dropzone_local.ports import find_free
from dropzone_local.postgres import Postgres
from dropzone_migrate.migrations import migrate
from support.factories import arrive, message, payload, shuffled
from support.fakes import InMemoryBronze
from support.postgres import PASSWORD, SilverInPostgres, migrate_settings, running_postgres

HOUR = timedelta(hours=1)

# All that silver and gold say, but when it was written.
STATES = {
    "measurements": (
        "SELECT measured_at, source, mean, std_dev, sample_count, min, max, unit, tags::text, raw_id, item"
        " FROM measurements ORDER BY 1, 2"
    ),
    "outcomes": (
        "SELECT raw_id, item, outcome, violations::text, measured_at, source, mean, std_dev, sample_count, min, max"
        " FROM outcomes ORDER BY 1, 2"
    ),
    "receipts": "SELECT raw_id, items, settled_at IS NOT NULL FROM receipts ORDER BY 1",
    # Sums in another order may differ in their last bits (docs/adr/0012).
    "kpis": (
        "SELECT bucket_start, source, events, sample_count, round(mean::numeric, 9), round(std_dev::numeric, 9), min,"
        " max, first_measured_at, last_measured_at FROM gold.kpis_hourly ORDER BY 1, 2"
    ),
    "rules": "SELECT * FROM gold.rules_daily ORDER BY bucket_start, source, code, contract, rule",
}


def state(server: Postgres) -> dict[str, list[Any]]:
    with server.connect() as connection:
        return {name: list(connection.run(sql) or []) for name, sql in STATES.items()}


def events(seed: int) -> list[bytes]:
    """Bodies that meet each other's instants: overwritten, repeated, in batches, and bad ones."""
    bodies = [
        payload(f"2019-05-01T{hour:02}:{minute:02}:00Z", [seed, hour, minute], source=source)
        for hour in range(6)
        for minute in (0, 30)
        for source in ("boiler", "pump")
    ]
    batch = b"[" + b",".join(bodies[:5]) + b"]"
    bad = [payload(f"2019-05-01T{hour:02}:00:00", [1]) for hour in range(3)]
    return shuffled([*bodies, batch, *bad, b"not json"], seed)


@contextmanager
def opened(server: Postgres) -> Iterator[SilverInPostgres]:
    with server.connect() as connection:
        tables = SilverInPostgres(server, connection)
        yield tables
        for database in tables.opened:
            database.close()


def sweep_all(server: Postgres, bronze: InMemoryBronze) -> None:
    """What the schedule does, until nothing is left; and gold."""
    with opened(server) as tables:
        silver = tables.silver()

        def swept(limit: int, after: UUID | None) -> UUID | None:
            return sweep(
                bronze=bronze,
                silver=silver,
                limit=limit,
                min_age=timedelta(0),
                after=after,
                retry_exhausted=False,
                time_left=lambda: 60.0,
            ).cursor

        after = swept(20, None)
        while after is not None:
            after = swept(20, after)
        # From the watermark once more, as the next run of the schedule would, which raises it.
        swept(1_000, None)
        tables.query("SELECT gold.refresh(1000000, interval '0')")


def watermark(server: Postgres) -> UUID:
    with server.connect() as connection:
        [[value]] = connection.run("SELECT watermark FROM sweep") or []
    return UUID(str(value))


def snapshot(server: Postgres, target: Path) -> None:
    """Copy the disk of a server that writes, as it is at this moment."""
    with server.connect() as connection:
        # Tests let commits be lost in a crash; RDS doesn't.
        connection.run("CHECKPOINT")
    server.kill()
    target.mkdir()
    subprocess.run(["/bin/cp", "-a", str(server.data), str(target / "data")], check=True, timeout=60)  # noqa: S603 - our own files
    server.start()


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Lost"]:
    """A database of which there is a snapshot, some hours of life after it, and then nothing."""
    folder, bronze = tmp_path_factory.mktemp("recovery"), InMemoryBronze()
    with running_postgres(folder / "first") as server:
        # GIVEN events of before the snapshot: most processed by the queue, some swept, one left
        before = [arrive(bronze, body, 3 * HOUR) for body in events(1)]
        with opened(server) as tables:
            process([message(*before[:30])], bronze=bronze, silver=tables.silver(), time_left=lambda: 60.0)
        sweep_all(server, bronze)
        arrive(bronze, payload("2019-05-02T00:00:00Z"), 2 * HOUR)
        snapshot(server, folder / "copy")
        at_snapshot = watermark(server)

        # AND events of after it, which overwrite some of them
        after = [arrive(bronze, body, HOUR) for body in events(2)]
        with opened(server) as tables:
            process([message(*after[10:20])], bronze=bronze, silver=tables.silver(), time_left=lambda: 60.0)
        sweep_all(server, bronze)
        yield Lost(folder, bronze, state(server), at_snapshot)


class Lost:
    """What is left: bronze, the snapshot, and what the test knows of how it was."""

    def __init__(self, folder: Path, bronze: InMemoryBronze, was: dict[str, list[Any]], watermark: UUID) -> None:
        self.folder, self.bronze, self.was, self.watermark = folder, bronze, was, watermark


@contextmanager
def restored(lost: Lost, folder: Path) -> Iterator[Postgres]:
    """A server on a copy of the snapshot, so that the snapshot can be used again."""
    subprocess.run(["/bin/cp", "-a", f"{lost.folder}/copy/.", str(folder)], check=True, timeout=60)  # noqa: S603 - our own files
    server = Postgres(folder, port=find_free(), password=PASSWORD, bound_to_parent=True)
    try:
        server.start()
        migrate(migrate_settings(server))
        yield server
    finally:
        server.stop()


def test_a_snapshot_and_a_sweep_give_identical_rows(lost: Lost, tmp_path: Path) -> None:
    # GIVEN the database as it was at the snapshot: fewer rows than later, and an older watermark
    with restored(lost, tmp_path) as server:
        assert watermark(server) == lost.watermark
        then = state(server)
        assert all(then[name] != lost.was[name] for name in STATES)
        assert 0 < len(then["receipts"]) < len(lost.was["receipts"]) == len(lost.bronze.objects)

        # WHEN the sweep has run from there
        sweep_all(server, lost.bronze)

        # THEN all is as it was, and the watermark has moved on
        assert state(server) == lost.was
        assert watermark(server) > lost.watermark


def test_without_a_snapshot_bronze_alone_gives_identical_rows(lost: Lost, tmp_path: Path) -> None:
    with running_postgres(tmp_path) as server:
        sweep_all(server, lost.bronze)

        assert state(server) == lost.was


def test_what_was_erased_after_the_snapshot_has_to_be_erased_again(lost: Lost, tmp_path: Path) -> None:
    # GIVEN an object of before the snapshot that was erased since, in bronze as well
    first = min(lost.bronze.objects)
    bronze = InMemoryBronze({key: body for key, body in lost.bronze.objects.items() if key != first})

    # THEN the snapshot brings its rows back, and no sweep takes them away: the page says so
    with restored(lost, tmp_path) as server:
        sweep_all(server, bronze)
        assert first in {row[0] for row in state(server)["receipts"]}
