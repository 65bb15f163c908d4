"""Many rows as one JSON text, with an array for each column.

The driver takes a microsecond for each value of a row, and JSON rows would repeat the columns' names. Zeros lose their
sign. Postgres writes whole numbers without a point, whatever their type: name the columns of floats to get floats.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from pydantic_core import from_json

from dropzone.adapters.database import Database


def ask(
    database: Database, query: str, columns: Sequence[str], floats: Collection[str], **parameters: object
) -> Iterator[tuple[Any, ...]]:
    """The rows of a query, in its order, of JSON's types: instants and identifiers are text.

    Args:
        database: to ask.
        query: a SELECT.
        columns: the names of its columns, in the order of the answer's.
        floats: those of type double precision.
        parameters: of the query.

    Raises:
        SilverError: as `Database.run`.
    """
    arrays = ", ".join(f"json_agg({column})" for column in columns)
    sql = f"SELECT CAST(json_build_array({arrays}) AS text) FROM ({query}) AS answer"  # noqa: S608 - our own words
    ((text,),) = database.run(sql, **parameters)
    # Each is null where there are no rows.
    found = zip(columns, from_json(text), strict=True)
    return zip(*(_floats(values or ()) if column in floats else values or () for column, values in found), strict=True)


def _floats(values: Sequence[float | None]) -> list[float | None]:
    return [None if value is None else float(value) for value in values]
