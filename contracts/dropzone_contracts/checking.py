"""Descriptions of contracts: what is wrong with files, or what they would do."""

from collections.abc import Iterator, Mapping

from dropzone.domain.contracts import DEFAULT, Contract, Severity
from dropzone_contracts.compiler import RUNNING, running
from dropzone_contracts.document import ContractError, Document
from dropzone_contracts.service_levels import expectations_of, sentences
from dropzone_contracts.translate import translate

_ARGUMENTS_APART = {"id", "severity", "dimension", "description", "rule"}


def check(files: Mapping[str, bytes]) -> list[str]:
    """What is wrong with files, each on its own and together, with line numbers; empty if nothing is."""
    try:
        running(files.items(), is_complete=False)
    except ContractError as error:
        return [*map(str, error.findings)]
    return []


def in_words(name: str, text: bytes) -> list[str]:
    """What a valid contract would do, one line for each rule and expectation."""
    document = Document(name, text)
    return [*_words(translate(document), str(document.contract.status)), *sentences(expectations_of(document))]


def _words(contract: Contract, status: str) -> Iterator[str]:
    kind = "" if status in RUNNING else f" is {status}, and doesn't apply until it is active"
    yield f"{contract.reference}{kind}"
    if contract.id == DEFAULT:
        yield "applies to every source that no other contract names"
    elif contract.sources:
        yield f"applies to the sources {', '.join(contract.sources)}"
    if contract.mapping:
        yield f"finds events in bodies sent to POST /ingest/{contract.id}"
    elif not contract.sources and contract.id != DEFAULT:
        yield f"applies to events that are sent to POST /ingest/{contract.id}"
    for rule in contract.rules:
        arguments = rule.model_dump(mode="json", exclude=_ARGUMENTS_APART, exclude_none=True)
        said = ", ".join(f"{argument} {_text(value)}" for argument, value in arguments.items())
        effect = "rejects" if rule.severity is Severity.ERROR else "flags"
        about = f": {rule.description}" if rule.description else ""
        yield f"{effect} by {rule.id} ({rule.rule}: {said}){about}"
    if not contract.rules:
        yield "adds no rules to the basic ones"


def _text(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
