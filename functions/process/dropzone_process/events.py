"""Models of AWS events, with only the fields that are used."""

from typing import Annotated, Any, Literal
from urllib.parse import unquote_plus

from pydantic import AfterValidator, AliasGenerator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from dropzone.domain.identifiers import InvalidKeyError, raw_id_of
from dropzone.ports import ListedObject
from dropzone.settings import describe

TEST_EVENT = "s3:TestEvent"


class NotUnderstoodError(ValueError):
    """The event or message is not one that this function accepts. The error quotes nothing of it."""


class _S3Model(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, alias_generator=AliasGenerator(validation_alias=to_camel))


class _Bucket(_S3Model):
    name: str


class StoredObject(_S3Model):
    key: Annotated[str, AfterValidator(unquote_plus)]
    size: int = Field(default=0, ge=0)


class _S3(_S3Model):
    bucket: _Bucket
    object: StoredObject


class _S3Record(_S3Model):
    event_name: str = Field(pattern=r"^(s3:)?ObjectCreated:")
    s3: _S3


class _S3Notification(_S3Model):
    records: list[_S3Record] = Field(validation_alias="Records", min_length=1)


class _S3TestEvent(_S3Model):
    event: Literal["s3:TestEvent"] = Field(validation_alias="Event")


class _SqsModel(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=AliasGenerator(validation_alias=to_camel))


class _SqsAttributes(_SqsModel):
    receive_count: int = Field(default=1, validation_alias="ApproximateReceiveCount", ge=1)
    """A string in the event."""


class SqsRecord(_SqsModel):
    """A message of the queue."""

    message_id: str
    body: str
    attributes: _SqsAttributes = _SqsAttributes()


_SQS_RECORDS = TypeAdapter(list[SqsRecord])


def sqs_records(event: dict[str, Any]) -> list[SqsRecord] | None:
    """The messages of an SQS event; None for any other event.

    Raises:
        NotUnderstoodError: a record is not an SQS message.
    """
    records = event.get("Records")
    if not isinstance(records, list) or not any(
        isinstance(record, dict) and record.get("eventSource") == "aws:sqs" for record in records
    ):
        return None
    try:
        return _SQS_RECORDS.validate_python(records)
    except ValidationError as error:
        raise NotUnderstoodError(describe(error)) from None


def objects_in(notification: str | dict[str, Any], bucket: str) -> tuple[ListedObject, ...]:
    """The objects in an S3 notification; empty for the test event that S3 sends when notifications are set up.

    Raises:
        NotUnderstoodError: it is not a notification of objects that ingest wrote to this bucket.
    """
    try:
        return tuple(ListedObject(raw_id_of(found.key), found.size) for found in stored_in(notification, bucket))
    except InvalidKeyError as error:
        raise NotUnderstoodError(str(error)) from None


def stored_in(notification: str | dict[str, Any], bucket: str) -> list[StoredObject]:
    """The keys and sizes in an S3 notification; empty for the test event.

    Raises:
        NotUnderstoodError: it is not a notification of objects that were written to this bucket.
    """
    if _is_test_event(notification):
        return []
    parsed = _read(notification, _S3Notification)
    if any(record.s3.bucket.name != bucket for record in parsed.records):
        raise NotUnderstoodError("it is about another bucket")
    return [record.s3.object for record in parsed.records]


def _is_test_event(notification: str | dict[str, Any]) -> bool:
    if isinstance(notification, str) and TEST_EVENT not in notification:
        return False
    try:
        _read(notification, _S3TestEvent)
    except NotUnderstoodError:
        return False
    return True


def _read[T: BaseModel](notification: str | dict[str, Any], kind: type[T]) -> T:
    """Validate JSON, or parsed JSON. Errors name fields and types, but quote no values."""
    try:
        if isinstance(notification, str):
            return kind.model_validate_json(notification)
        return kind.model_validate(notification)
    except ValidationError as error:
        raise NotUnderstoodError(describe(error)) from None
