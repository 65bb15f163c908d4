"""Version 2: as version 1, and who measured (`source`), in what `unit`, with what `tags`; each may be absent."""

from dropzone.domain.envelope import DATA, TIME_STAMP
from dropzone.domain.labels import (
    MAX_SOURCE,
    MAX_TAG_NAME,
    MAX_TAG_VALUE,
    MAX_TAGS,
    MAX_UNIT,
    SOURCE,
    TAGS,
    UNIT,
    check_source,
    check_tags,
    check_unit,
)
from dropzone.domain.outcomes import MAX_VIOLATIONS, Measurement, Outcome, Rejection, Violation
from dropzone.domain.payloads.samples import SCHEMAS, read_samples
from dropzone.domain.payloads.version import Event, Version


def read(event: Event) -> Outcome:
    """The outcome of a version 2 event."""
    samples = read_samples(event)
    source, unit, tags = check_source(event.get(SOURCE)), check_unit(event.get(UNIT)), check_tags(event.get(TAGS))
    if (
        type(samples) is tuple
        and not isinstance(source, Violation)
        and not isinstance(unit, Violation)
        and not isinstance(tags, Violation)
    ):
        return Measurement(samples[0], source, samples[1], unit, tags)
    violations = samples if type(samples) is list else []
    violations += [label for label in (source, unit, tags) if isinstance(label, Violation)]
    return Rejection(tuple(violations[:MAX_VIOLATIONS]), source if isinstance(source, str) else "")


_CLEAN = r"^[^\u0000-\u001f\u007f-\u009f]*$"
"""No control characters, as ECMA-262 writes it, and as `labels` checks it."""

VERSION = Version(
    read,
    {
        "type": "object",
        "description": (
            "Version 2: as version 1, and who measured, in what unit, with what tags. Each of the three may be absent "
            "or null. Events of one instant and one source are the same measurement: the last to arrive stands. "
            "Other fields are welcome, kept, and not read."
        ),
        "required": [TIME_STAMP, DATA, "schema_version"],
        "properties": {
            "schema_version": {"const": 2, "description": "The payload's version."},
            **SCHEMAS,
            SOURCE: {
                "type": ["string", "null"],
                "maxLength": MAX_SOURCE,
                "pattern": _CLEAN,
                "description": "Who measured: part of the measurement's key. No control characters.",
            },
            UNIT: {
                "type": ["string", "null"],
                "maxLength": MAX_UNIT,
                "pattern": _CLEAN,
                "description": "The unit of the samples, such as `°C`. No control characters.",
            },
            TAGS: {
                "type": ["object", "null"],
                "maxProperties": MAX_TAGS,
                "propertyNames": {"minLength": 1, "maxLength": MAX_TAG_NAME, "pattern": _CLEAN},
                "additionalProperties": {"type": "string", "maxLength": MAX_TAG_VALUE, "pattern": _CLEAN},
                "description": "What else the sender calls it. No control characters.",
            },
        },
        "additionalProperties": True,
        "examples": [
            {
                "schema_version": 2,
                "time_stamp": "2026-11-24T16:44:35.108Z",
                "data": [21.5, 21.7],
                "source": "hall-3/thermometer-7",
                "unit": "°C",
                "tags": {"line": "B"},
            }
        ],
    },
)
