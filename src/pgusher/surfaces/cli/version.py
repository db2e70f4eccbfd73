"""`pgusher --version`."""

from __future__ import annotations

import platform
from importlib import metadata

from pgusher import __version__


def version_text() -> str:
    """The version of pgusher, and those of what it works with here."""
    lines = (
        f"pgusher {__version__}",
        f"Python {platform.python_version()}",
        f"psycopg {_psycopg()}",
        f"libpq {_libpq()}",
    )
    return "\n".join(lines) + "\n"


def _psycopg() -> str:
    """The driver's version, for the Database classes. It is not imported: that takes longer than all the rest."""
    try:
        return metadata.version("psycopg")
    except metadata.PackageNotFoundError:
        return "not installed"


def _libpq() -> str:
    """The version of the libpq that the command itself uses, and where it is."""
    from pgusher.collect.postgres.libpq import LibpqMissingError, load

    try:
        library = load()
    except LibpqMissingError:
        return "not found"
    return f"{library.version // 10000}.{library.version % 10000} ({library.path})"
