"""Files as loggers, databases and spreadsheets write them: what is found out, and which events come of them."""

import zipfile
import zlib
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropzone.domain.instants import parse_instant
from dropzone_cli.sending.times import FORMATS, TimeError, time_reader
from unit.cli.harness import Cli, FakeIngest, document

pytestmark = pytest.mark.usefixtures("local")


@pytest.fixture
def bronze() -> FakeIngest:
    return FakeIngest()


@pytest.fixture
def cli(bronze: FakeIngest) -> Cli:
    return Cli(bronze)


HOBO = (
    "\ufeff"
    '"Plot Title: north wall"\r\n'
    '"#","Date Time, GMT-05:00","Temp, °C (LGR S/N: 1084, SEN S/N: 1084)","RH, % (LGR S/N: 1084, SEN S/N: 1084)",'
    '"Coupler Detached (LGR S/N: 1084)","End Of File (LGR S/N: 1084)"\r\n'
    "1,05/16/26 04:07:26 PM,21.752,40.1,,\r\n"
    "2,05/16/26 04:12:26 PM,22.062,,,\r\n"
    "3,05/16/26 04:13:00 PM,,,Logged,Logged\r\n"
)
HOBO_DAY_FIRST = (
    '"Plot Title: x"\n"#";"Date Time, GMT+02:00";"Temp, °C (LGR S/N: 7)"\n'
    "1;04.05.2026 16:07;1.5\n2;13.05.2026 16:07;2\n"
)
NAN = (
    "time,temp,hum\n2026-05-01 00:00:00+00:00,21.5,NaN\n2026-05-01 00:01:00+00:00,21.6,40\n"
    "2026-05-01 00:02:00+00:00,nan,NaN\n"
)
TOA5 = (
    '"TOA5","mast","CR1000","1","os","prog","2","T10"\n"TIMESTAMP","RECORD","Ts","RH"\n"TS","RN","C","%"\n'
    '"","","Smp","Avg"\n"2026-08-01 15:00:00.2",1,26.9,50\n"2026-08-01 15:00:00.3",2,27.5,"NAN"\n'
)
INFLUX = (
    "#group,false,false,true,true,false,false,true,true,true\n"
    "#datatype,string,long,dateTime:RFC3339,dateTime:RFC3339,dateTime:RFC3339,double,string,string,string\n"
    "#default,_result,,,,,,,,\n"
    ",result,table,_start,_stop,_time,_value,_field,_measurement,host\n"
    ",,0,2026-05-01T00:00:00Z,2026-05-02T00:00:00Z,2026-05-01T10:00:00Z,1.5,usage,cpu,a\n"
    ",,1,2026-05-01T00:00:00Z,2026-05-02T00:00:00Z,2026-05-01T10:00:00Z,2.5,usage,cpu,b\n"
    "\n"
    "#group,false,false,true,true,true,true,false,false\n"
    "#datatype,string,long,dateTime:RFC3339,dateTime:RFC3339,string,string,long,dateTime:RFC3339\n"
    "#default,_result,,,,,,,\n"
    ",result,table,_start,_stop,_field,_measurement,_value,_time\n"
    ",,2,2026-05-01T00:00:00Z,2026-05-02T00:00:00Z,free,disk,77,2026-05-01T10:00:01Z\n"
)
HOME_ASSISTANT = (
    "entity_id,state,last_changed\n"
    "sensor.hall,21.5,2026-05-01T00:00:00.123Z\n"
    "sensor.roof,unavailable,2026-05-01T00:00:01.000Z\n"
    "sensor.roof,9,2026-05-01T00:00:02.000Z\n"
    "light.hall,on,2026-05-01T00:00:03.000Z\n"
)

Expected = list[tuple[str, str | None, list[float]]]
"""Of each event: time, source, data."""

FILES: dict[str, tuple[str | bytes, list[str], Expected, int]] = {
    # What it holds, options, events, exit code.
    "hobo.csv": (
        HOBO,
        [],
        [
            ("2026-05-16T21:07:26Z", "1084/Temp", [21.752]),
            ("2026-05-16T21:07:26Z", "1084/RH", [40.1]),
            ("2026-05-16T21:12:26Z", "1084/Temp", [22.062]),
        ],
        0,
    ),
    "hobo-column.csv": (
        HOBO,
        ["--time-column", "Date Time, GMT-05:00", "--value-column", "Temp, °C (LGR S/N: 1084, SEN S/N: 1084)"],
        [("2026-05-16T21:07:26Z", "1084/Temp", [21.752]), ("2026-05-16T21:12:26Z", "1084/Temp", [22.062])],
        0,
    ),
    "hobo-named.csv": (
        HOBO.replace('"Plot Title: north wall"\r\n', ""),
        ["--source", "wall", "--value-column", "#4", "--timezone", "UTC"],
        [("2026-05-16T16:07:26Z", "wall", [40.1])],
        0,
    ),
    "hobo-day-first.csv": (
        HOBO_DAY_FIRST,
        [],
        [("2026-05-04T14:07:00Z", "7/Temp", [1.5]), ("2026-05-13T14:07:00Z", "7/Temp", [2])],
        0,
    ),
    "toa5.dat": (
        TOA5,
        ["--timezone", "UTC"],
        [
            ("2026-08-01T15:00:00.200000Z", "mast/T10/Ts", [26.9]),
            ("2026-08-01T15:00:00.200000Z", "mast/T10/RH", [50]),
            ("2026-08-01T15:00:00.300000Z", "mast/T10/Ts", [27.5]),
        ],
        0,
    ),
    "toa5-column.dat": (
        TOA5,
        ["--time-column", "TIMESTAMP", "--value-column", "Ts", "--timezone", "UTC"],
        [
            ("2026-08-01T15:00:00.200000Z", "mast/T10/Ts", [26.9]),
            ("2026-08-01T15:00:00.300000Z", "mast/T10/Ts", [27.5]),
        ],
        0,
    ),
    "influx.csv": (
        INFLUX,
        [],
        [
            ("2026-05-01T10:00:00Z", "cpu/a/usage", [1.5]),
            ("2026-05-01T10:00:00Z", "cpu/b/usage", [2.5]),
            ("2026-05-01T10:00:01Z", "disk/free", [77]),
        ],
        0,
    ),
    "influx-source.csv": (
        INFLUX,
        ["--source-pattern", "{host}:{_field}"],
        [
            ("2026-05-01T10:00:00Z", "a:usage", [1.5]),
            ("2026-05-01T10:00:00Z", "b:usage", [2.5]),
            ("2026-05-01T10:00:01Z", ":free", [77]),
        ],
        0,
    ),
    "history.csv": (
        HOME_ASSISTANT,
        [],
        [("2026-05-01T00:00:00.123Z", "sensor.hall", [21.5]), ("2026-05-01T00:00:02.000Z", "sensor.roof", [9])],
        1,  # "on" is not a number
    ),
    "airquality.csv": (
        "Date;Time;CO(GT);NOx;;\n10/03/2026;18.00.00;2,6;1;;\n10/03/2026;19.00.00;-200;1;;\n;;;;;\n",
        [
            *("--date-column", "Date", "--time-column", "Time", "--time-format", "%d/%m/%Y %H.%M.%S"),
            *("--timezone", "Europe/Rome", "--value-column", "CO(GT)", "--decimal", ",", "--missing", "-200"),
        ],
        [("2026-03-10T17:00:00Z", None, [2.6])],
        0,
    ),
    "epoch.csv": (
        "ts,value\n1777593600,1\n1777593601123,2\n1777593602.5,3\n1777593603000001,4\n1777593604000000001,5\n",
        ["--time-column", "ts"],
        [
            ("2026-05-01T00:00:00Z", None, [1]),
            ("2026-05-01T00:00:01.123000Z", None, [2]),
            ("2026-05-01T00:00:02.500000Z", None, [3]),
            ("2026-05-01T00:00:03.000001Z", None, [4]),
            ("2026-05-01T00:00:04Z", None, [5]),
        ],
        0,
    ),
    "excel.csv": ("sep=;\ntime;value\n2026-05-01T00:00:00Z;1\n", [], [("2026-05-01T00:00:00Z", None, [1])], 0),
    "sep.csv": ("sep=^\r\ntime^value\r\n2026-05-01T00:00:00Z^1\r\n", [], [("2026-05-01T00:00:00Z", None, [1])], 0),
    "nan.csv": (
        NAN,
        ["--value-column", "temp", "--value-column", "hum", "--missing", "NaN"],
        [("2026-05-01 00:00:00+00:00", None, [21.5]), ("2026-05-01 00:01:00+00:00", None, [21.6, 40])],
        0,
    ),
    "unicode.csv": (
        "time\tvalue\tunit\r\n2026-05-01T00:00:00Z\t1\t°C\r\n".encode("utf-16"),
        [],
        [("2026-05-01T00:00:00Z", None, [1])],
        0,
    ),
    "unicode-named.csv": (
        "time\tvalue\r\n2026-05-01T00:00:00Z\t1\r\n".encode("utf-16"),
        ["--encoding", "utf-16"],
        [("2026-05-01T00:00:00Z", None, [1])],
        0,
    ),
    "big-endian.csv": (
        "time,value\n2026-05-01T00:00:00Z,1\n".encode("utf-16-be"),
        ["--encoding", "utf-16-be"],
        [("2026-05-01T00:00:00Z", None, [1])],
        0,
    ),
    "macintosh.csv": (
        "time,value\r2026-05-01T00:00:00Z,1\r2026-05-01T00:00:01Z,2\r",
        [],
        [("2026-05-01T00:00:00Z", None, [1]), ("2026-05-01T00:00:01Z", None, [2])],
        0,
    ),
    "comments.csv": (
        "# made by x\ntime,value\n# units\n2026-05-01T00:00:00Z,1\n#2026-05-01T00:00:01Z,2\n",
        ["--comment", "#"],
        [("2026-05-01T00:00:00Z", None, [1])],
        0,
    ),
    "lines.csv": (
        'a title\n"and, more"\ntime,value\nISO,K\n,\n2026-05-01T00:00:00Z,1\n',
        ["--skip-lines", "2", "--skip-after-header", "2"],
        [("2026-05-01T00:00:00Z", None, [1])],
        0,
    ),
    "delimiter-at-end.csv": (
        "time,value\n2026-05-01T00:00:00Z,1,\n2026-05-01T00:00:01Z,2,,\n",
        [],
        [("2026-05-01T00:00:00Z", None, [1]), ("2026-05-01T00:00:01Z", None, [2])],
        0,
    ),
    "twelve-hours.csv": (
        "when,value\n05/16/2026 12:00:01 AM,1\n",
        ["--time-column", "when", "--time-format", "%m/%d/%Y %I:%M:%S %p", "--timezone", "UTC"],
        [("2026-05-16T00:00:01Z", None, [1])],
        0,
    ),
    "offset.csv": (
        "when,value\n16.05.2026 12:00 +0200,1\n",
        ["--time-column", "when", "--time-format", "%d.%m.%Y %H:%M %z"],
        [("2026-05-16T12:00:00+02:00", None, [1])],
        0,
    ),
    "wide.csv": (
        "time,temp,hum\n2026-05-01T00:00:00Z,1,\n2026-05-01T00:00:01Z,2,oops\n2026-05-01T00:00:02Z,x,3\n",
        ["--value-column", "temp", "--value-column", "hum", "--per-column"],
        [
            ("2026-05-01T00:00:00Z", "temp", [1]),
            ("2026-05-01T00:00:01Z", "temp", [2]),
            ("2026-05-01T00:00:02Z", "hum", [3]),
        ],
        1,
    ),
    "pattern.csv": (
        "time,site,device,temp,hum\n2026-05-01T00:00:00Z,S,d1,1,2\n",
        [
            *("--value-column", "temp", "--value-column", "hum", "--per-column"),
            *("--source-pattern", "{site}/{source}/{column}"),
        ],
        [("2026-05-01T00:00:00Z", "S/d1/temp", [1]), ("2026-05-01T00:00:00Z", "S/d1/hum", [2])],
        0,
    ),
    "all-columns.csv": (
        "time,temp,hum\n2026-05-01T00:00:00Z,1,2\n",
        ["--per-column", "--source", "x"],
        [("2026-05-01T00:00:00Z", "x/temp", [1]), ("2026-05-01T00:00:00Z", "x/hum", [2])],
        0,
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_files_of_loggers(cli: Cli, bronze: FakeIngest, name: str) -> None:
    content, options, expected, code = FILES[name]
    Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())

    result = cli("send", name, *options)

    assert result.exit_code == code, result.output
    assert [(event["time_stamp"], event.get("source"), event["data"]) for event in bronze.events] == expected
    for event in bronze.events:
        parsed = parse_instant(event["time_stamp"])
        assert isinstance(parsed, datetime)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hobo.csv", "hobo.csv: HOBO: time from 'Date Time, GMT-05:00'"),
        ("toa5.dat", "toa5.dat: TOA5: time from 'TIMESTAMP', data from 'Ts' and 'RH', source 'mast/T10'"),
        ("influx.csv", "influx.csv: InfluxDB annotated CSV: time from '_time', data from '_value'"),
        ("history.csv", "history.csv: Home Assistant: time from 'last_changed', data from 'state'"),
    ],
)
def test_a_layout_that_was_recognised_is_reported(cli: Cli, name: str, message: str) -> None:
    content, options, _, _ = FILES[name]
    assert isinstance(content, str)
    Path(name).write_text(content)

    assert message in cli("send", name, *options).stderr
    assert message.partition(": ")[2] in cli("send", name, "--dry-run", *options).stdout


@pytest.mark.parametrize(
    ("name", "missing"), [("history.csv", 1), ("hobo.csv", 1), ("airquality.csv", 1), ("nan.csv", 1)]
)
def test_rows_that_say_that_nothing_was_measured_are_counted_and_no_problem(cli: Cli, name: str, missing: int) -> None:
    content, options, _, code = FILES[name]
    assert isinstance(content, str)
    Path(name).write_text(content)

    printed = document(cli("send", name, "--json", *options))

    assert (printed["missing"], printed["unreadable"]) == (missing, code)


def test_units_of_a_layout(cli: Cli, bronze: FakeIngest) -> None:
    Path("hobo.csv").write_text(HOBO)
    cli("send", "hobo.csv")

    assert [event["unit"] for event in bronze.events] == ["°C", "%", "°C"]


def test_a_layout_is_not_looked_for_where_the_lines_are_given(cli: Cli) -> None:
    Path("toa5.dat").write_text(TOA5)

    result = cli("send", "toa5.dat", "--skip-lines", 1, "--timezone", "UTC", "--dry-run", "--value-column", "Ts")

    assert "toa5.dat: CSV: time from 'TIMESTAMP', data from 'Ts'\n" in result.stdout
    assert result.exit_code == 1
    assert "toa5.dat, line 3: the time 'TS' is not an ISO 8601 date and time" in result.stderr


def test_two_sensors_of_a_kind_on_one_hobo_keep_apart(cli: Cli, bronze: FakeIngest) -> None:
    header = '"Date Time, GMT+00:00","Temp, °C (LGR S/N: 1, SEN S/N: 1, LBL: top)","Temp, °C (LGR S/N: 1, SEN S/N: 2)"'
    Path("h.csv").write_text(f'"Plot Title: x"\n{header}\n05/16/26 04:07:26 PM,1,2\n')
    cli("send", "h.csv")

    assert [event["source"] for event in bronze.events] == ["1/Temp/top", "1/Temp/2"]


# ---- archives and workbooks


def archive(name: str, **files: str) -> None:
    with zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED) as file:
        for member, text in files.items():
            file.writestr(member.replace("__", "."), text)


def test_a_zip_with_one_file(cli: Cli, bronze: FakeIngest) -> None:
    archive("a.zip", a__csv="time,value\n2026-05-01T00:00:00Z,1\n2026-05-01T00:00:01Z,2")

    assert cli("send", "a.zip").exit_code == 0
    assert [event["data"] for event in bronze.events] == [[1], [2]]  # its last line is whole


@pytest.mark.parametrize("files", [{}, {"a__csv": "x", "b__csv": "y"}])
def test_a_zip_with_other_than_one_file(cli: Cli, files: dict[str, str]) -> None:
    archive("a.zip", **files)

    result = cli("send", "a.zip")

    assert result.exit_code == 2
    assert f"a.zip holds {len(files)} files." in result.stderr


def test_a_zip_from_a_pipe(cli: Cli) -> None:
    archive("a.zip", a__csv="time,value\n")

    result = cli("send", "-", given=Path("a.zip").read_bytes())

    assert result.exit_code == 1
    assert "stdin, line 1: is a zip archive or a workbook, which can't be read from a pipe" in result.stderr


@pytest.mark.parametrize("end", [b"PK\1\2", b""])
def test_a_zip_that_is_cut_off_is_read_up_to_there(cli: Cli, bronze: FakeIngest, end: bytes) -> None:
    # GIVEN one that lacks its directory, or a half, of rows that differ
    rows = [f"2026-05-01T00:00:00Z,{sha256(str(n).encode()).hexdigest()},{n}" for n in range(5_000)]
    archive("a.zip", a__csv="\n".join(["time,note,value", *rows, ""]))
    content = bytearray(Path("a.zip").read_bytes())
    if not end:
        content[6] |= 8  # as of one that was written to a pipe
    Path("a.zip").write_bytes(content[: content.index(end) if end else len(content) // 2])

    result = cli("send", "a.zip", "--value-column", "value")

    sent = sorted(event["data"] for event in bronze.events)  # requests overtake each other
    assert sent == [[n] for n in range(len(sent))]
    assert len(sent) == len(rows) if end else 2_000 < len(sent) < 3_000
    assert result.exit_code == 1
    assert "its compression can't be read: its end is missing" in result.stderr


def test_a_zip_that_is_damaged(cli: Cli, bronze: FakeIngest) -> None:
    archive("a.zip", a__csv="time,value\n2026-05-01T00:00:00Z,1\n")
    Path("a.zip").write_bytes(Path("a.zip").read_bytes()[:8])

    result = cli("send", "a.zip")

    assert result.exit_code == 1
    assert "a.zip, line 1: is a zip archive that can't be read" in result.stderr
    assert not bronze.requests


def workbook(name: str = "a.xlsx") -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Data"
    rows: list[list[Any]] = [
        ["time", "value", "day", "clock"],
        [datetime(2026, 5, 1, 12), 1.5, date(2026, 5, 1), time(12)],  # noqa: DTZ001 - Excel knows no offsets
        [None, None, None, None],
        ["2026-05-01T12:01:00+00:00", 2, date(2026, 5, 2), time(12, 30)],
        [datetime(2026, 5, 1, 13), "n/a", None, None],  # noqa: DTZ001
    ]
    for row in rows:
        sheet.append(row)
    book.create_sheet("More").append(["time", "value"])
    book["More"].append([datetime(2027, 1, 1), 9])  # noqa: DTZ001
    book.save(name)


def test_a_workbook(cli: Cli, bronze: FakeIngest) -> None:
    workbook()

    result = cli("send", "a.xlsx", "--timezone", "UTC")

    assert result.exit_code == 1
    assert [(event["time_stamp"], event["data"]) for event in bronze.events] == [
        ("2026-05-01T12:00:00Z", [1.5]),
        ("2026-05-01T12:01:00+00:00", [2]),
    ]
    assert "a.xlsx: sheet 'Data' (of 2)" in result.stderr
    assert "a.xlsx, line 5: 'n/a' in the column 'value' is not a number" in result.stderr
    header = Path("a.xlsx.rejects.csv").read_text().splitlines()[0]
    assert header == "time,value,day,clock,rejected_code,rejected_reason,rejected_raw_id,rejected_item"


def test_a_sheet_of_a_workbook(cli: Cli, bronze: FakeIngest) -> None:
    workbook()

    assert cli("send", "a.xlsx", "--timezone", "UTC", "--sheet", "More").exit_code == 0
    assert [event["data"] for event in bronze.events] == [[9]]
    absent = cli("send", "a.xlsx", "--sheet", "Absent")
    assert (absent.exit_code, "The sheets are 'Data', 'More'." in absent.stderr) == (2, True)


def test_dates_and_times_in_columns_of_their_own_in_a_workbook(cli: Cli, bronze: FakeIngest) -> None:
    workbook()

    cli("send", "a.xlsx", "--timezone", "UTC", "--date-column", "day", "--time-column", "clock")

    assert [event["time_stamp"] for event in bronze.events] == ["2026-05-01T12:00:00Z", "2026-05-02T12:30:00Z"]


@pytest.mark.parametrize("name", ["log.zip", "log.xlsx"])
def test_rows_before_damage_in_an_archive_are_sent(cli: Cli, bronze: FakeIngest, name: str) -> None:
    rows = [(f"2026-01-01T{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}Z", zlib.crc32(b"%d" % n)) for n in range(3000)]
    if name.endswith("zip"):
        with zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("log.csv", "time,value\n" + "".join(f"{at},{value}\n" for at, value in rows))
    else:
        book = openpyxl.Workbook()
        for row in [("time", "value"), *rows]:
            book.active.append(row)
        book.save(name)
    with zipfile.ZipFile(name) as archive:
        info = max(archive.infolist(), key=lambda one: one.compress_size)
    content = bytearray(Path(name).read_bytes())
    content[info.header_offset + info.compress_size // 2] ^= 0xFF
    Path(name).write_bytes(content)

    result = cli("send", name, "--json", "--parallel", 1)

    assert result.exit_code == 1
    assert "input.damaged" in [total["code"] for total in document(result)["totals"]]
    sent = [(one["time_stamp"], one["data"][0]) for one in bronze.events]
    assert len(sent) > 1000
    assert sent[:1000] == rows[:1000]


def test_a_workbook_needs_an_extra(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    workbook()
    monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)

    result = cli("send", "a.xlsx")

    assert result.exit_code == 2
    assert "pip install 'dropzone-cli[xlsx]'" in result.stderr


# ---- several sensors


def test_a_column_of_devices_is_the_source(cli: Cli, bronze: FakeIngest) -> None:
    for name in ("device", "Sensor", "sensor_id", "entity_id", "source"):
        Path("a.csv").write_text(f"time,{name},value\n2026-05-01T00:00:00Z,s1,1\n2026-05-01T00:00:00Z,s2,2\n")
        result = cli("send", "a.csv")
        assert "--source-column" not in result.stderr

    assert {event["source"] for event in bronze.events} == {"s1", "s2"}
    assert len(bronze.events) == 10


def test_two_columns_that_may_be_the_source_are_not_guessed_between(cli: Cli) -> None:
    Path("a.csv").write_text("time,device,sensor,value\n2026-05-01T00:00:00Z,d,s,1\n")

    result = cli("send", "a.csv", "--dry-run")

    assert result.exit_code == 2
    assert "--source-pattern '{device}/{sensor}'" in result.stderr
    assert cli("send", "a.csv", "--dry-run", "--source-pattern", "{device}/{sensor}").exit_code == 0


@pytest.mark.parametrize("order", ["interleaved", "one after the other"])
def test_rows_of_one_time_without_a_source_are_warned_of(cli: Cli, order: str) -> None:
    rows = [(minute, sensor) for minute in range(4) for sensor in range(3)]
    rows = rows if order == "interleaved" else sorted(rows, key=lambda row: row[1])
    Path("a.csv").write_text(
        "time,who,value,room\n" + "".join(f"2026-05-01T00:0{minute}Z,s{sensor},{sensor},\n" for minute, sensor in rows)
    )

    result = cli("send", "a.csv")

    assert result.exit_code == 0
    first = 3 if order == "interleaved" else 6
    assert f"a.csv, line {first}: has the time of an earlier row and no source" in result.stderr
    assert "--source-column NAME" in result.stderr
    assert "is it one of 'who', 'room'?" in result.stderr
    assert f"row.same_time\t8\t{first}\ta.csv" in result.stdout
    named = cli("send", "a.csv", "--source-column", "who")
    assert "earlier row" not in named.output


def test_columns_that_are_not_used_are_listed(cli: Cli) -> None:
    Path("a.csv").write_text("time,value,note,battery\n2026-05-01T00:00:00Z,1,x,3\n")

    assert "  not used: 'note', 'battery'\n" in cli("send", "a.csv", "--dry-run").stdout
    assert document(cli("send", "a.csv", "--dry-run", "--json"))["inputs"][0]["unused_columns"] == ["note", "battery"]
    assert "a.csv: unused columns: 'note', 'battery'" in cli("send", "a.csv").stderr


@pytest.mark.parametrize("options", [[], ["--value-column", "value"]])
def test_two_columns_of_one_name_are_refused(cli: Cli, bronze: FakeIngest, options: list[str]) -> None:
    Path("a.csv").write_text("time,value,value\n2026-05-01T01:00:00Z,1,101\n")

    result = cli("send", "a.csv", *options)

    assert result.exit_code == 2
    assert "Several columns are named 'value'" in result.stderr
    assert "--value-column '#2' or '#3'" in result.stderr
    assert not bronze.requests
    assert cli("send", "a.csv", "--value-column", "#3").exit_code == 0
    assert bronze.events[0]["data"] == [101]


def test_columns_need_the_column_in_their_pattern(cli: Cli) -> None:
    Path("a.csv").write_text("time,a,b\n2026-05-01T01:00:00Z,1,101\n")

    result = cli("send", "a.csv", "--per-column", "--source-pattern", "x")

    assert result.exit_code == 2
    assert "{column}" in result.stderr


# ---- times


@pytest.mark.parametrize(
    ("format_", "text", "instant"),
    [
        ("epoch_s", "0", "1970-01-01T00:00:00Z"),
        ("epoch_s", "-1.5", "1969-12-31T23:59:58.500000Z"),
        ("epoch_s", "1.7775936e9", "2026-05-01T00:00:00Z"),
        ("epoch_ms", "1777593600123.4567", "2026-05-01T00:00:00.123456Z"),
        ("epoch_us", "1777593600123456", "2026-05-01T00:00:00.123456Z"),
        ("epoch_ns", "1777593600123456789", "2026-05-01T00:00:00.123456Z"),
        ("auto", "631152000", "1990-01-01T00:00:00Z"),
        ("auto", "631152000000", "1990-01-01T00:00:00Z"),
        ("auto", "-631152000", "1950-01-01T00:00:00Z"),
        ("auto", "99999999999", "5138-11-16T09:46:39Z"),
        ("auto", "100000000000", "1973-03-03T09:46:40Z"),
        ("epoch_s", "253402300799", "9999-12-31T23:59:59Z"),
    ],
)
def test_epochs(format_: str, text: str, instant: str) -> None:
    assert time_reader(format_)(text) == instant


@pytest.mark.parametrize(
    ("format_", "text", "code"),
    [
        ("epoch_s", "253402300800", "time.out_of_range"),
        ("epoch_s", "-62135596801", "time.out_of_range"),
        ("epoch_s", "NaN", "time.unreadable"),
        ("epoch_s", "Infinity", "time.unreadable"),
        ("auto", "2026-01-01T00:00Z", "time.unreadable"),
        ("%d.%m.%Y", "1.13.2026", "time.unreadable"),
        ("%d.%m.%Y %H:%M", "1.12.2026 00:00", "time.no_timezone"),
        (None, "20260501120000", "time.unreadable"),  # a compact date, and no epoch
        (None, "202605011200", "time.unreadable"),
        (None, "12345", "time.unreadable"),
        (None, "2026-02-30T00:00Z", "time.unreadable"),
        (None, "9999-12-31T23:59:59-01:00", "time.out_of_range"),
        (None, "0000-12-31T23:59:59Z", "time.out_of_range"),
    ],
)
def test_times_that_are_none(format_: str | None, text: str, code: str) -> None:
    with pytest.raises(TimeError) as caught:
        time_reader(format_)(text)
    assert caught.value.code == code


@given(
    st.datetimes(datetime(2001, 1, 1), datetime(2099, 12, 31)),  # noqa: DTZ001 - of UTC
    st.sampled_from([("s", 0), ("ms", 3), ("us", 6), ("ns", 9)]),
)
def test_an_epoch_of_this_century_is_read_in_any_unit(wall: datetime, unit: tuple[str, int]) -> None:
    name, digits = unit
    exact = wall.replace(
        tzinfo=UTC, microsecond=wall.microsecond // 10 ** max(0, 6 - digits) * 10 ** max(0, 6 - digits)
    )
    microseconds = (exact - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    text = str(microseconds * 10**digits // 10**6)

    for format_ in (f"epoch_{name}", "auto", None):
        assert datetime.fromisoformat(time_reader(format_)(text)) == exact
    assert f"epoch_{name}" in FORMATS


_ALMOST_ISO = (
    r"\A[0-9]{4}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-6][0-9](:[0-6][0-9]([.,][0-9]{1,9})?)?"
    r"(Z|z|[+-][01][0-9](:?[0-6][0-9])?)?\Z"
)


@given(st.from_regex(_ALMOST_ISO))
def test_what_is_read_as_iso_8601_is_what_the_api_reads(text: str) -> None:
    theirs = parse_instant(text)
    try:
        ours = time_reader()(text)
    except TimeError:
        assert not isinstance(theirs, datetime) or text.startswith("0000")
    else:
        assert ours == text
        assert isinstance(theirs, datetime)


@pytest.mark.parametrize(
    ("option", "instant"), [("earlier", "2026-10-25T00:30:00Z"), ("later", "2026-10-25T01:30:00Z")]
)
def test_a_time_that_the_clocks_showed_twice(cli: Cli, bronze: FakeIngest, option: str, instant: str) -> None:
    Path("a.csv").write_text("time,value\n2026-10-25T02:30:00,1\n2026-03-29T02:30:00,2\n")

    result = cli("send", "a.csv", "--timezone", "Europe/Berlin", "--ambiguous", option)
    without = cli("send", "a.csv", "--timezone", "Europe/Berlin", "--dry-run")

    assert result.exit_code == 1  # the other one never was
    assert [event["time_stamp"] for event in bronze.events] == [instant]
    assert "--ambiguous earlier or later" in without.stderr


# ---- profiles


def test_a_profile_keeps_options(cli: Cli, bronze: FakeIngest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DROPZONE_PROFILES", str(tmp_path / "somewhere" / "profiles.toml"))
    content, options, expected, _ = FILES["airquality.csv"]
    assert isinstance(content, str)
    Path("a.csv").write_text(content)
    assert cli("send", "a.csv", "--dry-run", "--save-profile", "air", *options).exit_code == 0

    result = cli("send", "a.csv", "--profile", "air", "--source", "x")

    assert result.exit_code == 0, result.output
    assert [(event["time_stamp"], event["data"]) for event in bronze.events] == [
        (time_, data) for time_, _, data in expected
    ]
    assert bronze.events[0]["source"] == "x"
    # A second one leaves the first as it is, and takes what it was made of.
    cli("send", "a.csv", "--dry-run", "--profile", "air", "--decimal", ".", "--save-profile", "b")
    text = (tmp_path / "somewhere" / "profiles.toml").read_text()
    assert text.count('timezone = "Europe/Rome"') == 2
    assert text.count('decimal = ","') == 1
    assert "dry" not in text


def test_a_profile_that_is_none(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPZONE_PROFILES", "p.toml")
    Path("a.csv").write_text("time,value\n")
    for content, message in (
        ("", "has no profile 'x'"),
        ('[x]\ncolour = "red"\n', "unknown option 'colour'"),
        ("[x\n", "can't be read"),
    ):
        Path("p.toml").write_text(content)
        result = cli("send", "a.csv", "--profile", "x")
        assert result.exit_code == 2
        assert message in " ".join(result.stderr.replace("│", " ").split())
