"""CSV inputs: columns by their names; one row is one event, unless rows of one time are to be merged."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from dropzone_cli.errors import usage
from dropzone_cli.sending.events import MAX_EVENT_BYTES, BrokenInputError, Event, Read, Unreadable
from dropzone_cli.sending.zones import ClockError, has_offset, zoned

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import tzinfo
    from typing import BinaryIO

TIME_NAMES = ("time_stamp", "timestamp", "time", "datetime", "measured_at")
VALUE_NAMES = ("data", "value", "values")
_SOURCE_NAMES = ("source",)
_UNIT_NAMES = ("unit",)

_DELIMITERS = ",;\t|"
# A quote that is never closed takes no more rows with it than this.
_LONGEST_CELL = 2**20
_SHOWN = 40

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_LOOSE_NUMBER = re.compile(r"([+-]?)(?:([0-9]+)\.?([0-9]*)|\.([0-9]+))([eE][+-]?[0-9]+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvOptions:
    """What is said about the columns, and what is left to be found."""

    time: str | None = None
    values: Sequence[str] = ()
    source: str | None = None
    unit: str | None = None
    tags: Sequence[str] = ()
    constant_source: str | None = None
    constant_unit: str | None = None
    constant_tags: Mapping[str, str] = field(default_factory=dict)
    zone: tzinfo | None = None
    delimiter: str | None = None
    encoding: str = "utf-8"
    merge_rows: bool = False


class _Row(NamedTuple):
    """A row, as far as it makes an event."""

    time: str
    values: str
    """Numbers of JSON, separated by commas."""
    labels: str
    """Fields of JSON, each after a comma."""
    first: int
    last: int


class _RowError(ValueError):
    """The row makes no event."""


class Table:
    """A CSV whose header was read: which columns are what, and the rows."""

    def __init__(self, binary: BinaryIO, options: CsvOptions) -> None:
        """Read the header.

        Raises:
            BrokenInputError: there is none, or it can't be read.
            CliError: the columns are not those that were asked for, or nobody said which are meant.
        """
        self._options = options
        lines = _lines(binary, options.encoding)
        first = next(lines, "")
        csv.field_size_limit(_LONGEST_CELL)
        self._rows = csv.reader(
            chain([first], lines),
            delimiter=options.delimiter or _delimiter_of(first),
            strict=True,
            skipinitialspace=True,
        )
        try:
            self.header = [name.strip() for name in next(self._rows, [])]
        except csv.Error as error:
            raise BrokenInputError(1, f"the header is no CSV: {error}") from None
        if not any(self.header):
            raise BrokenInputError(1, "there is no header, which names the columns")
        self._choose()
        # They are the same in many rows.
        self._label_text = lru_cache(4_096)(self._label_text_of)

    def _choose(self) -> None:
        options = self._options
        self.source = self._column("--source-column", options.source, _SOURCE_NAMES, options.constant_source)
        self.unit = self._column("--unit-column", options.unit, _UNIT_NAMES, options.constant_unit)
        self.tags = [self._named("--tag-column", name) for name in options.tags]
        time = self._column("--time-column", options.time, TIME_NAMES)
        if time is None:
            raise self._unclear("--time-column", "holds the time")
        self.time = time
        self.values = [self._named("--value-column", name) for name in options.values] or self._found_values()
        self._has_labels = bool(
            self.source is not None
            or self.unit is not None
            or self.tags
            or options.constant_source
            or options.constant_unit
            or options.constant_tags
        )

    def _column(self, option: str, name: str | None, usual: Sequence[str], constant: str | None = None) -> int | None:
        if name is not None:
            return self._named(option, name)
        if constant is not None:
            return None
        return next((found for wanted in usual for found in self._places(wanted)[:1]), None)

    def _named(self, option: str, name: str) -> int:
        places = self._places(name)
        if len(places) != 1:
            several = "several columns" if places else "no column"
            raise usage(f"{option}: there is {several} {name!r}.", f"The columns are {self._listed()}.")
        return places[0]

    def _places(self, name: str) -> list[int]:
        exact = [place for place, column in enumerate(self.header) if column == name]
        return exact or [place for place, column in enumerate(self.header) if column.casefold() == name.casefold()]

    def _found_values(self) -> list[int]:
        if found := next((places[:1] for name in VALUE_NAMES if (places := self._places(name))), None):
            return found
        others = set(range(len(self.header))) - {self.time, self.source, self.unit, *self.tags}
        if len(others) == 1:
            return [*others]
        raise self._unclear("--value-column", "holds the values")

    def _unclear(self, option: str, what: str) -> Exception:
        return usage(
            f"It is not clear which column {what}. The columns are {self._listed()}.",
            f"Name it: {option} NAME. --delimiter says what separates them, should they look wrong.",
        )

    def _listed(self) -> str:
        return ", ".join(map(repr, self.header))

    @property
    def chosen(self) -> str:
        """Which columns are what, in words."""
        options = self._options
        names = {
            "time": [self.time],
            "data": self.values,
            "source": [] if self.source is None else [self.source],
            "unit": [] if self.unit is None else [self.unit],
            "tags": self.tags,
        }
        parts = [
            f"{what} from {' and '.join(repr(self.header[place]) for place in places)}"
            for what, places in names.items()
            if places
        ]
        constants = {"source": options.constant_source, "unit": options.constant_unit}
        parts += [f"{what} {text!r}" for what, text in constants.items() if text]
        parts += [f"tag {name!r} {text!r}" for name, text in options.constant_tags.items()]
        return ", ".join(parts)

    def read(self) -> Iterator[Read]:
        """Read the rows as events."""
        rows = self._read()
        return map(self._event, _merged(rows)) if self._options.merge_rows else map(self._event, rows)

    def _read(self) -> Iterator[_Row | Unreadable]:
        while True:
            first = self._rows.line_num + 1
            try:
                cells = next(self._rows, None)
                if cells is None:
                    return
                if any(map(str.strip, cells)):
                    yield self._row(cells, first, self._rows.line_num)
            except csv.Error as error:
                yield Unreadable(first, max(first, self._rows.line_num), f"is no CSV: {error}")
            except _RowError as error:
                yield Unreadable(first, self._rows.line_num, str(error))

    def _row(self, cells: list[str], first: int, last: int) -> _Row:
        if len(cells) != len(self.header):
            message = f"has {len(cells)} cells, and the header {len(self.header)}"
            raise _RowError(message)
        values = ",".join(part for place in self.values if (part := self._numbers(place, cells[place].strip())))
        if not values:
            message = "has no value"
            raise _RowError(message)
        return _Row(self._instant(cells[self.time].strip()), values, self._labels(cells), first, last)

    def _instant(self, text: str) -> str:
        if not text:
            message = "has no time"
            raise _RowError(message)
        try:
            if has_offset(text):
                return text
        except (ValueError, OverflowError):
            message = f"the time is not a date and time of ISO 8601, such as 2019-05-01T06:00:00-04:00: {_shown(text)}"
            raise _RowError(message) from None
        if self._options.zone is None:
            message = f"the time has no offset from UTC: {_shown(text)}; --timezone says whose clock it is of"
            raise _RowError(message)
        try:
            return zoned(text, self._options.zone)
        except ClockError as error:
            message = f"the time {_shown(text)} {error}"
            raise _RowError(message) from None

    def _numbers(self, place: int, cell: str) -> str:
        """The numbers of a cell, which may be a JSON array of them; an empty cell has none."""
        if not cell or _NUMBER.fullmatch(cell):
            return cell
        parts = cell[1:-1].split(",") if cell.startswith("[") and cell.endswith("]") else [cell]
        numbers = [json_number(part.strip()) for part in parts]
        if None in numbers:
            message = f"{_shown(cell)} in the column {self.header[place]!r} is no number"
            raise _RowError(message)
        return ",".join(number for number in numbers if number is not None)

    def _labels(self, cells: list[str]) -> str:
        if not self._has_labels:
            return ""
        source = None if self.source is None else cells[self.source].strip()
        unit = None if self.unit is None else cells[self.unit].strip()
        return self._label_text(source, unit, tuple(cells[place].strip() for place in self.tags))

    def _label_text_of(self, source: str | None, unit: str | None, tags: tuple[str, ...]) -> str:
        options = self._options
        named = zip((self.header[place] for place in self.tags), tags, strict=True)
        labels = {
            "source": options.constant_source if source is None else source,
            "unit": options.constant_unit if unit is None else unit,
            "tags": {**options.constant_tags, **{name: text for name, text in named if text}},
        }
        return "".join(f',"{name}":{_json(label)}' for name, label in labels.items() if label)

    def _event(self, row: _Row | Unreadable) -> Read:
        if isinstance(row, Unreadable):
            return row
        version = '"schema_version":2,' if self._has_labels else ""
        text = f'{{{version}"time_stamp":"{row.time}","data":[{row.values}]{row.labels}}}'
        return Event(text.encode(), row.first, row.last)


def json_number(text: str) -> str | None:
    """A number as JSON writes it, digit by digit the same; None for what is none."""
    if _NUMBER.fullmatch(text):
        return text
    match = _LOOSE_NUMBER.fullmatch(text)
    if match is None:
        return None
    sign, whole, fraction, bare_fraction, exponent = match.groups(default="")
    fraction = fraction or bare_fraction
    return f"{sign.strip('+')}{whole.lstrip('0') or '0'}{'.' if fraction else ''}{fraction}{exponent}"


def _merged(rows: Iterable[_Row | Unreadable]) -> Iterator[_Row | Unreadable]:
    """Make one row of neighbours that differ in their values alone."""
    held: list[_Row] = []
    size = 0
    for row in rows:
        if isinstance(row, Unreadable):
            yield row
            continue
        if held and (row.time, row.labels) != (held[0].time, held[0].labels):
            yield _joined(held)
            held, size = [], 0
        held.append(row)
        size += len(row.values)
        if size > MAX_EVENT_BYTES:
            raise BrokenInputError(held[0].first, "more rows of one time begin here than an event can hold")
    if held:
        yield _joined(held)


def _joined(rows: Sequence[_Row]) -> _Row:
    return rows[0]._replace(values=",".join(row.values for row in rows), last=rows[-1].last)


def _lines(binary: BinaryIO, encoding: str) -> Iterator[str]:
    number = 0
    while line := binary.readline(MAX_EVENT_BYTES + 1):
        number += 1
        if len(line) > MAX_EVENT_BYTES:
            raise BrokenInputError(number, f"has more than {MAX_EVENT_BYTES // 2**20} MiB: is this a CSV?")
        try:
            yield line.decode(encoding)
        except UnicodeDecodeError:
            reason = f"is not {encoding}: name what it is, such as --encoding latin-1"
            raise BrokenInputError(number, reason) from None


def _delimiter_of(header: str) -> str:
    return max(_DELIMITERS, key=header.count)


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
