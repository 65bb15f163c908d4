"""What pydantic reports, in a form that may be logged."""

from pydantic import ValidationError


def describe(error: ValidationError) -> str:
    """Where and how validation failed, as one line that shows no input value."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(": ".join([".".join(map(str, each["loc"])) or "$", each["msg"]]) for each in found)
