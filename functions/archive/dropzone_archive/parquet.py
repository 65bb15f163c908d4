"""A day of measurements as a Parquet file: zstd, sorted by source and instant, in groups that fit into memory."""

import struct
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import accumulate, chain
from pathlib import Path

from arro3.core import Array, DataType, Field, RecordBatch, RecordBatchReader, Schema, list_array
from arro3.io import read_parquet, write_parquet

from dropzone.ports import ArchivedRow, SourceDigest

_GROUP_ROWS = 100_000

_INSTANT = DataType.timestamp("us", tz="UTC")
_TYPES = {
    "measured_at": _INSTANT,
    "source": DataType.string(),
    "mean": DataType.float64(),
    "std_dev": DataType.float64(),
    "sample_count": DataType.int32(),
    "min": DataType.float64(),
    "max": DataType.float64(),
    "unit": DataType.string(),
    "tags": DataType.string(),
    "flags": DataType.list(Field("item", DataType.string(), nullable=False)),
    "raw_id": DataType.string(),
    "item": DataType.int32(),
    "updated_at": _INSTANT,
}
_SCHEMA = Schema([Field(name, kind, nullable=False) for name, kind in _TYPES.items()])

# As the table's rows are digested in Postgres (dropzone.adapters.postgres_archive_store).
_FIGURES = struct.Struct(">qddiddiq")


def write(path: Path, chunks: Iterable[Sequence[ArchivedRow]]) -> None:
    """Write rows, in their order, as one file."""
    batches = RecordBatchReader.from_batches(_SCHEMA, map(_batch, chunks))
    write_parquet(batches, path, compression="zstd(3)", max_row_group_size=_GROUP_ROWS)


def digests(path: Path) -> dict[str, SourceDigest]:
    """What a file has of each source."""
    found: dict[str, SourceDigest] = {}
    for row in _rows(path):
        events, samples, digest = found.get(row.source, (0, 0, 0))
        found[row.source] = SourceDigest(events + 1, samples + row.sample_count, digest + _digest(row))
    return found


def _batch(rows: Sequence[ArchivedRow]) -> RecordBatch:
    columns = dict(zip(ArchivedRow._fields, map(list, zip(*rows, strict=True)), strict=True))
    return RecordBatch.from_arrays([_array(columns[name], kind) for name, kind in _TYPES.items()], schema=_SCHEMA)


def _array(values: list[object], kind: DataType) -> Array:
    if kind == _INSTANT:
        return Array(values, DataType.int64()).cast(kind)
    if kind == _TYPES["flags"]:
        lists: list[list[str]] = values  # type: ignore[assignment] # by its name
        offsets = list(accumulate(map(len, lists), initial=0))
        texts = Array(list(chain.from_iterable(lists)), DataType.string())
        return list_array(Array(offsets, DataType.int32()), texts, type=kind)
    return Array(values, kind)


def _rows(path: Path) -> Iterator[ArchivedRow]:
    for batch in read_parquet(path, batch_size=10_000):
        columns = [
            batch.column(name).cast(DataType.int64() if kind == _INSTANT else kind).to_pylist()
            for name, kind in _TYPES.items()
        ]
        yield from (ArchivedRow(*row) for row in zip(*columns, strict=True))


def _digest(row: ArchivedRow) -> int:
    figures = _FIGURES.pack(
        row.measured_at, row.mean, row.std_dev, row.sample_count, row.min, row.max, row.item, row.updated_at
    )
    texts = "\x1f".join((row.raw_id, row.source, row.unit, row.tags, ",".join(row.flags)))
    return int.from_bytes(sha256(figures + texts.encode()).digest()[:7])
