"""What a version of the payload is: how to read its events, and what they look like."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from dropzone.domain.outcomes import Outcome

Event = dict[str, Any]
"""An event, as its JSON object was parsed."""


class Version(NamedTuple):
    """A version of the payload."""

    read: Callable[[Event], Outcome]
    """The measurement of an event, or every rule that it breaks. Takes any JSON object."""
    schema: Mapping[str, Any]
    """The JSON Schema (2020-12) of its events, for the API's document."""
