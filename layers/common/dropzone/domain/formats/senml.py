"""Sensor Measurement Lists (RFC 8428) in JSON: a pack of records, each measurement of which is an event."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from math import isinf
from typing import Any

from dropzone.domain.instants import epoch_instant
from dropzone.domain.outcomes import ROOT, Code, Rejection, Violation

VERSION = 10
"""The version of SenML defined by RFC 8428; the default of a pack that names none."""
_ABSOLUTE = Decimal(2**28)
"""Times from this value on, in seconds, count from 1970; smaller ones are relative to the arrival (section 4.5.3)."""

_BASE = frozenset({"bn", "bt", "bu", "bv", "bs", "bver"})
_TEXTS = frozenset({"bn", "bu", "n", "u"})
_NUMBERS = frozenset({"bt", "bv", "bs", "bver", "t", "ut", "v", "s"})
_SUMMANDS = frozenset({"bt", "bv", "t"})
"""Labels whose values are added to others: the sum of two infinities may be undefined."""
_VALUES = frozenset({"v", "vs", "vb", "vd", "s"})


def payloads(pack: Any, received_at: datetime) -> Iterator[dict[str, Any] | Rejection]:  # noqa: ANN401 - any JSON
    """A payload of version 2 for each record with a value, resolved according to section 4.6.

    Base values apply to the record and those after it. A record without a value only sets base values. Text, booleans
    and data are rejected as not numeric, and so is a record with a sum but no value. If the base values of a record
    can't be understood, the records after it are rejected as well. Times below 2**28 seconds are relative to the
    arrival.
    """
    if type(pack) is not list:
        yield _rejected(ROOT, "is not an array of SenML records")
        return
    base: dict[str, Any] = {}
    is_base_known = True
    for record in pack:
        if type(record) is not dict:
            yield _rejected(ROOT, "holds a record that is not an object")
            continue
        if wrong := _wrong(record):
            is_base_known &= _BASE.isdisjoint(record)
            yield _rejected(*wrong)
            continue
        if not is_base_known:
            yield _rejected(ROOT, "follows a record whose base values can't be read")
            continue
        base |= {label: value for label, value in record.items() if label in _BASE}
        if not _VALUES.isdisjoint(record) or "n" in record:
            yield _payload(record, base, received_at)


def _wrong(record: dict[str, Any]) -> tuple[str, str] | None:
    """The field of a record that can't be understood, and why."""
    for label, value in record.items():
        if label.endswith("_"):
            return label[:64], "must be understood, but is not supported"
        if label in _TEXTS and type(value) is not str:
            return label, "is not a string"
        if label in _NUMBERS and type(value) not in {int, float}:
            return label, "is not a number"
        if label in _SUMMANDS and isinf(value):
            return label, "is beyond the range of binary64"
    if record.get("bver", VERSION) > VERSION:
        return "bver", f"is a version of SenML above {VERSION}"
    return None


def _payload(record: dict[str, Any], base: dict[str, Any], received_at: datetime) -> dict[str, Any] | Rejection:
    seconds = _decimal(base.get("bt", 0)) + _decimal(record.get("t", 0))
    if seconds < _ABSOLUTE:
        seconds += _decimal(received_at.replace(tzinfo=UTC).timestamp())
    time_stamp = epoch_instant(str(seconds), 0)
    source = base.get("bn", "") + record.get("n", "")
    if isinstance(time_stamp, Violation):
        return Rejection((time_stamp,), source)
    payload = {"schema_version": 2, "time_stamp": time_stamp, "source": source}
    if unit := record.get("u", base.get("bu")):
        payload["unit"] = unit
    if "v" in record or "bv" in base:
        value, base_value = record.get("v", 0), base.get("bv", 0)
        payload["data"] = [float(_decimal(value) + _decimal(base_value)) if base_value else value]
    else:
        payload["data"] = [record.get("vs", record.get("vb", record.get("vd")))]
    return payload


def _decimal(number: float) -> Decimal:
    return Decimal(repr(number))


def _rejected(field: str, message: str) -> Rejection:
    return Rejection((Violation(Code.MAPPING_FAILED, field, message),))
