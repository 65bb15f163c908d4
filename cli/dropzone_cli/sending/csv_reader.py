"""Rows of a table as events: rows → readings → events, each step a generator."""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import NamedTuple, Self

from dropzone_cli.sending.columns import Columns
from dropzone_cli.sending.events import MAX_EVENT_BYTES, BrokenInputError, Event, Finding, Read, Rejected, Severity
from dropzone_cli.sending.layouts import ADAPTERS, recognise
from dropzone_cli.sending.lines import Lines
from dropzone_cli.sending.options import CsvOptions
from dropzone_cli.sending.rows import Row, csv_rows, delimiter_of, is_of_rejects, without_reasons
from dropzone_cli.sending.times import TimeError, time_reader

_SEPARATOR = re.compile("sep=(.)", re.IGNORECASE)
_SHOWN = 40
_INSTANTS = 10_000
_OFTEN_MISSING = {"nan", "na", "n/a", "null", "none"}

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_LOOSE_NUMBER = re.compile(r"([+-]?)(?=\.?[0-9])([0-9]*)\.?([0-9]*)([eE][+-]?[0-9]+)?")
_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Reading(NamedTuple):
    """The values of a row."""

    time: str
    values: str
    """JSON numbers, separated by commas."""
    labels: str
    """JSON fields, each preceded by a comma."""
    first: int
    last: int


class _RowError(ValueError):
    def __init__(self, code: str, reason: str, severity: Severity = Severity.PROBLEM) -> None:
        super().__init__(reason)
        self.code = code
        self.severity = severity


class Table:
    """A table whose header was read: its columns, and its rows as events."""

    def __init__(
        self,
        head: Row,
        rows: Iterator[Row | Finding],
        options: CsvOptions,
        *,
        delimiter: str = ",",
        before: Sequence[str] = (),
    ) -> None:
        """Choose the columns by the header.

        Args:
            head: the row with the header.
            rows: the rows after it.
            options: the options for the table.
            delimiter: the delimiter between cells.
            before: the lines that were skipped before the header.

        Raises:
            CliError: the requested columns are missing, or the choice is ambiguous.
        """
        self.options = options
        self.delimiter = delimiter
        # Parsed from the text, since a layout may have changed the cells.
        self.is_of_rejects = is_of_rejects(*csv.reader([head.text], delimiter=delimiter))
        header = [name.strip() for name in head.cells]
        while not header[-1]:
            header.pop()
        self.columns = Columns(header, options)
        self._rows = rows
        after = [row.text for row in islice(rows, options.skip_after_header) if isinstance(row, Row)]
        self.preamble = ([*before], head.text, after)
        """The lines before the header, the header, and lines after it that are not rows."""
        self._number = _comma_number if options.decimal == "," else json_number
        self._missing = {text.casefold() for text in options.missing}
        self._time = time_reader(options.time_format, options.zone, options.ambiguous)
        self._last = ("", "")
        # The columns of each event in a row.
        values = self.columns.values
        self._groups = [(place,) for place in values] if options.per_column else [tuple(values)]
        self._is_labelled = bool(
            self.columns.has_source
            or self.columns.unit is not None
            or self.columns.tags
            or options.constant_unit
            or options.constant_tags
            or self.is_of_rejects
            or any(self.columns.label(place).unit for place in values)
        )
        # Cached, since many rows have the same labels.
        self._label_text = lru_cache(4_096)(self._label_text_of)

    @classmethod
    def of_rows(
        cls, rows: Iterator[Row | Finding], options: CsvOptions, delimiter: str = ",", before: Sequence[str] = ()
    ) -> Self | Finding:
        """Read the header of a table; returns a finding if it is incomplete, and more may come.

        Raises:
            BrokenInputError: there is no header, or it can't be read.
            CliError: the requested columns are missing, or the choice is ambiguous.
        """
        rows = ADAPTERS.get(options.layout, iter)(without_reasons(rows))
        head = next(rows, None)
        if isinstance(head, Finding):
            if head.severity is Severity.WAITING:
                return head
            raise BrokenInputError(head.first, f"the header {head.reason}", head.code)
        if head is None or not any(map(str.strip, head.cells)):
            raise BrokenInputError(1, "there is no header row with column names", "input.no_header")
        return cls(head, rows, options, delimiter=delimiter, before=before)

    @classmethod
    def of_lines(cls, lines: Lines, options: CsvOptions) -> Self | Finding:
        """Read the header of a CSV, after the lines that its layout has before it; see `of_rows`."""
        before = lines.skip_empty() if options.skip_lines is None else []
        options = recognise(lines, options)
        before += lines.skip(options.skip_lines or 0) + lines.skip_empty()
        # A line with the delimiter for Excel.
        separator = _SEPARATOR.fullmatch("".join(lines.peek(1)).rstrip("\r\n"))
        before += lines.skip(1 if separator else 0)
        delimiter = options.delimiter or (separator[1] if separator else delimiter_of("".join(lines.peek(1))))
        return cls.of_rows(csv_rows(lines, delimiter), options, delimiter, before)

    def __str__(self) -> str:
        """Describe the columns, and how they are read."""
        options, text = self.options, str(self.columns)
        if not options.layout:
            return text
        how = {
            "times": options.time_format,
            "time zone": options.zone,
            "missing": " ".join(map(repr, options.missing)),
            "decimal": repr(options.decimal) if options.decimal != "." else "",
        }
        return f"{options.layout}: {text}" + "".join(f", {name} {value}" for name, value in how.items() if value)

    @property
    def settings(self) -> dict[str, object]:
        """The settings that determine which events are made of the rows."""
        options = self.options
        names = ("ambiguous", "time_format", "decimal", "encoding", "merge_rows")
        return {
            "columns": str(self.columns),
            "timezone": None if options.zone is None else str(options.zone),
            "missing": sorted(options.missing),
            **{name: getattr(options, name) for name in names},
        }

    def read(self) -> Iterator[Read]:
        readings = self._readings()
        if len(self._groups) > 1:
            readings = one_of_a_kind(readings)
        if self.options.merge_rows:
            readings = merged(readings)
        elif not self.columns.has_source:
            readings = watched(readings, self.columns.unused)
        return events(readings, is_labelled=self._is_labelled)

    def _readings(self) -> Iterator[Reading | Finding]:
        width, groups = len(self.columns.header), self._groups
        for row in self._rows:
            if isinstance(row, Finding):
                yield row
                continue
            cells, first, last, _, rejected = row
            try:
                if len(cells) != width:
                    cells = _fitted(cells, width)
                instant = self._instant_of(cells)
            except _RowError as error:
                if any(map(str.strip, cells)):
                    yield self._finding(row, error)
                continue
            is_reported = False
            for places in groups:
                try:
                    if values := self._values(cells, places):
                        is_reported = True
                        yield Reading(instant, values, self._labels(cells, places, rejected), first, last)
                except _RowError as error:
                    is_reported = True
                    yield self._finding(row, error, places)
            if not is_reported:
                yield self._finding(row, self._no_value(cells))

    def _finding(self, row: Row, error: _RowError, places: Sequence[int] | None = None) -> Finding:
        """A finding about a row, or about its values in these columns."""
        cells, columns = row.cells, self.columns
        source = self.options.constant_source or ""
        if len(cells) >= len(columns.header):
            source = columns.source_of(cells, columns.values[:1] if places is None else places)
        elif columns.pattern is not None:
            source = ""
        text = row.text.rstrip("\r\n")
        return Finding(row.first, row.last, error.code, str(error), text, error.severity, source, row.rejected)

    def _instant_of(self, cells: list[str]) -> str:
        text = cells[self.columns.time].strip()
        if self.columns.date is not None:
            # In a workbook, a date also has a time.
            text = f"{cells[self.columns.date].strip().removesuffix('T00:00:00')} {text}".strip()
        if not text:
            raise _RowError("row.no_time", "has no time")
        if text != self._last[0]:  # consecutive rows often have the same time
            try:
                self._last = (text, self._time(text))
            except TimeError as error:
                raise _RowError(error.code, f"the time {_shown(text)} {error.reason}") from None
        return self._last[1]

    def _values(self, cells: list[str], places: Sequence[int]) -> str:
        """The numbers in these columns of a row, separated by commas."""
        parts = []
        for place in places:
            cell = cells[place].strip()
            if not cell or cell.casefold() in self._missing:
                continue
            # A valid JSON number is kept as it is.
            parts.append(cell if _NUMBER.fullmatch(cell) else self._numbers(place, cell))
        return ",".join(parts)

    def _numbers(self, place: int, cell: str) -> str:
        """The numbers in a cell, which may be a JSON array."""
        is_array = cell.startswith("[") and cell.endswith("]")
        numbers = [self._number(part.strip()) for part in (cell[1:-1].split(",") if is_array else [cell])]
        if None in numbers:
            hint = ""
            if cell.casefold() in _OFTEN_MISSING:
                hint = f"; --missing {cell} says that there is none"
            elif self.options.decimal != "," and _comma_number(cell):
                hint = "; --decimal ',' reads it"
            raise _RowError(
                "row.not_number", f"{_shown(cell)} in the column {self.columns.header[place]!r} is not a number{hint}"
            )
        return ",".join(number for number in numbers if number is not None)

    def _no_value(self, cells: list[str]) -> _RowError:
        named = {cells[place].strip().casefold() for place in self.columns.values} & self._missing
        return _RowError("row.no_value", "has no value", Severity.MISSING if named else Severity.PROBLEM)

    def _labels(self, cells: list[str], places: tuple[int, ...], rejected: Rejected | None) -> str:
        if not self._is_labelled:
            return ""
        columns = self.columns
        unit = "" if columns.unit is None else cells[columns.unit].strip()
        tags = tuple(cells[place].strip() for place in columns.tags)
        labels = self._label_text(columns.source_of(cells, places), unit, places, tags)
        return labels if rejected is None else f'{labels},"corrects":{rejected.json}'

    def _label_text_of(self, source: str, unit: str, places: tuple[int, ...], tags: tuple[str, ...]) -> str:
        options, columns = self.options, self.columns
        units = {columns.label(place).unit for place in places}
        named = zip((columns.header[place] for place in columns.tags), tags, strict=True)
        labels = {
            "source": source,
            "unit": unit or options.constant_unit or (units.pop() if len(units) == 1 else ""),
            "tags": {**options.tags_of_all, **{name: text for name, text in named if text}},
        }
        return "".join(f',"{name}":{_json(label)}' for name, label in labels.items() if label)


def events(readings: Iterable[Reading | Finding], *, is_labelled: bool) -> Iterator[Read]:
    """Format readings as events, of version 2 if they have labels."""
    version = '"schema_version":2,' if is_labelled else ""
    for reading in readings:
        if isinstance(reading, Finding):
            yield reading
            continue
        time, values, labels, first, last = reading
        yield Event(f'{{{version}"time_stamp":"{time}","data":[{values}]{labels}}}'.encode(), first, last)


def one_of_a_kind(readings: Iterable[Reading | Finding]) -> Iterator[Reading | Finding]:
    """Leave out repeated findings of a kind in a row with several values."""
    before = (0, "")
    for reading in readings:
        if isinstance(reading, Finding):
            if before == (reading.first, reading.code):
                continue
            before = reading.first, reading.code
        yield reading


def watched(readings: Iterable[Reading | Finding], unused: Sequence[str]) -> Iterator[Reading | Finding]:
    """Warn of rows with the same time and no source, of which silver keeps only the last one."""
    named = f": is it one of {', '.join(map(repr, unused))}?" if unused else ""
    reason = (
        "has the time of an earlier row and no source, so it replaces that row's event; "
        f"--source-column NAME says which column names the source{named}"
    )
    seen: set[str] = set()
    before = ""
    for reading in readings:
        yield reading
        if isinstance(reading, Finding):
            continue
        if reading.time == before or reading.time in seen:
            yield Finding(reading.first, reading.last, "row.same_time", reason, severity=Severity.WARNING)
        elif len(seen) < _INSTANTS:
            # If a file has one sensor after the other, each starts with the times of the first one.
            seen.add(reading.time)
        before = reading.time


def merged(readings: Iterable[Reading | Finding]) -> Iterator[Reading | Finding]:
    """Merge consecutive readings that differ only in their values."""
    held: list[Reading] = []
    size = 0
    for reading in readings:
        if isinstance(reading, Finding):
            yield reading
            continue
        if held and ((reading.time, reading.labels) != (held[0].time, held[0].labels) or size > MAX_EVENT_BYTES):
            yield _joined(held, size)
            held, size = [], 0
        held.append(reading)
        size += len(reading.values)
    if held:
        yield _joined(held, size)


def _joined(readings: Sequence[Reading], size: int) -> Reading | Finding:
    first, last = readings[0], readings[-1]
    if size > MAX_EVENT_BYTES:
        return Finding(first.first, last.last, "event.too_long", "are more rows of one time than fit into an event")
    return first._replace(values=",".join(reading.values for reading in readings), last=last.last)


def json_number(text: str) -> str | None:
    """A number in JSON's syntax, with the same digits; None if the text is not a number."""
    if _NUMBER.fullmatch(text):
        return text
    match = _LOOSE_NUMBER.fullmatch(text)
    if match is None:
        return None
    sign, whole, fraction, exponent = match.groups(default="")
    return f"{sign.strip('+')}{whole.lstrip('0') or '0'}{'.' if fraction else ''}{fraction}{exponent}"


def _comma_number(text: str) -> str | None:
    return None if "." in text or text.count(",") > 1 else json_number(text.replace(",", "."))


def _fitted(cells: list[str], width: int) -> list[str]:
    """Drop empty cells beyond the header: rows may end with a delimiter."""
    if len(cells) < width or any(map(str.strip, cells[width:])):
        raise _RowError("row.cells", f"has {len(cells)} cells, and the header {width}")
    return cells[:width]


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
