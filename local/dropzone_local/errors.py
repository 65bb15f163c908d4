"""The error that the local stack shows to people."""


class LocalStackError(Exception):
    """An error that a person can act on: what is wrong, and what to do about it."""

    def __init__(self, message: str, *, hint: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail

    def __str__(self) -> str:
        return "\n".join(part for part in (self.message, self.detail, self.hint) if part)
