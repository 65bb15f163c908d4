"""Files that grow, break and rotate: no good row is lost, no partial row is taken, nothing is sent twice."""

import errno
import gzip
import json
import random
import tempfile
from datetime import UTC, datetime, timedelta
from io import FileIO
from pathlib import Path
from typing import Any, NoReturn

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dropzone_cli.sending import journal, uploader
from dropzone_cli.sending.events import Event, Finding, Read, report_of
from dropzone_cli.sending.inputs import expand, opened
from dropzone_cli.sending.options import CsvOptions
from dropzone_cli.sending.report import Report, Spool
from support.examples import examples
from unit.cli.harness import KEY, Cli, FakeIngest, document

pytestmark = pytest.mark.usefixtures("local")

CSV = Path("log.csv")
REJECTS = Path("log.csv.rejects.csv")
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def bronze() -> FakeIngest:
    return FakeIngest()


@pytest.fixture
def cli(bronze: FakeIngest) -> Cli:
    return Cli(bronze)


def row(number: int) -> str:
    return f"{(BEGAN + timedelta(seconds=number)).isoformat()},{number}.50\n"


def rows(first: int, last: int) -> str:
    return "".join(map(row, range(first, last)))


def values(bronze: FakeIngest) -> list[float]:
    return sorted(event["data"][0] for event in bronze.events)


def halves(first: int, last: int) -> list[float]:
    return [number + 0.5 for number in range(first, last)]


# ---- a file that grows


@pytest.mark.parametrize("torn", [1, 10, 26, 27, 30])
def test_a_torn_last_row_waits_for_its_end(cli: Cli, bronze: FakeIngest, torn: int) -> None:
    CSV.write_text("time,value\n" + rows(0, 25) + row(25)[:torn])

    first = cli("send", CSV, "--batch-size", 10)

    assert first.exit_code == 4
    assert "log.csv, line 27: has no line end, so it may not be complete; the next run reads it again" in first.stderr
    assert values(bronze) == halves(0, 25)
    assert not REJECTS.exists()
    CSV.write_text("time,value\n" + rows(0, 30))
    second = cli("send", CSV, "--batch-size", 10)
    assert second.exit_code == 0
    assert second.stdout.startswith("5 events accepted in 1 batch")
    assert values(bronze) == halves(0, 30)
    assert len(bronze.events) == 30


def test_a_header_that_is_half_written_waits(cli: Cli, bronze: FakeIngest) -> None:
    CSV.write_text("time,va")

    assert cli("send", CSV).exit_code == 4
    CSV.write_text("time,value\n" + rows(0, 1))
    assert cli("send", CSV).exit_code == 0
    assert values(bronze) == [0.5]


def test_a_file_that_is_complete_needs_no_last_line_end(cli: Cli, bronze: FakeIngest) -> None:
    CSV.write_text("time,value\n" + rows(0, 3).rstrip("\n"))

    assert cli("send", CSV, "--complete").exit_code == 0
    assert values(bronze) == halves(0, 3)


def test_a_torn_last_line_of_ndjson_waits_and_a_whole_object_does_not(cli: Cli, bronze: FakeIngest) -> None:
    file = Path("log.ndjson")
    file.write_text('{"data":[1]}\n{"data":[2]}')
    assert cli("send", file).exit_code == 0
    file.write_text('{"data":[1]}\n{"data":[2]}\n{"data":[3')
    assert cli("send", file).exit_code == 4
    file.write_text('{"data":[1]}\n{"data":[2]}\n{"data":[34]}\n')
    assert cli("send", file).exit_code == 0

    assert values(bronze) == [1, 2, 34]


def test_a_last_row_of_a_pipe_without_a_line_end_is_a_problem(cli: Cli, bronze: FakeIngest) -> None:
    """There is no next run that could read it."""
    result = cli("send", "-", given="time,value\n" + rows(0, 3) + row(3)[:-2])

    assert result.exit_code == 1
    assert values(bronze) == halves(0, 3)
    assert "stdin, line 5: has no line end, so it may be cut off; --complete sends it as it is" in result.stderr
    assert row(3)[:-2] in Path("stdin.rejects.csv").read_text()


def test_a_header_of_a_pipe_without_a_line_end_is_a_problem(cli: Cli, bronze: FakeIngest) -> None:
    result = cli("send", "-", "--format", "csv", given="time,value")

    assert result.exit_code == 1
    assert values(bronze) == []
    assert "stdin, line 1: has no line end, so it may be cut off; --complete sends it as it is" in result.stderr
    assert json.loads(Path("stdin.rejects.ndjson").read_text())["text"] == "time,value"


NO_SPACE = OSError(errno.ENOSPC, "No space left on device")


def is_full(*_: object) -> NoReturn:
    raise NO_SPACE


@pytest.mark.parametrize(
    ("options", "status", "code", "unwritten"),
    [
        (["--batch-bytes", "110"], 403, 3, None),
        (["--batch-size", "2"], 403, 3, None),
        (["--batch-size", "2", "--fail-fast"], 422, 1, None),
        (["--batch-size", "2", "--resume", "r"], 202, 1, {"run": 0, "batch": 3}),
        (["--batch-size", "2", "--resume", "r"], 202, 1, {"run": 1}),  # which reports what is no event
        (["--batch-size", "2"], 403, 1, {"problems": 0}),
    ],
)
def test_whatever_ends_a_pipe_what_was_read_is_kept(
    cli: Cli,
    bronze: FakeIngest,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    status: int,
    code: int,
    unwritten: dict[str, int] | None,
) -> None:
    bronze.fault = lambda number: None if number < 1 or status == 202 else httpx.Response(status)

    def write(file: FileIO, line: dict[str, Any]) -> None:
        if unwritten is not None and unwritten.items() <= line.items():
            raise NO_SPACE
        file.write(json.dumps(line).encode() + b"\n")

    monkeypatch.setattr(journal, "_write_line", write)
    if unwritten == {"problems": 0}:
        monkeypatch.setattr(Spool, "append", is_full)
    bad = "" if "--fail-fast" in options else "x,1\n" * 5
    taken = set[float]()
    take = cli.api

    def counted(request: httpx.Request) -> httpx.Response:
        answer = take(request)
        if answer.status_code == 202:
            lines = map(json.loads, gzip.decompress(request.content).splitlines())
            taken.update(line["data"][0] for line in lines if "data" in line)
        return answer

    cli.api = counted  # type: ignore[assignment]

    result = cli("send", "-", "--parallel", 1, *options, given="time,value\n" + rows(0, 100) + bad + rows(100, 500))

    assert result.exit_code == code, result.output
    if unwritten is not None:
        assert "No space left on device." in result.stderr
    kept = [json.loads(line)["event"]["data"][0] for line in Path("stdin.rejects.ndjson").read_text().splitlines()]
    assert taken
    assert sorted([*taken, *kept]) == halves(0, 500)


def test_rejects_that_cant_be_written_hold_up_no_good_row(
    cli: Cli, bronze: FakeIngest, monkeypatch: pytest.MonkeyPatch
) -> None:
    CSV.write_text("time,value\n" + rows(0, 5) + "x,1\n" + rows(5, 10))
    opened = Path.open
    monkeypatch.setattr(
        Path, "open", lambda path, *how, **more: is_full() if path == REJECTS else opened(path, *how, **more)
    )

    result = cli("send", CSV)

    assert result.exit_code == 1
    assert "log.csv.rejects.csv can't be written: No space left on device." in result.stderr
    assert values(bronze) == halves(0, 10)
    assert [one["client_rejected"]["lines"] for one in bronze.reported] == [[7, 7]]


def test_a_full_disk_is_no_bug_and_the_same_command_goes_on(
    cli: Cli, bronze: FakeIngest, monkeypatch: pytest.MonkeyPatch
) -> None:
    CSV.write_text("time,value\n" + rows(0, 5))
    with monkeypatch.context() as patch:
        patch.setattr(Report, "add_sent", lambda *_, **__: is_full())
        result = cli("send", CSV)
    assert result.exit_code == 1
    assert "No space left on device." in result.stderr

    assert cli("send", CSV).exit_code == 0
    assert len(bronze.events) == 5


@settings(max_examples=examples(50))
@given(st.lists(st.integers(0, 60), min_size=1, max_size=6), st.integers(1, 9), st.booleans())
def test_however_a_file_grows_each_row_is_sent_once(cuts: list[int], size: int, twice: bool) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DROPZONE_URL", "http://127.0.0.1:1")
        patch.setenv("DROPZONE_API_KEY", KEY)
        bronze = FakeIngest()
        text = "time,value\n" + rows(0, 20)
        for cut in [*sorted(cuts), 60]:
            CSV.write_text(text[: len(text) * cut // 60])
            for _ in range(1 + twice):
                assert Cli(bronze)("send", CSV, "--batch-size", size).exit_code in {0, 1, 4}
        assert [event["data"][0] for event in bronze.events] == halves(0, 20) or values(bronze) == halves(0, 20)


def test_a_lost_answer_of_a_batch_that_was_not_full_makes_no_double(cli: Cli, bronze: FakeIngest) -> None:
    """The batch was recorded before it was sent: when the file has grown, it is cut as it was."""
    CSV.write_text("time,value\n" + rows(0, 5))
    bronze.fault = lambda _: KeyboardInterrupt()
    cli("send", CSV)
    bronze.fault = lambda _: None
    CSV.write_text("time,value\n" + rows(0, 8))

    result = cli("send", CSV)

    assert "1 batch of these had arrived before" in result.stdout
    assert [len(body.splitlines()) for body in bronze.objects.values()] == [5, 3]
    assert values(bronze) == halves(0, 8)


# ---- damage


def read(path: Path, **options: Any) -> list[Read]:  # noqa: ANN401
    (one,) = expand([str(path)])
    with opened(one) as source:
        return [*source.read(source.detect(), CsvOptions(**options))]


def test_a_bad_byte_costs_one_row(cli: Cli, bronze: FakeIngest) -> None:
    good = rows(0, 2500).splitlines(keepends=True)
    good[1800] = good[1800].replace(",", ",°", 1)
    CSV.write_bytes(("time,value\n" + "".join(good)).encode("latin-1"))

    result = cli("send", CSV)

    assert result.exit_code == 1
    assert values(bronze) == halves(0, 1800) + halves(1801, 2500)
    assert "log.csv, line 1,802: is not UTF-8; name its encoding with --encoding, such as cp1252" in result.stderr
    assert REJECTS.read_bytes().splitlines()[1].startswith(good[1800].strip().encode("latin-1") + b",line.encoding,")
    assert "log.csv: 1,801 lines read before the first problem, 699 after it" in result.stdout
    assert document(cli("send", CSV, "--again", "--json"))["lines"] == {"log.csv": 2501}


def test_bytes_that_are_no_text_of_utf_16_cost_one_row(tmp_path: Path) -> None:
    body = ("time,value\n" + rows(0, 3)).encode("utf-16-le")
    at = body.index(",1.50".encode("utf-16-le"))
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe" + body[:at] + b"\x00\xdc" + body[at:])

    found = read(tmp_path / "a.csv")

    assert [type(one) for one in found] == [Event, Finding, Event]


@pytest.mark.parametrize("damage", ["flip", "garbage", "checksum"])
def test_what_follows_damage_in_a_gzip_of_several_members_is_read(tmp_path: Path, damage: str) -> None:
    """As logs are appended to."""
    random.seed(2)
    parts = [
        gzip.compress(
            "".join(f'{{"n":{part},"x":{random.random()}}}\n' for _ in range(3_000)).encode()  # noqa: S311
        )
        for part in range(3)
    ]
    middle = bytearray(parts[1])
    match damage:
        case "flip":
            middle[len(middle) // 2 : len(middle) // 2 + 20] = bytes(20)
        case "checksum":
            middle[-6] ^= 0xFF
        case _:
            middle = bytearray(b"\0\0\0no gzip at all" * 100)
    (tmp_path / "a.ndjson.gz").write_bytes(parts[0] + middle + parts[2] + bytes(512))

    found = read(tmp_path / "a.ndjson.gz")

    # Behind a flipped bit, what is decompressed may be other text, until that is noticed.
    numbers = [json.loads(one.text).get("n") for one in found if isinstance(one, Event)]
    assert (numbers.count(0), numbers.count(2)) == (3_000, 3_000)
    assert {"flip": 500 < numbers.count(1) < 3_000, "checksum": numbers.count(1) == 3_000, "garbage": True}[damage]
    assert "input.damaged" in {one.code for one in found if isinstance(one, Finding)}


@pytest.mark.parametrize(
    ("name", "parts", "encoding"),
    [
        ("a.csv", ["time,value\n" + row(0), row(1)], "utf-8-sig"),
        ("a.csv", ["time,value\n" + row(0), row(1)], "utf-16"),
        ("a.ndjson", ['{"data":[0.5]}\n', '{"data":[1.5]}\n'], "utf-8-sig"),
        ("a.json", ['[{"data":[0.5]}]', '[{"data":[1.5]}]'], "utf-8-sig"),
    ],
)
def test_a_byte_order_mark_where_files_were_joined_costs_no_row(
    cli: Cli, bronze: FakeIngest, name: str, parts: list[str], encoding: str
) -> None:
    Path(name).write_bytes(b"".join(part.encode(encoding) for part in parts))

    assert cli("send", name).exit_code == 0
    assert values(bronze) == [0.5, 1.5]


def test_a_row_that_ends_within_quotes_waits_for_its_rest(cli: Cli, bronze: FakeIngest) -> None:
    text = 'time,value,note\n2026-01-01T00:00:00Z,1,"a\n'
    CSV.write_text(text)
    assert cli("send", CSV, "--value-column", "value").exit_code == 4
    CSV.write_text(text + 'b"\n')

    assert cli("send", CSV, "--value-column", "value").exit_code == 0
    assert (values(bronze), bronze.reported) == ([1], [])


def test_zeros_behind_a_gzip_are_no_damage(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson.gz").write_bytes(gzip.compress(b'{"n":1}') + bytes(40_000))

    assert read(tmp_path / "a.ndjson.gz") == [Event(b'{"n":1}', 1, 1)]


@given(st.integers(2, 400), st.booleans())
def test_wherever_a_gzip_is_cut_off_no_partial_line_is_taken(at: int, appended: bool) -> None:
    members = [
        gzip.compress(b"".join(b'{"n":%d}\n' % (100 * part + n) for n in range(20)), mtime=0) for part in range(4)
    ]
    packed = b"".join(members)[:at]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "a.ndjson.gz")
        file.write_bytes(packed + members[3] if appended else packed)
        numbers = [json.loads(one.text).get("n") for one in read(file) if isinstance(one, Event)]

    whole = [100 * part + n for part in range(4) for n in range(20)]
    if appended:
        assert numbers[-20:] == whole[-20:]
    else:
        assert numbers == whole[: len(numbers)]


# ---- what was not sent


def test_rejects_are_written_with_their_reasons_and_can_be_corrected_and_sent(cli: Cli, bronze: FakeIngest) -> None:
    CSV.write_text('time,value,note\n2026-01-01T00:00Z,1,a\n2026-01-01T00:01Z,n/a,"b, ""c"""\n2026-01-01T00:02,3,\n')

    result = cli("send", CSV, "--source", "x")

    assert result.exit_code == 1
    assert "What was not sent is in log.csv.rejects.csv: correct it there, and send that file." in result.stderr
    lines = REJECTS.read_text().splitlines()
    assert lines[0] == "time,value,note,rejected_code,rejected_reason,rejected_raw_id,rejected_item"
    assert lines[1].startswith('2026-01-01T00:01Z,n/a,"b, ""c""",row.not_number,')
    assert lines[2].startswith("2026-01-01T00:02,3,,time.no_timezone,")

    # WHEN one of them is corrected, it corrects what was reported to the API; the other one is not reported again
    told = told_of(bronze)
    REJECTS.write_text(REJECTS.read_text().replace("n/a", "2", 1))
    assert cli("send", REJECTS, "--source", "x").exit_code == 1
    assert corrections(bronze) == {2: told["2026-01-01T00:01Z,n/a"]}
    assert len(bronze.reported) == 2

    # AND the other one, in the file that is left
    again = Path("log.csv.rejects.csv.rejects.csv")
    assert again.read_text().splitlines()[0] == lines[0]
    again.write_text(again.read_text().replace("00:02,", "00:02Z,", 1))
    assert cli("send", again, "--source", "x").exit_code == 0
    assert corrections(bronze) == {2: told["2026-01-01T00:01Z,n/a"], 3: told["2026-01-01T00:02,3,"]}
    assert sorted((event["time_stamp"], event["data"], event["schema_version"]) for event in bronze.events) == [
        ("2026-01-01T00:00Z", [1], 2),
        ("2026-01-01T00:01Z", [2], 2),
        ("2026-01-01T00:02Z", [3], 2),
    ]


def told_of(bronze: FakeIngest) -> dict[str, dict[str, Any]]:
    """Where the API counts what was reported to it, by the lines' beginning."""
    return {
        json.loads(line)["client_rejected"]["text"][:21]: {"raw_id": str(identifier), "item": item}
        for identifier, body in bronze.objects.items()
        for item, line in enumerate(body.splitlines())
        if b"client_rejected" in line
    }


def corrections(bronze: FakeIngest) -> dict[float, dict[str, Any]]:
    return {event["data"][0]: event["corrects"] for event in bronze.events if "corrects" in event}


TOA5 = (
    '"TOA5","mast","CR1000","1","os","prog","2","T10"\n"TIMESTAMP","RECORD","Ts"\n"TS","RN","C"\n"","","Smp"\n'
    '"2026-01-01 00:00:00",1,1\n"2026-01-01 00:00:01",2,bad\n'
)
HOBO = (
    '"Plot Title: x"\n"#","Date Time, GMT+00:00","T, °C (LGR S/N: 1)"\n'
    "1,05/16/26 04:07:26 PM,1\n2,05/16/26 04:12:26 PM,bad\n"
)
INFLUX = (
    "#group,false,false,false,false,true\n#default,_result,,,,\n,result,table,_time,_value,_field\n"
    ",,0,2026-01-01T00:00:00Z,1,f\n,,0,2026-01-01T00:00:01Z,bad,f\n"
)
SEP = "sep=^\ntime^value^source\n2026-01-01T00:00:00Z^1^é\n2026-01-01T00:00:01Z^bad^é\n"


@pytest.mark.parametrize(
    ("text", "options", "source"),
    [
        (TOA5.encode(), ["--timezone", "UTC"], "mast/T10/Ts"),
        (HOBO.encode(), [], "1/T"),
        (INFLUX.encode(), [], "f"),
        (SEP.encode("cp1252"), ["--encoding", "cp1252"], "é"),
        (b"\n# by x\n\n" + SEP[6:].replace("^", ";").encode(), ["--comment", "#"], "é"),
        # Of the file itself.
        (SEP[6:].replace("^", ",").replace("source", "source,rejected_item").replace("é", "é,0").encode(), [], "é"),
    ],
)
def test_corrected_rejects_of_any_layout_are_sent_with_the_same_options(
    cli: Cli, bronze: FakeIngest, text: bytes, options: list[str], source: str
) -> None:
    CSV.write_bytes(text)
    assert cli("send", CSV, *options).exit_code == 1
    [report] = bronze.reported
    REJECTS.write_bytes(REJECTS.read_bytes().replace(b"bad", b"7", 1))

    result = cli("send", REJECTS, *options)

    assert result.exit_code == 0, result.output
    assert [(one["data"], one["source"]) for one in bronze.events] == [([1], source), ([7], source)]
    assert report["source"] == source
    assert bronze.events[1]["corrects"]["item"] == 0


def test_an_event_that_was_refused_keeps_its_line_separators(cli: Cli, bronze: FakeIngest) -> None:
    """U+2028 and the like end no line of NDJSON."""
    file = Path("a.ndjson")
    file.write_text('{"data":[1],"source":"a\u2028b\x85c"}\n', encoding="utf-8")
    bronze.answers = [httpx.Response(422)]
    cli("send", file)

    assert cli("send", "a.ndjson.rejects.ndjson").exit_code == 0
    assert [one["source"] for one in bronze.events] == ["a\u2028b\x85c"]


def test_each_damaged_value_of_one_line_is_kept(cli: Cli) -> None:
    good = '{"time_stamp":"t","data":[1]}'
    Path("a.json").write_text(f'[{good},5,{{"data":[1,,]}},{good},{{"data":[2,,]}},{good},"six",{good}]')

    assert document(cli("send", "a.json", "--json"))["accepted"] == 4
    kept = [json.loads(line)["text"] for line in Path("a.json.rejects.ndjson").read_text().splitlines()]
    assert kept == ["5", '{"data":[1,,]}', '{"data":[2,,]}', '"six"']


def test_a_damaged_value_of_pretty_json_can_be_corrected(cli: Cli, bronze: FakeIngest) -> None:
    file = Path("a.json")
    file.write_text('[\n {\n "data": [1]\n },\n {\n "data": [2,,]\n },\n {"time_stamp": "t", "data": [3]}\n]\n')
    assert cli("send", file).exit_code == 1
    rejects = Path("a.json.rejects.ndjson")
    rejects.write_text(rejects.read_text().replace("[2,,]", "[2]"))

    assert cli("send", rejects).exit_code == 0
    assert values(bronze) == [1, 2, 3]


def test_rejects_of_json_and_of_refused_batches(cli: Cli, bronze: FakeIngest) -> None:
    Path("a.ndjson").write_text('{"data":[1]}\nno JSON\n{"data":[2.10]}\n')
    bronze.answers = [httpx.Response(413, json={"detail": "Too large."})]

    # One at a time: the answer is that of the events, not of the report.
    assert cli("send", "a.ndjson", "--parallel", 1).exit_code == 1

    # THEN what the API refused waits to be sent, and what was reported to it is named
    rejects = Path("a.ndjson.rejects.ndjson")
    lines = sorted(rejects.read_text().splitlines(), key=lambda line: "no JSON" in line)
    (told,) = told_of(bronze).values()
    refused = {"raw_id": None, "item": None, "lines": [1, 3], "code": "api.413", "reason": "Too large."}
    reason = "is not JSON: Expecting value (character 1)"
    assert [json.loads(line) for line in lines] == [
        {**refused, "event": {"data": [1]}},
        {**refused, "event": {"data": [2.1]}},
        {**told, "lines": [2, 2], "code": "json.invalid", "reason": reason, "event": None, "text": "no JSON"},
    ]

    # AND all of them can be sent, in their own digits
    lines[2] = lines[2].replace('"no JSON"', json.dumps('{"schema_version": 1, "data": [3]}'))
    rejects.write_text("\n".join(lines) + "\n")
    assert cli("send", rejects).exit_code == 0
    assert b'{"data":[2.10]}\n' in b"".join(bronze.objects.values())
    assert bronze.events == [{"data": [1]}, {"data": [2.1]}, {"schema_version": 2, "data": [3], "corrects": told}]


REF = {"raw_id": "01a20e71-e5a4-700b-bae4-431c79e16819", "item": 4}


@pytest.mark.parametrize(
    ("line", "event"),
    [
        ({"event": {"data": [1], "source": "x"}}, {"data": [1], "source": "x", "corrects": REF}),
        ({"event": {"schema_version": 1, "data": [1]}}, {"schema_version": 2, "data": [1], "corrects": REF}),
        # Of version 1 its source is not one, and would be of version 2.
        ({"event": {"schema_version": 1, "source": "x"}}, {"schema_version": 1, "source": "x", "corrects": REF}),
        ({"event": {"data": [], "corrects": 5}}, {"data": [], "corrects": 5}),
        ({"event": {"a": {"b": ["}", "]\n"]}, "é": 1e2}}, {"a": {"b": ["}", "]\n"]}, "é": 100.0, "corrects": REF}),
        ({"event": {}}, {"corrects": REF}),
        ({"event": None, "text": ' {"data": [2]} '}, {"data": [2], "corrects": REF}),
        ({"event": {"data": [1]}, "raw_id": None}, {"data": [1]}),
        ({"event": {"data": [1]}, "item": "x"}, {"data": [1]}),
        ({"event": 5, "time_stamp": "x"}, {**REF, "event": 5, "time_stamp": "x"}),
    ],
)
def test_an_exported_line_is_its_event_which_corrects(
    cli: Cli, bronze: FakeIngest, line: dict[str, Any], event: dict[str, Any]
) -> None:
    Path("bad.ndjson").write_text(json.dumps({**REF, **line}) + "\n")
    assert cli("send", "bad.ndjson").exit_code == 0
    assert bronze.events == [event]


@pytest.mark.parametrize("line", [{"event": None}, {"event": None, "text": "a,b"}, {"event": [1]}, {"event": 5}])
def test_an_exported_line_that_nobody_corrected_is_not_sent(cli: Cli, bronze: FakeIngest, line: object) -> None:
    good = '{"data":[1]}\n'
    Path("bad.ndjson").write_text(json.dumps(REF | dict(line)) + "\n" + good)  # type: ignore[call-overload]
    assert cli("send", "bad.ndjson").exit_code == 1
    assert bronze.events == [{"data": [1]}]
    assert bronze.reported == []


# ---- reports to the API of lines that are no events


def bad(number: int) -> str:
    return f"{(BEGAN + timedelta(seconds=number)).isoformat()},bad {number}\n"


def reported(bronze: FakeIngest) -> list[str]:
    return sorted(one["client_rejected"]["text"].partition(",")[2] for one in bronze.reported)


def test_lines_that_are_no_events_are_reported_once(cli: Cli, bronze: FakeIngest) -> None:
    # GIVEN a file with bad rows, before the first event as well
    CSV.write_text("time,value\n" + bad(0) + rows(1, 30) + bad(30))

    result = cli("send", CSV, "--source", "hall", "--batch-size", 10)

    # THEN the API has their lines and reasons
    assert result.exit_code == 1
    assert "2 places in the input that can't be sent as an event; the API counts 2 of them" in result.stdout
    assert bronze.reported[0] == {
        "client_rejected": {
            "code": "row.not_number",
            "reason": "'bad 0' in the column 'value' is not a number",
            "lines": [2, 2],
            "text": bad(0).rstrip(),
        },
        "source": "hall",
    }
    # AND once: by the same command, with other batches, when the file has grown, and without the resume file
    number = len(bronze.requests)
    cli("send", CSV, "--source", "hall", "--batch-size", 7)
    assert len(bronze.requests) == number, "what was told is not even sent"
    CSV.write_text(CSV.read_text() + bad(31) + rows(32, 40))
    cli("send", CSV, "--source", "hall")
    assert reported(bronze) == ["bad 0", "bad 30", "bad 31"]
    assert [line.rpartition(",")[2] for line in REJECTS.read_text().splitlines()[1:]] == ["0", "1", "0"]
    Path("log.csv.dropzone-resume").unlink()
    for _ in range(2):
        cli("send", CSV, "--source", "hall", "--no-resume")
    assert reported(bronze).count("bad 0") <= 2, "cut in other batches, they may be told once more, and then no more"


def test_lines_are_not_reported_again_by_a_version_with_other_words(
    cli: Cli, bronze: FakeIngest, monkeypatch: pytest.MonkeyPatch
) -> None:
    CSV.write_text("time,value\n" + bad(0) + rows(1, 3))
    cli("send", CSV)

    monkeypatch.setattr(uploader, "report_of", lambda finding: report_of(finding._replace(reason="in other words")))
    cli("send", CSV)
    CSV.write_text(CSV.read_text() + bad(3))
    cli("send", CSV)

    assert [one["client_rejected"]["lines"] for one in bronze.reported] == [[2, 2], [5, 5]]


def test_lines_whose_report_was_lost_are_reported_again(cli: Cli, bronze: FakeIngest) -> None:
    CSV.write_text("time,value\n" + rows(0, 3) + bad(3))
    bronze.fault = lambda number: httpx.ConnectError("gone") if number >= 1 else None

    assert cli("send", CSV, "--parallel", 1).exit_code == 3
    assert REJECTS.read_text().splitlines()[1].endswith(",,"), "where it is counted is not known"
    bronze.fault = lambda _: None
    assert cli("send", CSV, "--parallel", 1).exit_code == 1

    assert reported(bronze) == ["bad 3"]
    assert not REJECTS.read_text().splitlines()[1].endswith(",,")


def test_other_findings_in_an_input_that_has_changed_are_reported_and_the_same_are_not(
    cli: Cli, bronze: FakeIngest
) -> None:
    Path("a.json").write_text('[{"data":[0]}, 5, {"data":[1]}')
    cli("send", "a.json")
    Path("a.json").write_text('[{"data":[0]}, 5, {"data":[1]}, 6, {"data":[2]}]')
    for _ in range(2):
        cli("send", "a.json", "--batch-size", 1)

    assert [one["client_rejected"]["code"] for one in bronze.reported] == [
        "json.not_object",
        "json.cut_off",
        *["json.not_object"] * len(bronze.reported[2:]),
    ]
    assert len(bronze.reported) <= 4
    assert values(bronze) == [0, 1, 2]


@pytest.mark.parametrize("text", [bad(0), bad(0) + row(1)])
def test_an_input_without_any_event_and_one_that_shall_not_be_reported_are_not(
    cli: Cli, bronze: FakeIngest, text: str
) -> None:
    CSV.write_text("time,value\n" + text)
    result = cli("send", CSV, *(["--no-report"] if "bad" not in text.splitlines()[-1] else []))

    assert result.exit_code == 1
    assert bronze.reported == []
    assert "bad 0" in REJECTS.read_text()


def test_each_rejected_column_has_its_source(cli: Cli, bronze: FakeIngest) -> None:
    CSV.write_text("time,a,b\n2026-01-01T00:00Z,1,x\n2026-01-01T00:01Z,y,2\n")
    cli("send", CSV, "--source", "hall", "--per-column")
    assert [one["source"] for one in bronze.reported] == ["hall/b", "hall/a"]


def test_rejects_are_no_inputs_of_a_pattern_and_can_be_left_out(cli: Cli) -> None:
    CSV.write_text("time,value\nx,1\n")
    cli("send", CSV, "--no-rejects")
    assert not REJECTS.exists()
    cli("send", CSV)
    assert REJECTS.exists()

    assert [one["input"] for one in document(cli("send", "*.csv", "--dry-run", "--json"))["inputs"]] == ["log.csv"]


def test_a_dry_run_writes_no_rejects_and_lists_all_problems(cli: Cli) -> None:
    CSV.write_text("time,value\n" + "x,1\n" * 1_500 + "2026-01-01T00:00Z,n/a\n")

    told = document(cli("send", CSV, "--dry-run", "--json"))

    assert len(told["problems"]) == 1_501
    assert [(one["code"], one["count"], one["first_line"]) for one in told["totals"]] == [
        ("time.unreadable", 1_500, 2),
        ("row.not_number", 1, 1_502),
    ]
    assert not REJECTS.exists()
    assert "time.unreadable\t1,500\t2\tlog.csv" in cli("send", CSV, "--dry-run").stdout
