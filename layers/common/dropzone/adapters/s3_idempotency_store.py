"""The records of idempotency keys in S3: an object per key, written conditionally (docs/adr/0011).

The bucket's lifecycle rule removes expired ones.
"""

import random
import time
from functools import cached_property
from typing import Any
from uuid import UUID

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import S3Store
from pydantic_core import from_json, to_json

from dropzone.adapters.s3 import open_store, reason_of, status_of
from dropzone.ports import BronzeUnavailableError, IdempotencyRecord, StoredRecord

PREFIX = "idempotency/"

_TRIES = 20
_LONGEST_PAUSE_SECONDS = 0.2
_TIMEOUT_SECONDS = 5.0


class S3IdempotencyStore:
    """See `IdempotencyStore`. Thread-safe; connects at its first call."""

    def __init__(self, bucket: str, *, region: str, endpoint: str | None = None) -> None:
        """Point at a bucket; see `S3Bronze`."""
        self._bucket, self._region, self._endpoint = bucket, region, endpoint

    @cached_property
    def _store(self) -> S3Store:
        return open_store(self._bucket, self._region, self._endpoint, _TIMEOUT_SECONDS)

    def put_if_absent(self, key: str, record: IdempotencyRecord) -> StoredRecord | None:
        """See `IdempotencyStore.put_if_absent`."""
        missing = ""
        for _ in range(_TRIES):
            if self._put(key, record, "create"):
                return None
            found = self._find(key)
            if isinstance(found, StoredRecord):
                # After a lost answer, the client's own retry finds what it wrote.
                return None if found.record == record else found
            missing = found
            # Another request is writing it (409 comes before it exists), or it has just expired.
            time.sleep(random.uniform(0, _LONGEST_PAUSE_SECONDS))  # noqa: S311 - jitter is no secret
        message = f"the record of the idempotency key exists and can't be read: {missing}"
        raise BronzeUnavailableError(message)

    def replace(self, key: str, existing: StoredRecord, record: IdempotencyRecord) -> bool:
        """See `IdempotencyStore.replace`."""
        return self._put(key, record, {"e_tag": existing.version})

    def _put(self, key: str, record: IdempotencyRecord, mode: Any) -> bool:  # noqa: ANN401 - the client's own type
        """Whether the record was written; False if the condition failed."""
        try:
            obstore.put(self._store, f"{PREFIX}{key}", to_json(record._asdict()), mode=mode, use_multipart=False)
        except (AlreadyExistsError, PreconditionError, FileNotFoundError):
            return False
        except (BaseError, OSError) as error:
            raise BronzeUnavailableError(reason_of(error)) from None
        return True

    def _find(self, key: str) -> StoredRecord | str:
        """The record, or why there seems to be none."""
        try:
            result = obstore.get(self._store, f"{PREFIX}{key}")
            fields = from_json(result.bytes().to_bytes())
            return StoredRecord(IdempotencyRecord(UUID(fields["raw_id"]), fields["digest"]), result.meta["e_tag"] or "")
        except FileNotFoundError as error:
            return reason_of(error)
        except (BaseError, OSError) as error:
            # S3 says 403 for a missing object to those who may not list the bucket.
            if status_of(error) == "403":
                return reason_of(error)
            raise BronzeUnavailableError(reason_of(error)) from None
