"""The child of a fork forgets its parent's sockets: it neither uses them nor says goodbye on them.

Both would end or garble sessions that are the parent's. gunicorn --preload, multiprocessing and os.fork all fork.
"""

from __future__ import annotations

import os
import weakref
from typing import Any

from pgusher.client import crew, gate, loans, sqlstate

_pools: weakref.WeakSet[Any] = weakref.WeakSet()
_registered = False


def remember(pool: Any) -> None:
    """Have this pool told in each child: its `_forked` is called there."""
    global _registered  # noqa: PLW0603  # a registration at the interpreter, once per process
    _pools.add(pool)
    if not _registered:
        _registered = True
        os.register_at_fork(after_in_child=_in_child)


def _in_child() -> None:
    # In the child there is this thread alone, and no lock of the parent's is ever released again.
    crew.TIMEKEEPER.forked()
    loans.SLOTS.forked()
    gate.forked()
    cut_loose(list(sqlstate.UNDER_WAY.values()))
    sqlstate.UNDER_WAY.clear()
    for pool in list(_pools):
        pool._forked()  # noqa: SLF001  # made to be called from here


def cut_loose(connections: list[Any]) -> None:
    """Let go of the sockets of libpq's connections without a word to the server: libpq then speaks to nobody."""
    if not connections:
        return
    nowhere = os.open(os.devnull, os.O_RDWR)
    try:
        for conn in connections:
            try:
                fd = conn.socket
            except Exception:  # noqa: BLE001, S112  # closed, or half made: there is nothing to let go
                continue
            if fd >= 0:
                os.dup2(nowhere, fd, inheritable=False)
    finally:
        os.close(nowhere)
