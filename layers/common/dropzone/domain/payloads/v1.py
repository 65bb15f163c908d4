"""Version 1: an instant and its samples. Other fields are welcome and not read."""

from dropzone.domain.envelope import DATA, TIME_STAMP
from dropzone.domain.outcomes import MAX_VIOLATIONS, Measurement, Outcome, Rejection
from dropzone.domain.payloads.samples import SCHEMAS, read_samples
from dropzone.domain.payloads.version import Event, Version


def read(event: Event) -> Outcome:
    """The outcome of a version 1 event."""
    samples = read_samples(event)
    if isinstance(samples, list):
        return Rejection(tuple(samples[:MAX_VIOLATIONS]))
    return Measurement(samples[0], "", samples[1])


VERSION = Version(
    read,
    {
        "type": "object",
        "description": "Version 1: an instant and its samples. Other fields are welcome, kept, and not read.",
        "required": [TIME_STAMP, DATA],
        "properties": {
            **SCHEMAS,
            "schema_version": {"const": 1, "description": "The payload's version: 1 where it is absent."},
        },
        "additionalProperties": True,
        "examples": [{"time_stamp": "2019-05-01T06:00:00-04:00", "data": [0, 2]}],
    },
)
