"""The forms that measurements are answered in, and which of them a client takes best (RFC 9110, section 12.5.1)."""

from enum import StrEnum


class Format(StrEnum):
    """A form of a list, by its media type; the first is the one that is sent where any will do."""

    JSON = "application/json"
    NDJSON = "application/x-ndjson"
    CSV = "text/csv"


def best_format(accept: str | None) -> Format | None:
    """The form that a client takes best, None where it takes none of them."""
    weights = dict(map(_weight, (accept or "*/*").lower().split(",")))

    def weight(form: Format) -> float:
        kind = form.partition("/")[0]
        return next((weights[taken] for taken in (form, f"{kind}/*", "*/*") if taken in weights), 0.0)

    best = max(Format, key=weight)
    return best if weight(best) > 0 else None


def _weight(entry: str) -> tuple[str, float]:
    """A media range and its weight: 1 without one, 0 where it can't be read."""
    media_range, *parameters = (part.strip() for part in entry.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "q":
            try:
                return media_range, min(max(float(value), 0.0), 1.0)
            except ValueError:
                return media_range, 0.0
    return media_range, 1.0
