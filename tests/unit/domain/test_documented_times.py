"""The table of the forms of a time in docs/errors.md is what the parser does."""

import re
from pathlib import Path

import pytest

from dropzone.domain.instants import parse_instant
from dropzone.domain.outcomes import Code, Violation

_PAGE = Path(__file__).parents[3] / "docs" / "errors.md"
_ROWS = {
    name: (re.findall(r"`([^`]+)`", taken), re.findall(r"`([^`]+)`", refused))
    for name, taken, refused in re.findall(
        r"^\| (date|between them|time|offset) \| (.*?) \| (.*?) \|$", _PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
}
_WHOLE = {
    "date": "{}T06:00:00Z",
    "between them": "2019-05-01{}06:00:00Z",
    "time": "2019-05-01T{}Z",
    "offset": "2019-05-01T06:00:00{}",
}


@pytest.mark.parametrize(("part", "text"), [(part, text) for part, (taken, _) in _ROWS.items() for text in taken])
def test_documented_form_is_taken(part: str, text: str) -> None:
    assert not isinstance(parse_instant(_WHOLE[part].format(text)), Violation)


@pytest.mark.parametrize(("part", "text"), [(part, text) for part in ("date", "time") for text in _ROWS[part][1]])
def test_documented_form_is_refused(part: str, text: str) -> None:
    found = parse_instant(_WHOLE[part].format(text))

    assert isinstance(found, Violation)
    assert found.code is Code.TIME_STAMP_NOT_ISO8601


def test_refusal_says_which_form_is_taken() -> None:
    form, exists = parse_instant("2019-05-01T24:00Z"), parse_instant("2019-02-30T06:00Z")

    assert isinstance(form, Violation)
    assert form.message == "is not of the form YYYY-MM-DDThh:mm[:ss[.f]] with an offset: '2019-05-01T24:00Z'"
    assert isinstance(exists, Violation)
    assert exists.message == "names a date or a time that does not exist: '2019-02-30T06:00Z'"
