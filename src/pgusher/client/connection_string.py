"""Connection strings, which may hold a password: what cannot be read is never repeated, in no message and no cause."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict


def words_of(conninfo: str) -> dict[str, Any] | None:
    """The words of it; None when it cannot be read.

    libpq's own reason quotes the place where it stumbled, which is in the midst of the password as a rule, so it is
    not even a context. A port that is no number, or an @ within a host, is a rest of a password that was not quoted
    (`postgresql://u:pa/ss@h/db`, `postgresql://u:pa@ss@h/db`): libpq would show it when it cannot connect there.
    """
    try:
        found: dict[str, Any] = conninfo_to_dict(conninfo)
    except (psycopg.ProgrammingError, ValueError):
        return None
    ports = str(found.get("port") or "").split(",")
    hosts = str(found.get("host") or "").split(",")
    if not all(port.strip().isdecimal() for port in ports if port) or any("@" in host[1:] for host in hosts):
        return None
    return found


def unreadable() -> psycopg.ProgrammingError:
    """What a pool that is made of such a string says."""
    return psycopg.ProgrammingError(
        "the connection string cannot be read: it is to be as for psql, special characters of a password as %XX"
    )
