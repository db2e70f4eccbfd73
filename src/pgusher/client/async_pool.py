"""`AsyncPool`: psycopg_pool's AsyncConnectionPool with the same constructor, methods, hooks and errors."""

from __future__ import annotations

from typing import Any

from psycopg_pool import AsyncConnectionPool
from psycopg_pool.abc import ACT

from pgusher.client.label import label


class AsyncPool(AsyncConnectionPool[ACT]):
    """A connection pool for asyncio. Its sessions carry the name of the service, host and process."""

    def __init__(self, conninfo: Any = "", *, service: str | None = None, **options: Any) -> None:
        """`service`: the name that its sessions carry; None for that of the script. The rest is psycopg_pool's."""
        self._service = service
        super().__init__(conninfo, **options)

    async def _resolve_kwargs(self) -> dict[str, Any]:
        return {"fallback_application_name": label(self._service), **await super()._resolve_kwargs()}
