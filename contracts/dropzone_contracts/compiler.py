"""Compiles a folder of contracts to the files in the layer."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from dropzone.domain.contracts import DEFAULT, CompiledContracts, Contract
from dropzone.domain.expectations import EXPECTATIONS
from dropzone.domain.patterns import literal_beginning, may_overlap, specificity
from dropzone_contracts.document import ContractError, Document, Finding
from dropzone_contracts.service_levels import expectations_of
from dropzone_contracts.translate import translate

SUFFIX = ".odcs.yaml"
RUNNING = frozenset({"active", "deprecated"})
"""The statuses of contracts that apply; all others are only checked."""


class Compiled(NamedTuple):
    """What the layer contains of the contracts that apply."""

    contracts: str
    """The contracts as JSON."""
    expectations: str
    """Their expectations as JSON."""
    texts: Mapping[str, str]
    """Their YAML sources by identifier."""


def compile_folder(folder: Path) -> Compiled:
    """Compile the contracts of a folder.

    Raises:
        ContractError: contracts can't be used; it lists everything that is wrong.
    """
    found = running((file.name, file.read_bytes()) for file in sorted(folder.glob(f"*{SUFFIX}")))
    expectations = tuple(expectations_of(document) for document, _ in found)
    return Compiled(
        _as_json(found),
        EXPECTATIONS.dump_json(expectations, indent=1).decode() + "\n",
        {contract.id: (folder / document.name).read_text(encoding="utf-8") for document, contract in found},
    )


def compile_documents(files: Iterable[tuple[str, bytes]], whatever_status: Collection[str] = ()) -> str:
    """The compiled contracts of files, given as names and texts; drafts only if they are in `whatever_status`."""
    return _as_json(running(files, whatever_status))


def _as_json(found: Iterable[tuple[Document, Contract]]) -> str:
    return CompiledContracts(contracts=tuple(contract for _, contract in found)).model_dump_json(indent=1) + "\n"


def running(
    files: Iterable[tuple[str, bytes]], whatever_status: Collection[str] = (), *, is_complete: bool = True
) -> list[tuple[Document, Contract]]:
    """The contracts in files that apply.

    Files are names and texts. Those in `whatever_status` apply even if they are drafts. If the files are complete,
    they must include the default contract.

    Raises:
        ContractError: contracts can't be used; it lists everything that is wrong.
    """
    findings: list[Finding] = []
    contracts = dict[str, tuple[Document, Contract]]()
    for name, text in files:
        try:
            document = Document(name, text)
            contract = translate(document)
            expectations_of(document)
        except ContractError as error:
            findings += error.findings
            continue
        if contract.id in contracts:
            other_file = contracts[contract.id][0].name
            findings.append(document.finding(("id",), f"the id {contract.id!r} is also that of {other_file}"))
        elif document.contract.status in RUNNING or name in whatever_status:
            contracts[contract.id] = document, contract
    for first, second, one, other in overlaps([contract for _, contract in contracts.values()]):
        findings.append(
            contracts[second.id][0].finding(
                ("customProperties",),
                f"the pattern {other!r} and {one!r} of the contract {first.id!r} are equally specific and "
                "match the same sources: make one of them more specific",
            )
        )
    if DEFAULT not in contracts and not findings and is_complete:
        findings.append(Finding(f"{DEFAULT}{SUFFIX}", 1, f"is missing: there must be an active contract {DEFAULT!r}"))
    elif DEFAULT in contracts and contracts[DEFAULT][1].sources:
        findings.append(
            contracts[DEFAULT][0].finding(("customProperties",), "the default contract applies to every other source")
        )
    if findings:
        raise ContractError(findings)
    return [*contracts.values()]


def overlaps(contracts: Sequence[Contract]) -> Iterator[tuple[Contract, Contract, str, str]]:
    """Pairs of contracts that are ambiguous for some source, with their patterns, which are equally specific."""
    alike: defaultdict[tuple[int, int], list[tuple[str, str, Contract]]] = defaultdict(list)
    for contract in contracts:
        for pattern in contract.sources:
            alike[specificity(pattern)].append((literal_beginning(pattern), pattern, contract))
    for group in alike.values():
        group.sort(key=lambda entry: entry[0])
        for number, (beginning, one, first) in enumerate(group):
            for other_beginning, other, second in group[number + 1 :]:
                if not other_beginning.startswith(beginning):
                    break  # patterns with the same start are consecutive
                if first is not second and may_overlap(one, other):
                    yield first, second, one, other
