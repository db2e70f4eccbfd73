"""Where a user's store is. It loads nothing, for who would look into it only if there is one."""

from __future__ import annotations

import os
from collections.abc import Mapping


def default_path(environ: Mapping[str, str] | None = None, uid: int | None = None) -> str:
    """The store of a user: /var/lib/pgusher/record/record.db for root, below $XDG_STATE_HOME/pgusher for others.

    Below PGUSHER_STATE where that is set.
    """
    environ = os.environ if environ is None else environ
    if (state := environ.get("PGUSHER_STATE", "")).startswith("/"):
        base = state
    elif (os.geteuid() if uid is None else uid) == 0:
        base = "/var/lib/pgusher"
    else:
        state = environ.get("XDG_STATE_HOME", "")
        if not state.startswith("/"):
            state = os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".local", "state")
        base = os.path.join(state, "pgusher")
    return os.path.join(base, "record", "record.db")


def is_dsn(place: str) -> bool:
    """Whether a place names a server, and no file."""
    return place.startswith(("postgresql://", "postgres://")) or ("=" in place and "/" not in place.partition("=")[0])


def exists(place: str | None = None) -> bool:
    """Whether there is a store in a file."""
    place = place or default_path()
    return not is_dsn(place) and os.path.exists(place)


def stored(place: str | None = None) -> bool:
    """Whether there is a store in a file, or one on a server is named."""
    return is_dsn(place or default_path()) or exists(place)
