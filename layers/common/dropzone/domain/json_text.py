"""JSON as RFC 8259 has it, strictly: UTF-8, no byte order mark, no NaN, no lone surrogates, bounded nesting."""

import re
from typing import Any

from pydantic_core import from_json

# A string, to be passed over, or a number of more characters than the parser takes on (it stops at 4,300 digits).
# A string that never ends is passed over to the end of the text: to try each of its quotes would take quadratic time.
_STRING_OR_LONG_NUMBER = re.compile(
    rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?', re.DOTALL
)
_LONG = 1_000


class NotJsonError(ValueError):
    """The bytes are not JSON; the message says where, and quotes nothing of them."""


def parse_json(body: bytes) -> Any:  # noqa: ANN401 - JSON holds any of JSON's types
    """Parse JSON text; of duplicate names the last counts.

    A number too large for binary64 becomes an infinity, and one of thousands of digits the binary64 nearest to it
    (an infinity as well when it is too large): numbers are validated by the quality rules, not by the parser.

    Raises:
        NotJsonError: with the parser's reason and place.
    """
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError as error:
        if "number out of range" not in str(error):
            raise NotJsonError(str(error)) from error
    try:
        return from_json(_STRING_OR_LONG_NUMBER.sub(_shorten, body), allow_inf_nan=False)
    except ValueError as error:
        raise NotJsonError(str(error)) from error


def _shorten(token: re.Match[bytes]) -> bytes:
    text = token[0]
    if len(text) < _LONG or text.startswith(b'"'):
        return text
    return repr(float(text)).replace("inf", "1e999").encode()
