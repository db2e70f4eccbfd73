"""The few functions of libpq that are needed, by ctypes: importing a driver costs more than the whole command may take.

Nothing here knows what is asked of a server. Each connection is used by one thread at a time; several threads may use
several connections, as ctypes lets other threads run during a call and libpq keeps no state between connections
(source: PostgreSQL documentation, "libpq - C Library", "Behavior in Threaded Programs").
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

# ConnStatusType, PostgresPollingStatusType, ExecStatusType, PGVerbosity: numbers of the ABI (source: libpq-fe.h).
CONNECTION_OK = 0
POLLING_FAILED, POLLING_READING, POLLING_WRITING, POLLING_OK = 0, 1, 2, 3
EMPTY_QUERY, COMMAND_OK, TUPLES_OK, COPY_OUT, FATAL_ERROR = 0, 1, 2, 3, 7
ERRORS_VERBOSE = 2

SYSTEM = "libpq.so.5"
"""The name under which the loader finds the system's own; `ctypes.util.find_library` would start a compiler for it."""

_Pointer, _Text, _Int = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
_PROTOTYPES: dict[str, tuple[object, ...]] = {  # the result, then the arguments
    "PQlibVersion": (_Int,),
    "PQconnectStartParams": (_Pointer, ctypes.POINTER(_Text), ctypes.POINTER(_Text), _Int),
    "PQconnectPoll": (_Int, _Pointer),
    "PQstatus": (_Int, _Pointer),
    "PQsocket": (_Int, _Pointer),
    "PQfinish": (None, _Pointer),
    "PQerrorMessage": (_Text, _Pointer),
    "PQsetErrorVerbosity": (_Int, _Pointer, _Int),
    "PQsetNoticeProcessor": (_Pointer, _Pointer, _Pointer, _Pointer),
    "PQsetnonblocking": (_Int, _Pointer, _Int),
    "PQflush": (_Int, _Pointer),
    "PQsendQuery": (_Int, _Pointer, _Text),
    "PQconsumeInput": (_Int, _Pointer),
    "PQisBusy": (_Int, _Pointer),
    "PQgetResult": (_Pointer, _Pointer),
    "PQgetCopyData": (_Int, _Pointer, ctypes.POINTER(_Pointer), _Int),
    "PQfreemem": (None, _Pointer),
    "PQresultStatus": (_Int, _Pointer),
    "PQresultErrorField": (_Text, _Pointer, _Int),
    "PQresultErrorMessage": (_Text, _Pointer),
    "PQclear": (None, _Pointer),
    "PQgetCancel": (_Pointer, _Pointer),
    "PQcancel": (_Int, _Pointer, _Text, _Int),
    "PQfreeCancel": (None, _Pointer),
    "PQserverVersion": (_Int, _Pointer),
    "PQbackendPID": (_Int, _Pointer),
    "PQhost": (_Text, _Pointer),
    "PQhostaddr": (_Text, _Pointer),
    "PQport": (_Text, _Pointer),
    "PQuser": (_Text, _Pointer),
    "PQdb": (_Text, _Pointer),
    "PQconninfoParse": (_Pointer, _Text, ctypes.POINTER(_Pointer)),
    "PQconninfoFree": (None, _Pointer),
}


class LibpqMissingError(Exception):
    """No usable libpq was found. Its text says what was tried and why each failed."""


class _Option(ctypes.Structure):
    """PQconninfoOption (source: libpq-fe.h)."""

    _fields_ = (
        ("keyword", _Text),
        ("envvar", _Text),
        ("compiled", _Text),
        ("val", _Text),
        ("label", _Text),
        ("dispchar", _Text),
        ("dispsize", _Int),
    )


# A notice would go to standard error, in the middle of whatever is drawn there. Kept here: C holds no reference.
_silence = ctypes.CFUNCTYPE(None, _Pointer, _Text)(lambda _arg, _message: None)


class Libpq:
    """One loaded library; its functions under their own names, as attributes."""

    def __init__(self, path: str) -> None:
        """Load `path`. Raises OSError when it cannot be loaded, AttributeError when it is not libpq (12 or newer)."""
        self.path = path
        library = ctypes.CDLL(path)
        for name, (result, *arguments) in _PROTOTYPES.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
            setattr(self, name, function)
        self.version = int(self.PQlibVersion())

    if TYPE_CHECKING:  # what __init__ sets

        def __getattr__(self, name: str) -> Callable[..., Any]: ...

    def start(self, parameters: Iterable[tuple[str, str]]) -> int:
        """`PQconnectStartParams`, with a connection string expanded where it stands as the first dbname.

        Returns the connection, to be given to `PQfinish` whatever comes of it. A host name is resolved in here, which
        may take longer than any deadline. Raises MemoryError when libpq has no memory.
        """
        pairs = [(key.encode(), value.encode("utf-8", "surrogateescape")) for key, value in parameters]
        keys = (_Text * (len(pairs) + 1))(*[key for key, _ in pairs], None)
        values = (_Text * (len(pairs) + 1))(*[value for _, value in pairs], None)
        connection = self.PQconnectStartParams(keys, values, 1)
        if not connection:
            raise MemoryError
        # Before the first poll: so a refused connect, too, comes with its SQLSTATE, which no language changes.
        self.PQsetErrorVerbosity(connection, ERRORS_VERBOSE)
        self.PQsetNoticeProcessor(connection, _silence, None)
        return int(connection)

    def text(self, value: bytes | None) -> str:
        """What libpq says about itself or the server, decoded; "" for NULL."""
        return (value or b"").decode("utf-8", "backslashreplace")

    def parse(self, conninfo: str) -> dict[str, str]:
        """The words of a connection string or URI, those that it gives. Raises ValueError with libpq's message."""
        error = _Pointer()
        options = self.PQconninfoParse(conninfo.encode("utf-8", "surrogateescape"), ctypes.byref(error))
        if not options:
            said = self.text(ctypes.string_at(error.value)) if error.value else "out of memory"
            if error.value:
                self.PQfreemem(error)
            raise ValueError(said.strip())
        found = {}
        try:
            option = ctypes.cast(options, ctypes.POINTER(_Option))
            for i in range(1000):  # the list ends with a NULL keyword; libpq has about 50
                if not option[i].keyword:
                    break
                if option[i].val is not None:
                    found[option[i].keyword.decode()] = option[i].val.decode("utf-8", "surrogateescape")
        finally:
            self.PQconninfoFree(options)
        return found


def bundled(search: Iterable[str] | None = None) -> Iterator[str]:
    """Paths of the libpq inside the wheel psycopg-binary, whose directory stands beside the package.

    `search` is `sys.path`. A look there costs 20 us, `importlib.util.find_spec` 8 ms.
    """
    for directory in sys.path if search is None else search:
        libraries = os.path.join(directory or ".", "psycopg_binary.libs")
        try:
            names = os.listdir(libraries)
        except OSError:
            continue
        # The name carries a hash, that of its content: libpq-e9b5c9ac.so.5.18.
        yield from (os.path.join(libraries, name) for name in sorted(names) if name.startswith("libpq-"))


@cache
def load(paths: tuple[str, ...] | None = None) -> Libpq:
    """The first libpq that works: that of the wheel psycopg-binary, then the system's.

    Raises LibpqMissingError when there is none, with what was tried.
    """
    tried = []
    for path in (*bundled(), SYSTEM) if paths is None else paths:
        try:
            return Libpq(path)
        except OSError as error:
            tried.append(str(error))
        except AttributeError as error:
            tried.append(f"{path}: not libpq, or older than 12: {error}")
    raise LibpqMissingError("; ".join(tried) or "no path to try")
