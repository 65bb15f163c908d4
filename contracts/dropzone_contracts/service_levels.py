"""Reads `slaProperties`: what a contract expects of its sources over time."""

from collections.abc import Iterator
from datetime import timedelta

from open_data_contract_standard.model import ServiceLevelAgreementProperty
from pydantic import ValidationError

from dropzone.domain.contracts import in_words
from dropzone.domain.expectations import Expectations
from dropzone_contracts.document import ContractError, Document, Finding

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400

_UNITS: dict[str, float] = {
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 0.001),
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1),
    **dict.fromkeys(("min", "minute", "minutes"), _MINUTE),
    **dict.fromkeys(("h", "hr", "hour", "hours"), _HOUR),
    **dict.fromkeys(("d", "day", "days"), _DAY),
    **dict.fromkeys(("w", "wk", "week", "weeks"), 7 * _DAY),
    **dict.fromkeys(("y", "yr", "year", "years"), 365 * _DAY),
}
"""Units in seconds. `m` is missing, since it could mean minutes or months."""

_FIELDS = {
    "frequency": "interval_seconds",
    "latency": "latency_seconds",
    "retention": "retention_seconds",
    "unchanged": "unchanged_seconds",
    "rejectedShare": "rejected_share",
}


def expectations_of(document: Document) -> Expectations:
    """The expectations of a contract's file.

    Raises:
        ContractError: the file has something that isn't evaluated; it lists each reason.
    """
    findings: list[Finding] = []
    stated: dict[str, float] = {}
    for index, entry in enumerate(document.contract.slaProperties or []):
        path = ("slaProperties", index)
        for finding in _findings(entry, stated):
            findings.append(document.finding(path, f"{entry.property}: {finding}"))
    if findings:
        raise ContractError(findings)
    return Expectations.model_validate(
        {"id": document.contract.id or "", "version": document.contract.version or "", **stated}
    )


def sentences(expectations: Expectations) -> Iterator[str]:
    """The expectations and their consequences, one line each."""
    words = {
        "interval_seconds": "expects an event every {}: a source is late after 1.5 times that, and silent after 2.5",
        "latency_seconds": "expects measurements to arrive within {}",
        "unchanged_seconds": "expects another value within {}, or the source is stuck",
        "retention_seconds": "states that measurements are kept for {}: informative, nothing is deleted",
    }
    for field, text in words.items():
        if (seconds := getattr(expectations, field)) is not None:
            yield text.format(in_words(timedelta(seconds=seconds)))
    if expectations.rejected_share is not None:
        yield f"expects at most {expectations.rejected_share:.4g} of a day's events to be rejected"


def _findings(entry: ServiceLevelAgreementProperty, stated: dict[str, float]) -> Iterator[str]:
    """What is wrong with an entry; a valid one is added to `stated`."""
    field = _FIELDS.get(str(entry.property))
    if field is None:
        yield f"is not evaluated; {', '.join(_FIELDS)} are"
        return
    if entry.valueExt is not None:
        yield "has a valueExt, which is not supported"
    try:
        value = _share(entry) if field == "rejected_share" else _seconds(entry)
        if field not in stated:
            Expectations.model_validate({"id": "", "version": "", field: value})
    except ValidationError as error:
        yield error.errors(include_url=False, include_input=False)[0]["msg"]
    except (TypeError, ValueError) as error:
        yield str(error)
    else:
        if field in stated:
            yield "is stated twice"
        stated.setdefault(field, value)


def _seconds(entry: ServiceLevelAgreementProperty) -> float:
    number = _number(entry)
    if str(entry.unit) not in _UNITS:
        raise ValueError(f"the unit {entry.unit!r} is none of s, min, h, d, w, y")
    return number * _UNITS[str(entry.unit)]


def _share(entry: ServiceLevelAgreementProperty) -> float:
    number = _number(entry)
    if entry.unit not in {None, "%", "percent"}:
        raise ValueError(f"the unit {entry.unit!r} is neither % nor left out")
    return number / 100 if entry.unit else number


def _number(entry: ServiceLevelAgreementProperty) -> float:
    # Text that looks like a number was probably quoted by mistake.
    if not isinstance(entry.value, int | float) or isinstance(entry.value, bool):
        raise TypeError(f"the value {entry.value!r} is not a number")
    return float(entry.value)
