"""`GET /health`."""

from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from dropzone.http import answer, make_app

logger = Logger(service="web")
app = make_app(logger)


@app.get("/health")
def get_health() -> Response[Any]:
    """Say that requests are answered. Touches nothing else, so that a monitor costs nothing."""
    return answer(HTTPStatus.OK, {"status": "ok"})


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId", clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Lambda's entry."""
    return app.resolve(event, context)
