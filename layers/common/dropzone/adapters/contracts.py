"""The contracts that were deployed with the layer."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic_core import from_json

if TYPE_CHECKING:
    from dropzone.domain.contracts import Contracts

_FILE = Path(__file__).parents[1] / "contracts.json"


@cache
def contract_ids() -> frozenset[str]:
    """The identifiers of the deployed contracts. Reads no more than them: ingest needs no rules."""
    return frozenset(contract["id"] for contract in from_json(_FILE.read_bytes())["contracts"])


@cache
def deployed_contracts() -> "Contracts":
    """Read them, once for each container."""
    from dropzone.domain.contracts.compiled import contracts_of  # noqa: PLC0415 - a cold start of Ingest needs none

    return contracts_of(_FILE.read_bytes())
