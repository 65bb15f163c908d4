"""What an event becomes under the rules of a contract."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dropzone.domain.contracts import BASIC, Contracts
from dropzone.domain.mapping import PayloadMapping
from dropzone.domain.outcomes import MAX_VIOLATIONS, Code, EventId, Measurement, Outcome, Rejection, Violation
from dropzone.domain.patterns import specificity
from dropzone.domain.validate import Contents
from support.contracts import ARRIVED, BROKEN, EVENT, contract, contracts, rule


def outcome_of(event: Mapping[str, Any], of: Contracts) -> Outcome:
    (outcome,) = Contents(json.dumps(event).encode(), received_at=ARRIVED, contracts=of).outcomes()
    return outcome


@pytest.mark.parametrize("code", BROKEN)
def test_a_broken_error_rejects_and_a_broken_warning_flags(code: Code) -> None:
    stated, change = BROKEN[code]
    rejecting = contracts(contract("default", {**stated, "severity": "error"}))
    flagging = contracts(contract("default", {**stated, "severity": "warning"}))

    # WHEN an event keeps the rule
    for kept in (outcome_of(EVENT, rejecting), outcome_of(EVENT, flagging)):
        # THEN it is processed without a flag
        assert isinstance(kept, Measurement)
        assert kept.flags == ()

    # WHEN an event breaks it
    rejected, flagged = outcome_of({**EVENT, **change}, rejecting), outcome_of({**EVENT, **change}, flagging)

    # THEN it is rejected, or processed as without the contract, with the same reason
    assert isinstance(rejected, Rejection)
    assert [violation.code for violation in rejected.violations] == [code]
    assert rejected.violations[0].rule == "the-rule"
    assert isinstance(flagged, Measurement)
    assert flagged.flags == rejected.violations
    assert flagged._replace(flags=(), contract="") == outcome_of({**EVENT, **change}, BASIC)


@pytest.mark.parametrize(
    ("stated", "event", "field", "index", "message"),
    [
        (
            {"rule": "minimum", "limit": -40},
            {"data": [-40, -41.5]},
            *("data", 1, "holds -41.5 at index 1, below the minimum of -40.0"),
        ),
        (
            {"rule": "maximum", "limit": 60},
            {"data": [60, 61, 99]},
            *("data", 1, "holds 61.0 at index 1, above the maximum of 60.0"),
        ),
        (
            {"rule": "sentinel", "values": [-200, 85]},
            {"data": [1, 86, -200]},
            *("data", 2, "holds -200.0 at index 2, which marks a missing value"),
        ),
        ({"rule": "samples", "minimum": 3}, {}, "data", None, "holds 2 samples, fewer than 3"),
        ({"rule": "samples", "maximum": 1}, {}, "data", None, "holds 2 samples, more than 1"),
        (
            {"rule": "units", "allowed": ["K", ""]},
            {"unit": "°C"},
            *("unit", None, "is '\\xb0C', expected K, none"),
        ),
        ({"rule": "units", "allowed": ["K"]}, {"unit": None}, "unit", None, "is missing, expected K"),
        ({"rule": "tags", "names": ["line", "site", "room"]}, {}, "tags", None, "lacks site, room"),
        (
            {"rule": "source", "pattern": "[a-z]+"},
            {},
            *("source", None, "is 'hall-3/thermometer-7', expected the form [a-z]+"),
        ),
        (
            {"rule": "source", "pattern": "[a-z]+"},
            {"source": None},
            *("source", None, "is missing, expected the form [a-z]+"),
        ),
        (
            {"rule": "ahead", "limit": "PT1H"},
            {"time_stamp": "2046-11-24T17:00:00Z"},
            *("time_stamp", None, "is 7305 days ahead of its arrival, more than 1 hour"),
        ),
        (
            {"rule": "behind", "limit": "PT0S"},
            {"time_stamp": (ARRIVED - timedelta(seconds=30)).isoformat()},
            *("time_stamp", None, "is 30 seconds older than its arrival, more than 0 seconds"),
        ),
        (
            {"rule": "behind", "limit": "PT90S"},
            {"time_stamp": "2026-11-24T16:00:00Z"},
            *("time_stamp", None, "is 1 hour older than its arrival, more than 1.5 minutes"),
        ),
        (
            {"rule": "spread", "limit": 0.25},
            {"data": [1, 2]},
            *("data", None, "has a standard deviation of 0.5, above the maximum of 0.25"),
        ),
    ],
)
def test_a_violation_says_where_what_was_found_and_what_was_expected(
    stated: Mapping[str, Any], event: Mapping[str, Any], field: str, index: int | None, message: str
) -> None:
    of = contracts(contract("default", {**stated, "description": "why it matters"}))
    rejected = outcome_of({**EVENT, **event}, of)
    assert isinstance(rejected, Rejection)
    (violation,) = rejected.violations
    assert violation == Violation(violation.code, field, f"{message}: why it matters", index, "the-rule")


def test_limits_are_included() -> None:
    rules: list[Mapping[str, Any]] = [
        {"rule": "minimum", "limit": 20.5},
        {"rule": "maximum", "limit": 21.5},
        {"rule": "samples", "minimum": 2, "maximum": 2},
        {"rule": "spread", "limit": 0.5},
        {"rule": "behind", "limit": "PT15M"},
    ]
    assert isinstance(outcome_of(EVENT, contracts(contract("default", *rules))), Measurement)
    ahead = {**EVENT, "time_stamp": (ARRIVED + timedelta(hours=1)).isoformat()}
    assert isinstance(
        outcome_of(ahead, contracts(contract("default", {"rule": "ahead", "limit": "PT1H"}))), Measurement
    )


def test_a_sentinel_between_the_samples_is_none_of_them() -> None:
    of = contracts(contract("default", {"rule": "sentinel", "values": [85], "severity": "error"}))
    assert isinstance(outcome_of({**EVENT, "data": [84, 86]}, of), Measurement)


def test_every_broken_rule_is_named_up_to_a_limit() -> None:
    rules = [{"rule": "minimum", "limit": 100 + number, "id": f"rule-{number}"} for number in range(MAX_VIOLATIONS + 5)]
    rejected = outcome_of(EVENT, contracts(contract("default", *rules)))
    assert isinstance(rejected, Rejection)
    assert [violation.rule for violation in rejected.violations] == [f"rule-{n}" for n in range(MAX_VIOLATIONS)]


def test_an_error_outweighs_warnings() -> None:
    rules: list[Mapping[str, Any]] = [
        {"rule": "minimum", "limit": 100, "severity": "warning", "id": "a"},
        {"rule": "maximum", "limit": 0, "id": "b"},
    ]
    rejected = outcome_of(EVENT, contracts(contract("default", *rules)))
    assert isinstance(rejected, Rejection)
    assert [violation.rule for violation in rejected.violations] == ["b"]


def test_an_event_names_the_one_that_it_corrects_whatever_its_contract_says() -> None:
    corrected = EventId(UUID("019aa0f2-6c00-7000-8000-000000000001"), 3)
    for limit, expected in ((0, Measurement), (100, Rejection)):
        found = outcome_of(
            {**EVENT, "corrects": {"raw_id": str(corrected.raw_id), "item": 3}},
            contracts(contract("default", {"rule": "minimum", "limit": limit})),
        )
        assert isinstance(found, expected)
        assert found.corrects == corrected


def test_an_event_that_breaks_the_basic_rules_is_not_held_against_others() -> None:
    broken = {**EVENT, "data": []}
    rejected = outcome_of(broken, contracts(contract("default", {"rule": "samples", "minimum": 2})))
    assert isinstance(rejected, Rejection)
    assert [violation.code for violation in rejected.violations] == [Code.DATA_EMPTY]


# ---- which contract --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("hall-3/thermometer-7", "exact"),
        ("hall-3/thermometer-8", "thermometers"),
        ("hall-3/x", "hall"),
        ("hall-3", "default"),
        ("Hall-3/thermometer-7", "default"),
        ("hall-3/thermometer-7\n", "thermometers"),
        ("[ab]/7", "brackets"),
        ("a/7", "default"),
        ("room-12", "one-character"),
        ("room-123", "default"),
        ("", "default"),
    ],
)
def test_the_most_specific_pattern_of_a_source_wins(source: str, expected: str) -> None:
    of = contracts(
        contract("hall", sources=("hall-3/*",)),
        contract("exact", sources=("hall-3/thermometer-7",)),
        contract("thermometers", sources=("hall-3/therm*-*", "somewhere/else")),
        contract("brackets", sources=("[ab]/*",)),
        contract("one-character", sources=("room-1?",)),
    )
    assert of.of_source(source).id == expected


@pytest.mark.parametrize(
    ("better", "worse"),
    [("ab*", "a**"), ("ab*", "a***"), ("ab*", "a?*"), ("ab??", "ab?*"), ("ab?", "ab*"), ("abc", "ab?"), ("a*d", "**d")],
)
def test_a_pattern_is_specific_by_its_letters_and_then_by_its_question_marks(better: str, worse: str) -> None:
    assert specificity(better) > specificity(worse)


def test_outcomes_name_their_contract() -> None:
    of = contracts(contract("hall", {"rule": "minimum", "limit": 0}, sources=("hall-3/*",)))
    others = {**EVENT, "source": "elsewhere"}
    assert outcome_of(EVENT, of).contract == "hall@1"
    assert outcome_of({**EVENT, "data": [-1]}, of).contract == "hall@1"
    assert outcome_of({**EVENT, "data": []}, of).contract == "hall@1"
    assert outcome_of(others, of).contract == "default@1"
    assert outcome_of({**others, "source": 7}, of).contract == "default@1"
    version_1 = {name: EVENT[name] for name in ("time_stamp", "data")}
    assert outcome_of(version_1, of).contract == "default@1"
    # What has no event is nobody's, also where a contract has every source.
    everybody = contracts(contract("all", sources=("*",)))
    for body in (b"[]", b"\x1f\x8b\x08"):
        (whole,) = Contents(body, received_at=ARRIVED, contracts=everybody).outcomes()
        assert whole.contract == "default@1"


@pytest.mark.parametrize(
    ("decided_by", "expected"),
    [
        ("by-name@1", "by-name"),  # no source is its own: events are sent to it
        ("by-name@0", "by-name"),  # its version of before
        ("by-name", "by-name"),
        ("mapped@1", "mapped"),
        ("elsewhere@1", "hall"),  # events of other sources, which it had then
        ("default@1", "hall"),
        ("gone@1", "hall"),
        ("", "hall"),
    ],
)
def test_what_is_expected_of_a_source_is_up_to_the_contract_that_its_events_are_sent_to(
    decided_by: str, expected: str
) -> None:
    mapping = PayloadMapping.model_validate({"time_stamp": "t", "data": "v"})
    of = contracts(
        contract("hall", sources=("hall-3/*",)),
        contract("elsewhere", sources=("elsewhere/*",)),
        contract("by-name"),
        contract("mapped", sources=("elsewhere-too/*",)).model_copy(update={"mapping": mapping}),
    )

    assert of.expecting("hall-3/thermometer-7", decided_by).id == expected


@given(st.lists(st.text("ab*?[]!-", max_size=6), max_size=6, unique=True), st.text("ab*?[]!-", max_size=6))
def test_patterns_know_two_wildcards_alone(patterns: list[str], source: str) -> None:
    of = contracts(*(contract(f"c{n}", sources=(pattern,)) for n, pattern in enumerate(patterns) if pattern))

    def matches(pattern: str, text: str) -> bool:
        if not pattern:
            return not text
        if pattern[0] == "*":
            return any(matches(pattern[1:], text[skipped:]) for skipped in range(len(text) + 1))
        return bool(text) and pattern[0] in {"?", text[0]} and matches(pattern[1:], text[1:])

    chosen = of.of_source(source)
    if chosen.id == "default":
        assert not any(matches(pattern, source) for pattern in patterns if pattern)
    else:
        assert matches(chosen.sources[0], source)


# ---- what a rule may state -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "stated",
    [
        {"rule": "minimum", "limit": float("nan")},
        {"rule": "minimum", "limit": "cold"},
        {"rule": "minimum"},
        {"rule": "minimum", "limit": 1, "limitt": 2},
        {"rule": "minimum", "limit": 1, "severity": "info"},
        {"rule": "minimum", "limit": 1, "id": "not an id"},
        {"rule": "sentinel", "values": []},
        {"rule": "samples", "minimum": 0},
        {"rule": "source", "pattern": "("},
        {"rule": "source", "pattern": "(?=a)"},
        {"rule": "source", "pattern": "((a{1000}){1000}){1000}"},
        {"rule": "ahead", "limit": "-PT1H"},
        {"rule": "ahead", "limit": "an hour"},
        {"rule": "spread", "limit": -1},
        {"rule": "unknown"},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(stated: Mapping[str, Any]) -> None:
    with pytest.raises(ValidationError):
        rule(stated)


def test_a_pattern_that_is_none_says_why() -> None:
    with pytest.raises(ValidationError, match=r"is not a regular expression that can be used here: .*unclosed group"):
        rule({"rule": "source", "pattern": "hall-("})


def test_a_pattern_that_explodes_elsewhere_takes_no_time() -> None:
    explosive = contracts(contract("default", {"rule": "source", "pattern": "(a+)+b"}))
    assert isinstance(outcome_of({**EVENT, "source": "a" * 200}, explosive), Rejection)
