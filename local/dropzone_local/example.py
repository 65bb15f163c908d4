"""The example that `run` shows: one event in, its row out."""

from datetime import UTC, datetime

import httpx

from dropzone_local.deployment import Endpoints
from dropzone_local.errors import LocalStackError
from dropzone_local.polling import wait_until
from dropzone_local.postgres import Postgres

PAYLOAD = '{"time_stamp": "2019-05-01T06:00:00-04:00", "data": [0, 2]}'
MEASURED_AT = datetime(2019, 5, 1, 10, tzinfo=UTC)
HEADINGS = "measured_at | mean | std_dev"

_ANSWER_SECONDS = 60.0
_ROW_SECONDS = 60.0


def post(endpoints: Endpoints) -> str:
    """Send the example, and return the response's body; any status other than 202 is an error."""
    try:
        response = httpx.post(
            f"{endpoints.url}/ingest",
            content=PAYLOAD,
            headers={"content-type": "application/json", "x-api-key": endpoints.api_key},
            timeout=_ANSWER_SECONDS,
            trust_env=False,
        )
    except httpx.HTTPError as error:
        raise LocalStackError("POST /ingest got no answer.", detail=repr(error)) from error
    if response.status_code != httpx.codes.ACCEPTED:
        message = f"POST /ingest answered {response.status_code} instead of 202."
        raise LocalStackError(message, detail=response.text, hint="The functions' logs: make logs")
    return response.text


def wait_for_row(postgres: Postgres) -> str:
    """Return the example's row in the format of `psql`."""
    with postgres.connect() as connection:
        rows = wait_until(
            lambda: (
                connection.run(
                    "SELECT measured_at, mean, std_dev FROM measurements WHERE measured_at = :at AND source = ''",
                    at=MEASURED_AT,
                )
                or None
            ),
            seconds=_ROW_SECONDS,
            every=0.1,
        )
    if not rows:
        message = f"No row appeared in measurements within {_ROW_SECONDS:.0f} s."
        raise LocalStackError(message, hint="The functions' logs: make logs")
    at, mean, deviation = rows[0]
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}+00 | {mean} | {deviation}"


def curl(endpoints: Endpoints) -> str:
    """Return a command that sends the example again."""
    return (
        f"curl -i {endpoints.url}/ingest -H 'x-api-key: {endpoints.api_key}' "
        f"-H 'content-type: application/json' -d '{PAYLOAD}'"
    )
