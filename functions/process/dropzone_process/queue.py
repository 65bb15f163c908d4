"""The function Process: processes the objects in messages of the queue, or in a bare S3 event."""

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from dropzone.adapters.database import open_database
from dropzone.adapters.postgres_silver import open_silver
from dropzone.adapters.s3 import S3Bronze
from dropzone.observability import LISTED, NAMESPACE, report_result
from dropzone.ports import TimeLeft
from dropzone.runtime import time_left_in
from dropzone.settings import ProcessSettings
from dropzone.use_cases.objects import ProcessingResult
from dropzone.use_cases.process import Message, process
from dropzone_process.events import NotUnderstoodError, SqsRecord, objects_in, sqs_records

logger = Logger(service="process")
metrics = Metrics(service="process", namespace=NAMESPACE)

settings = cache(ProcessSettings.from_environment)
# Half of the call's time, so that there is time left to report it if S3 doesn't respond.
bronze = cache(lambda: S3Bronze.of(settings(), settings().call_seconds / 2))
database = cache(lambda: open_database(settings()))
silver = cache(lambda: open_silver(settings(), database()))


class UnprocessedError(Exception):
    """Objects of a bare S3 event could not be processed: its sender has to send it again."""


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Lambda's entry point; returns the messages of an SQS event to return to the queue.

    Raises:
        SilverUnavailableError: the database can't be used; Lambda backs off and delivers the batch again.
        UnprocessedError: a bare S3 event has to be sent again.
        NotUnderstoodError: it is neither event.
    """
    metrics.add_metric(name="Calls", unit=MetricUnit.Count, value=1)
    time_left = time_left_in(context)
    database().use_time_left(time_left)
    records = sqs_records(event)
    if records is None:
        result = _process([Message("", 1, objects_in(event, settings().bronze_bucket))], time_left)
        if result.returned:
            raise UnprocessedError("objects of the event could not be processed; send the event again")
        return {}
    messages, returned = _decode(records)
    returned += _process(messages, time_left).returned
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in returned]}


def _decode(records: list[SqsRecord]) -> tuple[list[Message], list[str]]:
    """The valid messages, and the identifiers of the others."""
    messages, strange = [], []
    for record in records:
        try:
            objects = objects_in(record.body, settings().bronze_bucket)
        except NotUnderstoodError as error:
            # Without a traceback: the reason is enough.
            logger.error(  # noqa: TRY400
                "message could not be read; it returns to the queue", message_id=record.message_id, reason=str(error)
            )
            strange.append(record.message_id)
            continue
        if not objects:
            logger.info("S3 test event acknowledged", message_id=record.message_id)
        receives = record.attributes.receive_count
        is_last = receives >= settings().max_receive_count
        messages.append(Message(record.message_id, receives, objects, is_last_receive=is_last))
    metrics.add_metric(name="NotUnderstood", unit=MetricUnit.Count, value=len(strange))
    return messages, strange


def _process(messages: list[Message], time_left: TimeLeft) -> ProcessingResult:
    result = ProcessingResult()
    try:
        process(messages, bronze=bronze(), silver=silver(), time_left=time_left, result=result)
    finally:
        # Also if the database failed: what was processed stays processed, and isn't counted again.
        report_result(result, logger, metrics)
    if result.deferred:
        logger.warning(
            "no time left; objects will be retried",
            objects=len(result.deferred),
            raw_ids=[*map(str, result.deferred[:LISTED])],
        )
    if result.poison:
        logger.warning(
            "poison objects are deferred until nothing else is in the batch", raw_ids=[*map(str, result.poison)]
        )
    metrics.add_metric(name="Deferred", unit=MetricUnit.Count, value=len(result.deferred))
    return result
