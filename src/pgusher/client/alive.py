"""Whether a session can be lent again: it is alive, as its socket tells, and in no block that nobody is in."""

from __future__ import annotations

import os
import select
import socket
from typing import Any

import psycopg

from pgusher.client.loans import seat_of

OK = psycopg.pq.ConnStatus.OK


def ended(conn: Any) -> bool:
    """Whether the server has closed an idle connection, or said why it will. It costs a system call, no round trip."""
    seat = seat_of(conn)
    if seat is None or seat.peek is None:
        return bool(conn.closed)
    pgconn = conn.pgconn
    if pgconn.status != OK:  # closed by ourselves: the number of its socket may be another's by now
        return True
    if not seat.peek(0):
        return False
    # Something to read where nothing was asked: the end, the reason of an end, or a notification.
    if pgconn.ssl_in_use:  # below TLS it cannot be told: a new one is safe
        return True
    try:
        with socket.socket(fileno=os.dup(pgconn.socket)) as copy:
            first = copy.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except OSError:
        return True
    return first in {b"", b"E"}  # ErrorResponse: to an idle session, always the last one


def entangled(conn: Any) -> bool:
    """Whether the driver still counts it to be in a block, though it is given back.

    An exception of a signal handler in the midst of `with conn.transaction()`, and of its own clean-up, leaves that so:
    idle for the server, and no further transaction can begin on it.
    """
    return bool(conn._num_transactions or conn._pipeline is not None or conn._tpc is not None)  # noqa: SLF001  # as its own commit does


def peek_of(conn: Any) -> Any:
    """What tells whether there is something to read."""
    poll = select.poll()
    poll.register(conn.pgconn.socket, select.POLLIN)
    return poll.poll
