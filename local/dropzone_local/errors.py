"""The one error that the local stack shows to people."""


class LocalStackError(Exception):
    """Something a person can act on: what is wrong, and what to do about it."""

    def __init__(self, message: str, *, hint: str = "", detail: str = "") -> None:
        """Keep the parts apart, so that each front end lays them out its own way."""
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail

    def __str__(self) -> str:
        """All parts on lines of their own, as pytest and a plain traceback show them."""
        return "\n".join(part for part in (self.message, self.detail, self.hint) if part)
