"""The exit codes of commands, and the error that is shown to people."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Stable: scripts rely on them (docs/cli.md)."""

    DONE = 0
    NOT_ALL_WELL = 1
    """The command did its work, but something needs attention."""
    USAGE = 2
    """The command was called incorrectly; nothing was done."""
    OUT_OF_REACH = 3
    """No stack was found, or it can't be reached, or it refuses the key."""
    WAITING = 4
    """Nothing is wrong, but some events are still waiting."""
    BUG = 70
    """A bug in this command."""
    INTERRUPTED = 130


class CliError(Exception):
    """An error that a person can act on: what is wrong, what to do about it, and the exit code."""

    def __init__(self, message: str, *, hint: str = "", exit_code: ExitCode = ExitCode.OUT_OF_REACH) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = exit_code


def usage(message: str, hint: str = "") -> CliError:
    return CliError(message, hint=hint, exit_code=ExitCode.USAGE)
