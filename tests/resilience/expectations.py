"""What has to be in silver, given what was sent and what bronze holds; nothing of the code under test decides."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from uuid import UUID

from resilience.events import Event
from resilience.figures import wrong_figures
from support.rows import OutcomeRow, Tables

_SHOWN = 8


def check_silver(
    tables: Tables, bronze: Mapping[UUID, bytes], sent: Mapping[bytes, Event], *, incomplete: Collection[UUID] = ()
) -> None:
    """Hold silver against bronze and what was sent.

    `incomplete` are the objects that must not be completed: those that are gone or kill their reader. They may be
    missing from `bronze`.
    """
    problems = list(_problems(tables, bronze, sent, frozenset(incomplete)))
    assert not problems, f"{len(problems)} problems: " + "; ".join(problems[:_SHOWN])


def _problems(
    tables: Tables, bronze: Mapping[UUID, bytes], sent: Mapping[bytes, Event], incomplete: frozenset[UUID]
) -> Iterator[str]:
    yield from (f"{raw_id} in bronze was never sent" for raw_id, body in bronze.items() if body not in sent)
    events = {raw_id: sent[body] for raw_id, body in bronze.items() if body in sent and raw_id not in incomplete}
    yield from (f"{raw_id} was refused, and is in bronze" for raw_id, event in events.items() if event.refused_with)

    receipts = tables.receipt_rows()
    completed = {raw_id for raw_id, receipt in receipts.items() if receipt.complete}
    yield from (f"{raw_id} is not completed" for raw_id in sorted(events.keys() - completed))
    yield from (f"{raw_id} is completed, and is not to be" for raw_id in sorted(completed - events.keys()))
    yield from (
        f"{raw_id} has {receipts[raw_id].items} items"
        for raw_id in completed & events.keys()
        if receipts[raw_id].items != len(events[raw_id].items)
    )

    outcomes = tables.outcome_rows()
    due = {(raw_id, item): single for raw_id, event in events.items() for item, single in enumerate(event.items)}
    yield from (f"{key} is an outcome too many" for key in outcomes.keys() - due.keys())
    for key, event in due.items():
        row = outcomes.get(key)
        if row is None:
            yield f"{key} has no outcome"
        elif wrong := wrong_outcome(event, row):
            yield f"{key}: {wrong} ({event.body[:200]!r} became {row})"

    current = {key: (row.raw_id, row.item) for key, row in tables.measurement_rows().items()}
    expected = {(instant, ""): key for instant, key in last_arrivals(events).items()}
    yield from (
        f"at {key[0]} is {current.get(key)}, and not {expected.get(key)}"
        for key in sorted(current.keys() | expected.keys())
        if current.get(key) != expected.get(key)
    )
    yield from (
        f"{row.raw_id}'s measurement is not that of its outcome"
        for row in tables.measurement_rows().values()
        if (outcome := outcomes.get((row.raw_id, row.item))) is None or outcome.measurement != row.measurement
    )


def last_arrivals(events: Mapping[UUID, Event]) -> dict[datetime, tuple[UUID, int]]:
    """Of each instant the good event that arrived last: its object, and its item."""
    return {
        single.instant: (raw_id, item)
        for raw_id, event in sorted(events.items())
        for item, single in enumerate(event.items)
        if single.good and single.instant
    }


def wrong_outcome(event: Event, row: OutcomeRow) -> str:
    """Say what is wrong with the outcome of an event, nothing where it is right."""
    codes = {str(violation.code) for violation in row.violations}
    if codes != event.codes:
        return f"violations are {sorted(codes)}, and not {sorted(event.codes)}"
    if (row.measurement is None) == event.good:
        return "has a measurement" if row.measurement else "has no measurement"
    if row.measurement is None:
        return ""
    measured_at, source, figures, *_ = row.measurement
    if (measured_at, source) != (event.instant, ""):
        return f"is of {measured_at} and {source!r}, and not of {event.instant}"
    mean, std_dev, count, minimum, maximum = figures
    wrong = wrong_figures(event.values, mean=mean, std_dev=std_dev, count=count, minimum=minimum, maximum=maximum)
    return f"figures are wrong: {', '.join(wrong)}" if wrong else ""
