"""Batches: so many events that one request carries, cut the same way whenever the same input is read."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from dropzone_cli.sending.events import Event, Read, Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a batch may be."""

    events: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Some events of an input, next to each other."""

    number: int
    """In its input, from 0."""
    body: bytes
    """A line for each event."""
    events: int
    first: int
    last: int
    """Its lines."""
    size: int = 0
    """Bytes of the input that it takes, about, including what was skipped before it."""

    @property
    def digest(self) -> str:
        """Identifies the batch by its content."""
        return sha256(self.body).hexdigest()[:32]


def cut(
    found: Iterable[Read],
    shape: Shape,
    *,
    size_of: Callable[[int], int | None] = lambda _: None,
    unreadable: Callable[[Unreadable], object] = lambda _: None,
    position: Callable[[], int] = lambda: 0,
) -> Iterator[Batch]:
    """Cut events into batches.

    Args:
        found: what an input holds.
        shape: the most of a batch; an event that has more bytes goes alone.
        size_of: how many events the batch of a number had in an earlier run, which it has again.
        unreadable: called with what is no event, before the batch of the events around it.
        position: how far the input was read.
    """
    reached = 0
    for number, held in enumerate(_groups(found, shape, size_of, unreadable)):
        body = b"".join(b"%b\n" % event.text for event in held)
        before, reached = reached, position()
        yield Batch(number, body, len(held), held[0].first, held[-1].last, reached - before)


def _groups(
    found: Iterable[Read],
    shape: Shape,
    size_of: Callable[[int], int | None],
    unreadable: Callable[[Unreadable], object],
) -> Iterator[list[Event]]:
    number, held, length = 0, list[Event](), 0
    for one in found:
        if isinstance(one, Unreadable):
            unreadable(one)
            continue
        size = size_of(number)
        if size is None and held and length + len(one.text) + 1 > shape.bytes:
            yield held
            number, held, length = number + 1, [], 0
            size = size_of(number)
        held.append(one)
        length += len(one.text) + 1
        if len(held) == (size or shape.events):
            yield held
            number, held, length = number + 1, [], 0
    if held:
        yield held
