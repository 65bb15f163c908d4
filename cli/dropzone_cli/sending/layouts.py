"""Layouts of files written by loggers and databases: detected by their first lines, with the options they imply."""

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from dropzone_cli.sending.events import Finding
from dropzone_cli.sending.lines import Lines
from dropzone_cli.sending.options import ColumnLabel, CsvOptions
from dropzone_cli.sending.rows import REJECT_NAMES, Row, delimiter_of
from dropzone_cli.sending.times import parse_zone

INFLUX = "InfluxDB annotated CSV"
SERIES = "series"
_SAMPLE = 50


def recognise(lines: Lines, options: CsvOptions) -> CsvOptions:
    """Add the options implied by the layout of a file; given options take precedence.

    If the number of lines to skip is given, the layout is known, and nothing is added.
    """
    if options.skip_lines is not None:
        return options
    for find in (_toa5, _hobo, _influx, _home_assistant):
        if found := find(lines):
            return _combined(options, found)
    return options


def _combined(options: CsvOptions, found: dict[str, Any]) -> CsvOptions:
    nothing = CsvOptions()
    said = {name for name in CsvOptions.__slots__ if getattr(options, name) != getattr(nothing, name)}
    # An option replaces all implied options of its group.
    for together in ({"source", "constant_source", "source_pattern"}, {"values", "per_column"}):
        said |= together if said & together else set()
    if "missing" in said:
        found["missing"] = (*options.missing, *found.get("missing", ()))
        said.remove("missing")
    return replace(options, **{name: value for name, value in found.items() if name not in said})


def _cells(line: str, delimiter: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])]


# ---- Campbell Scientific's TOA5: lines with the origin, names, units and kinds of processing; then the rows


def _toa5(lines: Lines) -> dict[str, Any] | None:
    (first,) = lines.peek(1) or [""]
    if not first.startswith(('"TOA5"', "TOA5,")):
        return None
    origin, *below = (_cells(line, ",") for line in lines.peek(3))
    if len(below) < 2:  # noqa: PLR2004 - names and units
        return None
    names, units = below
    values = [name for name in names if name not in {"TIMESTAMP", "RECORD", *REJECT_NAMES}]
    return {
        "layout": "TOA5",
        "delimiter": ",",
        "skip_lines": 1,
        "skip_after_header": 2,
        "time": "TIMESTAMP",
        "values": values,
        "per_column": True,
        "constant_source": "/".join(part for part in (origin[1:2] + origin[7:8]) if part) or "TOA5",
        "source_pattern": "{source}/{column}",
        "missing": ("NAN", "NaN", ""),
        "labels": {name: ColumnLabel(name, unit) for name, unit in zip(names, units, strict=False)},
    }


# ---- Onset's HOBOware: a title, then a header with the zone, the units and the serial numbers

_HOBO_TIME = re.compile(r"(?:Date )?Time,? ?(?:\(?GMT ?(?P<zone>[+-][0-9]{2}:?[0-9]{2})\)?)?", re.IGNORECASE)
_HOBO_COLUMN = re.compile(
    r"(?P<name>[^,(]+?)\s*(?:,\s*(?P<unit>[^(]*?)\s*)?\(.*?LGR S/N:\s*(?P<logger>[^,)\s]+).*\)", re.IGNORECASE
)
_HOBO_LABEL, _HOBO_SENSOR = re.compile(r"LBL:([^,)]+)"), re.compile(r"SEN S/N:([^,)]+)")
# Columns of a logger's own events, not of measurements: their cells are "Logged" or empty.
_HOBO_EVENTS = re.compile(
    r"(?:Coupler|Host|Button|Stopped|Started|End Of File|(?:Bad|Good|Low) (?:Battery|Power)|New Interval|Event)",
    re.IGNORECASE,
)


def _hobo(lines: Lines) -> dict[str, Any] | None:
    (first,) = lines.peek(1) or [""]
    title = first.lstrip('"').startswith("Plot Title")
    if not title and "LGR S/N" not in first:
        return None
    header = "".join(lines.peek(2)[1:]) if title else first
    delimiter = delimiter_of(header)
    names = _cells(header, delimiter)
    times = [(name, match) for name in names if (match := _HOBO_TIME.fullmatch(name))]
    if not times:
        return None
    columns = {name: match for name in names if (match := _HOBO_COLUMN.fullmatch(name))}
    values = [name for name in columns if not _HOBO_EVENTS.match(name)]
    time, match = times[-1]
    dates = [name for name in names if name.casefold() == "date"]
    sample = [_cells(line, delimiter) for line in lines.peek(_SAMPLE)[2 if title else 1 :]]
    stamps = [
        " ".join(row[names.index(name)] for name in (*dates[:1], time)) for row in sample if len(row) >= len(names)
    ]
    loggers = dict.fromkeys(found["logger"] for found in columns.values())
    return {
        "layout": "HOBO",
        "delimiter": delimiter,
        "skip_lines": 1 if title else 0,
        "time": time,
        "date": dates[0] if dates else None,
        "time_format": _hobo_format(stamps),
        "zone": parse_zone(match["zone"]) if match["zone"] else None,
        "values": values,
        "per_column": len(values) > 1,
        "constant_source": "+".join(loggers) or None,
        "source_pattern": "{source}/{column}",
        "missing": ("",),
        "labels": _hobo_labels(columns),
    }


def _hobo_labels(columns: dict[str, re.Match[str]]) -> dict[str, ColumnLabel]:
    """Short names of columns, with the sensor's label or serial number if a logger has several of a kind."""
    number = Counter(found["name"] for found in columns.values())
    labels = {}
    for name, found in columns.items():
        sensor = _HOBO_LABEL.search(name) or _HOBO_SENSOR.search(name)
        suffix = f"/{sensor[1].strip()}" if sensor and number[found["name"]] > 1 else ""
        labels[name] = ColumnLabel(found["name"] + suffix, found["unit"] or "")
    return labels


def _hobo_format(stamps: Sequence[str]) -> str | None:
    """The format of the times (HOBOware has many): the second number is the day unless a first one is over 12."""
    if not stamps:
        return None
    sign = next((sign for sign in "/.-" if sign in stamps[0]), "/")
    parts = [re.findall("[0-9]+", stamp)[:3] for stamp in stamps]
    if any(not numbers for numbers in parts):
        return None
    if len(parts[0][0]) == 4:  # noqa: PLR2004 - a year
        day = ["%Y", "%m", "%d"]
    else:
        year = "%Y" if len(parts[0][-1]) == 4 else "%y"  # noqa: PLR2004
        is_day_first = any(int(numbers[0]) > 12 for numbers in parts)  # noqa: PLR2004 - months
        day = ["%d", "%m", year] if is_day_first else ["%m", "%d", year]
    seconds = ":%S" if stamps[0].count(":") > 1 else ""
    fraction = ".%f" if "." in stamps[0].rpartition(":")[2] else ""
    half = " %p" if stamps[0].upper().endswith("M") else ""
    return f"{sign.join(day)} {'%I' if half else '%H'}:%M{seconds}{fraction}{half}"


# ---- InfluxDB's annotated CSV: tables with their own headers, after lines with kinds, groups and defaults

_INFLUX_OWN = {"", "result", "table", "_start", "_stop", "_time", "_value"}


def _influx(lines: Lines) -> dict[str, Any] | None:
    (first,) = lines.peek(1) or [""]
    if not first.startswith(("#datatype,", "#group,", "#default,")) and not first.startswith(",result,table,"):
        return None
    constant = {"layout": INFLUX, "delimiter": ",", "time": "_time", "source": SERIES}
    return {**constant, "values": ["_value"], "missing": ("",)}


def influx_rows(rows: Iterator[Row | Finding]) -> Iterator[Row | Finding]:
    """Combine the tables: the first one's header, and a column with the series of each row."""
    header, own, defaults = list[str](), list[str](), list[str]()
    expects_header = True
    for row in rows:
        if isinstance(row, Finding):
            yield row
        elif not any(row.cells):
            expects_header = True
        elif row.cells[0].startswith("#"):
            expects_header = True
            if row.cells[0] == "#default":
                defaults = row.cells[1:]
        elif expects_header:
            own = [cell.strip() for cell in row.cells]
            expects_header = False
            if not header:
                header = own
                yield row._replace(cells=[*own, SERIES])
        elif len(row.cells) != len(own):
            yield row
        else:
            filled = dict(zip(own, row.cells, strict=True))
            filled |= {name: text for name, text in zip(own[1:], defaults, strict=False) if text and not filled[name]}
            yield row._replace(cells=[*(filled.get(name, "") for name in header), _series(filled)])


def _series(cells: dict[str, str]) -> str:
    """The identifier of a series: the measurement, its tags, the field."""
    tags = [text for name, text in cells.items() if name not in _INFLUX_OWN | {"_measurement", "_field"}]
    return "/".join(filter(None, (cells.get("_measurement"), *tags, cells.get("_field"))))


# ---- Home Assistant's history: entity, state, time


def _home_assistant(lines: Lines) -> dict[str, Any] | None:
    (first,) = lines.peek(1) or [""]
    names = _cells(first, ",")
    if names[:2] != ["entity_id", "state"] or not {"last_changed", "last_updated"} & {*names}:
        return None
    return {
        "layout": "Home Assistant",
        "delimiter": ",",
        "time": "last_changed" if "last_changed" in names else "last_updated",
        "values": ["state"],
        "source": "entity_id",
        "missing": ("unavailable", "unknown", ""),
    }


ADAPTERS: dict[str, Callable[[Iterator[Row | Finding]], Iterator[Row | Finding]]] = {INFLUX: influx_rows}
