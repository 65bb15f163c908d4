"""What both functions keep for the life of their container: the adapters."""

from datetime import timedelta

from dropzone.adapters.database import Database
from dropzone.adapters.postgres_silver import PostgresSilver
from dropzone.adapters.s3_bronze import S3Bronze
from dropzone.ports import Bronze, Silver
from dropzone.settings import ProcessSettings


def make_bronze(settings: ProcessSettings) -> Bronze:
    """The objects."""
    return S3Bronze(settings.bronze_bucket, region=settings.aws_region, endpoint=settings.bronze_endpoint)


def make_silver(settings: ProcessSettings, database: Database) -> Silver:
    """What is written, through a connection that is made when it is first needed."""
    return PostgresSilver(
        database,
        retry_after=timedelta(seconds=settings.sweep_retry_seconds),
    )
