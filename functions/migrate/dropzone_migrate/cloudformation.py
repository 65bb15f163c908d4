"""A custom resource's answer to CloudFormation: a PUT to the presigned URL of its request."""

import json
import time
import urllib.request
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_pascal

PHYSICAL_ID = "dropzone-schema"
"""The same for all versions: CloudFormation deletes a resource whose physical id changes."""

_TRIES = 4
_TIMEOUT_SECONDS = 10


class Request(BaseModel):
    """CloudFormation's request."""

    model_config = ConfigDict(frozen=True, strict=True, alias_generator=to_pascal, hide_input_in_errors=True)

    request_type: Literal["Create", "Update", "Delete"]
    response_url: str = Field(alias="ResponseURL", pattern="^https?://")
    stack_id: str
    request_id: str
    logical_resource_id: str


def read(event: Mapping[str, Any]) -> Request:
    """Read an event.

    Raises:
        pydantic.ValidationError: it is no request of CloudFormation's. The message doesn't quote the URL.
    """
    return Request.model_validate(event)


def succeed(request: Request, data: Mapping[str, str]) -> None:
    """Report success; `data` is available to `Fn::GetAtt`.

    Raises:
        OSError: the answer could not be sent.
    """
    _answer(request, {"Status": "SUCCESS", "Data": data})


def fail(request: Request, reason: str) -> None:
    """Report a failure; the deploy fails with the reason, and is rolled back.

    Raises:
        OSError: the answer could not be sent.
    """
    _answer(request, {"Status": "FAILED", "Reason": reason})


def _answer(request: Request, answer: Mapping[str, object]) -> None:
    body = json.dumps(
        {
            **answer,
            "PhysicalResourceId": PHYSICAL_ID,
            "StackId": request.stack_id,
            "RequestId": request.request_id,
            "LogicalResourceId": request.logical_resource_id,
        },
        # CloudFormation's limit is 4 KiB.
        ensure_ascii=False,
    ).encode(errors="replace")
    # No content type: the URL is signed without one.
    put = urllib.request.Request(request.response_url, data=body, method="PUT", headers={"Content-Type": ""})  # noqa: S310 - a request admits http and https alone
    for attempt in range(1, _TRIES + 1):
        try:
            with urllib.request.urlopen(put, timeout=_TIMEOUT_SECONDS):  # noqa: S310 - as above
                return
        except OSError:
            if attempt == _TRIES:
                raise
            time.sleep(attempt)
