"""`Pool`: psycopg_pool's ConnectionPool with the same constructor, methods, hooks and errors, that knows its place."""

from __future__ import annotations

from typing import Any

from psycopg_pool import ConnectionPool
from psycopg_pool.abc import CT

from pgusher.client.label import label


class Pool(ConnectionPool[CT]):
    """A connection pool for threads. Its sessions carry the name of the service, host and process."""

    def __init__(self, conninfo: Any = "", *, service: str | None = None, **options: Any) -> None:
        """`service`: the name that its sessions carry; None for that of the script. The rest is psycopg_pool's."""
        self._service = service
        super().__init__(conninfo, **options)

    def _resolve_kwargs(self) -> dict[str, Any]:
        # libpq takes it only where neither the connection string nor PGAPPNAME says another.
        return {"fallback_application_name": label(self._service), **super()._resolve_kwargs()}
