"""Data contracts as they run: which rules hold for which source.

Compiled from `contracts/*.odcs.yaml` when the layer is built (docs/contracts.md), and pure: what an event becomes
depends on its bytes, its arrival and its contract alone.
"""

from dropzone.domain.contracts.contract import BASIC, Contract, Contracts
from dropzone.domain.contracts.rules import Dimension, Rule, Severity

__all__ = ["BASIC", "Contract", "Contracts", "Dimension", "Rule", "Severity"]
