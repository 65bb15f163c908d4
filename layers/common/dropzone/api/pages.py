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

MAX_BYTES = 5_500_000
"""The limit for rows. Lambda's response has at most 6,291,556 bytes, including the body, escaped or in base64."""

REVALIDATE = "private, no-cache"
"""`Cache-Control` of what may change at any time: a cached copy has to be revalidated, by its tag."""

KEEP = "private, max-age=86400, immutable"
"""`Cache-Control` of what never changes."""

VARY = "Authorization, X-Api-Key"
"""A browser's cached response to one key must not be used for another one."""

_MARK = "\ufeff"
"""The byte order mark, by which a spreadsheet detects UTF-8."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""The first characters of cells that spreadsheets may run as formulas (OWASP, CSV injection)."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Listing[R]:
    """A list: its name, the typed dictionaries of a page and of a row (whose fields are CSV columns), its cursors."""

    name: str
    page: type
    row: type[R]
    cursor: Callable[[R], str]
    """Returns the cursor to continue after a row."""


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
    """The body of a list and its headers; if there are more rows, both have the cursor of the next page.

    `found` has one row more than the limit if there are more. In JSON, `others` are added next to the rows. A response
    that will be compressed (`gzip`) may have more rows.
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
    """The first rows that fit into Lambda's response together, compressed or not; at least one."""
    remaining = iter(rows)
    fit, excess = _until_full(remaining, _Plain().size_with)
    if excess and gzip:
        fit, _ = _until_full(chain(fit, excess, remaining), Compressor().size_with)
    return fit


def _until_full(rows: Iterator[str], size_with: Callable[[str], int]) -> tuple[list[str], list[str]]:
    """The first rows that fit, at least one; and the first that doesn't, if any."""
    fit: list[str] = []
    for row in rows:
        if size_with(row) > MAX_BYTES and fit:
            return fit, [row]
        fit.append(row)
    return fit, []


class _Plain:
    """Measures the size of uncompressed rows."""

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
    """None for null; numbers, lists and objects as in JSON; strings in JSON without their quotes."""
    if isinstance(value, str):
        # A leading apostrophe makes a spreadsheet treat it as text. Numbers are not text, and keep their signs.
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
    """A response with an ETag, or 304 if the client already has it, by the tags in If-None-Match (`given`).

    The tag is weak, since it covers both the compressed and the uncompressed body (RFC 9110, section 8.8.1).
    """
    tag = f'W/"{hashlib.sha256(body.encode()).hexdigest()[:32]}"'
    kept = {"ETag": tag, "Cache-Control": REVALIDATE, "Vary": f"Accept, {VARY}", **headers}
    if is_given(tag, given):
        return Response(HTTPStatus.NOT_MODIFIED, "", "", kept)
    return Response(HTTPStatus.OK, content_type, body, kept)


def is_given(tag: str, given: str | None) -> bool:
    """Whether a tag is among those in If-None-Match, by weak comparison (RFC 9110, section 13.1.2)."""
    tags = [entry.strip().removeprefix("W/") for entry in (given or "").split(",")]
    return tag.removeprefix("W/") in tags or tags == ["*"]
