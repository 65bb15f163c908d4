"""The contracts as the layer carries them: one JSON file, made by `make contracts`."""

from hashlib import sha256

from pydantic import BaseModel, ConfigDict

from dropzone.domain.contracts.contract import Contract, Contracts
from dropzone.domain.contracts.mapping import COMPILED
from dropzone.domain.outcomes import RULESET


class CompiledContracts(BaseModel):
    """The contracts of a deployment."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    contracts: tuple[Contract, ...]


def contracts_of(compiled: bytes) -> Contracts:
    """The contracts of a compiled file, and the ruleset that names them together with the basic rules."""
    ruleset = f"{RULESET}.{sha256(compiled).hexdigest()[:8]}"
    return Contracts(CompiledContracts.model_validate_json(compiled, context=COMPILED).contracts, ruleset)
