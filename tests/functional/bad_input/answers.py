"""What every answer of a function behind the API must be, whatever was asked."""

import json
from collections.abc import Mapping
from typing import Any

LAMBDA_ANSWER_BYTES = 6 * 1024 * 1024


def check(answer: Any, event: Mapping[str, Any]) -> int:  # noqa: ANN401 - that is the question
    """Hold the answer to API Gateway's form, and a refusal to the form of problems; return its status."""
    assert isinstance(answer, dict)
    assert answer.keys() == {"statusCode", "body", "isBase64Encoded", "multiValueHeaders"}
    status = answer["statusCode"]
    assert type(status) is int
    assert 200 <= status <= 499, answer
    assert answer["isBase64Encoded"] is False
    assert type(answer["body"]) is str
    _check_headers(answer["multiValueHeaders"])
    answer["body"].encode()
    assert len(json.dumps(answer)) < LAMBDA_ANSWER_BYTES
    if event.get("httpMethod") == "HEAD":
        assert answer["body"] == ""
    elif status >= 400:
        _check_problem(answer, status)
    return status


def _check_headers(headers: Any) -> None:  # noqa: ANN401
    assert isinstance(headers, dict)
    for name, values in headers.items():
        assert type(name) is str
        assert type(values) is list
        for text in (name, *values):
            assert type(text) is str
            assert text.isascii()
            assert text.isprintable(), text


def _check_problem(answer: Mapping[str, Any], status: int) -> None:
    assert answer["multiValueHeaders"]["Content-Type"] == ["application/problem+json"]
    assert len(answer["body"]) < 10_000
    problem = json.loads(answer["body"])
    assert {"type", "title", "status", "detail", "request_id"} <= problem.keys()
    assert problem.keys() <= {"type", "title", "status", "detail", "request_id", "violations"}
    assert problem["type"].startswith("urn:dropzone:problem:")
    assert problem["status"] == status
    assert all(type(problem[name]) is str for name in ("type", "title", "detail", "request_id"))
    for violation in problem.get("violations", []):
        assert violation.keys() == {"field", "code", "message"}
        assert all(type(text) is str and text for text in violation.values())
        assert violation["field"].isascii()
        assert violation["field"].isprintable()
