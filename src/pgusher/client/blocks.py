"""Which of the open `with db as cur:` blocks of one object is the one that is left.

Two generators of a thread, or two tasks of a loop, may leave theirs in another order than they were entered in. A
guess would commit what another has rolled back, so a block is known by the frame that has the `with` statement.
"""

from __future__ import annotations

from threading import Lock
from types import FrameType
from typing import Generic, TypeVar

Loan = TypeVar("Loan")


class Blocks(Generic[Loan]):
    """The open blocks of one object, by owner (a thread or a task) and frame."""

    def __init__(self) -> None:
        self._open: list[tuple[int, int, Loan]] = []
        self._lock = Lock()

    def entered(self, owner: int, frame: FrameType, loan: Loan) -> None:
        """A block has begun. The frame is known by its number: to keep it would keep all that its function has."""
        with self._lock:
            self._open.append((owner, id(frame), loan))

    def left(self, owner: int, frame: FrameType) -> Loan | None:
        """The loan of the block that ends; None when it cannot be told for certain which it is.

        Of several in one frame the last ends first. An ExitStack enters and leaves in frames of its own: then it is
        the owner's only block, or nobody knows.
        """
        with self._lock:
            same = [place for place, one in enumerate(self._open) if one[1] == id(frame)]
            mine = [place for place, one in enumerate(self._open) if one[0] == owner]
            if same:
                return self._open.pop(next((p for p in reversed(same) if p in mine), same[-1]))[2]
            if len(mine) == 1 or (not mine and len(self._open) == 1):
                return self._open.pop(mine[0] if mine else 0)[2]
        return None

    def all_of(self, owner: int) -> list[Loan]:
        """Every loan of an owner, the last first; they are open no more."""
        with self._lock:
            mine = [one[2] for one in reversed(self._open) if one[0] == owner]
            self._open = [one for one in self._open if one[0] != owner]
        return mine
