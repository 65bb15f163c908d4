"""AWS's events, read through narrow models of our own: what isn't needed is not looked at."""

from typing import Annotated, Any, Literal
from urllib.parse import unquote_plus

from msgspec import Meta, MsgspecError, Struct, ValidationError, convert, field
from msgspec.json import decode

from dropzone.domain.identifiers import InvalidKeyError, raw_id_of
from dropzone.ports import ListedObject

TEST_EVENT = "s3:TestEvent"


class NotUnderstoodError(ValueError):
    """The event or message is none of those that this function is for; the message quotes nothing of it."""


class _Bucket(Struct, frozen=True):
    name: str


class _Object(Struct, frozen=True):
    key: str
    size: Annotated[int, Meta(ge=0)] = 0


class _S3(Struct, frozen=True):
    bucket: _Bucket
    object: _Object


class _S3Record(Struct, frozen=True, rename="camel"):
    event_name: Annotated[str, Meta(pattern=r"^(s3:)?ObjectCreated:")]
    s3: _S3


class _S3Notification(Struct, frozen=True, rename="pascal"):
    records: Annotated[list[_S3Record], Meta(min_length=1)]


class _S3TestEvent(Struct, frozen=True, rename="pascal"):
    event: Literal["s3:TestEvent"]


class _SqsAttributes(Struct, frozen=True):
    receive_count: Annotated[int, Meta(ge=1)] = field(name="ApproximateReceiveCount", default=1)


class SqsRecord(Struct, frozen=True, rename="camel"):
    """A message of the queue as Lambda hands it over."""

    message_id: str
    body: str
    attributes: _SqsAttributes = _SqsAttributes()


def sqs_records(event: dict[str, Any]) -> list[SqsRecord] | None:
    """The messages of an SQS event, None where it is none.

    Raises:
        NotUnderstoodError: a record of it isn't one of SQS.
    """
    records = event.get("Records")
    if not isinstance(records, list) or not any(
        isinstance(record, dict) and record.get("eventSource") == "aws:sqs" for record in records
    ):
        return None
    try:
        return convert(records, list[SqsRecord], strict=False)
    except ValidationError as error:
        raise NotUnderstoodError(str(error)) from None


def objects_in(notification: str | dict[str, Any], bucket: str) -> tuple[ListedObject, ...]:
    """The objects that a notification of S3 tells of; none for the test event that S3 sends when it is set up.

    Raises:
        NotUnderstoodError: it is no notification of objects that ingest wrote to this bucket.
    """
    if _is_test_event(notification):
        return ()
    try:
        parsed = _read(notification, _S3Notification)
        if any(record.s3.bucket.name != bucket for record in parsed.records):
            message = "it tells of another bucket"
            raise NotUnderstoodError(message)
        return tuple(
            ListedObject(raw_id_of(unquote_plus(record.s3.object.key)), record.s3.object.size)
            for record in parsed.records
        )
    except InvalidKeyError as error:
        raise NotUnderstoodError(str(error)) from None


def _is_test_event(notification: str | dict[str, Any]) -> bool:
    if isinstance(notification, str) and TEST_EVENT not in notification:
        return False
    try:
        _read(notification, _S3TestEvent)
    except NotUnderstoodError:
        return False
    return True


def _read[T](notification: str | dict[str, Any], kind: type[T]) -> T:
    """Read JSON, or what was JSON; the errors that come of it name fields and types, and quote no values."""
    try:
        return decode(notification, type=kind) if isinstance(notification, str) else convert(notification, kind)
    except (MsgspecError, UnicodeError, RecursionError) as error:
        raise NotUnderstoodError(str(error) if isinstance(error, MsgspecError) else type(error).__name__) from None
