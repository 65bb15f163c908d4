"""The function Archive, on a schedule."""

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from dropzone.adapters.database import open_database
from dropzone.adapters.postgres_archive_store import PostgresArchiveStore
from dropzone.observability import NAMESPACE
from dropzone.runtime import time_left_in
from dropzone.settings import ArchiveSettings
from dropzone.use_cases.archive_months import archive_months
from dropzone_archive.files import S3ArchiveFiles

logger = Logger(service="archive")
metrics = Metrics(service="archive", namespace=NAMESPACE)

settings = cache(ArchiveSettings.from_environment)
database = cache(lambda: open_database(settings()))
files = cache(lambda: S3ArchiveFiles.of(settings()))


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(_: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Lambda's entry point; returns which months were archived and reinstated, and how many are left.

    Raises:
        ExceptionGroup: months failed, each with a FileDiffersError (a file doesn't match the table, or the file that
            was written), a BronzeError or a SilverError. None of their rows were dropped.
        SilverUnavailableError, SilverConflictError: the next run continues.
    """
    time_left = time_left_in(context)
    database().use_time_left(time_left)
    store = PostgresArchiveStore(database())
    result = archive_months(settings().silver_months, store=store, files=files(), time_left=time_left)
    if result.is_beside_another:
        logger.info("another run is in progress")
        return {"is_beside_another": True}
    metrics.add_metric(name="MonthsToArchive", unit=MetricUnit.Count, value=result.waiting)
    report: dict[str, Any] = {
        "archived": [str(month) for month in result.archived],
        "reinstated": [str(month) for month in result.reinstated],
        "changed": [str(month) for month in result.changed],
        "rows": result.rows,
        "waiting": result.waiting,
    }
    logger.info("archived months", **report)
    for month, error in result.errors.items():
        logger.error("a month failed; the run continued with the others", month=str(month), reason=str(error))
    if result.errors:
        raise ExceptionGroup("months failed", [*result.errors.values()])
    return report
