"""What a ledger is told: which session is lent to which thread and line. The file behind it is written elsewhere."""

from __future__ import annotations

from typing import Protocol


class Ledger(Protocol):
    """Told of each loan and return, in the borrower's own thread and in its time: no call may block or raise.

    `slot` is a small number that a pool process gives to a session while it has it: it is used again for another.
    """

    def opened(self, slot: int, backend_pid: int, connected_at: float) -> None:
        """A session has this slot from now on. `connected_at` is `time.time()` when it was let in.

        It is at most one connect's time after the server's backend_start, which is not known without a query.
        """

    def lent(self, slot: int, ident: int, native_id: int, task: str, filename: str, line: int) -> None:
        """It is lent from now on: to the thread of these ids and, within it, to the task of this name or ""."""

    def returned(self, slot: int) -> None:
        """It is back."""

    def closed(self, slot: int) -> None:
        """The session has ended, or this process has forgotten it: the slot is nobody's."""

    def pool(
        self,
        key: object,
        name: str,
        figures: tuple[int, ...],
        budget: tuple[str, int] | None,
        place: tuple[str, int] = ("", 0),
    ) -> None:
        """How the pool of this key stands: told when it is made, when its sessions change, and now and then.

        `figures`: min_size, max_size, sessions now, the most there were, the most that were lent, loans, milliseconds
        of all loans, and when it was made in microseconds since 1970. `budget`: the name and total of its budget.
        `place`: address (or directory of the socket) and port of the server that its last session leads to.
        """

    def pool_closed(self, key: object) -> None:
        """It is no more."""

    def forked(self) -> None:
        """This is the child of a fork: all that was told belongs to the parent."""
