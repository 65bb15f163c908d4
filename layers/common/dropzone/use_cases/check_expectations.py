"""Compare sources with what is expected of them over time; what has changed becomes notifications."""

from collections.abc import Mapping

from dropzone.domain.contracts import Contracts
from dropzone.domain.expectations import Expectation
from dropzone.ports import ExpectationStore, Standing, TimeLeft
from dropzone.use_cases.objects import RESERVE_SECONDS

_PAGE = 10_000


def check_expectations(
    store: ExpectationStore, contracts: Contracts, *, time_left: TimeLeft
) -> Mapping[Expectation, Standing]:
    """Find the contract of sources that need one, and check all sources; returns how they do.

    Where time is short, the rest is left to the next run, and the result may be empty.

    Raises:
        SilverUnavailableError, SilverConflictError: what was written until then stays.
    """
    store.deploy()
    while time_left() >= RESERVE_SECONDS:
        page = store.unassigned(contracts.ruleset, _PAGE)
        if page:
            chosen = {source: contracts.expecting(source, decided_by).id for source, decided_by in page}
            store.assign(contracts.ruleset, chosen)
        if len(page) < _PAGE:
            break
    return store.check() if time_left() >= RESERVE_SECONDS else {}
