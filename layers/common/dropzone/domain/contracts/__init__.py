"""Data contracts as they run: which rules hold for which source.

Compiled from `contracts/*.odcs.yaml` when the layer is built (docs/contracts.md), and pure: what an event becomes
depends on its bytes, its arrival and its contract alone.
"""

from hashlib import sha256

from pydantic import BaseModel, ConfigDict

from dropzone.domain.contracts.contract import BASIC, Contract, Contracts
from dropzone.domain.contracts.mapping import COMPILED
from dropzone.domain.contracts.rules import Dimension, Rule, Severity
from dropzone.domain.outcomes import RULESET

__all__ = ["BASIC", "CompiledContracts", "Contract", "Contracts", "Dimension", "Rule", "Severity", "contracts_of"]


class CompiledContracts(BaseModel):
    """The contracts of a deployment: one JSON file, made by `make contracts`."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    contracts: tuple[Contract, ...]


def contracts_of(compiled: bytes) -> Contracts:
    """The contracts of a compiled file, and the ruleset that names them together with the basic rules."""
    ruleset = f"{RULESET}.{sha256(compiled).hexdigest()[:8]}"
    return Contracts(CompiledContracts.model_validate_json(compiled, context=COMPILED).contracts, ruleset)
