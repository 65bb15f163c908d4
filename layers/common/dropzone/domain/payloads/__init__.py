"""The versions of the payload: a module per version, each of which yields the one canonical measurement.

`schema_version` names the version, 1 where it is absent.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from dropzone.domain.outcomes import Measurement, Violation
from dropzone.domain.payloads import v1

VERSION_FIELD = "schema_version"

Reader = Callable[[dict[str, Any]], Measurement | list[Violation]]
"""Reads an event of one version: its measurement, or every rule that it breaks. Takes any JSON object."""

VERSIONS: Mapping[int, Reader] = MappingProxyType({1: v1.read})
