"""API Gateway's own responses. The template gives them the form of all others; a test compares their texts."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

from dropzone.api.problems import ProblemType

FORBIDDEN = ProblemType(
    "forbidden", HTTPStatus.FORBIDDEN, "The header x-api-key is missing, or holds no key of this API."
)

THROTTLED = ProblemType(
    "throttled", HTTPStatus.TOO_MANY_REQUESTS, "Too many requests at once. It is safe to send this one again."
)

OWN: Mapping[str, Sequence[ProblemType]] = {
    "413": [
        ProblemType(
            "too-large",
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "The body is larger than API Gateway (10 MB, also unpacked) or Lambda (6 MB, in base64) takes. "
            "Send it in parts.",
        )
    ],
    "429": [
        THROTTLED,
        ProblemType(
            "quota-exceeded",
            HTTPStatus.TOO_MANY_REQUESTS,
            "This key's quota is used up for now. It is safe to send this request again later.",
        ),
    ],
    "503": [
        ProblemType(
            "unavailable",
            HTTPStatus.SERVICE_UNAVAILABLE,
            "The function behind the API is busy, or out of reach. It is safe to send the request again.",
        )
    ],
    "504": [
        ProblemType(
            "gateway-timeout",
            HTTPStatus.GATEWAY_TIMEOUT,
            "The function behind the API gave no answer in time. It is safe to send the request again.",
        )
    ],
}
"""The problems by status, for all routes (413: only those with a body)."""
