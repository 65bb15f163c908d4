"""Notifications to be delivered, in the bucket of bronze: an object for each batch and channel."""

import re

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError

from dropzone.adapters.s3 import Bucket, reason_of, status_of
from dropzone.domain.notifications import Channel
from dropzone.ports import BronzeUnavailableError

PREFIX = "notifications/"
_KEY = re.compile(rf"{PREFIX}({'|'.join(Channel)})/([0-9a-f-]{{36}})\.json")


def parse_key(key: str) -> tuple[Channel, str] | None:
    """The channel and the batch of a notification's key; None for any other key."""
    match = _KEY.fullmatch(key)
    return (Channel(match[1]), match[2]) if match else None


class S3Notifications(Bucket):
    """See `Notifications`."""

    def put(self, channel: Channel, batch_id: str, changes: bytes) -> None:
        try:
            obstore.put(
                self._store,
                f"{PREFIX}{channel}/{batch_id}.json",
                changes,
                attributes={"Content-Type": "application/json"},
                mode="create",
                use_multipart=False,
            )
        except AlreadyExistsError as error:
            # 412: it was handed over before a crash. 409: another write of the same object is in progress.
            if status_of(error) != "412":
                raise BronzeUnavailableError(reason_of(error)) from None
        except (BaseError, OSError) as error:
            raise BronzeUnavailableError(reason_of(error)) from None

    def read(self, channel: Channel, batch_id: str) -> bytes:
        try:
            return obstore.get(self._store, f"{PREFIX}{channel}/{batch_id}.json").bytes().to_bytes()
        except (BaseError, OSError) as error:
            raise BronzeUnavailableError(reason_of(error)) from None
