"""A custom resource's response to CloudFormation: a PUT to the presigned URL of its request."""

import json
import time
import urllib.request
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_pascal

PHYSICAL_ID = "dropzone-schema"
"""The same in all versions: CloudFormation deletes a resource whose physical ID changes."""

_TRIES = 4
_TIMEOUT_SECONDS = 10


class Request(BaseModel):
    """CloudFormation's request. Validation errors don't quote its URL."""

    model_config = ConfigDict(frozen=True, strict=True, alias_generator=to_pascal, hide_input_in_errors=True)

    request_type: Literal["Create", "Update", "Delete"]
    response_url: str = Field(alias="ResponseURL", pattern="^https?://")
    stack_id: str
    request_id: str
    logical_resource_id: str


def answer(request: Request, status: Literal["SUCCESS", "FAILED"], **others: object) -> None:
    """Report success, with the `Data` for `Fn::GetAtt`; or a failure, with the `Reason` that the deploy shows.

    Raises:
        OSError: the response could not be sent.
    """
    body = json.dumps(
        {
            "Status": status,
            **others,
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
