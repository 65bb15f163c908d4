"""docs/rules.md: the contracts of this checkout, for people."""

from collections.abc import Iterator

from dropzone.domain.contracts import CompiledContracts
from dropzone.domain.contracts.contract import DEFAULT, Contract

_HEAD = """\
# Rules

The data contracts of this checkout. `make contracts` writes this page; [contracts.md](contracts.md) explains it.
"""


def table(compiled: str) -> str:
    """The page of compiled contracts."""
    contracts = CompiledContracts.model_validate_json(compiled).contracts
    return "\n".join([_HEAD, *(line for contract in contracts for line in _section(contract))])


def _section(contract: Contract) -> Iterator[str]:
    yield f"## {contract.reference}\n"
    yield f"{_whose(contract)}\n"
    if contract.rules:
        yield "| Rule | Kind | Severity | Dimension | Description |\n|---|---|---|---|---|"
        for rule in contract.rules:
            yield f"| `{rule.id}` | `{rule.rule}` | {rule.severity} | {rule.dimension} | {rule.description} |"
        yield ""


def _whose(contract: Contract) -> str:
    if contract.id == DEFAULT:
        return "Every source that no other contract names."
    named = ", ".join(f"`{source}`" for source in contract.sources)
    mapped = f"Bodies sent to `POST /ingest/{contract.id}`." if contract.mapping or not named else ""
    return " ".join(filter(None, [f"Sources: {named}." if named else "", mapped]))
