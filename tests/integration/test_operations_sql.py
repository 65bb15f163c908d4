"""The SQL that docs/operations.md tells operators to run."""

from datetime import timedelta
from pathlib import Path

from dropzone.domain.outcomes import Code, ValidatedObject
from support.factories import EXAMPLE_INSTANT, measurement, raw_ids, rejection
from support.postgres import SilverInPostgres

DOCUMENT = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()


def statements(first_words: str) -> list[str]:
    """The statements of the indented block that holds these words."""
    blocks = [block for block in DOCUMENT.split("\n\n") if block.startswith("    ") and first_words in block]
    assert len(blocks) == 1, first_words
    return [statement.strip() for statement in blocks[0].split(";") if statement.strip()]


def test_erasing_events_brings_back_what_stood_before_them(tables: SilverInPostgres) -> None:
    # GIVEN instants at which an erased event is alone, above, and below another client's
    alone, above, below = (EXAMPLE_INSTANT + timedelta(hours=hour) for hour in range(3))
    first, second, third, fourth, fifth, sixth = raw_ids(6)
    tables.silver().write_outcomes(
        [
            ValidatedObject(first, (measurement(alone, mean=1.0),)),
            ValidatedObject(second, (measurement(above, mean=2.0),)),
            ValidatedObject(third, (measurement(above, mean=3.0),)),
            ValidatedObject(fourth, (measurement(below, mean=4.0),)),
            ValidatedObject(fifth, (measurement(below, mean=5.0),)),
            ValidatedObject(sixth, (rejection(Code.DATA_EMPTY, None),)),
        ]
    )
    tables.query("CREATE TEMPORARY TABLE erased (raw_id uuid)")
    for raw_id in (first, third, fourth, sixth):
        tables.query("INSERT INTO erased VALUES (:raw_id)", raw_id=raw_id)

    # WHEN they are erased as the document says
    for statement in statements("DELETE FROM measurements"):
        tables.query(statement)
    tables.query("DROP TABLE erased")

    # THEN nothing of them is left, and the others' measurements stand
    assert tables.receipt_rows().keys() == {second, fifth}
    assert {raw_id for raw_id, _ in tables.outcome_rows()} == {second, fifth}
    assert {key[0]: row.raw_id for key, row in tables.measurement_rows().items()} == {above: second, below: fifth}


def test_rates_per_rule(tables: SilverInPostgres) -> None:
    first, second, third, fourth = raw_ids(4)
    tables.silver().write_outcomes(
        [
            ValidatedObject(first, (rejection(Code.DATA_EMPTY, None),)),
            ValidatedObject(second, (rejection(Code.DATA_EMPTY, None),)),
            ValidatedObject(third, (rejection(Code.DATA_EMPTY, None),)),
            ValidatedObject(fourth, (rejection(Code.DATA_NOT_NUMERIC),)),
        ]
    )

    (statement,) = statements("AS percent")

    assert [row[1:] for row in tables.query(statement)] == [["data.empty", 3, 75], ["data.not_numeric", 1, 25]]


def test_how_all_is(tables: SilverInPostgres) -> None:
    completed, waiting, stuck = raw_ids(3)
    silver = tables.silver()
    silver.write_outcomes([ValidatedObject(completed, (measurement(),))])
    for _ in range(5):
        silver.record_attempts([stuck], only_due=False)
    silver.record_attempts([waiting], only_due=False)

    (statement,) = statements("AS stuck")

    assert tables.query(statement)[0][:2] == [1, 1]


def test_what_of_gold_is_stale_and_how_to_compute_it(tables: SilverInPostgres) -> None:
    for table in ("measured_stale", "arrived_stale"):
        tables.query(f"DELETE FROM gold.{table}")  # noqa: S608 - our own names
    tables.silver().write_outcomes(
        [ValidatedObject(raw_ids(1)[0], (measurement(), measurement(EXAMPLE_INSTANT + timedelta(1))))]
    )
    (stale,) = statements("FROM gold.measured_stale")
    (refresh,) = statements("gold.refresh(")

    assert [row[:2] for row in tables.query(stale)] == [["measured", 2], ["arrived", 1]]
    assert tables.query(refresh) == [[3]]
    assert [row[:2] for row in tables.query(stale)] == [["measured", 0], ["arrived", 0]]
    assert tables.query(refresh) == [[0]]
