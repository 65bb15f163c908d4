"""The answer that a custom resource owes CloudFormation: a PUT to the presigned address of its request."""

import time
import urllib.request
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

PHYSICAL_ID = "dropzone-schema"
"""One for all versions: with another one, CloudFormation would take the old schema for a resource to delete."""

_TRIES = 4
_TIMEOUT_SECONDS = 10


class Request(BaseModel):
    """What CloudFormation asks for."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    request_type: Annotated[Literal["Create", "Update", "Delete"], Field(alias="RequestType")]
    response_url: Annotated[str, Field(alias="ResponseURL", pattern="^https?://")]
    stack_id: Annotated[str, Field(alias="StackId")]
    request_id: Annotated[str, Field(alias="RequestId")]
    logical_resource_id: Annotated[str, Field(alias="LogicalResourceId")]


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
    body = to_json(
        {
            **answer,
            "PhysicalResourceId": PHYSICAL_ID,
            "StackId": request.stack_id,
            "RequestId": request.request_id,
            "LogicalResourceId": request.logical_resource_id,
        }
    )
    # No content type: the address is signed without one.
    put = urllib.request.Request(request.response_url, data=body, method="PUT", headers={"Content-Type": ""})  # noqa: S310 - the model admits http and https alone
    for attempt in range(1, _TRIES + 1):
        try:
            with urllib.request.urlopen(put, timeout=_TIMEOUT_SECONDS):  # noqa: S310 - as above
                return
        except OSError:
            # URLError is one; a server that hangs up, or is too slow, raises another.
            if attempt == _TRIES:
                raise
            time.sleep(attempt)
