"""The files of the archive, in the bucket of bronze."""

from collections.abc import Iterator, Sequence
from datetime import date
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from dropzone.adapters.s3 import open_store, reason_of
from dropzone.ports import ArchivedRow, BronzeUnavailableError, WrittenFile
from dropzone.settings import BronzeSettings
from dropzone_archive import parquet

PREFIX = "silver/measurements/"
_TIMEOUT_SECONDS = 60.0


def key_of(day: date) -> str:
    """The key of a day's file, by month as DuckDB, Athena and Spark know partitions."""
    return f"{PREFIX}month={day:%Y-%m}/{day}.parquet"


class S3ArchiveFiles:
    """See `ArchiveFiles`. What is on its way is on the function's own disk."""

    def __init__(self, settings: BronzeSettings) -> None:
        """Take the settings; it connects at its first call."""
        self._settings = settings

    @cached_property
    def _store(self) -> S3Store:
        settings = self._settings
        return open_store(settings.bronze_bucket, settings.aws_region, settings.bronze_endpoint, _TIMEOUT_SECONDS)

    def write(self, day: date, rows: Iterator[Sequence[ArchivedRow]]) -> WrittenFile:
        """See `ArchiveFiles.write`."""
        key = key_of(day)
        with TemporaryDirectory() as folder:
            path = Path(folder) / "day.parquet"
            parquet.write(path, rows)
            try:
                obstore.put(self._store, key, path, attributes={"Content-Type": "application/vnd.apache.parquet"})
                path.unlink()
                stored = obstore.get(self._store, key)
                with path.open("wb") as file:
                    for part in stored.stream():
                        file.write(part)
            except (BaseError, OSError) as error:
                raise BronzeUnavailableError(reason_of(error)) from None
            return WrittenFile(key, path.stat().st_size, stored.meta["e_tag"] or "", parquet.digests(path))
