"""Cursors of a replay."""

import re
from uuid import UUID

import pytest

from dropzone.domain.identifiers import POSITION_PATTERN, Cursor, Position, parse_cursor

ID = UUID("016a72d6-2d00-7000-8000-000000000000")


@pytest.mark.parametrize(
    ("cursor", "text"),
    [
        (ID, f"{ID}"),
        (Position(ID, 0), f"{ID}.0"),
        (Position(ID, 99_999), f"{ID}.99999"),
        (Position(ID, 5_000, has_rejected=True), f"{ID}.5000.rejected"),
    ],
)
def test_cursors_are_read_as_they_are_written(cursor: Cursor, text: str) -> None:
    assert str(cursor) == text
    assert re.fullmatch(POSITION_PATTERN, text)
    assert parse_cursor(text) == cursor
