"""The files of the archive, in the bucket of bronze."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import obstore
from obstore.exceptions import BaseError

from dropzone.adapters.s3 import Bucket, reason_of
from dropzone.ports import ArchivePart, BronzeUnavailableError, FileDiffersError, WrittenFile
from dropzone_archive import parquet


def key_of(part: ArchivePart) -> str:
    """The key of a part's file, partitioned by month as DuckDB, Athena and Spark expect.

    It depends only on the start of the part, so that shorter files replace the one of a month.
    """
    begin = part.begins_at
    time = f"T{begin:%H%M}" if begin.minute else f"T{begin:%H}" if begin.hour else ""
    return f"silver/{part.relation}/month={begin:%Y-%m}/{begin:%Y-%m-%d}{time}.parquet"


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class S3ArchiveFiles(Bucket):
    """See `ArchiveFiles`. Files are buffered on the function's own disk."""

    LONGEST_SECONDS = 60.0

    def write(self, part: ArchivePart, rows: Iterator[str]) -> WrittenFile:
        key = key_of(part)
        with TemporaryDirectory() as folder:
            path = Path(folder) / "part.parquet"
            parquet.write(path, part.relation, rows)
            try:
                stored = obstore.put(
                    self._store, key, path, attributes={"Content-Type": "application/vnd.apache.parquet"}
                )
            except (BaseError, OSError) as error:
                raise BronzeUnavailableError(reason_of(error)) from None
            return WrittenFile(key, path.stat().st_size, stored["e_tag"] or "", sha256_of(path))

    def read(self, part: ArchivePart, sha256: str, after: int = 0) -> Iterator[str]:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "part.parquet"
            try:
                with path.open("wb") as file:
                    for chunk in obstore.get(self._store, key_of(part)).stream():
                        file.write(chunk)
            except (BaseError, OSError) as error:
                raise BronzeUnavailableError(reason_of(error)) from None
            if sha256_of(path) != sha256:
                raise FileDiffersError(f"{key_of(part)} has other contents than were written")
            try:
                yield from parquet.read(path, after)
            except BaseException as error:
                # arro3 raises a bare Exception; if it panics, a BaseException of a class that can't be imported.
                if type(error).__name__ not in {"Exception", "PanicException"}:
                    raise
                raise FileDiffersError(f"{key_of(part)} is damaged") from None
