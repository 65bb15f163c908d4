"""What is wrong with contracts, and where."""

from typing import NamedTuple


class Finding(NamedTuple):
    """A reason why a contract can't be used."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        """As compilers write it, so that editors find the place."""
        return f"{self.file}:{self.line}: {self.message}"


class ContractError(ValueError):
    """Contracts can't be used."""

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__("\n".join(map(str, findings)))
        self.findings = findings
