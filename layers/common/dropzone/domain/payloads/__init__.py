"""The versions of the payload: one model in a module for each, all of which lead to the one canonical measurement.

docs/evolution.md says how the version of an event is found, and what a version may change.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from dropzone.domain.payloads.event import Event
from dropzone.domain.payloads.v1 import EventV1
from dropzone.domain.payloads.v2 import EventV2, Labels

VERSION_FIELD = "schema_version"

_OF_VERSION_2 = frozenset(Labels.model_fields)

VERSIONS: Mapping[int | None, type[Event]] = MappingProxyType({1: EventV1, 2: EventV2})


def version_of(event: Mapping[str, Any]) -> int | None:
    """The version that an event names (2.0 is 2, as in JSON); None if it is no number.

    An event without one is of version 2 if it has a field of that version, and of version 1 otherwise (docs/adr/0019).
    """
    if VERSION_FIELD not in event:
        return 1 if _OF_VERSION_2.isdisjoint(event) else 2
    version = event[VERSION_FIELD]
    # True is an int in Python, and infinity is no integer.
    is_number = type(version) is int or (isinstance(version, float) and version.is_integer())
    return int(version) if is_number else None
