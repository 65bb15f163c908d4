"""Foreign text, made safe for a terminal; times and counts for people."""

from datetime import UTC, datetime, timedelta

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def printable(text: str, *, keep: str = "") -> str:
    """Escape characters that could control a terminal or mislead a reader, such as invisible or bidirectional ones."""
    return "".join(
        sign if sign.isprintable() or sign in keep else sign.encode("unicode_escape", "backslashreplace").decode()
        for sign in text
    )


def preview(body: bytes) -> str:
    """Show bytes as text: line ends and tabs are kept; what is not UTF-8 or not printable is escaped."""
    return printable(body.decode("utf-8", "backslashreplace"), keep="\n\t")


def age(since: datetime, now: datetime | None = None) -> str:
    """Return the time since an instant, in the largest unit."""
    seconds = max(timedelta(0), (now or datetime.now(UTC)) - since) // timedelta(seconds=1)
    name, size = next(((name, size) for name, size in _UNITS if seconds >= size), _UNITS[-1])
    return f"{seconds // size} {name}"


def count(number: int, noun: str) -> str:
    """Format a number of things: `1 message`, `2,000 messages`, `3 batches`."""
    ending = "" if number == 1 else "es" if noun.endswith("ch") else "s"
    return f"{number:,} {noun}{ending}"
