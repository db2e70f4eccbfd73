"""Watches a script that does not know it: python imports this module by itself when its directory is in PYTHONPATH.

Each session that psycopg opens is noted. Nothing is sent to the server, no thread is added, and no reference kept that
would keep a connection alive.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any

from tests.bed.holders.witness import TRUTH, Witness

if os.environ.get(TRUTH):
    import psycopg

    _lock = threading.Lock()
    _opened: list[weakref.ref[psycopg.Connection[Any]]] = []
    _connect = psycopg.Connection.connect.__func__  # type: ignore[attr-defined]  # what the classmethod wraps

    def connect(cls: Any, *args: Any, **kwargs: Any) -> Any:
        """As psycopg.Connection.connect, and tell."""
        connection = _connect(cls, *args, **kwargs)
        with _lock:
            _opened.append(weakref.ref(connection))
            witness = Witness()
            for reference in _opened:
                known = reference()
                if known is not None and not known.closed:
                    witness.saw(known, "")
            witness.write()
        return connection

    psycopg.Connection.connect = classmethod(connect)  # type: ignore[assignment, method-assign]
