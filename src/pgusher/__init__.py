"""pgusher: every PostgreSQL slot has a name.

What an application imports is here, and importing it costs next to nothing: no driver, no event loop, no
command-line parser. A name that needs any of those is to be resolved on first use, by a module `__getattr__` (PEP 562).
"""

from __future__ import annotations

from pgusher.errors import PgusherError

TYPE_CHECKING = False  # typing costs milliseconds; a type checker takes this name for true, whatever it is set to
if TYPE_CHECKING:
    from pgusher.client import fastapi as fastapi
    from pgusher.client import sqlalchemy as sqlalchemy
    from pgusher.client.async_database import AsyncDatabase
    from pgusher.client.async_pool import AsyncPool
    from pgusher.client.budget import Budget
    from pgusher.client.database import Database
    from pgusher.client.pool import Pool
    from pgusher.client.registry import DatabaseError, metrics
    from pgusher.guard.job import job

__all__ = [
    "AsyncDatabase",
    "AsyncPool",
    "Budget",
    "Database",
    "DatabaseError",
    "PgusherError",
    "Pool",
    "__version__",
    "job",
    "metrics",
]

# The one place of the version: pyproject.toml reads it from this line.
__version__ = "0.1.0"

_LATE = {
    "AsyncDatabase": "pgusher.client.async_database",
    "AsyncPool": "pgusher.client.async_pool",
    "Budget": "pgusher.client.budget",
    "Database": "pgusher.client.database",
    "DatabaseError": "pgusher.client.registry",
    "Pool": "pgusher.client.pool",
    "job": "pgusher.guard.job",
    "fastapi": "pgusher.client.fastapi",
    "metrics": "pgusher.client.registry",
    "sqlalchemy": "pgusher.client.sqlalchemy",
}
"""Public names that need the driver, and where they are."""
_MODULES = ("fastapi", "sqlalchemy")
"""Those that are modules, and need what they are named after."""


if not TYPE_CHECKING:  # a misspelt name is the type checker's to find

    def __getattr__(name: str) -> object:
        """One of the public names, on its first use. Raises AttributeError for any other."""
        if name not in _LATE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        module = import_module(_LATE[name])
        found = module if name in _MODULES else getattr(module, name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATE})
