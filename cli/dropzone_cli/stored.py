"""An object in bronze: its bytes as received, and its text or that of one of its events."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from dropzone_cli.aws import get_object
from dropzone_cli.errors import CliError, ExitCode
from dropzone_cli.formats import object_key
from dropzone_cli.sending.json_reader import elements

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from dropzone_cli.target import Target

_LINES = re.compile(r"(?:application|text)/(?:x-)?(?:(?:nd|ld)-?json|json-?l|json-?lines)(?=[; ]|$)", re.IGNORECASE)
"""The media types of lines that ingest accepts."""
_GZIP = b"\x1f\x8b"
_MARK = b"\xef\xbb\xbf"
_BLANK = b" \t\r\n"
_DAMAGED = (OSError, EOFError, zlib.error)


@dataclass(frozen=True, slots=True)
class Stored:
    """An object that is being read."""

    size: int
    """The stored size, in bytes."""
    body: io.BufferedReader[Any]
    content_type: str
    is_packed: bool

    @property
    def text(self) -> BinaryIO:
        """The unpacked body."""
        return cast("BinaryIO", gzip.GzipFile(fileobj=self.body) if self.is_packed else self.body)

    def beginning(self, size: int) -> bytes:
        """The first bytes of the text, or of the stored bytes if they can't be unpacked."""
        bare = self.body.peek(size)[:size]
        try:
            return self.text.read(size)
        except _DAMAGED:
            return bare

    def item(self, number: int) -> bytes | None:
        """The text of one event; None if there are fewer, or if the body is damaged before it."""
        return next(islice(self.items(), number, None), None)

    def items(self) -> Iterator[bytes]:
        """The texts of all events, up to any damage of the body."""
        try:
            yield from self._items()
        except (*_DAMAGED, ValueError):
            return

    def _items(self) -> Iterator[bytes]:
        text = io.BufferedReader(cast("io.RawIOBase", self.text))
        if text.peek(len(_MARK)).startswith(_MARK):
            text.read(len(_MARK))
        if _LINES.match(self.content_type):
            return (line.rstrip(b"\n") for line in text if line.strip(_BLANK))
        if text.peek(1).lstrip(_BLANK).startswith(b"["):
            return (element.encode() for element in elements(text.read().decode()))
        return iter([text.read()])


def of_answer(content_type: str, content: bytes) -> Stored:
    """An object from the API's answer."""
    return Stored(
        len(content),
        io.BufferedReader(cast("io.RawIOBase", io.BytesIO(content))),
        content_type,
        content.startswith(_GZIP),
    )


@contextmanager
def stored(target: Target, raw_id: UUID) -> Iterator[Stored]:
    """Open an object in bronze for reading.

    Raises:
        CliError: there is no such object.
    """
    resources = target.needed_resources()
    answer = get_object(resources.aws.s3(), resources.bucket, object_key(raw_id))
    if answer is None:
        message = f"Bronze of {target.name} has no object of {raw_id}."
        raise CliError(message, hint="Check the RAW_ID and the stack.", exit_code=ExitCode.NOT_ALL_WELL)
    with io.BufferedReader(cast("io.RawIOBase", answer["Body"])) as body:
        yield Stored(
            answer["ContentLength"], body, answer.get("ContentType", ""), answer.get("ContentEncoding", "") == "gzip"
        )
