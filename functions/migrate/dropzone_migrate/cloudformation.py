"""The answer that a custom resource owes CloudFormation: a PUT to the presigned address of its request."""

import json
import time
import urllib.request
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_pascal

PHYSICAL_ID = "dropzone-schema"
"""One for all versions: with another one, CloudFormation would take the old schema for a resource to delete."""

_TRIES = 4
_TIMEOUT_SECONDS = 10


class Request(BaseModel):
    """What CloudFormation asks for."""

    model_config = ConfigDict(frozen=True, strict=True, alias_generator=to_pascal, hide_input_in_errors=True)

    request_type: Literal["Create", "Update", "Delete"]
    response_url: str = Field(alias="ResponseURL", pattern="^https?://")
    stack_id: str
    request_id: str
    logical_resource_id: str


def read(event: Mapping[str, Any]) -> Request:
    """What an event asks for.

    Raises:
        pydantic.ValidationError: it is no request of CloudFormation's; the message doesn't quote the address.
    """
    return Request.model_validate(event)


def succeed(request: Request, data: Mapping[str, str]) -> None:
    """Say that it is done; `data` is what `Fn::GetAtt` can read.

    Raises:
        OSError: the answer could not be given.
    """
    _answer(request, {"Status": "SUCCESS", "Data": data})


def fail(request: Request, reason: str) -> None:
    """Say why it isn't; the deploy fails with the reason, and is rolled back.

    Raises:
        OSError: the answer could not be given.
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
        # CloudFormation takes 4 KiB, of which a reason may need most.
        ensure_ascii=False,
    ).encode(errors="replace")
    # No content type: the address is signed without one.
    put = urllib.request.Request(request.response_url, data=body, method="PUT", headers={"Content-Type": ""})  # noqa: S310 - a request admits http and https alone
    for attempt in range(1, _TRIES + 1):
        try:
            with urllib.request.urlopen(put, timeout=_TIMEOUT_SECONDS):  # noqa: S310 - as above
                return
        except OSError:
            # URLError is one; a server that hangs up, or is too slow, raises another.
            if attempt == _TRIES:
                raise
            time.sleep(attempt)
