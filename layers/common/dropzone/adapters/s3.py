"""Bronze, idempotency keys and clients in S3, through obstore (the Rust object_store; docs/adr/0003)."""

import json
import logging
import math
import random
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import timedelta
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, InvalidPathError, NotModifiedError, PreconditionError
from obstore.store import S3Store
from pydantic import ValidationError
from pydantic_core import from_json, to_json

from dropzone.domain.access import NO_CLIENTS, ClientsDocument
from dropzone.domain.identifiers import PREFIX, InvalidKeyError, object_key, raw_id_of
from dropzone.ports import (
    BronzeError,
    BronzeUnavailableError,
    IdempotencyRecord,
    ListedObject,
    ObjectMissingError,
    RawIdTakenError,
    RawObject,
    StoredRecord,
    TimeLeft,
)

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import S3Config

    from dropzone.settings import BronzeSettings

# The names of an object's metadata: the identifier of its request, the contract that it was sent to, the client that
# sent it, and the sources that its key may write, as JSON.
CORRELATION_ID, CONTRACT, CLIENT, WRITES = "correlation-id", "contract", "client", "writes"

CLIENTS_KEY = "access/clients.json"
"""The key of the clients document."""

CLIENTS_SECONDS = 60.0
"""How long the clients document is used before checking for a new version, in seconds."""

_THREADS = 16
_PAGE = 1_000
_LATE = "S3 did not answer in the time left"
_CONFLICT_PAUSES_SECONDS = (0.05, 0.2, 0.8)

IDEMPOTENCY_PREFIX = "idempotency/"
_TRIES = 20
_LONGEST_PAUSE_SECONDS = 0.2

_LONGEST_REASON = 200

# The client's errors have no fields. Only S3's status and code may be logged: the rest of the response can quote
# headers of the request (SignatureDoesNotMatch shows the session token).
_STATUS = re.compile(r"status code: ([0-9]{3})")
_CODE = re.compile(r"<Code>([A-Za-z0-9.]{1,60})</Code>")
_NOT_IN_A_HEADER = re.compile(r"[^\x20-\x7e]")

_log = logging.getLogger(__name__)


@cache
def open_store(bucket: str, region: str, endpoint: str | None, timeout_seconds: float) -> S3Store:
    """A client for a bucket, which connects on its first call. The same arguments return the same client.

    `endpoint` is a replacement for AWS's S3, such as an emulator; credentials come from the environment either way.
    `timeout_seconds` limits each request; after that time, failed requests are not retried.
    """
    config: S3Config = {"region": region}
    if endpoint is not None:
        config["endpoint"] = endpoint
    timeout = timedelta(seconds=timeout_seconds)
    return S3Store(
        bucket,
        config=config,
        client_options={
            "allow_http": endpoint is not None and endpoint.startswith("http://"),
            "connect_timeout": timedelta(seconds=2),
            "timeout": timeout,
        },
        retry_config={
            "max_retries": 3,
            "retry_timeout": timeout,
            "backoff": {"init_backoff": timedelta(milliseconds=50), "max_backoff": timedelta(seconds=1)},
        },
    )


def in_header(text: str) -> str:
    """The text with `?` for characters that a header can't hold: the client panics on them."""
    return _NOT_IN_A_HEADER.sub("?", text)


def status_of(error: Exception) -> str | None:
    """S3's status code; None if there was no response."""
    match = _STATUS.search(str(error))
    return match[1] if match else None


def reason_of(error: Exception) -> str:
    """The error on one short line, without anything that S3's response may quote."""
    if status := status_of(error):
        code = _CODE.search(str(error))
        return f"S3 answered {status}{f' {code[1]}' if code else ''}"
    summary = str(error).partition("Debug source")[0]
    return f"{type(error).__name__}: {' '.join(summary.split())[:_LONGEST_REASON]}"


class Bucket:
    """A bucket's client. Thread-safe; connects on its first call."""

    LONGEST_SECONDS = 10.0
    """The maximum timeout of a request, in seconds."""

    def __init__(
        self, bucket: str, *, region: str, endpoint: str | None = None, timeout_seconds: float | None = None
    ) -> None:
        """See `open_store`; the default timeout is `LONGEST_SECONDS`."""
        self._bucket, self._region, self._endpoint = bucket, region, endpoint
        self._timeout_seconds = self.LONGEST_SECONDS if timeout_seconds is None else timeout_seconds

    @classmethod
    def of(cls, settings: "BronzeSettings", timeout_seconds: float = math.inf) -> Self:
        """The bucket of bronze in these settings."""
        return cls(
            settings.bronze_bucket,
            region=settings.aws_region,
            endpoint=settings.bronze_endpoint,
            timeout_seconds=min(timeout_seconds, cls.LONGEST_SECONDS),
        )

    @cached_property
    def _store(self) -> S3Store:
        return open_store(self._bucket, self._region, self._endpoint, self._timeout_seconds)


class S3Bronze(Bucket):
    """The raw objects in one bucket."""

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(_THREADS, thread_name_prefix="bronze")

    def put(self, raw: RawObject) -> None:
        attributes = {"Content-Type": in_header(raw.content_type), CORRELATION_ID: in_header(raw.correlation_id)}
        if raw.content_encoding:
            attributes["Content-Encoding"] = in_header(raw.content_encoding)
        if raw.contract:
            attributes[CONTRACT] = raw.contract
        if raw.client:
            attributes[CLIENT] = in_header(raw.client)
        if raw.writes is not None:
            # JSON in ASCII, as headers require.
            attributes[WRITES] = json.dumps(raw.writes)
        for pause in _CONFLICT_PAUSES_SECONDS:
            if self._put_once(raw.raw_id, raw.body, attributes):
                return
            time.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - jitter is no secret
        if not self._put_once(raw.raw_id, raw.body, attributes):
            message = f"{object_key(raw.raw_id)} still conflicts with another write after several tries"
            raise BronzeUnavailableError(message)

    def _put_once(self, raw_id: UUID, body: bytes, attributes: dict[str, str]) -> bool:
        """Whether it is stored. False after a 409, which means to try again, and after an unknown conflict.

        Errors are raised without their causes, which quote S3's response.
        """
        try:
            obstore.put(
                self._store, object_key(raw_id), body, attributes=attributes, mode="create", use_multipart=False
            )
        except AlreadyExistsError as error:
            # The client raises the same error for 409 and 412, but only 412 means that an object exists. If the error's
            # text ever changes, the put is retried rather than considered done.
            if status_of(error) != "412":
                return False
            raise RawIdTakenError(str(raw_id)) from None
        except (BaseError, OSError) as error:
            raise BronzeUnavailableError(reason_of(error)) from None
        return True

    def read(self, raw_ids: Sequence[UUID], *, timeout: float) -> list[RawObject | BronzeError]:
        if timeout <= 0:
            return [BronzeUnavailableError(_LATE) for _ in raw_ids]
        reads = [self._threads.submit(self._read_one, raw_id) for raw_id in raw_ids]
        late = self._wait(reads, timeout)
        return [BronzeUnavailableError(_LATE) if read in late else read.result() for read in reads]

    def _wait[T](self, calls: Sequence[Future[T]], seconds: float) -> set[Future[T]]:
        """Wait for calls; returns those that take longer, which are abandoned."""
        late = wait(calls, timeout=seconds).not_done
        hanging = [call for call in late if not call.cancel()]
        if hanging:
            # Their threads are blocked until the client's own timeout: the next calls get new ones.
            self.__dict__.pop("_threads", None)
        return late

    def _read_one(self, raw_id: UUID) -> RawObject | BronzeError:
        try:
            result = obstore.get(self._store, object_key(raw_id))
            attributes = result.attributes
            return RawObject(
                raw_id,
                result.bytes().to_bytes(),
                attributes.get("Content-Type", ""),
                attributes.get(CORRELATION_ID, ""),
                attributes.get("Content-Encoding", ""),
                attributes.get(CONTRACT, ""),
                attributes.get(CLIENT, ""),
                tuple(json.loads(attributes[WRITES])) if WRITES in attributes else None,
            )
        except FileNotFoundError as error:
            if "<Code>NoSuchBucket</Code>" in str(error):
                return BronzeUnavailableError(reason_of(error))
            return ObjectMissingError(f"{object_key(raw_id)} is not in bronze")
        except (BaseError, OSError) as error:
            return BronzeUnavailableError(reason_of(error))

    def sender(self, raw_id: UUID) -> str | None:
        """The client that sent an object; see `queries.status.Senders`."""
        try:
            attributes = obstore.get(self._store, object_key(raw_id), options={"head": True}).attributes
        except FileNotFoundError:
            # A response to HEAD has no body that would tell a missing bucket from a missing object.
            return None
        except (BaseError, OSError) as error:
            raise BronzeUnavailableError(reason_of(error)) from None
        return attributes.get(CLIENT, "")

    def list_after(self, raw_id: UUID, *, timeout: TimeLeft) -> Iterator[list[ListedObject]]:
        """See `Bronze.list_after`. Keys that ingest never writes are skipped, with a warning."""
        reached = object_key(raw_id)
        try:
            pages = iter(obstore.list(self._store, PREFIX.rstrip("/"), offset=reached, chunk_size=_PAGE))
            while page := self._in_time(lambda: next(pages, None), timeout()):
                yield list(_listed((meta["path"], meta["size"]) for meta in page))
                reached = page[-1]["path"]
        except InvalidPathError:
            # The client can't represent some keys of S3, such as raw/a//b, and can't list past them.
            yield from self._list_every_key_after(reached, timeout)
        except (BaseError, OSError) as error:
            raise BronzeUnavailableError(reason_of(error)) from None

    def _in_time[T](self, call: Callable[[], T], seconds: float) -> T:
        if seconds > 0:
            made = self._threads.submit(call)
            if not self._wait([made], seconds):
                return made.result()
        raise BronzeUnavailableError(_LATE)

    def _list_every_key_after(self, key: str, timeout: TimeLeft) -> Iterator[list[ListedObject]]:
        # Imported here: it is hardly ever needed, and would slow down a cold start.
        import boto3  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        client = boto3.client("s3", region_name=self._region, endpoint_url=self._endpoint)
        try:
            paginator = client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=PREFIX, StartAfter=key, PaginationConfig={"PageSize": _PAGE}
            )
            pages = iter(paginator)
            while page := self._in_time(lambda: next(pages, None), timeout()):
                yield list(_listed((entry["Key"], entry["Size"]) for entry in page.get("Contents", [])))
        except ClientError as error:
            raise BronzeUnavailableError(f"S3 answered {error.response.get('Error', {}).get('Code', '')}") from None
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
        _log.warning("bronze holds objects that ingest did not write; they are skipped", extra={"objects": foreign})


class S3Clients(Bucket):
    """See `ClientStore`. Asks S3 once a minute whether the document has changed."""

    _document: ClientsDocument | None = None
    _version: str | None = None
    _read_at = -math.inf

    def current(self) -> ClientsDocument:
        now = time.monotonic()
        if self._document is None or now - self._read_at >= CLIENTS_SECONDS:
            self._document = self._read(self._document)
            self._read_at = now
        return self._document

    def _read(self, known: ClientsDocument | None) -> ClientsDocument:
        try:
            options: GetOptions = {"if_none_match": self._version} if known and self._version else {}
            result = obstore.get(self._store, CLIENTS_KEY, options=options)
            document = ClientsDocument.model_validate_json(result.bytes().to_bytes())
        except NotModifiedError:
            return known or NO_CLIENTS
        except FileNotFoundError as error:
            if "<Code>NoSuchBucket</Code>" in str(error):
                raise BronzeUnavailableError(reason_of(error)) from None
            self._version = None
            return NO_CLIENTS
        except ValidationError:
            raise BronzeUnavailableError(f"{CLIENTS_KEY} is not a valid document of clients") from None
        except (BaseError, OSError) as error:
            raise BronzeUnavailableError(reason_of(error)) from None
        self._version = result.meta["e_tag"]
        return document


class S3IdempotencyStore(Bucket):
    """See `IdempotencyStore`. An object per key, written conditionally (docs/adr/0011).

    The bucket's lifecycle rule removes expired ones.
    """

    LONGEST_SECONDS = 5.0

    def put_if_absent(self, key: str, record: IdempotencyRecord) -> StoredRecord | None:
        missing = ""
        for _ in range(_TRIES):
            if self._put(key, record, "create"):
                return None
            found = self._find(key)
            if isinstance(found, StoredRecord):
                # After a lost response, the client's own retry finds what it wrote.
                return None if found.record == record else found
            missing = found
            # Another request is writing it (409 comes before it exists), or it has just expired.
            time.sleep(random.uniform(0, _LONGEST_PAUSE_SECONDS))  # noqa: S311 - jitter is no secret
        raise BronzeUnavailableError(f"the record of the idempotency key exists and can't be read: {missing}")

    def replace(self, key: str, existing: StoredRecord, record: IdempotencyRecord) -> bool:
        return self._put(key, record, {"e_tag": existing.version})

    def _put(self, key: str, record: IdempotencyRecord, mode: Any) -> bool:  # noqa: ANN401 - the client's own type
        """Whether the record was written; False if the condition failed."""
        try:
            obstore.put(
                self._store, f"{IDEMPOTENCY_PREFIX}{key}", to_json(record._asdict()), mode=mode, use_multipart=False
            )
        except (AlreadyExistsError, PreconditionError, FileNotFoundError):
            return False
        except (BaseError, OSError) as error:
            raise BronzeUnavailableError(reason_of(error)) from None
        return True

    def _find(self, key: str) -> StoredRecord | str:
        """The record, or the reason why it seems to be missing."""
        try:
            result = obstore.get(self._store, f"{IDEMPOTENCY_PREFIX}{key}")
            fields = from_json(result.bytes().to_bytes())
            return StoredRecord(IdempotencyRecord(UUID(fields["raw_id"]), fields["digest"]), result.meta["e_tag"] or "")
        except FileNotFoundError as error:
            return reason_of(error)
        except (BaseError, OSError) as error:
            # S3 responds 403 for a missing object if the caller may not list the bucket.
            if status_of(error) == "403":
                return reason_of(error)
            raise BronzeUnavailableError(reason_of(error)) from None
