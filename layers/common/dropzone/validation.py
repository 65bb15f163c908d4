"""Errors of pydantic's for logs."""

from pydantic import ValidationError


def describe(error: ValidationError) -> str:
    """Where and why validation failed, on one line, without input values."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(": ".join([".".join(map(str, each["loc"])) or "$", each["msg"]]) for each in found)
