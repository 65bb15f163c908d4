"""Bronze in S3, through obstore (the Rust object_store): a tenth of boto3's CPU a call (docs/adr/0003)."""

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING
from uuid import UUID

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store

from dropzone.domain.identifiers import PREFIX, InvalidKeyError, object_key, raw_id_of
from dropzone.ports import (
    BronzeError,
    BronzeUnavailableError,
    ListedObject,
    ObjectMissingError,
    RawIdTakenError,
    RawObject,
)

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import S3Config

CORRELATION_ID = "correlation-id"
"""The name of the object's metadata that carries the id of the request."""

_THREADS = 16
_PAGE = 1_000
_LONGEST_REASON = 200

_log = logging.getLogger(__name__)


class S3Bronze:
    """The raw objects in one bucket. Safe to share between threads; connects at its first call."""

    def __init__(self, bucket: str, *, region: str, endpoint: str | None = None) -> None:
        """Point at a bucket.

        Args:
            bucket: its name.
            region: where it stands.
            endpoint: another S3 than AWS's, such as an emulator; credentials come from the environment either way.
        """
        self._bucket, self._region, self._endpoint = bucket, region, endpoint

    @cached_property
    def _store(self) -> S3Store:
        config: S3Config = {"region": self._region}
        if self._endpoint is not None:
            config["endpoint"] = self._endpoint
        return S3Store(
            self._bucket,
            config=config,
            client_options={
                "allow_http": self._endpoint is not None and self._endpoint.startswith("http://"),
                "connect_timeout": timedelta(seconds=2),
                "timeout": timedelta(seconds=10),
            },
            retry_config={
                "max_retries": 3,
                "retry_timeout": timedelta(seconds=10),
                "backoff": {"init_backoff": timedelta(milliseconds=50), "max_backoff": timedelta(seconds=1)},
            },
        )

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(_THREADS, thread_name_prefix="bronze")

    def put(self, raw_id: UUID, body: bytes, *, content_type: str, correlation_id: str) -> None:
        """See `Bronze.put`."""
        try:
            obstore.put(
                self._store,
                object_key(raw_id),
                body,
                attributes={"Content-Type": content_type, CORRELATION_ID: correlation_id},
                mode="create",
                use_multipart=False,
            )
        except AlreadyExistsError as error:
            raise RawIdTakenError(str(raw_id)) from error
        except (BaseError, OSError) as error:
            raise BronzeUnavailableError(_reason(error)) from error

    def read(self, raw_ids: Sequence[UUID]) -> list[RawObject | BronzeError]:
        """See `Bronze.read`."""
        if len(raw_ids) == 1:
            return [self._read_one(raw_ids[0])]
        return list(self._threads.map(self._read_one, raw_ids))

    def _read_one(self, raw_id: UUID) -> RawObject | BronzeError:
        try:
            result = obstore.get(self._store, object_key(raw_id))
            attributes = result.attributes
            return RawObject(
                raw_id,
                result.bytes().to_bytes(),
                attributes.get("Content-Type", ""),
                attributes.get(CORRELATION_ID, ""),
            )
        except FileNotFoundError:
            return ObjectMissingError(f"{object_key(raw_id)} is not in bronze")
        except (BaseError, OSError) as error:
            return BronzeUnavailableError(_reason(error))

    def list_after(self, raw_id: UUID) -> Iterator[list[ListedObject]]:
        """See `Bronze.list_after`. Keys that ingest never writes are passed over, with a warning."""
        try:
            pages = obstore.list(self._store, PREFIX.rstrip("/"), offset=object_key(raw_id), chunk_size=_PAGE)
            for page in pages:
                yield list(_listed(page))
        except (BaseError, OSError) as error:
            raise BronzeUnavailableError(_reason(error)) from error


def _listed(page: "Sequence[ObjectMeta]") -> Iterator[ListedObject]:
    foreign = 0
    for meta in page:
        try:
            yield ListedObject(raw_id_of(meta["path"]), meta["size"])
        except InvalidKeyError:
            foreign += 1
    if foreign:
        _log.warning("bronze holds objects that ingest did not write; they are left alone", extra={"objects": foreign})


def _reason(error: Exception) -> str:
    """What went wrong, on one short line. The client's errors name the request, never the body."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:_LONGEST_REASON]}"
