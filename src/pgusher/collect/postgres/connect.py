"""One connection with a deadline on everything, on top of libpq's calls that do not wait."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from pgusher.collect.postgres import libpq as pq
from pgusher.collect.postgres.libpq import Libpq

Clock = Callable[[], float]

SQLSTATE, PRIMARY, ROUTINE = ord("C"), ord("M"), ord("R")
"""Fields of an error (source: PostgreSQL documentation, "Error and Notice Message Fields")."""

_MOST = 1 << 28
"""Bytes of one statement's rows: 10,000 sessions whose queries are of 16 kB each need less. A liar may send more."""


NO_ANSWER = "no answer before the deadline"


class ConnectError(Exception):
    """No session came of it. Its text is all that libpq said, with what the server said in it."""


class QueryError(Exception):
    """The server refused the statements. Its text is the server's primary message; `sqlstate` its five characters."""

    def __init__(self, message: str, sqlstate: str | None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class BrokenError(Exception):
    """The connection is of no more use: it ended, or the deadline passed. Its text says which."""


class Peer(NamedTuple):
    """Whom a connection leads to, as libpq resolved it from the strings, the environment and the service file."""

    host: str
    """A name, an address or a socket directory."""
    hostaddr: str
    """The numeric address, where one was connected to."""
    port: int | None
    user: str
    dbname: str

    def __str__(self) -> str:
        parts = {"user": self.user, "host": self.host, "port": self.port, "dbname": self.dbname}
        return " ".join(f"{key}={value}" for key, value in parts.items() if value)


class Connection:
    """One session, or the try to get one. Used by one thread at a time; `close` it whatever happens."""

    def __init__(self, library: Libpq, handle: int, clock: Clock) -> None:
        """Take over `handle`, on which `Libpq.start` has been called. Use `begin` or `open_connection` instead."""
        self._pq = library
        self._clock = clock
        self._handle: int | None = handle

    @property
    def peer(self) -> Peer:
        """Whom it leads to; also after a failure, then the last that was tried."""
        text, handle = self._pq.text, self._handle
        port = text(self._pq.PQport(handle))
        return Peer(
            host=text(self._pq.PQhost(handle)),
            hostaddr=text(self._pq.PQhostaddr(handle)),
            port=int(port) if port.isascii() and port.isdigit() else None,
            user=text(self._pq.PQuser(handle)),
            dbname=text(self._pq.PQdb(handle)),
        )

    @property
    def fileno(self) -> int:
        """The descriptor of its socket; -1 when it has none."""
        return int(self._pq.PQsocket(self._handle))

    @property
    def backend_pid(self) -> int:
        """The process id that the other end gave at login: a pooler's invention when there is one in between."""
        return int(self._pq.PQbackendPID(self._handle))

    @property
    def server_version(self) -> int:
        """As server_version_num; 0 when the other end does not say."""
        return int(self._pq.PQserverVersion(self._handle))

    def establish(self, deadline: float) -> None:
        """Log in. Raises ConnectError with libpq's words, or when the deadline (of the clock) passes first."""
        state = pq.POLLING_WRITING  # what libpq asks for: as if it had returned this before the first call
        while state != pq.POLLING_OK:
            if state == pq.POLLING_FAILED or self.fileno < 0:
                said = self._pq.text(self._pq.PQerrorMessage(self._handle)).strip()
                raise ConnectError(said or "the connection ended")
            if not self._wait(deadline, reading=state == pq.POLLING_READING, writing=state == pq.POLLING_WRITING):
                raise ConnectError(NO_ANSWER)
            state = self._pq.PQconnectPoll(self._handle)
        # What cannot be written at once is written while waiting, within the deadline.
        self._pq.PQsetnonblocking(self._handle, 1)

    def run(self, sql: str, deadline: float) -> list[list[bytes]]:
        """Run several statements in one round trip; for each `COPY ... TO STDOUT` its rows, as text lines.

        Raises QueryError when the server refuses them, BrokenError when the connection ends or the deadline passes:
        then they are cancelled, and the connection has to be closed.
        """
        if self._handle is None:
            raise BrokenError("the connection is closed")
        if not self._pq.PQsendQuery(self._handle, sql.encode()):
            raise BrokenError(self._said())
        self._write_all(deadline)
        results: list[list[bytes]] = []
        refused: QueryError | None = None
        while result := self._next_result(deadline):
            try:
                status = self._pq.PQresultStatus(result)
                if status == pq.COPY_OUT:
                    results.append(self._copy_rows(deadline))
                elif status not in {pq.COMMAND_OK, pq.TUPLES_OK, pq.EMPTY_QUERY}:
                    refused = refused or self._refused(result)
            finally:
                self._pq.PQclear(result)
        if self._pq.PQstatus(self._handle) != pq.CONNECTION_OK:
            raise BrokenError(str(refused) if refused else self._said())
        if refused:
            raise refused
        return results

    def close(self) -> None:
        """Give the slot back. May be called again."""
        if self._handle is not None:
            handle, self._handle = self._handle, None
            self._pq.PQfinish(handle)

    def leave(self) -> None:
        """Ask the server to end the session: it reads the end of what we send. `ended` tells when it has."""
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(self.fileno)) as copy:
            copy.shutdown(socket.SHUT_WR)

    def ended(self, seconds: float) -> bool:
        """Whether the other end is closed, waiting at most so many seconds for it.

        The process that served, or refused, us gives its slot back before its socket is closed. Who connects again
        before that has two slots for a moment, and sees the first among the server's processes.
        """
        if self._handle is None or self.fileno < 0:
            return True
        poll = select.poll()
        poll.register(self.fileno, select.POLLRDHUP)
        return bool(poll.poll(max(0.0, seconds * 1000)))

    def cancel(self, seconds: float) -> None:
        """Ask the server to stop what this session runs, and wait at most so long.

        It takes no slot, but a connection, and libpq's call has no deadline: hence a thread that may be left behind.
        """
        token = self._pq.PQgetCancel(self._handle)
        if not token:
            return

        def ask() -> None:
            said = ctypes.create_string_buffer(256)
            self._pq.PQcancel(token, said, len(said))
            self._pq.PQfreeCancel(token)

        thread = threading.Thread(target=ask, daemon=True, name="pgusher-cancel")
        thread.start()
        thread.join(seconds)

    def _refused(self, result: int) -> QueryError:
        def field(code: int) -> str:
            return self._pq.text(self._pq.PQresultErrorField(result, code))

        whole = self._pq.text(self._pq.PQresultErrorMessage(result)).strip()
        return QueryError(field(PRIMARY) or whole or "an unknown error", field(SQLSTATE) or None)

    def _said(self) -> str:
        return self._pq.text(self._pq.PQerrorMessage(self._handle)).strip() or "the connection ended"

    def _next_result(self, deadline: float) -> int | None:
        while self._pq.PQisBusy(self._handle):
            self._read(deadline)
        result: int | None = self._pq.PQgetResult(self._handle)
        return result

    def _copy_rows(self, deadline: float) -> list[bytes]:
        rows: list[bytes] = []
        place = ctypes.c_void_p()
        get, free, at, ref = self._pq.PQgetCopyData, self._pq.PQfreemem, ctypes.string_at, ctypes.byref(place)
        handle = self._handle
        room = _MOST
        while True:
            length = get(handle, ref, 1)
            if length > 0:
                room -= length
                if room < 0:
                    free(place)
                    raise BrokenError(f"more than {_MOST >> 20} MiB came as one answer")
                rows.append(at(place.value or 0, length - 1))  # without its newline
                free(place)
            elif length == 0:
                self._read(deadline)
            else:
                return rows  # -1: all were read; -2: an error, which the next result tells

    def _read(self, deadline: float) -> None:
        if not self._wait(deadline, reading=True):
            raise self._late(deadline)
        if not self._pq.PQconsumeInput(self._handle):
            raise BrokenError(self._said())

    def _write_all(self, deadline: float) -> None:
        while (left := self._pq.PQflush(self._handle)) > 0:
            if not self._wait(deadline, reading=True, writing=True):
                raise self._late(deadline)
            # The server may not read on before we have read what it said.
            if not self._pq.PQconsumeInput(self._handle):
                break
        if left < 0:
            raise BrokenError(self._said())

    def _late(self, deadline: float) -> BrokenError:
        self.cancel(0.2)
        over = self._clock() - deadline
        return BrokenError(NO_ANSWER if over >= 0 else "the wait was cut short")

    def _wait(self, deadline: float, *, reading: bool = False, writing: bool = False) -> bool:
        """Until the socket is ready; False when the deadline passes first, or there is no socket."""
        if self.fileno < 0:
            return False
        poll = select.poll()
        poll.register(self.fileno, (select.POLLIN if reading else 0) | (select.POLLOUT if writing else 0))
        # Nothing after the deadline, ready or not: who sends without end would never be left.
        left = deadline - self._clock()
        return left > 0 and bool(poll.poll(left * 1000))


def open_connection(
    library: Libpq,
    parameters: Iterable[tuple[str, str]],
    deadline: float,
    clock: Clock = time.monotonic,
    *,
    elsewhere: bool = True,
) -> tuple[Connection, ConnectError | None]:
    """Try to get a session; the connection and, when there is none, why. Close the connection in both cases.

    With `elsewhere`, libpq begins in a thread of its own, because it resolves host names there, and nothing else can
    give that a deadline. Without, it begins in this thread, for whoever changed this thread's credentials. Raises
    ConnectError when not even that came to an end (then that thread closes it, should it ever do).
    """
    pairs = list(parameters)
    if not elsewhere:
        connection = Connection(library, library.start(pairs), clock)
    else:
        connection = _start_elsewhere(library, pairs, deadline, clock)
    try:
        connection.establish(deadline)
    except ConnectError as error:
        return connection, error
    except BaseException:
        connection.close()
        raise
    return connection, None


def _start_elsewhere(library: Libpq, pairs: list[tuple[str, str]], deadline: float, clock: Clock) -> Connection:
    started: list[int] = []
    lock = threading.Lock()
    given_up = False

    def start() -> None:
        with contextlib.suppress(MemoryError):
            handle = library.start(pairs)
            with lock:
                if not given_up:
                    started.append(handle)
                    return
            library.PQfinish(handle)

    thread = threading.Thread(target=start, daemon=True, name="pgusher-connect")
    thread.start()
    thread.join(max(0.0, deadline - clock()))
    with lock:
        given_up = True
    if not started:
        raise ConnectError("the host name was not resolved before the deadline" if thread.is_alive() else "no memory")
    return Connection(library, started[0], clock)
