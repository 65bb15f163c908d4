"""Lists within Lambda's size limit, in the requested format, with headers for caches."""

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from http import HTTPStatus
from itertools import chain
from operator import getitem
from typing import Any
from urllib.parse import urlencode

from pydantic_core import to_json

from dropzone.api.answers import fields_of
from dropzone.api.formats import Format
from dropzone.api.gateway import Compressor, Response

MOST_BYTES = 5_500_000
"""Lambda's answer has at most 6,291,556 bytes, with the body escaped in it, or in base64."""

REVALIDATE = "private, no-cache"
"""Of what may change at any time: a kept copy is asked for again, by its tag."""

KEEP = "private, max-age=86400, immutable"
"""Of what never changes."""

VARY = "Authorization, X-Api-Key"
"""What is shown to one key is not shown to the next one of the same browser."""

_MARK = "\ufeff"
"""Tells a spreadsheet that a file is UTF-8."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What begins a cell that spreadsheets may run (OWASP, CSV injection)."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Listing[R]:
    """A list: its name, the typed dictionaries of a page and of a row (its fields are CSV's columns), its cursors."""

    name: str
    page: type
    row: type[R]
    cursor: Callable[[R], str]
    """The one that leads behind a row."""


def page[R: Row](
    listing: Listing[R],
    found: Sequence[R],
    limit: int,
    *,
    query: Mapping[str, str],
    form: Format,
    others: Mapping[str, Any] | None = None,
    gzip: bool = False,
) -> tuple[str, dict[str, str]]:
    """The body of a list, and its headers; where there is more, both lead to it.

    `found` has one more than the limit where there are more. JSON has the `others` beside the rows. What will be
    compressed (`gzip`) may have more rows.
    """
    columns = tuple(fields_of(listing.row))
    rows = fitting((_text(row, columns, form) for row in found[:limit]), gzip=gzip)
    headers: dict[str, str] = {}
    beside = dict(others or {})
    if len(rows) < len(found):
        beside["cursor"] = listing.cursor(found[len(rows) - 1])
        headers["Link"] = f'<?{urlencode({**query, "cursor": beside["cursor"]})}>; rel="next"'
    if form is Format.JSON:
        return _object(listing.name, rows, beside), headers
    if form is Format.NDJSON:
        return "".join(rows), headers
    if form is Format.SPREADSHEET:
        headers["Content-Disposition"] = f'attachment; filename="{listing.name}.csv"'
    head = _line(column.replace(".", "_") for column in columns)
    return (_MARK if form is Format.SPREADSHEET else "") + head + "".join(rows), headers


def fitting(rows: Iterable[str], *, gzip: bool) -> list[str]:
    """The first rows that fit through Lambda together, compressed or not; one at least."""
    remaining = iter(rows)
    fit, excess = _until_full(remaining, _Plain().size_with)
    if excess and gzip:
        fit, _ = _until_full(chain(fit, excess, remaining), Compressor().size_with)
    return fit


def _until_full(rows: Iterator[str], size_with: Callable[[str], int]) -> tuple[list[str], list[str]]:
    """The first rows that fit, one at least; and the one that didn't, if there is one."""
    fit: list[str] = []
    for row in rows:
        if size_with(row) > MOST_BYTES and fit:
            return fit, [row]
        fit.append(row)
    return fit, []


class _Plain:
    """Counts what rows take as they are."""

    def __init__(self) -> None:
        self._size = 0

    def size_with(self, row: str) -> int:
        self._size += len(json.dumps(row)) + 1
        return self._size


def _object(name: str, rows: Iterable[str], others: Mapping[str, Any]) -> str:
    rest = to_json(others).decode().removeprefix("{")
    return f'{{"{name}":[{",".join(rows)}]{"," if others else ""}{rest}'


def _text(row: Row, columns: Iterable[str], form: Format) -> str:
    if not form.is_csv:
        return to_json(row).decode() + ("\n" if form is Format.NDJSON else "")
    return _line(_cell(reduce(getitem, column.split("."), row), form) for column in columns)


def _cell(value: object, form: Format) -> object:
    """Nothing for null; numbers, lists and objects as JSON has them; what is text in JSON without its quotes."""
    if isinstance(value, str):
        # With an apostrophe before it, a spreadsheet takes it for text. Numbers are no text, and keep their signs.
        return f"'{value}" if form is Format.SPREADSHEET and value.startswith(_FORMULA) else value
    if value is None:
        return None
    text = to_json(value).decode()
    return json.loads(text) if text.startswith('"') else text


def _line(cells: Iterable[object]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()


def cached(body: str, *, content_type: str, given: str | None, headers: Mapping[str, str]) -> Response:
    """An answer with a tag, or 304 where the client has it already, by the tags that it gave (If-None-Match).

    The tag is a weak one, since it covers the body compressed and not (RFC 9110, section 8.8.1).
    """
    tag = f'W/"{hashlib.sha256(body.encode()).hexdigest()[:32]}"'
    kept = {"ETag": tag, "Cache-Control": REVALIDATE, "Vary": f"Accept, {VARY}", **headers}
    if is_given(tag, given):
        return Response(HTTPStatus.NOT_MODIFIED, "", "", kept)
    return Response(HTTPStatus.OK, content_type, body, kept)


def is_given(tag: str, given: str | None) -> bool:
    """Whether a tag is among those of an If-None-Match, which compares weakly (RFC 9110, section 13.1.2)."""
    tags = [entry.strip().removeprefix("W/") for entry in (given or "").split(",")]
    return tag.removeprefix("W/") in tags or tags == ["*"]
