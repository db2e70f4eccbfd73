"""`pgusher --version`."""

from __future__ import annotations

import platform
from importlib import metadata

from pgusher import __version__


def version_text() -> str:
    """The version of pgusher, and those of what it works with here."""
    return "\n".join((f"pgusher {__version__}", f"Python {platform.python_version()}", f"psycopg {_psycopg()}")) + "\n"


def _psycopg() -> str:
    """The driver's version and its libpq's; "not installed" is an answer too."""
    try:
        version = metadata.version("psycopg")
    except metadata.PackageNotFoundError:
        return "not installed"
    try:
        import psycopg

        number = psycopg.pq.version()
    except ImportError:  # it is there, but finds no libpq
        return f"{version}, without libpq"
    return f"{version}, libpq {number // 10000}.{number % 10000}"
