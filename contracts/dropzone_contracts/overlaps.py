"""Whether two patterns of sources are as specific as each other, and hold for one source: then neither wins."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from dropzone.domain.contracts import Contract
from dropzone.domain.patterns import literal_beginning, may_overlap, specificity


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
                if first is not second and may_overlap(one, other):
                    yield first, second, one, other
