"""Bronze in S3, through obstore (the Rust object_store): a tenth of boto3's CPU a call (docs/adr/0003)."""

import logging
import random
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING
from uuid import UUID

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, InvalidPathError
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
    from obstore.store import S3Config

CORRELATION_ID = "correlation-id"
"""The name of the object's metadata that carries the id of the request."""

_THREADS = 16
_PAGE = 1_000
_LONGEST_REASON = 200
LONGEST_TIMEOUT_SECONDS = 10.0
_CONFLICT_PAUSES_SECONDS = (0.05, 0.2, 0.8)

# Of the client's errors, which have no fields: S3's status and code, and nothing else of the answer. It may quote the
# request's headers (SignatureDoesNotMatch shows the session's token).
_STATUS = re.compile(r"status code: ([0-9]{3})")
_CODE = re.compile(r"<Code>([A-Za-z0-9.]{1,60})</Code>")
_NOT_IN_A_HEADER = re.compile(r"[^\x20-\x7e]")

_log = logging.getLogger(__name__)


class S3Bronze:
    """The raw objects in one bucket. Safe to share between threads; connects at its first call."""

    def __init__(
        self, bucket: str, *, region: str, endpoint: str | None = None, timeout_seconds: float = LONGEST_TIMEOUT_SECONDS
    ) -> None:
        """Point at a bucket.

        Args:
            bucket: its name.
            region: where it stands.
            endpoint: another S3 than AWS's, such as an emulator; credentials come from the environment either way.
            timeout_seconds: for a request, and after which no failed one is sent again.
        """
        self._bucket, self._region, self._endpoint = bucket, region, endpoint
        self._timeout = timedelta(seconds=timeout_seconds)

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
                "timeout": self._timeout,
            },
            retry_config={
                "max_retries": 3,
                "retry_timeout": self._timeout,
                "backoff": {"init_backoff": timedelta(milliseconds=50), "max_backoff": timedelta(seconds=1)},
            },
        )

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(_THREADS, thread_name_prefix="bronze")

    def put(self, raw_id: UUID, body: bytes, *, content_type: str, correlation_id: str) -> None:
        """See `Bronze.put`."""
        attributes = {"Content-Type": _in_header(content_type), CORRELATION_ID: _in_header(correlation_id)}
        for pause in _CONFLICT_PAUSES_SECONDS:
            if self._put_once(raw_id, body, attributes):
                return
            time.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - jitter is no secret
        if not self._put_once(raw_id, body, attributes):
            message = f"{object_key(raw_id)} conflicts with another write of it, again and again"
            raise BronzeUnavailableError(message)

    def _put_once(self, raw_id: UUID, body: bytes, attributes: dict[str, str]) -> bool:
        """Whether it is stored; False where S3 says 409, which asks for another try.

        The errors go without their causes, which quote S3's answer.
        """
        try:
            obstore.put(
                self._store, object_key(raw_id), body, attributes=attributes, mode="create", use_multipart=False
            )
        except AlreadyExistsError as error:
            # The client has one error for 409 and 412. Should its text change, a 409 counts as taken: ingest then takes
            # another identifier, which is as safe.
            if _status(error) == "409":
                return False
            raise RawIdTakenError(str(raw_id)) from None
        except (BaseError, OSError) as error:
            raise BronzeUnavailableError(_reason(error)) from None
        return True

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
        except FileNotFoundError as error:
            if "<Code>NoSuchBucket</Code>" in str(error):
                return BronzeUnavailableError(_reason(error))
            return ObjectMissingError(f"{object_key(raw_id)} is not in bronze")
        except (BaseError, OSError) as error:
            return BronzeUnavailableError(_reason(error))

    def exists(self, raw_id: UUID) -> bool:
        """See `Presence.exists`."""
        try:
            obstore.head(self._store, object_key(raw_id))
        except FileNotFoundError:
            # HEAD has no body to tell a missing bucket by; that one would fail every other call as well.
            return False
        except (BaseError, OSError) as error:
            raise BronzeUnavailableError(_reason(error)) from None
        return True

    def list_after(self, raw_id: UUID) -> Iterator[list[ListedObject]]:
        """See `Bronze.list_after`. Keys that ingest never writes are passed over, with a warning."""
        reached = object_key(raw_id)
        try:
            for page in obstore.list(self._store, PREFIX.rstrip("/"), offset=reached, chunk_size=_PAGE):
                yield list(_listed((meta["path"], meta["size"]) for meta in page))
                reached = page[-1]["path"]
        except InvalidPathError:
            # The client can't name every key that S3 can hold, such as raw/a//b, and can't go on behind one.
            yield from self._list_every_key_after(reached)
        except (BaseError, OSError) as error:
            raise BronzeUnavailableError(_reason(error)) from None

    def _list_every_key_after(self, key: str) -> Iterator[list[ListedObject]]:
        # Not at the top: it is next to never needed, and costs a start a good part of a second.
        import boto3  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        client = boto3.client("s3", region_name=self._region, endpoint_url=self._endpoint)
        try:
            pages = client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=PREFIX, StartAfter=key, PaginationConfig={"PageSize": _PAGE}
            )
            for page in pages:
                yield list(_listed((entry["Key"], entry["Size"]) for entry in page.get("Contents", [])))
        except ClientError as error:
            message = f"S3 answered {error.response.get('Error', {}).get('Code', '')}"
            raise BronzeUnavailableError(message) from None
        except BotoCoreError as error:
            raise BronzeUnavailableError(type(error).__name__) from None


def _listed(entries: Iterable[tuple[str, int]]) -> Iterator[ListedObject]:
    foreign = 0
    for key, size in entries:
        try:
            yield ListedObject(raw_id_of(key), size)
        except InvalidKeyError:
            foreign += 1
    if foreign:
        _log.warning("bronze holds objects that ingest did not write; they are left alone", extra={"objects": foreign})


def _in_header(text: str) -> str:
    """What a header can carry; the client panics at anything else."""
    return _NOT_IN_A_HEADER.sub("?", text)


def _status(error: Exception) -> str | None:
    match = _STATUS.search(str(error))
    return match[1] if match else None


def _reason(error: Exception) -> str:
    """What went wrong, on one short line, without anything that S3's answer may quote."""
    if status := _status(error):
        code = _CODE.search(str(error))
        return f"S3 answered {status}{f' {code[1]}' if code else ''}"
    summary = str(error).partition("Debug source")[0]
    return f"{type(error).__name__}: {' '.join(summary.split())[:_LONGEST_REASON]}"
