"""Knowing when the server has let go of a session, so that a slot of a budget is given on only when it is free.

A client that closes has not freed the slot yet: the server process reads the farewell, ends, and only then takes itself
off the list (source: `ProcKill` in src/backend/storage/lmgr/proc.c, called before the process exits and with it the
socket closes). Who is told a moment too early that there is room is refused: "too many clients already". So the socket
is kept until the server has closed its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import time
from typing import Any

PATIENCE = 0.25
"""Seconds for which a server is waited for; one that is gone, or busy with something else, says nothing."""


def keep_socket(conn: Any) -> int:
    """A descriptor of the socket of a psycopg connection that outlives its `close()`; -1 when there is none."""
    try:
        return os.dup(conn.pgconn.socket)
    except Exception:  # noqa: BLE001 - psycopg's OperationalError for a closed one, or OSError: nothing to wait for
        return -1


def wait_until_gone(fd: int, patience: float = PATIENCE) -> bool:
    """Wait until the server has closed its end, and close ours; whether it has. Call it after `close()`."""
    if fd < 0:
        return True
    try:
        _say_end(fd)
        deadline = time.monotonic() + patience
        poll = _poll(fd)
        while (left := deadline - time.monotonic()) > 0:
            if poll.poll(left * 1000):
                return True
        return False
    finally:
        os.close(fd)


async def wait_until_gone_async(fd: int, patience: float = PATIENCE) -> bool:
    """As `wait_until_gone`, and the event loop goes on."""
    if fd < 0:
        return True
    try:
        _say_end(fd)
        poll, delay, waited = _poll(fd), 0.001, 0.0
        while not poll.poll(0):
            if waited >= patience:
                return False
            await asyncio.sleep(delay)
            waited += delay
            delay = min(delay * 2, 0.02)
        return True
    finally:
        os.close(fd)


def _say_end(fd: int) -> None:
    # libpq has said so if it could; a session that was broken off in the midst of something is told by this.
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(fd)) as ours:
        ours.shutdown(socket.SHUT_WR)


def _poll(fd: int) -> select.poll:
    poll = select.poll()
    # Not POLLIN: what the server still had to say may be there to read.
    poll.register(fd, select.POLLRDHUP | select.POLLHUP | select.POLLERR)
    return poll
