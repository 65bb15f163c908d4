"""The tables of docs/scale.md, by arithmetic alone.

    python -m benchmarks.scale

prints them. Change a figure here, and put what it prints into the document, which a test compares.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

RATES = (10, 100, 1_000, 10_000, 100_000, 1_000_000)
"""Events a second, day and night."""

SECONDS_A_MONTH = 730 * 3_600
_DAY = 86_400
_MIB, _GIB = 1 << 20, 1 << 30

Source = Literal["measured here", "computed", "AWS", "template"]


class Size(NamedTuple):
    """How events come."""

    name: str
    events: int
    """An object."""
    bytes_on_disk: int
    """An event, with indexes."""
    bytes_of_log: int
    """An event, without the whole pages that Postgres writes after a checkpoint."""
    events_processed: int
    """A second, where the database has two processors."""
    usd_a_million: float
    """Objects, without the database: docs/deploy.md."""


# Bytes on disk and of the log: measured with 36,000 events of a contract by PostgresSilver.write_outcomes. Events a
# second: `process` and `many-events` of results.json, where the client shares the processors; the latter with a
# thousand events an object.
ALONE = Size("alone", 1, 542, 986, 3_500, 10.68)
HUNDREDS = Size("in hundreds", 100, 451, 776, 19_600, 11.60)
"""An object of a hundred costs what one of a single event does, and a little for the time to validate it."""

SIZES = (ALONE, HUNDREDS)


class Limit(NamedTuple):
    """What breaks, and above what."""

    name: str
    most: Callable[[Size], float]
    """Events a second."""
    source: Source
    what_helps: str


def _objects(a_second: float) -> Callable[[Size], float]:
    return lambda size: a_second * size.events


_QUOTA = 100_000_000

LIMITS = (
    Limit(
        "a key's quota, where `MonthlyQuota` is 100 million (0, for none, by default)",
        _objects(_QUOTA / SECONDS_A_MONTH),
        "template",
        "no quota, or several keys",
    ),
    Limit("a key's throttle, `ThrottleRate` 500/s", _objects(500), "template", "a higher rate, or several keys"),
    Limit("the scheduled sweep's listing, 1,200 objects/s", _objects(1_200), "measured here", "batches: fewer objects"),
    Limit("a method's throttle, `StageThrottleRate` 2,000/s", _objects(2_000), "template", "a higher rate"),
    Limit(
        "PUTs of one S3 prefix, 3,500/s: keys in order of time all go to the same",
        _objects(3_500),
        "AWS",
        "batches; or Data Firehose in front, which packs events into objects",
    ),
    Limit(
        "Process at a database of two processors",
        lambda size: size.events_processed,
        "measured here",
        "a larger `DatabaseInstanceClass`, with `ProcessConcurrency`",
    ),
    Limit(
        "API Gateway's requests of an account, 10,000/s",
        _objects(10_000),
        "AWS",
        "a higher quota; or IoT Core or Kinesis in front",
    ),
    Limit(
        "what gp3 writes, 125 MiB/s of log",
        lambda size: 125 * _MIB / size.bytes_of_log,
        "computed",
        "a database for each part of the sources; or Iceberg tables (S3 Tables) in place of Postgres",
    ),
)

DISK = 400 * _GIB
"""`DatabaseMaxStorage`."""

_OTHER = 2 * _GIB
"""The log, and everything else on the disk."""


def objects(rate: float, size: Size) -> float:
    """Objects a second."""
    return rate / size.events


def days_of_disk(rate: float, size: Size) -> float:
    """Until the database's disk is full."""
    return (DISK - _OTHER) / (rate * size.bytes_on_disk * _DAY)


def broken(rate: float, size: Size) -> Sequence[Limit]:
    """What breaks at a rate; what broke first on the way there is first."""
    return sorted((limit for limit in LIMITS if rate > limit.most(size)), key=lambda limit: limit.most(size))


def usd_a_month(rate: float, size: Size) -> float:
    """What the events cost, without the database."""
    return objects(rate, size) * SECONDS_A_MONTH / 1e6 * size.usd_a_million


# AWS's list prices for us-east-1, a million events: a message to IoT Core, a rule triggered, and its action; Data
# Firehose counts each record as 5 KB at least.
_IOT_CORE, _RULE, _ACTION, _FIREHOSE = 1.00, 0.15, 0.15, 5_000 * 1e6 / _GIB * 0.029


def usd_a_month_after(rate: float, size: Size) -> float:
    """What they cost once IoT Core takes single events, and Data Firehose packs a hundred into an object.

    Those that come in hundreds are packed already. Without the database, and IoT Core's minutes of connection.
    """
    if size is HUNDREDS:
        return usd_a_month(rate, size)
    requests = _IOT_CORE + _RULE + _ACTION + _FIREHOSE
    # API Gateway and Ingest have no part in it any more.
    packed = (HUNDREDS.usd_a_million - _API_GATEWAY - _INGEST) / HUNDREDS.events
    return rate * SECONDS_A_MONTH / 1e6 * (requests + packed)


_API_GATEWAY, _INGEST = 3.50, 0.27
"""USD a million requests: docs/deploy.md."""


def replay_days(rate: float, calls: int) -> float:
    """The days that the replay of a year of single events takes."""
    return rate * 365 / (REPLAY_RATE * calls)


def _row(rate: int, size: Size) -> str:
    new = [limit for limit in broken(rate, size) if limit.most(size) >= rate / 10]
    breaks = "; ".join(f"{limit.name} ({limit.source}): {_figure(limit.most(size))} events/s" for limit in new)
    helps = "; ".join(limit.what_helps for limit in new)
    cells = (
        *(f"{rate:,}", size.name, _figure(objects(rate, size)), _figure(days_of_disk(rate, size))),
        *(breaks or "nothing more", helps),
        *(_figure(usd_a_month(rate, size)), _figure(usd_a_month_after(rate, size))),
    )
    return f"| {' | '.join(cells)} |"


def table() -> Iterator[str]:
    """The lines of the table of rates."""
    yield (
        "| events a second | | objects a second | 400 GiB are full after days | what breaks on the way from a tenth "
        "| what takes over | USD a month, without the database | by IoT Core and Data Firehose |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for size in SIZES:
        for rate in RATES:
            yield _row(rate, size)


REPLAY_RATE = 500
"""Objects a second of one call: half of the least that `make bench ARGS=replays` has seen, 976, of one event each."""


def replays() -> Iterator[str]:
    """The lines of the table of a year's replay."""
    calls = (1, 2, 8, 32)
    yield f"| events a second, alone | {' | '.join(f'{number} at once' for number in calls)} |"
    yield f"|---|{'---|' * len(calls)}"
    for rate in RATES[:4]:
        yield f"| {rate:,} | {' | '.join(_figure(replay_days(rate, number)) for number in calls)} |"


BYTES = {"receipts": 93, "outcomes": 248, "measurements": 186}
"""On disk, with indexes, of an event alone: `make bench ARGS=months`."""

FILE_BYTES = {"receipts": 3, "outcomes": 44, "measurements": 47}
"""In Parquet, of an event alone: 200,000 of fifty sources at regular instants, with random figures."""

ARCHIVED_EVENTS = 3_900
"""A second that Archive writes, reads back and compares, in all three tables: measured on two cores at a load of 15."""

_SHARE_OF_TIME = 0.75
"""A call of 15 minutes every 20."""

_DAYS_OF_A_MONTH = 365 / 12


def archive_share(rate: float) -> float:
    """The part of the time of its calls that Archive needs."""
    return rate / (ARCHIVED_EVENTS * _SHARE_OF_TIME)


def days_with_months(rate: float, months: int, disk: int = DISK) -> float | None:
    """Until the disk is full, where closed months are archived after so many; None if it never is.

    There are the month that is running, so many before, and the one that is being archived, which takes its time.
    """
    everything = days_until_full(rate, disk)
    kept = (months + 1 + min(archive_share(rate), 1)) * _DAYS_OF_A_MONTH
    return None if everything >= kept and archive_share(rate) < 1 else everything


def days_until_full(rate: float, disk: int = DISK) -> float:
    """Until the disk is full of single events, where nothing is archived."""
    return (disk - _OTHER) / (rate * sum(BYTES.values()) * _DAY)


def gib_with_months(rate: float, months: int) -> float:
    """The disk that is never full, where closed months are archived after so many."""
    kept = (months + 1 + min(archive_share(rate), 1)) * _DAYS_OF_A_MONTH
    return (rate * sum(BYTES.values()) * _DAY * kept + _OTHER) / _GIB


def retention() -> Iterator[str]:
    """The lines of the tables of bytes, of what `SilverMonths` gains, and of the disk that it needs."""
    yield f"| bytes an event, alone | {' | '.join(BYTES)} | all |"
    yield f"|---|{'---|' * (len(BYTES) + 1)}"
    yield f"| with indexes | {' | '.join(map(str, BYTES.values()))} | {sum(BYTES.values())} |"
    yield f"| in files | {' | '.join(map(str, FILE_BYTES.values()))} | {sum(FILE_BYTES.values())} |"
    yield ""
    months = (24, 12, 3, 1)
    header = " | ".join(f"`SilverMonths` {number}" for number in months)
    yield f"| events a second, alone | all kept | {header} |"
    yield f"|---|---|{'---|' * len(months)}"
    for rate in RATES[:4]:
        days = (days_with_months(rate, number) for number in months)
        cells = ("never" if each is None else _figure(each) for each in days)
        yield f"| {rate:,} | {_figure(days_until_full(rate))} | {' | '.join(cells)} |"
    yield ""
    yield f"| events a second, alone | of Archive's time | {header} |"
    yield f"|---|---|{'---|' * len(months)}"
    for rate in RATES[:3]:
        sizes = (f"{gib_with_months(rate, number):,.0f} GiB" for number in months)
        yield f"| {rate:,} | {archive_share(rate):.1%} | {' | '.join(sizes)} |"


def _figure(number: float) -> str:
    """Two digits, or all in front of the point."""
    if number >= 10:  # noqa: PLR2004
        return f"{number:,.0f}"
    return f"{number:.1f}" if number >= 1 else f"{number:.2g}"


def main() -> int:
    """Print the tables."""
    for lines in (table(), retention(), replays()):
        sys.stdout.write("\n".join(lines) + "\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
