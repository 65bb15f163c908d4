"""`POST /process` with `reprocess`: parameters, counts and refusals; what a replay does is tested with its use case."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

import dropzone.use_cases.objects
from dropzone.domain.contracts import BASIC, Contracts
from dropzone.domain.identifiers import earliest_raw_id
from dropzone.domain.outcomes import Code, Measurement, Outcome, Rejection, ValidatedObject, Violation
from dropzone.domain.validate import validate
from dropzone.ports import BronzeUnavailableError, Decided, RawObject
from dropzone_process import sweep
from functional.lambda_calls import EXAMPLE, json_body
from functional.test_process_request import BAD, Sweep
from support.lambda_context import Context

WORSE = b'{"time_stamp": "2019-05-01T06:00:00", "data": []}'
DAY = datetime(2026, 3, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@dataclass
class InMemoryOutcomeStore:
    """Outcomes in a dictionary."""

    contracts: Contracts = BASIC
    of: dict[UUID, tuple[Outcome, ...]] = field(default_factory=dict)
    asked: list[tuple[Code, UUID, UUID | None]] = field(default_factory=list)
    archived: list[datetime] = field(default_factory=list)

    def outcomes(self, validated: Sequence[ValidatedObject]) -> dict[UUID, tuple[Outcome | None, ...]]:
        return {
            part.raw_id: self.of[part.raw_id][part.first_item : None if part.is_whole else part.items]
            for part in validated
            if part.raw_id in self.of
        }

    def replace(self, validated: Sequence[ValidatedObject]) -> None:
        for part in validated:
            old = self.of.get(part.raw_id, ())
            rest = () if part.is_whole else old[part.items :]
            self.of[part.raw_id] = (*old[: part.first_item], *part.outcomes, *rest)

    def decided_by(self, contract: str, *, after: UUID, before: UUID | None) -> Decided:
        """Two objects a page."""
        page = sorted(raw_id for raw_id in self.of if raw_id > after and (before is None or raw_id < before))[:2]
        found = [raw_id for raw_id in page if any(one.contract.startswith(f"{contract}@") for one in self.of[raw_id])]
        return Decided(found, page[-1] if len(page) == 2 else None)

    def archived_months(self, since: datetime | None, until: datetime | None) -> list[str]:
        return [
            f"{month:%Y-%m}"
            for month in self.archived
            if (since is None or since < month + timedelta(days=30)) and (until is None or month < until)
        ]

    def rejected_by(self, code: Code, *, after: UUID, before: UUID | None) -> list[UUID]:
        self.asked.append((code, after, before))
        found = sorted(raw_id for raw_id, outcomes in self.of.items() if code in _codes(outcomes))
        return [raw_id for raw_id in found if raw_id > after and (before is None or raw_id < before)][:2]


def _codes(outcomes: Sequence[Outcome]) -> set[Code]:
    rejections = [outcome for outcome in outcomes if isinstance(outcome, Rejection)]
    return {violation.code for rejection in rejections for violation in rejection.violations}


class Replay(Sweep):
    """The function Sweep, asked to replay."""

    def __init__(self) -> None:
        super().__init__(page_size=4)
        self.outcome_store = InMemoryOutcomeStore()
        self.arrived: list[UUID] = []

    def arrive_in_order(self, *bodies: bytes) -> list[UUID]:
        """Let objects arrive, a second apart from midnight on."""
        for body in bodies:
            raw_id = earliest_raw_id(DAY + len(self.arrived) * SECOND)
            self.bronze.put(RawObject(raw_id, body, content_type="application/json", correlation_id="c"))
            self.arrived.append(raw_id)
        return self.arrived

    def replay(self, query: dict[str, str] | None = None, /, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
        return self(asking_for(**parameters), query)

    def answers(self, query: dict[str, str] | None = None, /, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
        return self.counts(asking_for(**parameters), query)

    def reads(self, query: dict[str, str] | None = None, /, **parameters: Any) -> list[int]:  # noqa: ANN401 - any JSON value
        """The numbers of the objects that a call replays."""
        self.bronze.reads.clear()
        self.answers(query, **parameters)
        return [self.arrived.index(raw_id) for read in self.bronze.reads for raw_id in read]


def asking_for(**parameters: object) -> bytes:
    """The body of a request for a replay."""
    return json.dumps({"reprocess": True, **parameters}).encode()


@pytest.fixture
def function(monkeypatch: pytest.MonkeyPatch) -> Replay:
    function = Replay()
    function.install(monkeypatch)
    monkeypatch.setattr(sweep, "outcome_store", lambda: function.outcome_store)
    return function


NO_CHANGES = dict.fromkeys(
    ["same", "new", "now_processed", "now_rejected", "other_figures", "other_flags", "other_reasons", "gone"], 0
)


# ---- answers ---------------------------------------------------------------------------------------------------------


def test_nothing_to_replay_is_counted_as_nothing(function: Replay) -> None:
    assert function.answers() == {"checked": 0, "processed": 0, "failed": 0, "unread": 0, "changes": NO_CHANGES}


def test_the_answer_counts_objects_and_changes(function: Replay) -> None:
    # GIVEN an object of every kind of change that these rules can make, one that is gone, and one that is new
    same, fixed, worse, figures, flags, reasons, gone, _new = function.arrive_in_order(
        EXAMPLE, EXAMPLE, BAD, EXAMPLE, EXAMPLE, BAD, EXAMPLE, BAD
    )
    flag = Violation(Code.TIME_STAMP_AHEAD, "time_stamp", "is 2 hours ahead", rule="clock-ahead")
    other = validate(b'{"time_stamp": "2019-05-01T06:00:00-04:00", "data": [0, 3]}')
    function.outcome_store.of = {
        same: validate(EXAMPLE),
        fixed: validate(BAD),
        worse: validate(EXAMPLE),
        figures: other,
        flags: tuple(each._replace(flags=(flag,)) for each in validate(EXAMPLE) if isinstance(each, Measurement)),
        reasons: (*validate(WORSE), *validate(EXAMPLE)),
        gone: validate(EXAMPLE),
    }
    function.bronze.unreadable[gone] = BronzeUnavailableError("SlowDown")
    before = dict(function.outcome_store.of)
    expected = {
        "checked": 7,
        "processed": 4,
        "failed": 3,
        "unread": 1,
        "changes": dict.fromkeys(NO_CHANGES, 1),
    }

    # THEN a dry run answers so, and changes nothing
    assert function.answers(dry_run=True) == expected
    assert function.outcome_store.of == before

    # AND the replay answers the same, after which all is the same
    assert function.answers(dry_run=False) == expected
    assert function.answers() == expected | {"changes": NO_CHANGES | {"same": 7}}
    assert function.outcome_store.of[gone] == validate(EXAMPLE)


def test_without_reprocess_or_with_false_the_sweep_goes_on(function: Replay) -> None:
    function.arrive_in_order(EXAMPLE)
    for body in (b"", b'{"reprocess": false}'):
        assert "changes" not in function.counts(body)
    assert function.outcome_store.of == {}
    assert list(function.silver.receipts(function.arrived)) == function.arrived


# ---- which ones ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        (None, None, [0, 1, 2, 3, 4]),
        ("2026-03-01T00:00:02Z", None, [2, 3, 4]),
        (None, "2026-03-01T00:00:02Z", [0, 1]),
        ("2026-03-01T01:00:01+01:00", "2026-02-28 19:00:03-05", [1, 2]),
        ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", [0, 1, 2, 3, 4]),
    ],
)
def test_a_time_of_arrival_is_chosen(
    function: Replay, since: str | None, until: str | None, expected: list[int]
) -> None:
    function.arrive_in_order(*[EXAMPLE] * 5)
    given = {name: text for name, text in (("from", since), ("to", until)) if text is not None}
    assert function.reads(**given) == expected
    # null is as good as nothing.
    assert function.reads(**{"from": since, "to": until, "code": None}) == expected


def test_what_a_rule_rejected_is_chosen_also_within_a_time(function: Replay) -> None:
    function.arrive_in_order(BAD, EXAMPLE, WORSE, BAD, EXAMPLE, WORSE)
    function.answers()
    assert function.reads(code="data.empty") == [2, 5]
    assert function.reads(code="time_stamp.no_timezone") == [0, 2, 3, 5]
    assert function.reads(code="payload.not_json") == []
    bounds = {"from": "2026-03-01T00:00:02Z", "to": "2026-03-01T00:00:05Z"}
    function.outcome_store.asked.clear()
    assert function.reads(code="time_stamp.no_timezone", **bounds) == [2, 3]
    assert function.outcome_store.asked[0] == (
        Code.TIME_STAMP_NO_TIMEZONE,
        UUID(int=function.arrived[2].int - 1),
        function.arrived[5],
    )


def test_what_a_contract_decided_is_chosen_also_within_a_time(function: Replay) -> None:
    function.arrive_in_order(*[EXAMPLE] * 6)
    function.answers()
    for number in (0, 4, 5):
        raw_id = function.arrived[number]
        function.outcome_store.of[raw_id] = tuple(
            outcome._replace(contract="hall@1") for outcome in function.outcome_store.of[raw_id]
        )

    assert function.reads(contract="hall", dry_run=True) == [0, 4, 5]
    assert function.reads(contract="hal", dry_run=True) == []
    assert function.reads(contract="hall", dry_run=True, **{"from": "2026-03-01T00:00:01Z"}) == [4, 5]
    assert function.reads(contract="hall", dry_run=True, to="2026-03-01T00:00:05Z") == [0, 4]
    answer = function.answers(contract="hall", limit=1, dry_run=True)
    assert (answer["checked"], answer["changes"]["same"]) == (1, 1)
    assert function.reads(contract="hall", cursor=answer["cursor"]) == [4, 5]


@pytest.mark.parametrize("code", Code)
def test_every_rule_may_be_named(function: Replay, code: Code) -> None:
    function.answers(code=code.value)
    assert {asked for asked, _, _ in function.outcome_store.asked} == {code}


def test_objects_are_chosen_by_name(function: Replay) -> None:
    function.arrive_in_order(*[EXAMPLE] * 4)
    unknown = "01970000-0000-7000-8000-000000000000"
    names = [str(function.arrived[3]), unknown, str(function.arrived[1]).upper(), str(function.arrived[3])]

    answer = function.answers(raw_ids=names, dry_run=True)

    assert (answer["checked"], answer["unread"], answer["changes"]["new"]) == (2, 1, 2)
    assert function.bronze.reads == [[UUID(unknown), function.arrived[1], function.arrived[3]]]
    assert function.bronze.listed_after == []


@pytest.mark.parametrize(
    ("asked", "months"),
    [
        ({}, "2026-04, 2026-05"),
        ({"contract": "default"}, "2026-04, 2026-05"),
        ({"code": "data.empty", "from": "2026-05-01T00:00:00Z"}, "2026-05"),
        ({"to": "2026-05-01T00:00:00Z"}, "2026-04"),
        ({"raw_ids": [str(earliest_raw_id(datetime(2026, 3, 9, tzinfo=UTC))), str(UUID(int=2**128 - 1))]}, None),
        ({"raw_ids": [str(earliest_raw_id(datetime(2026, month, 9, tzinfo=UTC))) for month in (3, 5)]}, "2026-05"),
        ({"from": "2026-06-01T00:00:00Z"}, None),
        ({"cursor": str(earliest_raw_id(datetime(2026, 6, 1, tzinfo=UTC)))}, None),
        ({"cursor": f"{earliest_raw_id(datetime(2026, 5, 9, tzinfo=UTC))}.2"}, "2026-05"),
    ],
)
def test_archived_objects_are_refused(function: Replay, asked: dict[str, Any], months: str | None) -> None:
    function.outcome_store.archived = [datetime(2026, month, 1, tzinfo=UTC) for month in (4, 5)]

    answer = function.replay(dry_run=True, **asked)

    if months is None:
        assert answer["statusCode"] == 200
        return
    problem = json_body(answer)
    assert (answer["statusCode"], problem["type"]) == (409, "urn:dropzone:problem:objects-archived")
    assert f"received in {months} are archived" in problem["detail"]


def test_a_thousand_may_be_named(function: Replay) -> None:
    answer = function.answers(raw_ids=[str(UUID(int=n)) for n in range(1_000)], limit=1_000)
    assert (answer["unread"], answer["checked"], "cursor" in answer) == (1_000, 0, False)


# ---- limit and cursor ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("in_body", [True, False])
@pytest.mark.parametrize("kind", ["arrived", "rejected", "named"])
def test_the_cursor_leads_through_all_objects(function: Replay, kind: str, in_body: bool) -> None:
    # GIVEN seven objects, and calls of two
    function.arrive_in_order(*[BAD] * 7)
    function.answers()
    chosen: dict[str, dict[str, object]] = {
        "arrived": {"from": "2026-03-01T00:00Z"},
        "rejected": {"code": "time_stamp.no_timezone"},
        "named": {"raw_ids": [str(raw_id) for raw_id in reversed(function.arrived)]},
    }
    answers = list(walk(function, chosen[kind], in_body=in_body))

    # THEN four calls replay each object once, and the last has no cursor
    assert [answer["checked"] for answer in answers] == [2, 2, 2, 1]
    assert [answer.get("cursor") for answer in answers] == [*(str(function.arrived[n]) for n in (1, 3, 5)), None]


def walk(function: Replay, chosen: dict[str, object], *, in_body: bool) -> Iterator[dict[str, Any]]:
    answer: dict[str, Any] = {"cursor": None}
    while "cursor" in answer:
        cursor = {"cursor": answer["cursor"]} if answer["cursor"] else {}
        answer = function.answers({"limit": "2"} | ({} if in_body else cursor), **chosen, **(cursor if in_body else {}))
        yield answer


@pytest.mark.parametrize("in_body", [True, False])
def test_a_cursor_may_lie_within_an_object(function: Replay, monkeypatch: pytest.MonkeyPatch, in_body: bool) -> None:
    # GIVEN a batch between two single events, with a bad event in its second part, and calls that have time for a part
    monkeypatch.setattr(dropzone.use_cases.objects, "MAX_CHUNK_EVENTS", 2)
    batch = b"[" + b",".join([EXAMPLE, EXAMPLE, EXAMPLE, BAD, EXAMPLE]) + b"]"
    first, middle, last = function.arrive_in_order(BAD, batch, BAD)
    function.answers()
    of_before = dict(function.outcome_store.of)
    outcomes_of = function.outcome_store.outcomes

    def slowly(validated: Sequence[ValidatedObject]) -> dict[UUID, tuple[Outcome | None, ...]]:
        function.context.seconds_left = 1.0
        return outcomes_of(validated)

    monkeypatch.setattr(function.outcome_store, "outcomes", slowly)

    # WHEN they follow the cursor
    answers: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while not answers or cursor:
        function.context = Context()
        in_query = {} if in_body else cursor
        answers.append(function.answers(in_query, **(cursor if in_body else {})))
        cursor = {name: value for name, value in answers[-1].items() if name == "cursor"}

    # THEN it leads through the batch, and says whether an event was rejected before
    assert [answer.get("cursor") for answer in answers] == [
        str(first), f"{middle}.2", f"{middle}.4.rejected", str(middle), str(last), None
    ]  # fmt: skip

    # AND each object is counted once, and as failed
    counts = [(answer["checked"], answer["processed"], answer["failed"]) for answer in answers]
    assert counts == [(1, 0, 1), (0, 0, 0), (0, 0, 0), (1, 0, 1), (1, 0, 1), (0, 0, 0)]
    assert sum(answer["changes"]["same"] for answer in answers) == 7
    assert function.outcome_store.of == of_before


def test_the_bodys_cursor_counts_over_the_querys(function: Replay) -> None:
    function.arrive_in_order(*[EXAMPLE] * 3)
    query = {"cursor": str(function.arrived[1])}
    assert function.reads(query) == [2]
    assert function.reads(query, cursor=str(function.arrived[0])) == [1, 2]
    assert function.reads(query, cursor=None) == [0, 1, 2]


def test_a_function_with_little_time_left_leaves_the_rest(function: Replay) -> None:
    function.arrive_in_order(EXAMPLE)
    function.context = Context(1.5)
    answer = function.answers()
    assert answer["checked"] == 0
    function.context = Context()
    assert function.reads({"cursor": answer["cursor"]}) == [0]


# ---- refusals --------------------------------------------------------------------------------------------------------

ID = "01970000-0000-7000-8000-000000000000"
EXTRA = "request.unknown"
MISMATCH = "request.invalid"

REFUSED: list[tuple[dict[str, object], list[tuple[str, str]]]] = [
    # Without reprocess there is nothing else than limit and cursor.
    ({"reprocess": False, "from": "2026-03-01T00:00Z"}, [("from", EXTRA)]),
    ({"reprocess": False, "to": "2026-03-01T00:00Z"}, [("to", EXTRA)]),
    ({"reprocess": False, "code": "data.empty"}, [("code", EXTRA)]),
    ({"reprocess": False, "contract": "hall"}, [("contract", EXTRA)]),
    ({"reprocess": False, "raw_ids": [ID]}, [("raw_ids", EXTRA)]),
    ({"reprocess": False, "dry_run": True}, [("dry_run", EXTRA)]),
    ({"reprocess": "true"}, [("reprocess", "request.invalid")]),
    ({"reprocess": 1}, [("reprocess", "request.invalid")]),
    ({"reprocess": 0}, [("reprocess", "request.invalid")]),
    ({"reprocess": None}, [("reprocess", "request.invalid")]),
    # By name, or otherwise.
    ({"raw_ids": [ID], "from": "2026-03-01T00:00Z"}, [("from", EXTRA)]),
    ({"raw_ids": [ID], "to": "2026-03-01T00:00Z"}, [("to", EXTRA)]),
    ({"raw_ids": [ID], "code": "data.empty"}, [("code", EXTRA)]),
    ({"raw_ids": [ID], "contract": "hall"}, [("contract", EXTRA)]),
    ({"contract": "hall", "code": "data.empty"}, [("code", EXTRA)]),
    ({"contract": "MARKER"}, [("contract", "request.invalid")]),
    ({"contract": "hall@1"}, [("contract", "request.invalid")]),
    ({"contract": ""}, [("contract", "request.invalid")]),
    ({"contract": None}, [("contract", "request.invalid")]),
    ({"raw_ids": []}, [("raw_ids", "request.out_of_range")]),
    ({"raw_ids": [ID] * 1_001}, [("raw_ids", "request.out_of_range")]),
    ({"raw_ids": None}, [("raw_ids", "request.invalid")]),
    ({"raw_ids": ID}, [("raw_ids", "request.invalid")]),
    ({"raw_ids": [ID, 5, "MARKER"]}, [("raw_ids.1", "request.invalid"), ("raw_ids.2", "request.invalid")]),
    # Instants as events have them: with an offset, at a time of day.
    ({"from": "MARKER"}, [("from", "request.invalid")]),
    ({"from": ""}, [("from", "request.invalid")]),
    ({"from": "2026-03-01"}, [("from", "request.invalid")]),
    ({"to": "2026-03-01T00:00:00"}, [("to", "request.invalid")]),
    ({"to": "2026-02-30T00:00:00Z"}, [("to", "request.invalid")]),
    ({"to": "0001-01-01T00:00:00+14:00"}, [("to", "request.invalid")]),
    ({"from": "yesterday", "to": "today"}, [("from", "request.invalid"), ("to", "request.invalid")]),
    ({"from": 1_772_323_200}, [("from", "request.invalid")]),
    ({"code": "data.MARKER"}, [("code", "request.invalid")]),
    ({"code": ""}, [("code", "request.invalid")]),
    ({"dry_run": "true"}, [("dry_run", "request.invalid")]),
    ({"dry_run": 1}, [("dry_run", "request.invalid")]),
    ({"dry_run": None}, [("dry_run", "request.invalid")]),
    # Names that it doesn't know: taken for none, they would choose everything.
    ({"since": "2026-03-01T00:00Z"}, [("since", EXTRA)]),
    ({"until": "2026-03-01T00:00Z", "since": "2026-03-01T00:00Z"}, [("since", EXTRA), ("until", EXTRA)]),
    ({"From": "2026-03-01T00:00Z"}, [("From", EXTRA)]),
    ({"codes": ["data.empty"]}, [("codes", EXTRA)]),
    ({"raw_id": ID}, [("raw_id", EXTRA)]),
    ({"cursor": "MARKER"}, [("cursor", MISMATCH)]),
    ({"cursor": f"{ID}."}, [("cursor", MISMATCH)]),
    ({"cursor": f"{ID}.x"}, [("cursor", MISMATCH)]),
    ({"cursor": f"{ID}.-1"}, [("cursor", MISMATCH)]),
    ({"cursor": f"{ID}.1234567890"}, [("cursor", MISMATCH)]),
    ({"cursor": f"{ID}.1.MARKER"}, [("cursor", MISMATCH)]),
    ({"cursor": f"{ID}.1.rejected\n"}, [("cursor", MISMATCH)]),
    ({"reprocess": False, "cursor": f"{ID}.1"}, [("cursor", "request.invalid")]),
]


@pytest.mark.parametrize(("parameters", "violations"), REFUSED, ids=lambda value: str(value)[:60].rstrip("\\"))
def test_other_parameters_are_refused_and_nothing_is_done(
    function: Replay, parameters: dict[str, object], violations: list[tuple[str, str]]
) -> None:
    function.arrive_in_order(EXAMPLE)

    assert sorted(function.violations(asking_for(**parameters))) == sorted(violations)
    assert (function.bronze.listed_after, function.bronze.reads, function.outcome_store.of) == ([], [], {})


@pytest.mark.parametrize("name", ["reprocess", "from", "to", "code", "contract", "raw_ids", "dry_run"])
def test_the_query_takes_limit_and_cursor_alone(function: Replay, name: str) -> None:
    assert function.violations(asking_for(), {name: "true"}) == [(name, EXTRA)]


def test_of_a_name_that_is_given_twice_the_last_counts(function: Replay) -> None:
    function.arrive_in_order(*[EXAMPLE] * 2)
    body = b'{"reprocess": false, "limit": 5, "reprocess": true, "limit": 1}'
    assert function.counts(body)["checked"] == 1
    assert len(function.outcome_store.of) == 1
