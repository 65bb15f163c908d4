"""The function Notify: delivers the messages of its queue, each a batch of changes for one channel.

It is outside the network, so it can reach channels that the functions that write the batches can't.
"""

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from dropzone.adapters.s3_notifications import S3Notifications, parse_key
from dropzone.domain.notifications import CHANGES, Channel
from dropzone.observability import NAMESPACE
from dropzone.ports import BronzeError, Deliver, UndeliverableError
from dropzone.settings import NotifySettings
from dropzone_process.events import NotUnderstoodError, SqsRecord, sqs_records, stored_in

logger = Logger(service="notify")
metrics = Metrics(service="notify", namespace=NAMESPACE)

settings = cache(NotifySettings.from_environment)
notifications = cache(lambda: S3Notifications.of(settings()))


@cache
def way_to(channel: Channel) -> Deliver:
    # Imported here, since it imports boto3, which would slow down the start.
    from dropzone.adapters.channels import EventBus, Topic, Webhook  # noqa: PLC0415

    match channel:
        case Channel.EVENTS:
            return EventBus(settings().event_bus)
        case Channel.TOPIC:
            return Topic(_stated(settings().notification_topic_arn))
        case Channel.WEBHOOK:
            return Webhook(_stated(settings().webhook_secret_arn))


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _: LambdaContext) -> dict[str, Any]:
    """Lambda's entry point; returns the messages of an SQS event to return to the queue.

    Raises:
        NotUnderstoodError: it is not an SQS event.
    """
    metrics.add_metric(name="Calls", unit=MetricUnit.Count, value=1)
    records = sqs_records(event)
    if records is None:
        raise NotUnderstoodError("the event is not an SQS event")
    delivered, returned = 0, []
    for record in records:
        try:
            delivered += _deliver(record)
        except (NotUnderstoodError, UndeliverableError, BronzeError) as error:
            logger.warning(
                "not delivered; it returns to the queue",
                message_id=record.message_id,
                receives=record.attributes.receive_count,
                reason=str(error),
            )
            returned.append(record.message_id)
    metrics.add_metric(name="Delivered", unit=MetricUnit.Count, value=delivered)
    metrics.add_metric(name="Undelivered", unit=MetricUnit.Count, value=len(returned))
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in returned]}


def _deliver(record: SqsRecord) -> int:
    delivered = 0
    for stored in stored_in(record.body, settings().bronze_bucket):
        batch = parse_key(stored.key)
        if batch is None:
            raise NotUnderstoodError("it is about another object")
        channel, batch_id = batch
        changes = CHANGES.validate_json(notifications().read(channel, batch_id))
        way_to(channel)(batch_id, changes)
        delivered += len(changes)
        logger.info("delivered", channel=channel, batch_id=batch_id, changes=delivered)
    return delivered


def _stated(value: str | None) -> str:
    if value is None:
        raise UndeliverableError("the channel was removed from the stack")
    return value
