"""Data contracts as they run: which rules hold for which source.

Compiled from `contracts/*.odcs.yaml` when the layer is built (docs/contracts.md), and pure: what an event becomes
depends on its bytes, its arrival and its contract alone.
"""

from dropzone.domain.contracts.contract import BASIC, CompiledContracts, Contract, Contracts, contracts_of
from dropzone.domain.contracts.rules import Dimension, Rule, Severity

__all__ = ["BASIC", "CompiledContracts", "Contract", "Contracts", "Dimension", "Rule", "Severity", "contracts_of"]
