"""The versions of the payload: a module with a model for each, all of which yield the one canonical measurement.

`schema_version` names the version, 1 where it is absent. docs/evolution.md says what a version may change, and how.
"""

from collections.abc import Mapping
from types import MappingProxyType

from dropzone.domain.payloads.event import Event
from dropzone.domain.payloads.v1 import EventV1
from dropzone.domain.payloads.v2 import EventV2

VERSION_FIELD = "schema_version"

VERSIONS: Mapping[int, type[Event]] = MappingProxyType({1: EventV1, 2: EventV2})
