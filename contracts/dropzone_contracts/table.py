"""docs/rules.md: the contracts of this checkout, for people."""

from collections.abc import Iterator

from dropzone.domain.contracts import DEFAULT, CompiledContracts, Contract
from dropzone.domain.expectations import EXPECTATIONS, Expectations
from dropzone_contracts.service_levels import sentences

_HEAD = """\
# Rules

The data contracts of this checkout. `make contracts` writes this page; [contracts.md](contracts.md) explains it.
"""


def table(compiled: str, expectations: str) -> str:
    """The page that describes compiled contracts and their expectations."""
    contracts = CompiledContracts.model_validate_json(compiled).contracts
    expected = EXPECTATIONS.validate_json(expectations)
    sections = (_section(contract, stated) for contract, stated in zip(contracts, expected, strict=True))
    return "\n".join([_HEAD, *(line for section in sections for line in section)])


def _section(contract: Contract, expectations: Expectations) -> Iterator[str]:
    yield f"## {contract.reference}\n"
    yield f"{_whose(contract)}\n"
    if contract.rules:
        yield "| Rule | Kind | Severity | Dimension | Description |\n|---|---|---|---|---|"
        for rule in contract.rules:
            yield f"| `{rule.id}` | `{rule.rule}` | {rule.severity} | {rule.dimension} | {rule.description} |"
        yield ""
    if expected := [*sentences(expectations)]:
        yield "\n".join(f"- {sentence}" for sentence in expected) + "\n"


def _whose(contract: Contract) -> str:
    if contract.id == DEFAULT:
        return "Every source that no other contract names."
    named = ", ".join(f"`{source}`" for source in contract.sources)
    mapped = f"Bodies sent to `POST /ingest/{contract.id}`." if contract.mapping or not named else ""
    return " ".join(filter(None, [f"Sources: {named}." if named else "", mapped]))
