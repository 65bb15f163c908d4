"""What the API tells of an object, in a few words or in full."""

from typing import Any
from uuid import UUID

type Document = dict[str, Any]


def reasons(violations: object) -> str:
    """Put the broken rules into a line."""
    return "; ".join(
        f"{entry.get('code')}: {entry.get('field')} {entry.get('message')}" for entry in _documents(violations)
    )


def _documents(value: object) -> list[Document]:
    """A list of documents; what an API of another version may send instead is passed over."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def in_brief(status: Document) -> str:
    """Say in a line what there is to say of an object in its state."""
    match status.get("status"):
        case "processed" | "superseded" as state:
            figures = (
                f"{status.get('measured_at')} mean {status.get('mean')} std_dev {status.get('std_dev')}"
                f" of {status.get('sample_count')}"
            )
            return f"{figures}, superseded by {status.get('superseded_by')}" if state == "superseded" else figures
        case "rejected":
            return reasons(status.get("violations", []))
        case "accepted" | "stuck":
            tries = f"{status.get('attempts', 0)} failed tries" if status.get("attempts") else ""
            return ": ".join(part for part in (tries, str(status.get("last_error") or "")) if part)
        case _:
            return "no such object was ever taken in, or it is gone"


def in_full(status: Document) -> list[tuple[str, str]]:
    """Give every field a line, and every violation."""
    pairs = [(name, str(value)) for name, value in status.items() if name != "violations"]
    pairs += [("violation", reasons([entry])) for entry in _documents(status.get("violations"))]
    return pairs


def unknown(raw_id: UUID) -> Document:
    """What is told of an object that isn't there."""
    return {"raw_id": str(raw_id), "status": "unknown"}
