"""Instants as people type them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import typer

_AGO = re.compile(r"(\d{1,6})\s*([smhdw])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

FORMS = "An instant (2026-11-24T06:00:00Z), a day (2026-11-24: its start in UTC), or how long ago (90m, 12h, 7d)."


def parse_instant(text: str) -> datetime:
    """Parse an instant; see `FORMS`."""
    if ago := _AGO.fullmatch(text.strip()):
        try:
            return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        except OverflowError:
            raise typer.BadParameter(f"{text!r} is before the year 1.") from None
    try:
        instant = datetime.fromisoformat(text.strip())
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not an instant. {FORMS}") from None
    if instant.tzinfo is None:
        if instant.time() != datetime.min.time() or len(text.strip()) > len("2026-11-24"):
            raise typer.BadParameter(f"{text!r} has no offset from UTC: add one, such as Z or +02:00.")
        return instant.replace(tzinfo=UTC)
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise typer.BadParameter(f"{text!r} is outside the years 1 to 9999 in UTC.") from None


def instant_option(*names: str, help: str) -> Any:  # noqa: ANN401 - Typer's own words
    """An option that takes an instant; see `FORMS`."""
    return typer.Option(*names, parser=parse_instant, metavar="TIME", help=help)


def rfc3339(instant: datetime, timespec: str = "auto") -> str:
    """Format an instant for the API, in UTC; `timespec` as for `isoformat`."""
    return instant.astimezone(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


def bounds(since: datetime | None, until: datetime | None) -> dict[str, str]:
    """The parameters `from` and `to` of the API, for a range."""
    instants = {"from": since, "to": until}
    return {name: rfc3339(instant) for name, instant in instants.items() if instant is not None}
