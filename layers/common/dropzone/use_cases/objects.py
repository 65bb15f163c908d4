"""Process a chunk of objects: read them, validate them, write their outcomes. What `process` and `sweep` share."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from uuid import UUID

from dropzone.ports import (
    Bronze,
    BronzeError,
    ListedObject,
    ObjectMissingError,
    RawObject,
    Silver,
    SilverError,
    SilverUnavailableError,
    TimeLeft,
)
from dropzone.use_cases.result import ObjectError, ProcessingResult
from dropzone.use_cases.retries import LAST_SECONDS, RESERVE_SECONDS, with_retries
from dropzone.use_cases.writing import Writer

MAX_CHUNK_BYTES = 32 * 1024 * 1024
"""The most bytes of objects that are held at once, by their notified size."""

MAX_CHUNK_OBJECTS = 1_000
"""The most objects in one transaction: a statement gains nothing from more."""

ON_REQUEST_CHUNK_OBJECTS = 100
"""The same where somebody waits: of single events, as many as the time that is kept back is enough for."""


def chunks(objects: Iterable[ListedObject], limit: int = MAX_CHUNK_OBJECTS) -> Iterator[list[ListedObject]]:
    """Cut objects into chunks of bounded size and number; one that is larger than the bound is alone in its chunk."""
    chunk: list[ListedObject] = []
    size = 0
    for listed in objects:
        if chunk and (size + listed.size > MAX_CHUNK_BYTES or len(chunk) == limit):
            yield chunk
            chunk, size = [], 0
        chunk.append(listed)
        size += listed.size
    if chunk:
        yield chunk


def process_objects(
    raw_ids: Sequence[UUID],
    result: ProcessingResult,
    *,
    bronze: Bronze,
    silver: Silver,
    time_left: TimeLeft,
    known: Collection[UUID] = (),
) -> list[UUID]:
    """Read, validate and write objects, each independently of the others; adds to `result` what became of each.

    Reading gets half of the time that is left, so that what was read by then is settled. Long objects come last, so
    that they hold up none of the others, and are written part by part: the next call goes on behind the parts that
    this one wrote.

    Args:
        raw_ids: of the objects.
        result: where to count.
        bronze: the objects.
        silver: the tables.
        time_left: the seconds left in this call.
        known: those that have a receipt, and of which parts may be written.

    Returns:
        The objects for which no time was left; parts of the long ones may be written.

    Raises:
        SilverUnavailableError: the database can't be used; nothing of what was not counted is settled.
    """
    written = with_retries(lambda: silver.written(known), time_left) if known else {}
    writer = Writer(result, silver, time_left)
    deferred: list[UUID] = []
    in_parts: list[RawObject] = []
    for number, found in enumerate(bronze.read(raw_ids, timeout=time_left() / 2)):
        if number and time_left() < LAST_SECONDS:
            deferred += raw_ids[number:]
            break
        if not isinstance(found, RawObject):
            result.errors.append(unread(raw_ids[number], found))
        elif found.raw_id in written or not writer.add(found):
            in_parts.append(found)
    writer.flush()
    for number, raw in enumerate(in_parts):
        has_time = time_left() >= (RESERVE_SECONDS if number else LAST_SECONDS)
        if not has_time or not writer.add_in_parts(raw):
            deferred.append(raw.raw_id)
    return deferred


def process_with_attempts(
    raw_ids: Sequence[UUID],
    result: ProcessingResult,
    *,
    bronze: Bronze,
    silver: Silver,
    time_left: TimeLeft,
    only_due: bool,
    known: Collection[UUID] = (),
) -> list[UUID]:
    """Record an attempt on each object before it is touched, then process those whose attempt was recorded.

    An attempt counts when it ended the process, or showed that the object can't be settled as it is; not when bronze
    or silver was out of reach, nor when no time was left for it.

    Returns:
        As for `process_objects`.

    Raises:
        SilverUnavailableError: as for `process_objects`.
    """
    recorded = with_retries(lambda: silver.record_attempts(raw_ids, only_due=only_due), time_left)
    chosen = [raw_id for raw_id in raw_ids if raw_id in recorded]
    if not chosen:
        return []
    before = len(result.errors)
    try:
        deferred = process_objects(chosen, result, bronze=bronze, silver=silver, time_left=time_left, known=known)
    except SilverUnavailableError as error:
        # The database that just failed may not take this either: the release is then made with a later call.
        with suppress(SilverError):
            silver.release_attempts(dict.fromkeys(chosen, f"SilverUnavailableError: {error}"))
        raise
    failures = result.errors[before:]
    if transient := {failure.raw_id: failure.reason for failure in failures if not failure.terminal}:
        with_retries(lambda: silver.release_attempts(transient), time_left)
    if unfinished := dict.fromkeys(deferred, "no time was left"):
        with_retries(lambda: silver.release_attempts(unfinished, retry_now=True), time_left)
    if terminal := {failure.raw_id: failure.reason for failure in failures if failure.terminal}:
        with_retries(lambda: silver.record_errors(terminal), time_left)
    return deferred


def unread(raw_id: UUID, error: BronzeError) -> ObjectError:
    """The failure of an object that could not be read."""
    return ObjectError(raw_id, f"{type(error).__name__}: {error}", terminal=isinstance(error, ObjectMissingError))
