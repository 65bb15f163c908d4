"""Hand notifications over, and deliver them: at least once to each channel.

Between the two is S3, which the functions in the network reach: from there nothing else can be called. An object is
written once for each channel, and its delivery is tried by the queue until it succeeds.
"""

from collections.abc import Callable, Mapping, Sequence

from dropzone.domain.notifications import CHANGES, Channel
from dropzone.ports import Deliver, ExpectationStore, Notifications, TimeLeft
from dropzone.use_cases.objects import RESERVE_SECONDS

_PAGE = 20


def hand_over(
    store: ExpectationStore, notifications: Notifications, channels: Sequence[Channel], *, time_left: TimeLeft
) -> int:
    """Hand over what was written and not handed over yet; returns how many batches of changes.

    A crash in between leaves a batch where it is: it is handed over again, under the same names.

    Raises:
        SilverUnavailableError, SilverConflictError, BronzeUnavailableError: the rest is left to the next run.
    """
    done = 0
    while time_left() >= RESERVE_SECONDS:
        batches = store.unsent(_PAGE)
        for batch_id, changes in batches:
            for channel in channels:
                notifications.put(channel, batch_id, changes)
            store.sent(batch_id)
            done += 1
        if len(batches) < _PAGE:
            break
    return done


def deliver(
    channel: Channel, batch_id: str, notifications: Notifications, ways: Mapping[Channel, Callable[[], Deliver]]
) -> int:
    """Deliver a batch to a channel; returns how many changes.

    Raises:
        UndeliverableError, BronzeUnavailableError: it has to be tried again.
    """
    changes = CHANGES.validate_json(notifications.read(channel, batch_id))
    ways[channel]()(batch_id, changes)
    return len(changes)
