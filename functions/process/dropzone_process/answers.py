"""What `POST /process` answers."""

from typing import Annotated, NotRequired, TypedDict

from pydantic import Field

from dropzone.api.answers import Count, answer, closed
from dropzone.domain.identifiers import POSITION_PATTERN


@closed
class Changes(TypedDict):
    """Events by what a replay changed for them (with `dry_run`: would change)."""

    same: Count
    new: Count
    now_processed: Count
    now_rejected: Count
    other_figures: Count
    other_flags: Count
    other_reasons: Count
    gone: Count


@answer({"checked": 1, "processed": 1, "failed": 0})
class Counts(TypedDict):
    """Objects that this call processed: checked = processed + failed."""

    checked: Count
    processed: Annotated[int, Field(ge=0, description="Objects without a rejected event.")]
    failed: Annotated[int, Field(ge=0, description="Objects with a rejected event; they stay in bronze.")]
    changes: NotRequired[Annotated[Changes, Field(description="With `reprocess`.")]]
    unread: NotRequired[
        Annotated[
            int,
            Field(
                ge=0,
                description="With `reprocess`: objects that could not be replayed; their outcomes stay as they are.",
            ),
        ]
    ]
    cursor: NotRequired[
        Annotated[
            str,
            Field(
                pattern=POSITION_PATTERN,
                description=(
                    "Where to go on: there if limit or time ended the call before the bucket did. `<raw_id>` is "
                    "behind an object. With `reprocess` it may lie within one of many events, `<raw_id>.<item>`: the "
                    "next call goes on with that event, and counts the object once its last event is replayed."
                ),
            ),
        ]
    ]
