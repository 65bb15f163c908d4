"""The contracts deployed with the layer."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

if TYPE_CHECKING:
    from dropzone.domain.contracts import Contracts

_FILE = Path(__file__).parents[1] / "contracts.json"
_EXPECTATIONS = Path(__file__).parents[1] / "expectations.json"
_TEXTS = Path(__file__).parents[1] / "contracts"


@cache
def contract_ids() -> frozenset[str]:
    """The identifiers of the deployed contracts. Doesn't load their rules, which ingest doesn't need."""
    return frozenset(contract["id"] for contract in compiled_contracts())


def compiled_contracts() -> list[dict[str, Any]]:
    """The deployed contracts in their compiled form."""
    contracts: list[dict[str, Any]] = from_json(_FILE.read_bytes())["contracts"]
    return contracts


def compiled_expectations() -> str:
    """The expectations of the deployed contracts, as JSON for `domain.expectations`."""
    return _EXPECTATIONS.read_text(encoding="utf-8")


def contract_text(identifier: str) -> str:
    """The YAML source of a deployed contract."""
    return (_TEXTS / f"{identifier}.odcs.yaml").read_text(encoding="utf-8")


@cache
def deployed_contracts() -> "Contracts":
    """The deployed contracts with their rules; read once per container."""
    from dropzone.domain.contracts import contracts_of  # noqa: PLC0415 - a cold start of Ingest needs none

    return contracts_of(_FILE.read_bytes())
