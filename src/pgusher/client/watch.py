"""Whether the borrower of a loan is gone, and whether anybody else still has the connection."""

from __future__ import annotations

import gc
import os
import sys
import threading
import weakref
from operator import countOf
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType
from typing import Any

from psycopg import Connection

from pgusher.client.loans import Seat


def gone(seat: Seat) -> bool:
    """Whether the thread, or in an event loop the task, that borrowed it has ended."""
    if seat.task is not None:
        return bool(seat.task.done())
    owner = seat.owner
    if owner is None or owner is threading.main_thread():
        return False
    if isinstance(owner, threading._DummyThread):  # noqa: SLF001  # a thread of another library: always "alive" up to 3.12
        return seat.ident not in sys._current_frames()  # noqa: SLF001  # the one list of the threads that run
    return not owner.is_alive()


def struck(seat: Seat, now: float) -> bool:
    """Whether a signal's exception may have hit its borrower: they come through in the main thread alone."""
    return seat.owner is threading.main_thread() and now - seat.since > 0.4


class _Probe:
    """What a connection is to a reference count."""


def _references(reference: Any) -> int:
    thing = reference()
    return sys.getrefcount(thing)


def _count(reference: Any) -> int:
    """How many references there are besides ours: how many are ours depends on the version, so it is measured."""
    probe = _Probe()
    return _references(reference) - (_references(weakref.ref(probe)) - 1)


def in_use(seat: Seat) -> bool:
    """Whether something that runs, or can go on, has the connection of a borrower that is gone.

    A suspended generator or coroutine (a web framework may run the two halves of a dependency in two threads), or a
    function that is running. Not: what merely remembers it, as the frames of a traceback and the attributes of the
    thread that ended do. Costs a walk over all objects of the interpreter, so ask for a borrower that is gone only.
    """
    others = _count(seat.conn)
    if others <= 0:
        return False
    conn = seat.conn()
    if conn is None:
        return False
    remembered = 0
    for holder in gc.get_referrers(conn):
        if isinstance(holder, GeneratorType | CoroutineType | AsyncGeneratorType):
            return True
        if isinstance(holder, FrameType) and _runs(holder):
            return True
        # No comprehension here: it would make a cell of `conn`, which would count as one more holder.
        remembered += countOf(gc.get_referents(holder), conn)
    # A function that runs keeps its variables where the collector does not see them.
    return others > remembered


def left_behind(conn: Any, since: float) -> bool:
    """Whether the end of the `with` block that has it since then was called, and a signal came before its first step.

    No code of ours has run then: what tells is the frame of that call, which a traceback keeps. (Where nothing keeps
    it, the block's object is collected, and its loan with it.) Costs a walk over all objects.
    """
    blocks = (one for one in gc.get_referrers(conn) if getattr(one, "conn", None) is conn)
    level = [one for one in blocks if getattr(one, "since", 0.0) == since]
    for _ in range(3):
        above: list[Any] = []
        for thing in level:
            for holder in gc.get_referrers(thing):
                if isinstance(holder, FrameType):
                    ours = holder.f_code.co_filename.startswith(_HERE) and holder.f_code.co_name in _ENDS
                    if ours and not _runs(holder):
                        return True
                elif type(holder).__module__.startswith("pgusher.client."):
                    above.append(holder)
        level = above
    return False


_HERE = os.path.dirname(__file__) + os.sep
_ENDS = frozenset({"__exit__", "_exit"})


def _runs(frame: FrameType) -> bool:
    for top in sys._current_frames().values():  # noqa: SLF001  # the one list of the threads that run
        step: FrameType | None = top
        while step is not None:
            if step is frame:
                return True
            step = step.f_back
    return False


def busy(conn: Any) -> bool:
    """Whether somebody is in the midst of a call on it, in whatever thread."""
    return isinstance(conn, Connection) and conn.lock.locked()
