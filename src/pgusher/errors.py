"""What pgusher raises: one primary line, with the facts and the advice kept apart from it.

The style is that of PostgreSQL's own messages. The primary line is one fact with its figure, in lower case, with no
full stop; "could not" may work next time, "cannot" never will. DETAIL holds further facts; only HINT advises.
"""

from __future__ import annotations


class PgusherError(Exception):
    """The base of every error that pgusher raises on purpose.

    `str(error)` is the primary line alone, so that it can be shown where there is room for one line. `detail` and
    `hint` are attributes and also notes (PEP 678), so that an ordinary traceback shows them without any help.
    """

    def __init__(self, message: str, detail: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.detail = detail
        self.hint = hint
        if detail is not None:
            self.add_note(f"DETAIL: {detail}")
        if hint is not None:
            self.add_note(f"HINT: {hint}")

    @property
    def message(self) -> str:
        """The primary line."""
        return str(self)


class UsageError(PgusherError):
    """The command was given wrongly: a word or a flag that it does not take."""


class ConfigError(UsageError):
    """A configuration file cannot be used. The primary line names the file and the key or line."""


class SnapshotError(UsageError):
    """A saved snapshot cannot be read. The primary line names the place inside it."""


class UnreachableError(PgusherError):
    """No server answered. A server that answers "too many clients" was reached: that is not this error."""


class RefusedError(PgusherError):
    """Asked to act, pgusher did not: the plan is not what it was, or acting is not possible here."""
