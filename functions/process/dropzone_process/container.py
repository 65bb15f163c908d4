"""What both functions keep for the life of their container: the adapters."""

from datetime import timedelta

from dropzone.adapters.contracts import deployed_contracts
from dropzone.adapters.database import Database
from dropzone.adapters.postgres_silver import PostgresSilver
from dropzone.adapters.s3 import LONGEST_TIMEOUT_SECONDS, S3Bronze
from dropzone.ports import Bronze, Silver
from dropzone.settings import WriterSettings


def make_bronze(settings: WriterSettings) -> Bronze:
    """The objects; a silent S3 is given up while there is time left to say so."""
    return S3Bronze(
        settings.bronze_bucket,
        region=settings.aws_region,
        endpoint=settings.bronze_endpoint,
        timeout_seconds=min(settings.call_seconds / 2, LONGEST_TIMEOUT_SECONDS),
    )


def make_silver(settings: WriterSettings, database: Database) -> Silver:
    """What is written, through a connection that is made when it is first needed."""
    return PostgresSilver(
        database,
        retry_after=timedelta(seconds=settings.sweep_retry_seconds),
        contracts=deployed_contracts(),
    )
