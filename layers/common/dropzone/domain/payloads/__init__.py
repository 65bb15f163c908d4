"""The versions of the payload: a module per version, each of which yields the one canonical measurement.

`schema_version` names the version, 1 where it is absent. docs/evolution.md says what a version may change, and how.
"""

from collections.abc import Mapping
from types import MappingProxyType

from dropzone.domain.payloads import v1, v2
from dropzone.domain.payloads.version import Version

VERSION_FIELD = "schema_version"

VERSIONS: Mapping[int, Version] = MappingProxyType({1: v1.VERSION, 2: v2.VERSION})
