"""Sessions of a pool and their loans: who has which since when, from which line. No I/O.

It is on by default, so a loan may cost two microseconds: what is kept of the stack is one code object and a line.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterable
from types import CodeType, FrameType
from typing import Any

_HERE = os.path.dirname(__file__) + os.sep


def _own_files() -> frozenset[str]:
    """Files whose frames stand between the borrower's line and us."""
    import contextlib

    import psycopg_pool

    pool = os.path.dirname(psycopg_pool.__file__)
    names = {os.path.join(pool, name) for name in os.listdir(pool) if name.endswith(".py")}
    return frozenset({contextlib.__file__, *names})


OWN_FILES: dict[str, bool] = dict.fromkeys(_own_files(), True)
"""By file name: whether its frames are ours. Those of this package are added as they are met."""


def borrower(frame: FrameType | None) -> FrameType | None:
    """The innermost frame that is the user's own; the outermost one if none is."""
    known = OWN_FILES
    while frame is not None:
        name = frame.f_code.co_filename
        own = known.get(name)
        if own is None:
            if len(known) > 10_000:  # code that is compiled under ever new names
                known.clear()
                known.update(dict.fromkeys(_own_files(), True))
            own = known[name] = name.startswith(_HERE)
        if not own:
            return frame
        frame = frame.f_back
    return None


class Seat:
    """One session of a pool, for as long as it lives, and its loan while it is lent.

    It stands beside the connection, to which it has a weak reference only: a connection that a borrower forgets is
    then collected, which is how the forgotten loan is noticed.
    """

    __slots__ = (
        "__weakref__",
        "backend_pid",
        "buried",
        "code",
        "conn",
        "hand",
        "ident",
        "lasti",
        "look_after",
        "made",
        "over",
        "owner",
        "peek",
        "returned",
        "since",
        "slot",
        "task",
        "told",
    )

    def __init__(self, slot: int, backend_pid: int, made: float) -> None:
        self.slot = slot
        self.backend_pid = backend_pid
        self.made = made
        self.returned = made
        self.over = False
        """The session has ended."""
        self.buried = False
        """And everybody was told."""
        self.conn: Callable[[], Any] = _nothing
        self.peek: Callable[[int], list[Any]] | None = None
        self.since = 0.0
        """When it was lent (time.monotonic); 0.0 while it is not."""
        self.hand: object = None
        """The call that gives it back, as long as that has it."""
        self.owner: Any = None
        """The thread that borrowed it."""
        self.ident = 0
        self.task: Any = None
        """The task that borrowed it, in an event loop."""
        self.code: CodeType | None = None
        self.lasti = 0
        """Where in that code. Its line is looked up when somebody asks: it takes the longer the longer the code."""
        self.look_after = 0.0
        """When to look again whether a borrower that is gone has left it to somebody else."""
        self.told = 0
        """What was said of this loan: 1 that it is old, 2 that its owner is gone."""

    @property
    def line(self) -> int:
        """The borrowing line's number."""
        return line_of(self.code, self.lasti) if self.code is not None else 0

    @property
    def place(self) -> str:
        """The borrowing line: "/srv/report.py:42 in fetch"."""
        return place(self.code, self.line)

    @property
    def who(self) -> str:
        """The borrower: a thread's or a task's name."""
        if self.task is not None:
            return f"task {_name(self.task.get_name())}"
        return f"thread {_name(self.owner.name)}" if self.owner is not None else "an unknown thread"


def _nothing() -> None:
    return None


def _name(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in str(text)[:100])


_LINES: dict[tuple[int, int], tuple[CodeType, int]] = {}


def line_of(code: CodeType, lasti: int) -> int:
    """The line of an instruction; remembered, since a ledger asks at each loan."""
    key = (id(code), lasti)  # a hash of the code itself would cost more than the line
    found = _LINES.get(key)
    if found is not None and found[0] is code:
        return found[1]
    lines = (line for start, end, line in code.co_lines() if start <= lasti < end)
    line = next(lines, None) or code.co_firstlineno
    if len(_LINES) > 10_000:  # code that is compiled anew again and again
        _LINES.clear()
    _LINES[key] = (code, line)
    return line


def place(code: CodeType | None, line: int) -> str:
    """ "/srv/report.py:42 in fetch"."""
    return f"{code.co_filename}:{line} in {code.co_qualname}" if code is not None else "an unknown line"


def now_at(seat: Seat) -> str:
    """Where the borrower is now: the innermost line of its stack that is its own; "" when it is nowhere."""
    if seat.task is not None:
        frame = _awaiting(seat.task)
    elif seat.owner is not None and seat.owner.is_alive():
        frame = sys._current_frames().get(seat.ident)  # noqa: SLF001  # the one way to see another thread
    else:
        frame = None
    found = _users(frame)
    return place(found.f_code, found.f_lineno) if found is not None else ""


_LIBRARY = os.path.dirname(os.__file__) + os.sep


def _users(frame: FrameType | None) -> FrameType | None:
    """The innermost frame that is neither ours nor a library's; the innermost one if all are."""
    first = frame
    while frame is not None:
        if not _of_a_library(frame.f_code.co_filename):
            return frame
        frame = frame.f_back
    return first


def _of_a_library(name: str) -> bool:
    return OWN_FILES.get(name, False) or name.startswith((_LIBRARY, "<frozen", _HERE)) or "site-packages" in name


def _awaiting(task: Any) -> FrameType | None:
    """The innermost frame of a task that waits, of those that are the user's own."""
    chain: list[FrameType] = []
    step = task.get_coro()
    while step is not None and len(chain) < 1000:
        frame = getattr(step, "cr_frame", None) or getattr(step, "gi_frame", None) or getattr(step, "ag_frame", None)
        if frame is not None:
            chain.append(frame)
        step = getattr(step, "cr_await", None) or getattr(step, "gi_yieldfrom", None) or getattr(step, "ag_await", None)
    own = (frame for frame in reversed(chain) if not _of_a_library(frame.f_code.co_filename))
    return next(own, chain[-1] if chain else None)


def longest(seats: Iterable[Seat], now: float, most: int = 3) -> list[str]:
    """The oldest loans, each on a line of its own."""
    out = sorted((seat for seat in seats if seat.since), key=lambda seat: seat.since)[:most]
    lines = []
    for seat in out:
        at = now_at(seat)
        lines.append(
            f"{now - seat.since:.1f} s by {seat.who}, borrowed at {seat.place}" + (f", now at {at}" if at else ", gone")
        )
    return lines


class Slots:
    """Small numbers for the sessions of a process, each used again once its session has ended."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a session may end in a collection, in the midst of this
        self._free: list[int] = []
        self._next = 0

    def take(self) -> int:
        """The one that was given back last, or a new one."""
        with self._lock:
            if self._free:
                return self._free.pop()
            self._next += 1
            return self._next - 1

    def give(self, slot: int) -> None:
        """It is free again."""
        with self._lock:
            self._free.append(slot)

    def forked(self) -> None:
        """The child has none."""
        self.__init__()  # type: ignore[misc]  # as new


SLOTS = Slots()


def seat_of(conn: Any) -> Seat | None:
    """That of a connection; None when it is of no pool of ours."""
    return getattr(conn, "_pgusher_seat", None)


def attach(conn: Any, seat: Seat, lost: Callable[[Seat], None]) -> None:
    """Put a seat beside its connection. `lost` is called when the connection is collected.

    That may be in any thread and at any point of its code, so it may take no lock that is not reentrant.
    """
    conn._pgusher_seat = seat  # noqa: SLF001  # our own
    seat.conn = weakref.ref(conn, lambda _: lost(seat))


def lend(seat: Seat, frame: FrameType | None, task: Any, now: float) -> None:
    """It is lent from now on, to this thread and, in an event loop, to this task."""
    known = OWN_FILES
    found = frame
    try:
        while known[found.f_code.co_filename]:  # type: ignore[union-attr]  # caught: the outermost frame has none behind it
            found = found.f_back  # type: ignore[union-attr]  # as above
    except (KeyError, AttributeError):
        found = borrower(frame)
    if found is not None:
        seat.code, seat.lasti = found.f_code, found.f_lasti
    seat.owner = threading.current_thread()
    seat.ident = threading.get_ident()
    seat.task = task
    seat.told = 0
    seat.look_after = 0.0
    seat.since = now
