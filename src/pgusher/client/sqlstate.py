"""A refused connect with its SQLSTATE, which no language changes; the driver alone gives none.

libpq writes the state into the text of a failed connect when its verbosity is set between the start of the connect and
the first poll. The driver has no function for that, so it is called in the very library that the driver uses.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from functools import cache
from time import monotonic
from typing import Any, TypeVar, cast, get_origin

import psycopg
from psycopg import errors, pq, waiting

UNDER_WAY: dict[int, pq.abc.PGconn] = {}
"""Connects that have begun and not ended: the child of a fork must let go of their sockets, too."""

_DEFAULT, _VERBOSE = 1, 2  # PQERRORS_DEFAULT, PQERRORS_VERBOSE (source: libpq-fe.h)

T = TypeVar("T")

SetVerbosity = Callable[[int, int], object]
"""Of a connection (its pointer), to a level."""


@cache
def verbosity_setter() -> SetVerbosity | None:
    """What makes a connection tell the SQLSTATE; None when the libpq of the driver cannot be called from outside."""
    import ctypes

    for path in _libraries():
        try:
            # Only if it is loaded already: a second copy would not know the driver's connections.
            library = ctypes.CDLL(path, mode=os.RTLD_NOLOAD | os.RTLD_NOW)
            function, version = library.PQsetErrorVerbosity, library.PQlibVersion
        except (OSError, AttributeError):
            continue
        if int(version()) != pq.version():
            continue
        function.argtypes, function.restype = (ctypes.c_void_p, ctypes.c_int), ctypes.c_int
        return function
    return None


def _libraries() -> list[str]:
    """The libpq that this implementation of the driver uses, by path."""
    if pq.__impl__ == "binary":
        import psycopg_binary

        directory = os.path.dirname(psycopg_binary.__file__) + ".libs"
        try:
            return [os.path.join(directory, name) for name in sorted(os.listdir(directory)) if name.startswith("libpq")]
        except OSError:
            return []
    if pq.__impl__ == "python":
        from psycopg.pq import _pq_ctypes

        return [str(getattr(_pq_ctypes, "libname", "libpq.so.5")), "libpq.so.5"]
    return ["libpq.so.5"]


def connects(conninfo: str, timeout: float = 0.0) -> Generator[Any, Any, pq.abc.PGconn]:
    """What the driver's own generator does (`psycopg.generators.connect`), with verbosity set.

    Raises OperationalError, or the subclass of it that belongs to the SQLSTATE; `sqlstate` is set on either.
    """
    deadline = monotonic() + timeout if timeout else 0.0
    conn = pq.PGconn.connect_start(conninfo.encode())
    UNDER_WAY[id(conn)] = conn
    try:
        yield from _polled(conn, deadline)
    finally:
        UNDER_WAY.pop(id(conn), None)
    return conn


def _polled(conn: pq.abc.PGconn, deadline: float) -> Generator[Any, Any, None]:
    setter, pointer = verbosity_setter(), getattr(conn, "pgconn_ptr", None)
    if setter and pointer:
        setter(pointer, _VERBOSE)
    while True:
        if conn.status == pq.ConnStatus.BAD:
            raise failure("connection is bad", conn)
        status = conn.connect_poll()
        if status == pq.PollingStatus.OK:
            break
        if status == pq.PollingStatus.FAILED:
            raise failure("connection failed", conn)
        wait = waiting.Wait.R if status == pq.PollingStatus.READING else waiting.Wait.W
        while not (yield conn.socket, wait):
            if deadline and monotonic() > deadline:
                conn.finish()
                raise errors.ConnectionTimeout("connection timeout expired")
    conn.nonblocking = 1
    if setter and pointer:
        # Errors of the session itself are told as usual: with their state in a field, not in their text.
        setter(pointer, _DEFAULT)


def failure(what: str, conn: pq.abc.PGconn) -> psycopg.OperationalError:
    """The driver's error for a failed connect, with its SQLSTATE. The connection is finished."""
    from pgusher.client.refusal import plain, state_of  # late: what works needs none of it

    text = conn.error_message.decode("utf-8", "replace").strip()
    state = state_of(text)
    kind = psycopg.OperationalError
    if state:
        try:
            found = errors.lookup(state)
        except KeyError:
            found = kind
        # A missing database is a ProgrammingError to the driver's table; who connects expects an OperationalError.
        kind = found if issubclass(found, psycopg.OperationalError) else kind
    error = kind(f"{what}: {plain(text)}", pgconn=errors.finish_pgconn(conn))
    error.sqlstate = state
    return error


def telling(cls: T) -> T:
    """The connection class, with connects that tell their SQLSTATE; what connects is of the class itself.

    A class with its own way to connect is left as it is.
    """
    return cast("T", _telling(cls))


@cache
def _telling(cls: Any) -> Any:
    origin = get_origin(cls) or cls
    own = getattr(origin._connect_gen, "__func__", None)  # noqa: SLF001  # the driver's, since 3.0
    if own is not psycopg.Connection._connect_gen.__func__ or verbosity_setter() is None:  # type: ignore[attr-defined]  # noqa: SLF001  # as above
        return cls

    def _connect_gen(_: Any, conninfo: str = "", *, timeout: float = 0.0) -> Generator[Any, Any, Any]:
        return origin((yield from connects(conninfo, timeout)))

    namespace = {"_connect_gen": classmethod(_connect_gen), "__module__": origin.__module__, "__doc__": origin.__doc__}
    return type(origin.__name__, (origin,), namespace)
