"""CloudFormation's side of a custom resource: the request, and the address that the answer is put to."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from support.http_server import Request, serving


@dataclass(slots=True)
class Answers:
    """What was put, in order."""

    url: str
    received: list[dict[str, Any]] = field(default_factory=list)
    content_types: list[str | None] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    """Of their bodies, in bytes: CloudFormation takes 4,096."""
    refusals: list[int | None] = field(default_factory=list)
    """What to meet the next answers with: a status, or None to hang up."""

    def request(self, request_type: str, **others: object) -> dict[str, Any]:
        """Make the event that CloudFormation calls the function with."""
        return {
            "RequestType": request_type,
            "ServiceToken": "arn:aws:lambda:eu-central-1:123456789012:function:dropzone-migrate",
            "ResponseURL": self.url,
            "StackId": "arn:aws:cloudformation:eu-central-1:123456789012:stack/dropzone/1",
            "RequestId": f"request of {request_type}",
            "LogicalResourceId": "Migration",
            "ResourceType": "Custom::Migration",
            "ResourceProperties": {"ServiceToken": "arn", "Revision": "0001"},
            **others,
        }


@contextmanager
def cloudformation() -> Iterator[Answers]:
    """Listen for answers for the time of a with block."""

    class Handler(Request):
        def respond(self) -> None:
            body = self.body()
            refusal = answers.refusals.pop(0) if answers.refusals else 200
            if refusal is None:
                self.close_connection = True
                return
            if refusal == 200:
                answers.received.append(json.loads(body))
                answers.lengths.append(len(body))
                answers.content_types.append(self.headers["Content-Type"])
            self.answer(refusal)

    with serving(Handler) as url:
        answers = Answers(f"{url}/answer?X-Amz-Signature=secret")
        yield answers
