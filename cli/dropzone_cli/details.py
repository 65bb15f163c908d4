"""The API's status of an object, in a few words or in full."""

from typing import Any, TypeAlias
from uuid import UUID

from dropzone_cli.text import count

Document: TypeAlias = dict[str, Any]


def reasons(violations: object) -> str:
    """Describe the broken rules in a line."""
    return "; ".join(
        f"{entry.get('code')}: {entry.get('field')} {entry.get('message')}" for entry in _documents(violations)
    )


def _documents(value: object) -> list[Document]:
    """Return the documents in a list; anything else, from an API of another version, is skipped."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def is_batch(status: Document) -> bool:
    """Return whether an object has several events."""
    return isinstance(status.get("counts"), dict)


def rejected_of(status: Document) -> int:
    """Return the number of rejected events in a batch."""
    number = status["counts"].get("rejected") if is_batch(status) else 0
    return number if isinstance(number, int) else 0


def _in_brief_batch(status: Document) -> str:
    """Describe a batch: the number of events in each status, and the reasons of the first rejected ones."""
    counts = ", ".join(f"{number:,} {state}" for state, number in status["counts"].items() if number)
    listed = _documents(status.get("rejections"))
    parts = [f"item {entry.get('item')} {reasons(entry.get('violations'))}" for entry in listed]
    if 0 < len(listed) < rejected_of(status):
        parts.append(f"and {rejected_of(status) - len(listed):,} more")
    return f"{_events(status)}: {counts}" + "".join(f"; {part}" for part in parts)


def _events(status: Document) -> str:
    items = status.get("items")
    return count(items, "event") if isinstance(items, int) else "events"


def in_brief(status: Document) -> str:
    """Describe an object or an event in a line."""
    if is_batch(status):
        return _in_brief_batch(status)
    match status.get("status"):
        case "processed" | "superseded":
            return _figures(status)
        case "rejected":
            return reasons(status.get("violations", []))
        case "accepted" | "stuck":
            tries = f"{status.get('attempts', 0)} failed tries" if status.get("attempts") else ""
            return ": ".join(part for part in (tries, str(status.get("last_error") or "")) if part)
        case "archived":
            return f"since {status.get('archived_at')}; dropzone archive --restore brings its month back"
        case _:
            return "no such object was accepted, or it was deleted"


def _figures(status: Document) -> str:
    """Describe a processed event, and whether a later one replaced it."""
    figures = (
        f"{status.get('measured_at')} mean {status.get('mean')} std_dev {status.get('std_dev')}"
        f" of {status.get('sample_count')}"
    )
    if status.get("status") == "superseded":
        return f"{figures}, superseded by {status.get('superseded_by')}"
    return f"{figures}, unless an archived event replaced it" if "may_be_superseded" in status else figures


def in_full(status: Document) -> list[tuple[str, str]]:
    """Return all fields and violations as names and values, one line each."""
    pairs: list[tuple[str, str]] = []
    for name, value in status.items():
        if name == "counts" and isinstance(value, dict):
            pairs += [(state, str(number)) for state, number in value.items()]
        elif name not in {"violations", "rejections", "events"}:
            pairs.append((name, str(value)))
    pairs += [("violation", reasons([entry])) for entry in _documents(status.get("violations"))]
    pairs += [
        (f"item {entry.get('item')}", f"rejected: {reasons(entry.get('violations'))}")
        for entry in _documents(status.get("rejections"))
    ]
    return pairs


def unknown(raw_id: UUID) -> Document:
    return {"raw_id": str(raw_id), "status": "unknown"}
