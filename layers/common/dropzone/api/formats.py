"""The formats that lists are answered in, and which of them a client accepts best (RFC 9110, section 12.5.1)."""

from collections.abc import Mapping
from enum import StrEnum

from dropzone.api import problems
from dropzone.api.gateway import Preference, preferences
from dropzone.api.problems import ProblemError


class MediaType(StrEnum):
    """What an answer may be, as `Accept` names it; the first is sent where any will do."""

    @property
    def media_type(self) -> str:
        """Without parameters."""
        return self.partition(";")[0]

    @property
    def parameters(self) -> Mapping[str, str]:
        """What a media range may ask for and find here; others are ignored."""
        return {}


class Format(MediaType):
    """A format of a list."""

    JSON = "application/json"
    NDJSON = "application/x-ndjson"
    CSV = "text/csv"
    """As RFC 4180 has it, for programs."""
    SPREADSHEET = "text/csv; profile=spreadsheet"
    """For people: with a byte order mark, and without texts that a spreadsheet would run as formulas."""

    @property
    def is_csv(self) -> bool:
        """Whether it is one of the two kinds of CSV."""
        return self.media_type == Format.CSV

    @property
    def content_type(self) -> str:
        """The answer's `Content-Type`."""
        profile = "; profile=spreadsheet" if self is Format.SPREADSHEET else ""
        return f"text/csv; charset=utf-8; header=present{profile}" if self.is_csv else self.value

    @property
    def parameters(self) -> Mapping[str, str]:
        if not self.is_csv:
            return {}
        return {"header": "present", "profile": "spreadsheet" if self is Format.SPREADSHEET else ""}


def best_format[F: MediaType](accept: str | None, formats: type[F]) -> F:
    """The one of some formats that a client accepts best.

    Raises:
        ProblemError: it accepts none of them.
    """
    ranges = preferences(accept or "*/*")

    def weight(form: F) -> float:
        matching = [(found, each.weight) for each in ranges if (found := _precedence(each, form)) is not None]
        return max(matching, default=((0, 0), 0.0))[1]

    best = max(formats, key=weight)
    if weight(best) <= 0:
        raise ProblemError(problems.NOT_ACCEPTABLE, ", ".join(formats))
    return best


def _precedence(preference: Preference, form: MediaType) -> tuple[int, int] | None:
    """How specifically it names a format; None where it doesn't."""
    names = ["*/*", f"{form.media_type.partition('/')[0]}/*", form.media_type]
    if preference.name not in names or any(
        preference.parameters.get(name, value) != value for name, value in form.parameters.items()
    ):
        return None
    return names.index(preference.name), len(preference.parameters.keys() & form.parameters.keys())
