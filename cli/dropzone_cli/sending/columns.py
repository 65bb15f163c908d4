"""The meaning of a table's columns: given by options, or found by common names."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from dropzone_cli.errors import CliError, usage
from dropzone_cli.sending.options import SOURCE_NAMES, TIME_NAMES, UNIT_NAMES, VALUE_NAMES, ColumnLabel, CsvOptions

_PLACE = re.compile(r"#([1-9][0-9]*)", re.ASCII)
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


class Columns:
    def __init__(self, header: Sequence[str], options: CsvOptions) -> None:
        """Choose the columns by a header.

        Raises:
            CliError: the requested columns are missing, or the choice is ambiguous.
        """
        self.header = [*header]
        self._options = options
        self.source = self._source()
        self.unit = self._column("--unit-column", options.unit, UNIT_NAMES, options.constant_unit)
        self.tags = [self._named("--tag-column", name) for name in options.tags]
        self.date = None if options.date is None else self._named("--date-column", options.date)
        time = self._column("--time-column", options.time, TIME_NAMES)
        if time is None:
            raise self._unclear("--time-column", "holds the time")
        self.time = time
        self._used = {self.time, self.date, self.source, self.unit, *self.tags}
        self.values = [self._named("--value-column", name) for name in options.values] or self._found_values()
        self.pattern = self._pattern()
        in_pattern = [name for name in _PLACEHOLDER.findall(self.pattern or "") if name not in {"source", "column"}]
        self._used |= {*self.values, *(self._named("--source-pattern", name) for name in in_pattern)}
        self.unused = [self.header[place] for place in self._others()]

    def _others(self) -> list[int]:
        """The columns with a name that are not used so far."""
        return [place for place, name in enumerate(self.header) if place not in self._used and name]

    def label(self, place: int) -> ColumnLabel:
        """The name of a column, and its unit if the file has one."""
        name = self.header[place]
        return self._options.labels.get(name) or ColumnLabel(name)

    def source_of(self, cells: Sequence[str], places: Sequence[int]) -> str:
        """The source of a row's values in these columns."""
        source = self._options.constant_source or ""
        if self.source is not None:
            source = cells[self.source].strip()
        if self.pattern is None:
            return source
        known = {"source": source, "column": "+".join(self.label(place).name for place in places)}

        def part(match: re.Match[str]) -> str:
            name = match[1]
            return known[name] if name in known else cells[self._named("--source-pattern", name)].strip()

        text = _PLACEHOLDER.sub(part, self.pattern)
        return text if source else text.strip("/")

    @property
    def has_source(self) -> bool:
        return self.source is not None or bool(self._options.constant_source) or self.pattern is not None

    def _source(self) -> int | None:
        options = self._options
        if options.source is not None:
            return self._named("--source-column", options.source)
        if options.constant_source is not None:
            return None
        explicit = {place for name in options.values for place in self._places(name)}
        found = [place for name in SOURCE_NAMES for place in self._places(name) if place not in explicit]
        if "source" in (self.header[place].casefold() for place in found):
            found = self._places("source")
        if len(found) > 1 and options.source_pattern is None:
            names = " and ".join(repr(self.header[place]) for place in found)
            pattern = "/".join(f"{{{self.header[place]}}}" for place in found)
            hint = f"Name it: --source-column NAME, or combine them: --source-pattern '{pattern}'."
            raise usage(f"It is not clear which column holds the source: {names} are possible.", hint)
        return found[0] if len(found) == 1 else None

    def _pattern(self) -> str | None:
        pattern = self._options.source_pattern
        if pattern is None and self._options.per_column:
            pattern = "{source}/{column}"
        if pattern and self._options.per_column and "{column}" not in pattern and len(self.values) > 1:
            raise usage(
                "--source-pattern: without {column} in it, the columns of a row would replace each other.",
                "It looks like --source-pattern '{source}/{column}'.",
            )
        return pattern

    def _column(self, option: str, name: str | None, usual: Sequence[str], constant: str | None = None) -> int | None:
        if name is not None:
            return self._named(option, name)
        if constant is not None:
            return None
        found = next(filter(self._places, usual), None)
        return None if found is None else self._named(option, found)

    def _named(self, option: str, name: str) -> int:
        places = self._places(name)
        if not places and (match := _PLACE.fullmatch(name)) and int(match[1]) <= len(self.header):
            return int(match[1]) - 1
        if len(places) > 1:
            numbers = " or ".join(f"'#{place + 1}'" for place in places)
            message = f"Several columns are named {name!r}. The columns are {self._listed()}."
            raise usage(f"{option}: {message}", f"Choose one by its number: {option} {numbers}.")
        if not places:
            raise usage(f"{option}: there is no column {name!r}.", f"The columns are {self._listed()}.")
        return places[0]

    def _places(self, name: str) -> list[int]:
        exact = [place for place, column in enumerate(self.header) if column == name]
        return exact or [place for place, column in enumerate(self.header) if column.casefold() == name.casefold()]

    def _found_values(self) -> list[int]:
        if found := next(filter(self._places, VALUE_NAMES), None):
            return [self._named("--value-column", found)]
        others = self._others()
        if len(others) == 1 or (others and self._options.per_column):
            return others
        raise self._unclear("--value-column", "holds the values")

    def _unclear(self, option: str, what: str) -> CliError:
        several = [name for name, number in Counter(self.header).items() if number > 1 and name]
        double = f" Several are named {' and '.join(map(repr, several))}." if several else ""
        return usage(
            f"It is not clear which column {what}. The columns are {self._listed()}.{double}",
            f"Name it: {option} NAME. If the columns look wrong, --delimiter tells what separates them, and "
            "--skip-lines how many lines come before the header.",
        )

    def _listed(self) -> str:
        return ", ".join(map(repr, self.header))

    def __str__(self) -> str:
        """Describe the chosen columns."""
        options = self._options
        names: Mapping[str, Sequence[int | None]] = {
            "time": [self.date, self.time],
            "data": self.values,
            "source": [self.source],
            "unit": [self.unit],
            "tags": self.tags,
        }
        parts = []
        for what, places in names.items():
            if named := " and ".join(repr(self.header[place]) for place in places if place is not None):
                parts.append(f"{what} from {named}")
        constants = {"source": options.constant_source, "unit": options.constant_unit}
        parts += [f"{what} {text!r}" for what, text in constants.items() if text]
        parts += [f"tag {name!r} {text!r}" for name, text in options.tags_of_all.items()]
        parts += [f"source {self.pattern!r}"] if self.pattern else []
        parts += ["an event per column"] if options.per_column else []
        return ", ".join(parts)
