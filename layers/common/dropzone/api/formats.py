"""The formats of lists, and content negotiation (RFC 9110, section 12.5.1)."""

from collections.abc import Mapping
from enum import StrEnum

from dropzone.api import problems
from dropzone.api.gateway import Preference, preferences
from dropzone.api.problems import ProblemError


class MediaType(StrEnum):
    """The formats of an answer, as `Accept` names them; the first one is the default."""

    @property
    def media_type(self) -> str:
        """The media type without parameters."""
        return self.partition(";")[0]

    @property
    def parameters(self) -> Mapping[str, str]:
        """The parameters that a media range is compared with; others are ignored."""
        return {}


class Format(MediaType):
    """A format of a list."""

    JSON = "application/json"
    NDJSON = "application/x-ndjson"
    CSV = "text/csv"
    """CSV for programs, according to RFC 4180."""
    SPREADSHEET = "text/csv; profile=spreadsheet"
    """CSV for people: with a byte order mark, and without texts that a spreadsheet would run as formulas."""

    @property
    def is_csv(self) -> bool:
        """Whether it is one of the two CSV formats."""
        return self.media_type == Format.CSV

    @property
    def content_type(self) -> str:
        """The value of the answer's `Content-Type`."""
        profile = "; profile=spreadsheet" if self is Format.SPREADSHEET else ""
        return f"text/csv; charset=utf-8; header=present{profile}" if self.is_csv else self.value

    @property
    def parameters(self) -> Mapping[str, str]:
        if not self.is_csv:
            return {}
        return {"header": "present", "profile": "spreadsheet" if self is Format.SPREADSHEET else ""}


def best_format[F: MediaType](accept: str | None, formats: type[F]) -> F:
    """The format that a client prefers.

    Raises:
        ProblemError: the client accepts none of the formats.
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
    """How specifically an entry of `Accept` matches a format; None if it doesn't match."""
    names = ["*/*", f"{form.media_type.partition('/')[0]}/*", form.media_type]
    if preference.name not in names or any(
        preference.parameters.get(name, value) != value for name, value in form.parameters.items()
    ):
        return None
    return names.index(preference.name), len(preference.parameters.keys() & form.parameters.keys())
