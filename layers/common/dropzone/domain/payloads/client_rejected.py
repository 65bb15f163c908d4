"""What a client reports about lines of its input that it could not make an event of: a rejection (docs/adr/0025)."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dropzone.domain.outcomes import Code, Rejection, Violation, excerpt
from dropzone.domain.payloads.v2 import Source
from dropzone.domain.violations import CLIENT_REJECTED

_MAX_REASON, _MAX_MESSAGE = 200, 500


class ClientReason(BaseModel):
    """Why there is no event."""

    model_config = ConfigDict(strict=True, frozen=True, defer_build=True)

    code: str = Field(pattern=r"^[a-z0-9_.]{1,64}$", description="The client's own code.")
    reason: str = Field(description=f"For people. Its first {_MAX_REASON} characters are shown.")
    lines: Annotated[list[int], Field(min_length=2, max_length=2)] | None = Field(
        default=None, description="The first and the last line of the input."
    )
    text: str | None = Field(default=None, description="The lines themselves, or their beginning.")


class ClientRejection(BaseModel):
    """Lines of an input that the client could not make an event of: counted as a rejected event.

    Its outcome is a rejection with the code `client.rejected`, which an event can correct.
    """

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        defer_build=True,
        json_schema_extra={
            "examples": [
                {
                    "client_rejected": {
                        "code": "row.not_number",
                        "reason": "'n/a' in the column 'temp' is no number",
                        "lines": [37, 37],
                        "text": "2026-11-24T16:44:35Z,n/a",
                    },
                    "source": "hall-3/thermometer-7",
                }
            ]
        },
    )

    client_rejected: ClientReason
    source: Source | None = Field(default=None, description="Who would have measured, if that is known.")


def client_rejection(payload: dict[str, Any]) -> Rejection:
    """The rejection that a client reports: whatever else it says, there is no event."""
    try:
        report = ClientRejection.model_validate(payload)
    except ValidationError:
        report = None
    reason = "gives no reason that can be read"
    if report is not None:
        reason = f"{report.client_rejected.code}: {excerpt(report.client_rejected.reason, _MAX_REASON)}"
    message = f"the client has no event for it; {reason}"[:_MAX_MESSAGE]
    violation = Violation(Code.CLIENT_REJECTED, CLIENT_REJECTED, message)
    return Rejection((violation,), (report and report.source) or "")
