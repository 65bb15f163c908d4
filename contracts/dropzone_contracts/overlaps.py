"""Whether two patterns of sources are as specific as each other, and hold for one source: then neither wins."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache

from dropzone.domain.contracts.contract import Contract
from dropzone.domain.patterns import literal_beginning, specificity


def overlaps(contracts: Sequence[Contract]) -> Iterator[tuple[Contract, Contract, str, str]]:
    """Pairs of contracts that no rule decides between, each with the pattern that makes it so."""
    alike: defaultdict[tuple[int, int], list[tuple[str, str, Contract]]] = defaultdict(list)
    for contract in contracts:
        for pattern in contract.sources:
            alike[specificity(pattern)].append((literal_beginning(pattern), pattern, contract))
    for group in alike.values():
        group.sort(key=lambda entry: entry[0])
        for number, (beginning, one, first) in enumerate(group):
            for other_beginning, other, second in group[number + 1 :]:
                if not other_beginning.startswith(beginning):
                    break  # those that begin so follow each other
                if first is not second and _overlap(one, other):
                    yield first, second, one, other


def _overlap(one: str, other: str) -> bool:
    """Whether there is a text that both match."""

    @cache
    def rest(at: int, on: int) -> bool:
        if at < len(one) and one[at] == "*":
            return rest(at + 1, on) or (on < len(other) and rest(at, on + 1))
        if on < len(other) and other[on] == "*":
            return rest(at, on + 1) or (at < len(one) and rest(at + 1, on))
        if at == len(one) or on == len(other):
            return at == len(one) and on == len(other)
        return (one[at] == other[on] or "?" in {one[at], other[on]}) and rest(at + 1, on + 1)

    return rest(0, 0)
