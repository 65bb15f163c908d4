"""Taking events in: what is stored, under which identifier, and what isn't."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from dropzone.domain.body import JSON, NDJSON, NotJsonError
from dropzone.domain.formats import FORMATS
from dropzone.domain.identifiers import received_at
from dropzone.domain.outcomes import Code, Violation
from dropzone.ports import BronzeUnavailableError, RawIdTakenError, RawObject
from dropzone.use_cases import ingest as module
from dropzone.use_cases.ingest import Accepted, EnvelopeError, TooLargeError, digest, ingest
from support.factories import EXAMPLE, NOT_NUMERIC, WITHOUT_OFFSET, raw_object
from support.packing import gzipped
from support.world import Failing, World

TESTS = Path(__file__).parents[2]


def take_in(world: World, body: bytes, limit: int = 1_000) -> Accepted:
    return ingest(raw_object(body, JSON, correlation_id="request-1"), limit=limit, bronze=world.bronze)


def test_ingest_stores_raw(world: World) -> None:
    # GIVEN bytes that any rewriting would change
    body = b'{ "data": [1.0, 10e-1],\r\n "time_stamp": "2019-05-01T06:00:00-04:00", "note": "caf\xc3\xa9", "x": {} }\n'

    # WHEN they are taken in
    accepted = take_in(world, body)

    # THEN they stand in bronze as they came, with what was said about them
    assert world.objects.objects == {accepted.raw_id: RawObject(accepted.raw_id, body, "application/json", "request-1")}
    assert accepted.received_at == received_at(accepted.raw_id)
    assert timedelta(seconds=-1) < datetime.now(UTC) - accepted.received_at < timedelta(minutes=1)


@pytest.mark.parametrize("body", [WITHOUT_OFFSET, NOT_NUMERIC, b'{"time_stamp": "", "data": []}'])
def test_what_breaks_a_rule_of_quality_is_taken_in(world: World, body: bytes) -> None:
    assert take_in(world, body).raw_id in world.objects.objects


# Each twice: a first one imports, and is kept in caches.
_REFUSED_BODIES = """
import gc
from itertools import product
from dropzone.domain.body import JSON, NDJSON
from dropzone.domain.formats import FORMATS
from dropzone.use_cases.ingest import ingest
from support.factories import raw_object
from support.fakes import InMemoryBronze

refused = 0
for media_type, contract in product([JSON, NDJSON, *FORMATS], ["", "boilers@1.0.0"]):
    submission = raw_object(b'{"time_stamp": ', media_type, contract=contract)
    for _ in range(2):
        gc.collect()
        gc.disable()
        try:
            ingest(submission, limit=1_000, bronze=InMemoryBronze())
        except ValueError:
            refused += 1
        left = gc.collect()
    assert left == 0, f"{media_type} {contract}: {left}"
print(refused)
"""


def test_refused_bodies_are_freed_with_their_errors() -> None:
    """No cycle keeps them: a function collects rarely, and has room for a few bodies."""
    # In a process of its own, where nothing else leaves garbage, and little has to be looked through.
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", _REFUSED_BODIES], cwd=TESTS, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert int(done.stdout) >= 2 * len(FORMATS)


def test_who_sends_an_event_is_stored_with_it(world: World) -> None:
    submission = raw_object(EXAMPLE, JSON, client="line-3", writes=("hall-3/*", "hall-4"))
    stored = world.objects.objects[ingest(submission, limit=1_000, bronze=world.bronze).raw_id]
    assert (stored.client, stored.writes) == ("line-3", ("hall-3/*", "hall-4"))


def test_a_report_of_a_client_that_found_no_event_is_taken_in(world: World) -> None:
    assert take_in(world, b'{"client_rejected": {"code": "csv.no_number", "reason": "none"}}').events == 1


def test_the_same_body_twice_is_two_objects(world: World) -> None:
    first, second = take_in(world, EXAMPLE), take_in(world, EXAMPLE)
    assert first.raw_id < second.raw_id
    assert len(world.objects.objects) == 2


def test_a_body_may_be_as_long_as_the_limit(world: World) -> None:
    take_in(world, EXAMPLE, limit=len(EXAMPLE))
    with pytest.raises(TooLargeError, match=f"has {len(EXAMPLE)} bytes; at most {len(EXAMPLE) - 1}"):
        take_in(world, EXAMPLE, limit=len(EXAMPLE) - 1)
    assert len(world.objects.objects) == 1


@pytest.mark.parametrize(
    ("body", "content_type", "events"),
    [
        (EXAMPLE, JSON, 1),
        (b"[" + EXAMPLE + b"]", JSON, 1),
        (b"[1, 2, " + EXAMPLE + b"]", JSON, 3),
        (EXAMPLE + b"\n\n" + EXAMPLE, NDJSON, 2),
        (b"no JSON\n[1, 2, 3]\n" + EXAMPLE, NDJSON, 3),
        (b"\xef\xbb\xbf" + EXAMPLE, JSON, 1),
        (b"\xef\xbb\xbf" + EXAMPLE + b"\r\n", NDJSON, 1),
        (gzipped(b"\xef\xbb\xbf" + EXAMPLE) + bytes(512), JSON, 1),
        (gzipped(EXAMPLE + b"\n" + EXAMPLE), NDJSON, 2),
        (b"[" + b",".join([b"0"] * 99_999) + b"," + EXAMPLE + b"]", JSON, 100_000),
    ],
)
def test_events_are_counted(world: World, body: bytes, content_type: str, events: int) -> None:
    accepted = ingest(raw_object(body, content_type), limit=1_000_000, bronze=world.bronze)

    assert accepted.events == events
    assert world.objects.objects[accepted.raw_id].content_type == content_type


@pytest.mark.parametrize(
    ("body", "limit", "reason"),
    [
        (b"[" + b",".join([b"0"] * 100_001) + b"]", 1_000_000, "100001 events"),
        (gzipped(EXAMPLE.ljust(1_001)), 1_000, "1000 bytes"),
    ],
)
def test_too_much_at_once_is_refused(world: World, body: bytes, limit: int, reason: str) -> None:
    with pytest.raises(TooLargeError, match=reason):
        ingest(raw_object(body, JSON), limit=limit, bronze=world.bronze)
    assert world.objects.objects == {}


@pytest.mark.parametrize("body", [b"", b"\xef\xbb\xbf", b"\xff", b"{", b'{"a": NaN}', b"<html></html>"])
def test_what_is_not_json_is_not_stored(world: World, body: bytes) -> None:
    with pytest.raises(NotJsonError):
        take_in(world, body)
    assert world.objects.objects == {}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
@pytest.mark.parametrize("content_type", [JSON, NDJSON])
def test_another_encoding_than_utf_8_is_not_json(world: World, encoding: str, content_type: str) -> None:
    lines = (EXAMPLE + b"\r\n") * 2 if content_type == NDJSON else EXAMPLE
    for body in (lines.decode().encode(encoding), gzipped(lines.decode().encode(encoding))):
        with pytest.raises(NotJsonError, match=f"encoded in {encoding[:6].upper()}; send UTF-8"):
            ingest(raw_object(body, content_type), limit=10_000, bronze=world.bronze)
    assert world.objects.objects == {}


def test_zeros_before_the_first_line_cost_no_good_one(world: World) -> None:
    # A file has them after a power failure; its first bytes look like UTF-32.
    body = bytes(8) + b"\n" + EXAMPLE
    assert ingest(raw_object(body, NDJSON), limit=1_000, bronze=world.bronze).events == 2


@pytest.mark.parametrize("body", [EXAMPLE * 2, EXAMPLE + b" " + EXAMPLE, EXAMPLE + b"\n" + EXAMPLE])
def test_several_events_as_one_json_text_are_pointed_to_ndjson(world: World, body: bytes) -> None:
    with pytest.raises(NotJsonError, match="Content-Type: application/x-ndjson"):
        take_in(world, body)
    assert world.objects.objects == {}


COLLECTD = b'[{"values":[1.9],"dstypes":["derive"],"time":1795890111.0,"interval":10.0,"host":"a","plugin":"cpu"}]'
OF_ANY_OBJECT = [("$[0].time_stamp", Code.MISSING_FIELD), ("$[0].data", Code.MISSING_FIELD)]


@pytest.mark.parametrize(
    ("body", "content_type", "reasons"),
    [
        (COLLECTD, JSON, OF_ANY_OBJECT),
        (COLLECTD[1:-1], NDJSON, OF_ANY_OBJECT),
        (b"<html>\n<body>\n</body>\n</html>", NDJSON, [("$[0]", Code.NOT_JSON)]),
        (EXAMPLE + EXAMPLE, NDJSON, [("$[0]", Code.NOT_JSON)]),
        (b"[1,2,3]", JSON, [("$[0]", Code.NOT_OBJECT)]),
        (
            b'[{"time_stamp": 1795890111}]',
            JSON,
            [("$[0].time_stamp", Code.TIME_STAMP_NOT_STRING), ("$[0].data", Code.MISSING_FIELD)],
        ),
        (
            b'[5, {"time_stamp": "x"}, 6, {"data": []}]',
            JSON,
            [
                ("$[0]", Code.NOT_OBJECT),
                ("$[1].data", Code.MISSING_FIELD),
                ("$[3].time_stamp", Code.MISSING_FIELD),
            ],
        ),
        (b"\n\r\n", NDJSON, [("$", Code.EMPTY_BATCH)]),
    ],
)
def test_a_body_without_any_event_is_refused_with_the_first_reasons(
    world: World, body: bytes, content_type: str, reasons: list[tuple[str, Code]]
) -> None:
    with pytest.raises(EnvelopeError) as raised:
        ingest(raw_object(body, content_type), limit=1_000, bronze=world.bronze)
    assert [(violation.field, violation.code) for violation in raised.value.violations] == reasons
    assert world.objects.objects == {}


def test_several_objects_on_a_line_are_pointed_to_lines(world: World) -> None:
    with pytest.raises(EnvelopeError) as raised:
        ingest(raw_object(EXAMPLE * 2, NDJSON), limit=1_000, bronze=world.bronze)
    [violation] = raised.value.violations
    assert violation.message.startswith("is not JSON: trailing characters at line 1 column ")
    assert violation.message.endswith("; to send several events, put each on its own line")


@pytest.mark.parametrize("number", [0, 1, 40])
def test_one_event_is_enough_for_a_body_to_be_stored(world: World, number: int) -> None:
    lines = [b"no JSON"] * 41
    lines[number] = EXAMPLE
    assert ingest(raw_object(b"\n".join(lines), NDJSON), limit=10_000, bronze=world.bronze).events == 41


def test_a_digest_is_of_media_type_and_content() -> None:
    one, other = raw_object(EXAMPLE, JSON, "a"), raw_object(gzipped(EXAMPLE), JSON, "b")
    assert digest(one, EXAMPLE) == digest(other, bytes(EXAMPLE))
    lines, mapped = raw_object(EXAMPLE, NDJSON), raw_object(EXAMPLE, JSON, contract="telegraf")
    assert (
        len({digest(one, EXAMPLE), digest(lines, EXAMPLE), digest(mapped, EXAMPLE), digest(one, EXAMPLE + b" ")}) == 4
    )


# ---- contracts by name, SenML and CloudEvents ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "kind"), [(b'{"any": "JSON"}', JSON), (b"[1]", JSON), (b"null", JSON), (b"no JSON\n[1]", NDJSON)]
)
def test_what_is_sent_to_a_contract_is_stored_with_its_name(world: World, body: bytes, kind: str) -> None:
    accepted = ingest(raw_object(body, kind, contract="telegraf"), limit=1_000, bronze=world.bronze)

    stored = world.objects.objects[accepted.raw_id]
    assert (stored.body, stored.content_type, stored.contract) == (body, kind, "telegraf")
    # Its mapping finds the events when it is processed.
    assert accepted.events is None


@pytest.mark.parametrize(
    ("body", "kind", "error"),
    [
        (b"no JSON", JSON, NotJsonError),
        (b"", JSON, NotJsonError),
        (b"no JSON\nnone either", NDJSON, NotJsonError),
        (b"\n \n", NDJSON, EnvelopeError),
        (b"[1]".ljust(1_001), JSON, TooLargeError),
        ("[1]".encode("utf-16"), JSON, NotJsonError),
    ],
)
def test_what_holds_no_json_is_not_sent_to_a_contract(
    world: World, body: bytes, kind: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        ingest(raw_object(body, kind, contract="telegraf"), limit=1_000, bronze=world.bronze)
    assert world.objects.objects == {}


def test_an_empty_body_for_a_contract_says_what_is_wrong(world: World) -> None:
    with pytest.raises(EnvelopeError) as raised:
        ingest(raw_object(b"\n", NDJSON, contract="telegraf"), limit=1_000, bronze=world.bronze)
    assert raised.value.violations == [Violation(Code.EMPTY_BATCH, "$", "holds no event")]
    assert str(raised.value) == "JSON or NDJSON in the form that the contract's mapping expects"


SENML, CLOUDEVENTS = "application/senml+json", "application/cloudevents+json"
CLOUD_EVENT = (
    b'{"specversion": "1.0", "id": "1", "type": "t", "source": "s", "time": "2026-01-01T00:00:00Z", "data": 1}'
)


@pytest.mark.parametrize(
    ("body", "kind", "events"),
    [
        (b'[{"bn": "a:", "n": "b", "v": 1}, {"n": "c", "vs": "text"}, {"future_": 1}]', SENML, 3),
        (CLOUD_EVENT, CLOUDEVENTS, 1),
        (b"[" + CLOUD_EVENT + b", 1]", "application/cloudevents-batch+json", 2),
    ],
)
def test_senml_and_cloudevents_are_stored_if_one_event_is_found(
    world: World, body: bytes, kind: str, events: int
) -> None:
    accepted = ingest(raw_object(body, kind), limit=1_000, bronze=world.bronze)
    assert accepted.events == events
    assert world.objects.objects[accepted.raw_id].content_type == kind


@pytest.mark.parametrize(
    ("body", "kind", "codes", "expected"),
    [
        (b"[]", SENML, [(Code.EMPTY_BATCH, "$")], "a SenML pack"),
        (b"{}", SENML, [(Code.MAPPING_FAILED, "$")], "a SenML pack"),
        (b'[{"n": "a", "future_": 1}]', SENML, [(Code.MAPPING_FAILED, "$[0].future_")], "a SenML pack"),
        (b"{}", CLOUDEVENTS, [(Code.MISSING_FIELD, "specversion")], "a CloudEvent 1.0"),
        (b"[]", "application/cloudevents-batch+json", [(Code.EMPTY_BATCH, "$")], "an array of CloudEvents 1.0"),
    ],
)
def test_senml_and_cloudevents_without_an_event_are_refused(
    world: World, body: bytes, kind: str, codes: list[tuple[Code, str]], expected: str
) -> None:
    with pytest.raises(EnvelopeError) as raised:
        ingest(raw_object(body, kind), limit=1_000, bronze=world.bronze)
    assert [(violation.code, violation.field) for violation in raised.value.violations] == codes
    assert str(raised.value).startswith(expected)


@pytest.mark.parametrize("events", [3, 4])
def test_senml_has_as_many_records_as_other_events(world: World, monkeypatch: pytest.MonkeyPatch, events: int) -> None:
    monkeypatch.setattr(module, "MAX_EVENTS", 3)
    body = b"[" + b",".join([b'{"n": "a", "v": 1}'] * events) + b"]"
    submission = raw_object(body, SENML)
    if events == 3:
        assert ingest(submission, limit=1_000, bronze=world.bronze).events == 3
    else:
        with pytest.raises(TooLargeError):
            ingest(submission, limit=1_000, bronze=world.bronze)


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        (b"5", [Code.NOT_OBJECT]),
        (b"[]", [Code.EMPTY_BATCH]),
        (b"{}", [Code.MISSING_FIELD, Code.MISSING_FIELD]),
        (b'{"time_stamp": 1, "data": {}}', [Code.TIME_STAMP_NOT_STRING, Code.DATA_NOT_ARRAY]),
    ],
)
def test_what_is_no_event_is_not_stored(world: World, body: bytes, codes: list[Code]) -> None:
    with pytest.raises(EnvelopeError) as raised:
        take_in(world, body)
    assert [violation.code for violation in raised.value.violations] == codes
    assert str(raised.value).startswith("an event (an object with a string `time_stamp`")
    assert world.objects.objects == {}


def test_an_empty_batch_says_what_is_wrong(world: World) -> None:
    with pytest.raises(EnvelopeError) as raised:
        take_in(world, b"[]")
    assert raised.value.violations == [Violation(Code.EMPTY_BATCH, "$", "holds no event")]


def test_a_taken_identifier_is_left_for_another(world: World) -> None:
    # GIVEN identifiers that are taken, four in a row
    tried: list[UUID] = []
    failing = Failing("put", RawIdTakenError("taken"), times=4)

    def hook(method: str, raw_ids: list[UUID]) -> None:
        tried.extend(raw_ids)
        failing(method, raw_ids)

    world.bronze.before = hook  # type: ignore[assignment] # it is given a list

    # WHEN an event comes
    accepted = take_in(world, EXAMPLE)

    # THEN it is stored once, under the fifth
    assert list(world.objects.objects) == [accepted.raw_id] == tried[4:]
    assert len(set(tried)) == 5


def test_five_taken_identifiers_are_enough(world: World) -> None:
    world.bronze.before = Failing("put", RawIdTakenError("taken"), times=5)
    with pytest.raises(BronzeUnavailableError):
        take_in(world, EXAMPLE)
    assert world.objects.objects == {}


def test_what_cannot_be_stored_is_not_promised(world: World) -> None:
    world.bronze.before = Failing("put", BronzeUnavailableError("slow down"))
    with pytest.raises(BronzeUnavailableError, match="slow down"):
        take_in(world, EXAMPLE)
