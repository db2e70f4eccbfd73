"""pgusher: every PostgreSQL slot has a name.

What an application imports is here, and importing it costs next to nothing: no driver, no event loop, no
command-line parser. A name that needs any of those is to be resolved on first use, by a module `__getattr__` (PEP 562).
"""

from __future__ import annotations

from pgusher.errors import PgusherError

__all__ = ["PgusherError", "__version__"]

# The one place of the version: pyproject.toml reads it from this line.
__version__ = "0.1.0"
