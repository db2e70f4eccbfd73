"""Which of the open `with db as cur:` blocks of one object is the one that is left.

Threads, tasks, generators and exit stacks may leave theirs in another order than they were entered in, and a guess
would commit what another has rolled back. So each block has an `__exit__` of its own. A `with` statement, and an
ExitStack, looks up both methods before it calls the first of them (source: Python documentation, "The with statement";
contextlib.ExitStack.enter_context), and what it has looked up it calls at the end. Here the look-up makes the method,
and the two of one block are those that one frame looks up next to each other.

Who calls `__enter__` alone, by hand, gets a block that only its object knows. There can be one such block at a time:
the end of a second could be taken for that of the first, so it is refused when it is to begin.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any, Generic, TypeVar

Loan = TypeVar("Loan")

ENTERED = "this loan is entered already: each block needs a loan of its own"
NOT_ENTERED = "this loan is left without having been entered"

_NEAR = 32
"""Bytes of code between the two look-ups of a `with` statement at most, where `__exit__` comes first (Python 3.14)."""


class Block(Generic[Loan]):
    """A block that may be entered: once."""

    __slots__ = ("_enter_at", "_exit_at", "entered", "loan")

    def __init__(self) -> None:
        self.loan: Loan | None = None
        self.entered = False
        self._enter_at: _Place | None = None
        self._exit_at: _Place | None = None

    @property
    def whole(self) -> bool:
        """Whether an `__exit__` was looked up for it: that one ends it, wherever it is called."""
        return self._exit_at is not None


_Place = tuple[int, object, int]
"""A frame's number and code, and where in it. The frame itself would keep all that its function has."""


class _Halves(threading.local):
    """Blocks of this thread of which one method was looked up and not called yet."""

    def __init__(self) -> None:
        self.found: list[Block[Any]] = []

    def enter(self, frame: FrameType) -> Block[Any]:
        """The block of an `__enter__` that is looked up there."""
        number, code, at = place = (id(frame), frame.f_code, frame.f_lasti)
        block: Block[Any]
        for block in reversed(self.found):
            other = block._exit_at if block._enter_at is None else None  # noqa: SLF001  # our own
            if other is not None and other[:2] == (number, code) and 0 <= at - other[2] <= _NEAR:
                break
        else:
            block = self._new()
        block._enter_at = place  # noqa: SLF001  # our own
        return block

    def exit(self, frame: FrameType) -> Block[Any]:
        """The block of an `__exit__` that is looked up there."""
        number, code, at = place = (id(frame), frame.f_code, frame.f_lasti)
        block: Block[Any]
        for block in reversed(self.found):
            other = block._enter_at if block._exit_at is None else None  # noqa: SLF001  # our own
            if other is not None and other[:2] == (number, code) and other[2] <= at:
                break
        else:
            block = self._new()
        block._exit_at = place  # noqa: SLF001  # our own
        return block

    def called(self, block: Block[Any]) -> None:
        """One of its methods is called: what is looked up from now on belongs to another block."""
        self.found = [other for other in self.found if other is not block]

    def _new(self) -> Block[Any]:
        block: Block[Any] = Block()
        self.found = [*self.found[-7:], block]  # `hasattr` looks up what is never called
        return block


_halves = _Halves()


class _Method:
    """`function(self, ..., block=...)` as a method that is made for each block when it is looked up."""

    def __init__(self, function: Callable[..., Any], find: Callable[[FrameType], Block[Any]]) -> None:
        self.__doc__ = function.__doc__
        self._function = function
        self._find = find

    def __get__(self, thing: object, kind: type | None = None) -> partial[Any]:
        block = self._find(sys._getframe(1))  # noqa: SLF001  # who has the with statement
        if thing is None:  # as contextlib.ExitStack and unittest have it
            return partial(self._function, block=block)
        return partial(self._function, thing, block=block)


def paired(enter: Callable[..., Any], leave: Callable[..., Any]) -> tuple[Any, Any]:
    """The two special methods of a class, of which `block` names the one they are called for."""
    return _Method(enter, _halves.enter), _Method(leave, _halves.exit)


class Blocks(Generic[Loan]):
    """The open blocks of one object."""

    def __init__(self) -> None:
        self._by_hand: dict[str, Block[Loan]] = {}

    def may_begin(self, block: Block[Loan]) -> bool:
        """Whether it is certain which end will be that of this block."""
        _halves.called(block)
        if block.entered:
            return False
        block.entered = True
        # One step for all threads.
        return block.whole or self._by_hand.setdefault("", block) is block

    def begun(self, block: Block[Loan], loan: Loan | None) -> None:
        """It has this loan from now on; None: it could not be had."""
        block.loan = loan
        if loan is None and self._by_hand.get("") is block:
            del self._by_hand[""]

    def left(self, block: Block[Loan]) -> Loan | None:
        """The loan of the block that ends; None when no such block is open."""
        _halves.called(block)
        if not block.entered:
            found = self._by_hand.pop("", None)
            if found is None:
                return None
            block = found
        loan, block.loan = block.loan, None
        return loan
