"""Rows of silver as a Parquet file: zstd, in the given order, in groups that fit into memory."""

from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Final

from arro3.core import DataType, Field, RecordBatch, RecordBatchReader, Schema
from arro3.io import read_json, read_parquet, write_json, write_parquet

from dropzone.ports import ARCHIVED_COLUMNS, ArchivedType, SilverTable

_GROUP_ROWS: Final = 100_000
_BATCH_ROWS: Final = 10_000

_TYPES: Final[Mapping[ArchivedType, DataType]] = {
    "uuid": DataType.string(),
    "text": DataType.string(),
    "texts": DataType.list(Field("item", DataType.string(), nullable=False)),
    "json": DataType.string(),
    "instant": DataType.timestamp("us", tz="UTC"),
    "float": DataType.float64(),
    "integer": DataType.int32(),
}


def write(path: Path, relation: SilverTable, rows: Iterable[str]) -> None:
    """Write rows, given as lines of JSON, to one file."""
    schema = _schema(relation)
    batches = RecordBatchReader.from_batches(schema, _batches(schema, rows))
    write_parquet(batches, path, compression="zstd(3)", max_row_group_size=_GROUP_ROWS)


def read(path: Path, after: int = 0) -> Iterator[str]:
    """The rows of a file after the first `after` ones, as JSON arrays."""
    for batch in read_parquet(path, batch_size=_BATCH_ROWS):
        if after < batch.num_rows:
            text = BytesIO()
            write_json(batch.slice(after), text)
            yield text.getvalue().decode()
        after = max(after - batch.num_rows, 0)


def _batches(schema: Schema, rows: Iterable[str]) -> Iterator[RecordBatch]:
    for lines in rows:
        yield from read_json(BytesIO(lines.encode()), schema, batch_size=_BATCH_ROWS)


def _schema(relation: SilverTable) -> Schema:
    # No column of a measurement is null.
    is_nullable = relation != "measurements"
    columns = ARCHIVED_COLUMNS[relation].items()
    return Schema([Field(name, _TYPES[kind], nullable=is_nullable) for name, kind in columns])
