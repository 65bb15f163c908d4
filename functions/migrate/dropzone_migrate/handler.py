"""CloudFormation's custom resource `Migration`: migrates the schema and roles on each deploy with a new revision.

A deletion doesn't change the database: data outlives the stack. Invoked by hand, it migrates and returns the revision.
"""

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from dropzone.settings import MigrateSettings
from dropzone_migrate import cloudformation
from dropzone_migrate.migrations import head, migrate

logger = Logger(service="migrate")

_LONGEST_REASON = 1_000

settings = cache(MigrateSettings.from_environment)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Lambda's entry point.

    Raises:
        Exception: any error of the migration, if invoked by hand.
    """
    if "ResponseURL" not in event:
        return {"revision": migrate(settings())}
    request = cloudformation.Request.model_validate(event)
    if request.request_type == "Delete":
        logger.info("deletion acknowledged; the database is not touched")
        cloudformation.answer(request, "SUCCESS", Data={})
        return {}
    try:
        revision = migrate(settings())
    except Exception as error:
        # Any error: without a response, the deploy waits until its timeout.
        logger.exception("the migration failed and was rolled back; the deploy fails with the reason")
        reason = f"{type(error).__name__}: {error}"[:_LONGEST_REASON]
        cloudformation.answer(request, "FAILED", Reason=reason)
        return {}
    if revision == head():
        logger.info("migrated", revision=revision)
    else:
        logger.warning(
            "the schema has a later revision than this version, and is kept", revision=revision, newest_here=head()
        )
    cloudformation.answer(request, "SUCCESS", Data={"Revision": revision})
    return {"revision": revision}
