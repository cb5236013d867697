"""What ends a run before its command has begun, and the statuses it ends with."""

from __future__ import annotations

USAGE = 2
"""Bad options, bad environment, a ledger that cannot be written."""
PROXY_FAILED = 125
"""The proxy cannot start and the command was not run (or not let run on)."""
NOT_EXECUTABLE = 126
NOT_FOUND = 127
SIGNALLED = 128
"""Added to a signal's number."""


class CannotRunError(Exception):
    """The command is not run. Its text is the one sentence for the user."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status


class UsageError(CannotRunError):
    """The user asked for something that cannot be done."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, USAGE)


class NoStateError(UsageError):
    """There is no place for our state: a command could still run unobserved."""
