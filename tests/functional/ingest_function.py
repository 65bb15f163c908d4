"""The function Ingest with a bucket of its own: call it, and see what lies in the bucket."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dropzone_ingest.handler import handler
from functional.lambda_calls import header, json_body
from support.lambda_context import Context

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef


@dataclass(frozen=True, slots=True)
class IngestFunction:
    """Calls the real handler."""

    bucket: str
    client: "S3Client"

    def __call__(self, event: Mapping[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = handler(dict(event), Context())
        return answer

    def keys(self) -> list[str]:
        answer = self.client.list_objects_v2(Bucket=self.bucket)
        return [entry["Key"] for entry in answer.get("Contents", []) if "Key" in entry]

    def object(self, raw_id: str) -> "GetObjectOutputTypeDef":
        return self.client.get_object(Bucket=self.bucket, Key=f"raw/{raw_id}.json")

    def refused(self, event: Mapping[str, Any], status: int) -> dict[str, Any]:
        """The problem that the event is refused with; nothing of it is kept."""
        answer = self(event)
        assert answer["statusCode"] == status
        assert header(answer, "Content-Type") == "application/problem+json"
        problem = json_body(answer)
        assert problem["status"] == status
        assert problem["type"].startswith("urn:dropzone:problem:")
        assert problem["request_id"] == event["requestContext"]["requestId"]
        assert {"type", "title", "status", "detail", "request_id"} <= problem.keys()
        assert problem.keys() <= {"type", "title", "status", "detail", "request_id", "violations"}
        assert all(isinstance(problem[name], str) and problem[name] for name in ("type", "title", "detail"))
        assert self.keys() == []
        return problem
