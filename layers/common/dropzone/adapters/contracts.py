"""The contracts that were deployed with the layer."""

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
    """The identifiers of the deployed contracts. Reads no more than them: ingest needs no rules."""
    return frozenset(contract["id"] for contract in compiled_contracts())


def compiled_contracts() -> list[dict[str, Any]]:
    """The deployed contracts as they were compiled."""
    contracts: list[dict[str, Any]] = from_json(_FILE.read_bytes())["contracts"]
    return contracts


def compiled_expectations() -> str:
    """What the deployed contracts expect of their sources over time: the JSON of `domain.expectations`."""
    return _EXPECTATIONS.read_text(encoding="utf-8")


def contract_text(identifier: str) -> str:
    """A deployed contract as it was written: YAML."""
    return (_TEXTS / f"{identifier}.odcs.yaml").read_text(encoding="utf-8")


@cache
def deployed_contracts() -> "Contracts":
    """Read them, once for each container."""
    from dropzone.domain.contracts import contracts_of  # noqa: PLC0415 - a cold start of Ingest needs none

    return contracts_of(_FILE.read_bytes())
