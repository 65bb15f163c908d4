"""Read rows as answers: a query's columns have the names of the answer's fields.

All rows are fetched as one JSON text, with an array for each column: the driver takes a microsecond for each value of a
row, and writing and reading column names in each row would take as long as the values. Zeros lose their sign.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast, get_args

from pydantic_core import from_json

from dropzone.adapters.database import Database
from dropzone.api.answers import fields_of


def read[R: Mapping[str, Any]](
    database: Database, answer: type[R], query: str, *, also: Sequence[str] = (), **parameters: object
) -> list[R]:
    """The rows of a query, in its order, each as a dictionary of the answer's type.

    The query is a SELECT with a column for each field of the answer, a typed dictionary; a nested field has a column
    such as `"gaps.count"`. Rows also have the columns in `also`, with JSON types.

    Raises:
        SilverError: as for `Database.run`.
    """
    fields = {**fields_of(answer), **dict.fromkeys(also)}
    arrays = ", ".join(f'json_agg("{name}")' for name in fields)
    sql = f"SELECT CAST(json_build_array({arrays}) AS text) FROM ({query}) AS answer"  # noqa: S608 - our own words
    ((text,),) = database.run(sql, **parameters)
    # Without rows, each array is null.
    columns = [_typed(values or (), kind) for kind, values in zip(fields.values(), from_json(text), strict=True)]
    paths = [name.split(".") for name in fields]
    return [cast("R", _nested(paths, row)) for row in zip(*columns, strict=True)]


def _typed(values: Sequence[Any], kind: object) -> Sequence[Any]:
    """JSON values converted to a field's type: Postgres writes whole floats without a point, and instants as text."""
    kinds = get_args(kind) or (kind,)
    if float in kinds:
        return [None if value is None else float(value) for value in values]
    if datetime in kinds:
        return [None if value is None else datetime.fromisoformat(value) for value in values]
    return values


def _nested(paths: Sequence[Sequence[str]], row: Sequence[Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for path, value in zip(paths, row, strict=True):
        if len(path) == 1:
            nested[path[0]] = value
        else:
            nested.setdefault(path[0], {})[path[1]] = value
    return nested
