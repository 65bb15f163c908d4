"""Scopes, bindings and expiry: who may do what, and the events of a source that a key may not write."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dropzone.api.answers import fields_of
from dropzone.api.problems import ProblemError
from dropzone.domain.access import (
    Access,
    ClientsDocument,
    Decision,
    Identity,
    Kind,
    ListedClient,
    Scope,
    access_of,
    decide,
)
from dropzone.domain.body import NDJSON
from dropzone.domain.outcomes import Code, Measurement, Outcome, Rejection, Violation
from dropzone.domain.patterns import as_like, matcher, may_overlap
from dropzone.domain.validate import Contents
from dropzone.queries import contracts as queried
from support.contracts import contract, contracts

NOW = datetime(2026, 11, 24, 17, tzinfo=UTC)
EVERY = frozenset(Scope)
NONE: frozenset[Scope] = frozenset()


KEY = Identity(Kind.KEY, "a" * 64)


def document(**fields: Any) -> ClientsDocument:  # noqa: ANN401 - JSON's
    entry = {"name": "hall-3", "sha256": "a" * 64, "scopes": ["ingest"], **fields}
    return ClientsDocument.model_validate_json(json.dumps({"clients": [entry]}))


@pytest.mark.parametrize("needed", Scope)
@pytest.mark.parametrize("has", Scope)
def test_scope_opens_itself_alone(has: Scope, needed: Scope) -> None:
    access = access_of(KEY, document(scopes=[has]), EVERY)

    decision = decide(access, frozenset({needed}), NOW)

    assert decision is (Decision.ALLOWED if has is needed else Decision.SCOPE_MISSING)


def test_any_scope_of_a_route_opens_it() -> None:
    access = Access("hall-3", frozenset({Scope.INGEST}))

    assert decide(access, frozenset({Scope.INGEST, Scope.READ}), NOW) is Decision.ALLOWED


def test_listed_key_has_none_of_the_default_scopes() -> None:
    assert access_of(KEY, document(scopes=[]), EVERY).scopes == NONE


def test_listed_key_has_what_its_entry_says() -> None:
    listed = document(writes=["hall-3/*"], reads=["hall-3/*", "hall-4"], expires=NOW.isoformat())

    assert access_of(KEY, listed, EVERY) == Access(
        "hall-3", frozenset({Scope.INGEST}), ("hall-3/*",), ("hall-3/*", "hall-4"), expires=NOW
    )


@pytest.mark.parametrize(
    ("default", "decision"),
    [(NONE, Decision.UNKNOWN), ({Scope.READ}, Decision.ALLOWED), ({Scope.INGEST}, Decision.SCOPE_MISSING)],
)
def test_key_without_an_entry_has_the_default_scopes(default: set[Scope], decision: Decision) -> None:
    access = access_of(Identity(Kind.KEY, "b" * 64), document(), frozenset(default))

    assert access.client == "~" + "b" * 16
    assert decide(access, frozenset({Scope.READ}), NOW) is decision


@pytest.mark.parametrize(
    ("left", "decision"), [(timedelta(seconds=1), Decision.ALLOWED), (timedelta(0), Decision.EXPIRED)]
)
def test_key_opens_nothing_from_its_expiry_on(left: timedelta, decision: Decision) -> None:
    access = access_of(KEY, document(expires=(NOW + left).isoformat()), EVERY)

    assert decide(access, frozenset({Scope.INGEST}), NOW) is decision


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "Hall 3"},
        {"name": "~hall"},
        {"name": ""},
        {"sha256": "A" * 64},
        {"scopes": ["admin"]},
        {"expires": "2026-11-24T17:00:00"},
        {"write": ["hall-3/*"]},
        {"writes": "hall-3/*"},
        {"writes": [""]},
        {"sha256": None},
        {"subject": "b7a1"},
        {"sha256": None, "subject": ""},
        {"sha256": None, "role": "arn:aws:sts::111122223333:assumed-role/analyst/ann"},
        {"sha256": None, "role": "arn:aws:iam::111122223333:role/path/analyst"},
        {"sha256": None, "role": "analyst"},
    ],
    ids=str,
)
def test_document_with_anything_unforeseen_is_refused_as_a_whole(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        document(**fields)


def test_a_binding_is_as_long_as_an_object_s_metadata_has_room_for() -> None:
    # An é is six characters of the JSON that is kept.
    longest = ["x" * 198, "é" * 200, "y" * 90]

    assert document(reads=longest).clients[0].reads == tuple(longest)
    with pytest.raises(ValidationError, match="a binding has at most 1500 characters"):
        document(reads=[*longest[:2], "y" * 91])


@pytest.mark.parametrize("value", ["a" * 64, "a" * 63 + "b", "b" * 64, "", "A" * 64])
def test_key_is_looked_up_once_by_its_whole_hash_and_compared_with_nothing(value: str) -> None:
    # So that the time that it takes says nothing about how far an unknown key is right.
    class Recorder(dict[tuple[Kind, str], ListedClient]):
        def get(self, key: tuple[Kind, str], default: Any = None) -> Any:  # noqa: ANN401
            asked.append(key)
            return super().get(key, default)

        def __iter__(self) -> Any:  # noqa: ANN401
            raise AssertionError

        __getitem__ = __contains__ = keys = values = items = __iter__  # type: ignore[assignment] # refused alike

    asked: list[tuple[Kind, str]] = []
    listed = document()
    listed.__dict__["by_identity"] = Recorder(listed.by_identity)

    access_of(Identity(Kind.KEY, value), listed, NONE)

    assert asked == [(Kind.KEY, value)]


@pytest.mark.parametrize("binding", [{"writes": ["hall-3/*"]}, {"reads": ["hall-3/*"]}, {"writes": []}, {"reads": []}])
def test_who_is_bound_to_sources_does_not_operate_on_others(binding: dict[str, list[str]]) -> None:
    access = access_of(KEY, document(scopes=[*Scope], **binding), EVERY)

    assert access.scopes == {Scope.INGEST, Scope.READ}


# ---- who has signed in -----------------------------------------------------------------------------------------------

ROLE = Identity(Kind.ROLE, "arn:aws:iam::111122223333:role/analyst")
BOTH = frozenset({Scope.READ, Scope.OPERATE})


def test_listed_role_has_the_scopes_of_its_entry() -> None:
    listed = document(sha256=None, role=ROLE.value, scopes=["read"], reads=["hall-3/*"])

    assert access_of(ROLE, listed, EVERY) == Access("hall-3", frozenset({Scope.READ}), reads=("hall-3/*",))


def test_role_without_an_entry_has_the_default_scopes() -> None:
    access = access_of(ROLE, document(), frozenset({Scope.READ}))

    assert access.scopes == {Scope.READ}
    assert decide(access_of(ROLE, document(), NONE), BOTH, NOW) is Decision.UNKNOWN


def test_token_says_what_it_opens_whatever_the_default_scopes() -> None:
    token = Identity(Kind.SUBJECT, "ann", frozenset({Scope.READ}))

    assert access_of(token, document(), NONE).scopes == access_of(token, document(), EVERY).scopes == {Scope.READ}
    assert decide(access_of(Identity(Kind.SUBJECT, "ann", NONE), document(), EVERY), BOTH, NOW) is (
        Decision.SCOPE_MISSING
    )


def test_entry_of_a_subject_restricts_its_token_and_widens_it_never() -> None:
    listed = document(sha256=None, subject="ann", scopes=["ingest", "read"], reads=["hall-3/*"])

    access = access_of(Identity(Kind.SUBJECT, "ann", BOTH), listed, EVERY)

    assert access == Access("hall-3", frozenset({Scope.READ}), reads=("hall-3/*",))


def test_limit_of_keys_holds_for_listed_and_other_ones() -> None:
    for listed in (document(scopes=[*Scope]), document(sha256="b" * 64)):
        assert access_of(Identity(Kind.KEY, "a" * 64, frozenset({Scope.INGEST})), listed, EVERY).scopes == {
            Scope.INGEST
        }


@pytest.mark.parametrize("kind", Kind)
def test_value_of_one_kind_is_none_of_another(kind: Kind) -> None:
    value = {Kind.KEY: "a" * 64, Kind.ROLE: ROLE.value, Kind.SUBJECT: "a" * 64}[kind]
    listed = document(**({"sha256": None} | {kind.value: value}), scopes=["operate"])

    for other in Kind:
        access = access_of(Identity(other, value), listed, NONE)
        assert (access.client == "hall-3") is (other is kind)


# ---- events of sources that a key may not write ----------------------------------------------------------------------


def event(source: str | None, **fields: object) -> dict[str, object]:
    named = {} if source is None else {"source": source}
    return {"time_stamp": "2019-05-01T06:00:00Z", "data": [0, 2], **named, **fields}


def outcome(sent: dict[str, object], *writes: str) -> Outcome:
    [found] = Contents(json.dumps(sent).encode(), writes=writes).outcomes()
    return found


ALLOWED = [
    ("hall-3/*", "hall-3/boiler"),
    ("hall-3/*", "hall-3/"),
    ("hall-3/*", "hall-3/a/b"),
    ("hall-3/boiler-?", "hall-3/boiler-7"),
    ("*", ""),
    ("a.b", "a.b"),
    ("[ab]", "[ab]"),
    ("(a|b)+", "(a|b)+"),
    ("a\\*", "a\\z"),
]
REFUSED = [
    ("hall-3/*", "hall-30/boiler"),
    ("hall-3/*", "Hall-3/boiler"),
    ("hall-3/*", "hall-3"),
    ("hall-3/*", "x/hall-3/boiler"),
    ("hall-3/*", "hаll-3/boiler"),
    ("hall-3/*", "hall‐3/boiler"),
    ("hall-3/*", "*"),
    ("hall-3/boiler-?", "hall-3/boiler-77"),
    ("hall-3/*", ""),
    ("hall-3/*", None),
    ("a.b", "axb"),
    ("[ab]", "a"),
    ("(a|b)+", "ab"),
    (".*", "anything"),
    ("é", "e\u0301"),
    ("a", "a\u200b"),
]
"""Also by case, by letters that look alike (Cyrillic а, a hyphen of its own, a combining accent), and by regex."""


@pytest.mark.parametrize(("pattern", "source"), ALLOWED)
def test_source_of_the_binding_is_processed(pattern: str, source: str) -> None:
    found = outcome(event(source), "elsewhere", pattern)

    assert isinstance(found, Measurement)
    assert found.source == source


@pytest.mark.parametrize(("pattern", "source"), REFUSED)
def test_source_outside_the_binding_is_rejected_and_counts_for_no_source(pattern: str, source: str | None) -> None:
    found = outcome(event(source), "elsewhere", pattern)

    assert isinstance(found, Rejection)
    assert [(violation.code, violation.field) for violation in found.violations] == [
        (Code.SOURCE_NOT_ALLOWED, "source")
    ]
    assert found.source == ""
    assert found.corrects is None


@pytest.mark.parametrize(
    ("source", "code", "counted_for"),
    [("hall-4/boiler", Code.SOURCE_NOT_ALLOWED, ""), ("hall-3/boiler", Code.DATA_EMPTY, "hall-3/boiler")],
)
def test_bad_event_counts_for_an_allowed_source_alone(source: str, code: Code, counted_for: str) -> None:
    found = outcome(event(source, data=[]), "hall-3/*")

    assert isinstance(found, Rejection)
    assert [violation.code for violation in found.violations] == [code]
    assert found.source == counted_for


@pytest.mark.parametrize("source", ["hall-3/\x00", "hall-3/\n", 7])
def test_source_with_nul_or_of_another_type_is_invalid_whatever_the_binding(source: Any) -> None:  # noqa: ANN401
    found = outcome(event(source), "hall-3/*")

    assert isinstance(found, Rejection)
    assert [violation.code for violation in found.violations] == [Code.SOURCE_INVALID]


@pytest.mark.parametrize(
    ("source", "message"),
    [("", "is missing: the key needs one"), ("hall-3", "is 'hall-3', which the key may not write")],
)
def test_key_without_a_source_to_write_writes_nothing(source: str, message: str) -> None:
    [found] = Contents(json.dumps(event(source)).encode(), writes=()).outcomes()

    assert isinstance(found, Rejection)
    assert found.violations == (Violation(Code.SOURCE_NOT_ALLOWED, "source", message),)


def test_each_event_of_a_batch_is_decided_alone_and_a_rule_of_another_contract_never_asked() -> None:
    lines = b"\n".join(json.dumps(event(source)).encode() for source in ("hall-3/a", "hall-4/a"))
    rules = contracts(contract("hall-4", {"rule": "minimum", "limit": 10}, sources=("hall-4/*",)))

    first, second = Contents(lines, NDJSON, contracts=rules, writes=("hall-3/*",)).outcomes()

    assert isinstance(first, Measurement)
    assert isinstance(second, Rejection)
    assert [violation.code for violation in second.violations] == [Code.SOURCE_NOT_ALLOWED]
    assert second.contract == "default@1"


def test_pattern_of_many_wildcards_takes_no_long() -> None:
    assert not matcher(("*a" * 90 + "b",))("a" * 200)


# ---- patterns --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "like"),
    [("hall-3/*", "hall-3/%"), ("a?c", "a_c"), ("100%_\\", "100\\%\\_\\\\"), ("[a]{1}|.+", "[a]{1}|.+")],
)
def test_pattern_of_sources_as_sql_has_it(pattern: str, like: str) -> None:
    assert as_like((pattern,)) == [like]


def test_no_pattern_is_another_thing_than_none_at_all() -> None:
    assert (as_like(None), as_like(())) == (None, [])


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("a", "a", True),
        ("a", "b", False),
        ("hall-3/*", "hall-*", True),
        ("hall-3/*", "hall-4/*", False),
        ("*/a", "hall-3/*", True),
        ("*a", "*b", False),
        ("a*c", "ab*", True),
        ("a?", "a*b", True),
        ("a?", "a", False),
        ("?", "", False),
        ("*", "", True),
        ("", "", True),
        ("*a*", "b*c*", True),
        ("abc", "a??", True),
        ("abc", "a?", False),
        ("a", "aX", False),
    ],
)
def test_patterns_overlap_where_a_source_matches_both(one: str, other: str, *, expected: bool) -> None:
    assert may_overlap(one, other) is expected
    assert may_overlap(other, one) is expected


@given(one=st.text("ab*?", max_size=5), other=st.text("ab*?", max_size=5), source=st.text("ab", max_size=6))
def test_what_matches_two_patterns_shows_that_they_overlap(one: str, other: str, source: str) -> None:
    if matcher((one,))(source) and matcher((other,))(source):
        assert may_overlap(one, other)


def test_contract_of_other_sources_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = [
        {"id": name, "version": "1", "sources": sources, "rules": [], "mapping": None}
        for name, sources in {"default": [], "mine": ["hall-3/*", "hall-4/*"], "theirs": ["hall-4/*"]}.items()
    ]
    monkeypatch.setattr(queried, "compiled_contracts", lambda: compiled)
    expected = [{"id": entry["id"], **dict.fromkeys(fields_of(queried.ContractExpectations))} for entry in compiled]
    monkeypatch.setattr(queried, "compiled_expectations", lambda: json.dumps(expected))
    monkeypatch.setattr(queried, "contract_text", lambda name: name)
    bound = ("hall-3/a",)

    listed = queried.read_contracts(queried.ContractsRequest(), reads=bound)

    assert [(each["id"], each["sources"]) for each in listed] == [("default", []), ("mine", ["hall-3/*"])]
    assert queried.read_contract("mine", reads=bound)["sources"] == ["hall-3/*"]
    assert queried.read_contract_text("default", reads=bound) == "default"
    for hidden in (
        lambda: queried.read_contract("theirs", reads=bound),
        lambda: queried.read_contract_text("mine", reads=bound),
    ):
        with pytest.raises(ProblemError):
            hidden()
    assert queried.read_contract_text("mine", reads=None) == "mine"
