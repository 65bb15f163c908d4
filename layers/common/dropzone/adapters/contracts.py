"""The contracts that were deployed with the layer."""

from functools import cache
from pathlib import Path

from dropzone.domain.contracts import Contracts
from dropzone.domain.contracts.compiled import contracts_of

_FILE = Path(__file__).parents[1] / "contracts.json"


@cache
def deployed_contracts() -> Contracts:
    """Read them, once for each container."""
    return contracts_of(_FILE.read_bytes())
