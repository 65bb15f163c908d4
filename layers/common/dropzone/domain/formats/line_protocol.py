"""InfluxDB's line protocol, as Telegraf and InfluxDB's clients write it: each numeric field of a point is an event."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from dropzone.domain.instants import epoch_instant
from dropzone.domain.outcomes import ROOT, Code, Rejection, Violation

MEASUREMENT, FIELD = "_measurement", "_field"
"""The tags with an event's measurement and field: InfluxDB's own names, which it reserves."""

# The grammar of https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/. A backslash escapes only
# characters that are special in that position; strings may hold line breaks. Without backtracking, time is linear.
_NAME = rb"(?:\\[,= ]|[^,= \r\n])++"
_VALUE = rb'(?:"(?:\\["\\]|[^"])*+"|[^", \r\n]++)'
_POINT = re.compile(
    rb" *+(?P<measurement>(?:\\[, ]|[^, \r\n])++)"
    rb"(?P<tags>(?:,%(name)b=%(name)b)*+) ++"
    rb"(?P<fields>%(name)b=%(value)b(?:,%(name)b=%(value)b)*+)"
    rb"(?: ++(?P<time>-?[0-9]{1,20}))?+ *+\r?(?:\n|\Z)" % {b"name": _NAME, b"value": _VALUE}
)
_NO_POINT = re.compile(rb"[ \t\r]*+(?:#[^\n]*+)?+(?:\n|\Z)")
_LINE = re.compile(rb"[^\n]*+(?:\n|\Z)")
_TAG = re.compile(rb",(%(name)b)=(%(name)b)" % {b"name": _NAME})
_FIELD = re.compile(rb",?(%(name)b)=(%(value)b)" % {b"name": _NAME, b"value": _VALUE})
_NUMBER = re.compile(rb"[-+]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][-+]?[0-9]++)?|([-+]?[0-9]++)[iu]")
_NOT_NUMERIC = re.compile(rb'".*"|[tTfF]|true|True|TRUE|false|False|FALSE', re.DOTALL)
_ESCAPED = re.compile(rb"\\([,= ])")
_ESCAPED_IN_MEASUREMENT = re.compile(rb"\\([, ])")

_PRECISIONS = ((5 * 10**9, 0), (5 * 10**12, 3), (5 * 10**15, 6))
"""The numbers below which a timestamp is in seconds, milliseconds and microseconds, with the digits of each unit. This
is InfluxDB 3's rule: nanoseconds start in February 1970, and seconds end in 2128."""
_NANOSECONDS = 9


def payloads(body: bytes, received_at: datetime) -> Iterator[dict[str, Any] | Rejection]:
    """A payload of version 2 for each numeric field of each point; text and booleans are skipped.

    The source is the measurement, the values of the tags sorted by name, and the field, joined by slashes; the tags are
    those of the point plus `MEASUREMENT` and `FIELD`. A point without a timestamp has the time of arrival. A line that
    is not a point is rejected on its own.
    """
    at, line = 0, 1
    while at < len(body):
        if nothing := _NO_POINT.match(body, at):
            end = nothing.end()
        elif point := _POINT.match(body, at):
            end = point.end()
            yield from _events(point, line, received_at)
        else:
            # It matches at any position.
            end = _LINE.match(body, at).end()  # type: ignore[union-attr]
            yield _rejected(line, "is not a point of InfluxDB's line protocol")
        line += body.count(b"\n", at, end)
        at = end


def _events(point: re.Match[bytes], line: int, received_at: datetime) -> Iterator[dict[str, Any] | Rejection]:
    try:
        measurement = _ESCAPED_IN_MEASUREMENT.sub(rb"\1", point["measurement"]).decode()
        tags = {_name(name): _name(value) for name, value in _TAG.findall(point["tags"])}
        fields = [(_name(name), value) for name, value in _FIELD.findall(point["fields"])]
    except UnicodeDecodeError:
        yield _rejected(line, "is not UTF-8")
        return
    series = [measurement, *(tags[name] for name in sorted(tags))]
    instant = received_at if point["time"] is None else _instant(int(point["time"]))
    for name, text in fields:
        if _NOT_NUMERIC.fullmatch(text):
            continue
        source = "/".join([*series, name])
        number = _NUMBER.fullmatch(text)
        if number is None:
            yield _rejected(line, "has a field whose value is not a number, string or boolean", source)
        elif isinstance(instant, Violation):
            yield Rejection((instant,), source)
        else:
            value = float(number[1] or text)
            yield _payload(instant, source, value, {**tags, MEASUREMENT: measurement, FIELD: name})


def _payload(instant: datetime, source: str, value: float, tags: Mapping[str, str]) -> dict[str, Any]:
    return {"schema_version": 2, "time_stamp": instant, "source": source, "data": [value], "tags": tags}


def _name(text: bytes) -> str:
    return _ESCAPED.sub(rb"\1", text).decode()


def _instant(number: int) -> datetime | Violation:
    size = abs(number)
    digits = next((digits for below, digits in _PRECISIONS if size < below), _NANOSECONDS)
    return epoch_instant(number, digits)


def _rejected(line: int, reason: str, source: str = "") -> Rejection:
    return Rejection((Violation(Code.MAPPING_FAILED, ROOT, f"{reason}: line {line}"),), source)
