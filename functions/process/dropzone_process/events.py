"""AWS's events, read through narrow models of our own: what isn't needed is not looked at."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal
from urllib.parse import unquote_plus

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dropzone.domain.identifiers import InvalidKeyError, raw_id_of
from dropzone.ports import ListedObject

TEST_EVENT = "s3:TestEvent"


class NotUnderstoodError(ValueError):
    """The event or message is none of those that this function is for; the message quotes nothing of it."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class _Bucket(_Model):
    name: str


class _Object(_Model):
    key: str
    size: Annotated[int, Field(ge=0)] = 0


class _S3(_Model):
    bucket: _Bucket
    object: _Object


class _S3Record(_Model):
    event_name: Annotated[str, Field(alias="eventName", pattern=r"^(s3:)?ObjectCreated:")]
    s3: _S3


class _S3Notification(_Model):
    records: Annotated[Sequence[_S3Record], Field(alias="Records", min_length=1)]


class _S3TestEvent(_Model):
    event: Annotated[Literal["s3:TestEvent"], Field(alias="Event")]


class _SqsAttributes(_Model):
    receive_count: Annotated[int, Field(alias="ApproximateReceiveCount", ge=1)] = 1


class SqsRecord(_Model):
    """A message of the queue as Lambda hands it over."""

    message_id: Annotated[str, Field(alias="messageId")]
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
        return [SqsRecord.model_validate(record) for record in records]
    except ValidationError as error:
        raise NotUnderstoodError(_brief(error)) from None


def objects_in(notification: str | dict[str, Any], bucket: str) -> tuple[ListedObject, ...]:
    """The objects that a notification of S3 tells of; none for the test event that S3 sends when it is set up.

    Raises:
        NotUnderstoodError: it is no notification of objects that ingest wrote to this bucket.
    """
    if _is_test_event(notification):
        return ()
    try:
        parsed = (
            _S3Notification.model_validate_json(notification)
            if isinstance(notification, str)
            else _S3Notification.model_validate(notification)
        )
        if any(record.s3.bucket.name != bucket for record in parsed.records):
            message = "it tells of another bucket"
            raise NotUnderstoodError(message)
        return tuple(
            ListedObject(raw_id_of(unquote_plus(record.s3.object.key)), record.s3.object.size)
            for record in parsed.records
        )
    except ValidationError as error:
        raise NotUnderstoodError(_brief(error)) from None
    except InvalidKeyError as error:
        raise NotUnderstoodError(str(error)) from None


def _is_test_event(notification: str | dict[str, Any]) -> bool:
    if isinstance(notification, str) and TEST_EVENT not in notification:
        return False
    try:
        if isinstance(notification, str):
            _S3TestEvent.model_validate_json(notification)
        else:
            _S3TestEvent.model_validate(notification)
    except ValidationError:
        return False
    return True


def _brief(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, entry['loc']))}: {entry['type']}" for entry in error.errors(include_input=False)[:3]
    )
