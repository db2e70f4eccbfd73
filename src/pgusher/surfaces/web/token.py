"""The token that opens the page: made once, kept for its owner alone, compared in constant time."""

from __future__ import annotations

import hmac
import os
import stat
from collections.abc import Mapping

from pgusher.errors import PgusherError, UsageError

_LENGTH = 32
"""Bytes of randomness."""
_LEAST = 16
"""Characters that a token of the user's own must have."""
_MOST = 4096


def default_path(environ: Mapping[str, str] | None = None) -> str:
    """Where the token of this user is kept."""
    environ = os.environ if environ is None else environ
    if (state := environ.get("PGUSHER_STATE", "")).startswith("/"):
        return os.path.join(state, "serve.token")
    if os.geteuid() == 0:
        return "/var/lib/pgusher/serve.token"
    state = environ.get("XDG_STATE_HOME", "")
    if not state.startswith("/"):
        state = os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(state, "pgusher", "serve.token")


def read_or_make(path: str) -> str:
    """The token in that file, which is made with a new one if it is not there.

    Raises UsageError for a file that others may read, or that holds no token; PgusherError when it cannot be made.
    """
    try:
        return _read(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise PgusherError(f"the token could not be read: {reason}", detail=path) from None
    try:
        os.makedirs(os.path.dirname(path) or ".", mode=0o700, exist_ok=True)
        token = os.urandom(_LENGTH).hex()
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "w", encoding="ascii") as file:
            file.write(token + "\n")
    except FileExistsError:  # another one made it meanwhile
        return _read(path)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        hint = "name a file that may be written: --token-file FILE"
        raise PgusherError(f"the token could not be kept: {reason}", detail=path, hint=hint) from None
    return token


def _read(path: str) -> str:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(fd, "rb") as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise UsageError("the token is not in a file", detail=path)
        if found.st_mode & 0o077:
            hint = f"make it its owner's alone: chmod 600 {path}"
            raise UsageError(f"the token may be read by others: mode {found.st_mode & 0o777:03o}", path, hint)
        raw = file.read(_MOST)
    token = raw.decode("utf-8", "replace").strip()
    if len(token) < _LEAST or not token.isascii() or not token.isprintable() or any(c in token for c in ' ";,\\'):
        hint = f"delete it, and a new one is made; one of your own has {_LEAST} letters and digits at least"
        raise UsageError("the file holds no token", path, hint)
    return token


def same(given: str | None, token: str) -> bool:
    """Whether it is the token; how long that takes tells nothing."""
    return given is not None and hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())


def form_key(token: str) -> str:
    """What a form of our own pages carries and nobody else can know."""
    return hmac.new(token.encode(), b"pgusher form", "sha256").hexdigest()
