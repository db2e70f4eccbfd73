"""A process ends when its program ends: nothing here waits for a thread at exit, and idle sessions say goodbye."""

from __future__ import annotations

import atexit
import weakref
from typing import Any

_pools: weakref.WeakSet[Any] = weakref.WeakSet()
_registered = False


def remember(pool: Any) -> None:
    """Have the idle sessions of this pool closed when the interpreter exits."""
    global _registered  # noqa: PLW0603  # a registration at the interpreter, once per process
    _pools.add(pool)
    if not _registered:
        _registered = True
        atexit.register(say_goodbye)


def say_goodbye() -> None:
    """Close what is idle, at a write to each socket; what is lent ends with the process. No lock is waited for."""
    for pool in list(_pools):
        if hasattr(pool, "_pool"):  # its constructor may have failed
            pool._at_exit()  # noqa: SLF001  # made to be called from here
