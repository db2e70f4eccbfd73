"""One suite for both flavours: the tests are written for `AsyncDatabase`, and `Database` is dressed up as one."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any

import psycopg
import pytest

from pgusher import AsyncDatabase, Database
from pgusher.demo.server import EmbeddedServer


class _Cursor:
    """A cursor or connection whose calls may be awaited."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        if not callable(found) or name in {"cursor", "transaction"}:
            return found

        async def call(*args: Any, **kwargs: Any) -> Any:
            result = found(*args, **kwargs)
            return self if result is self.inner else _Cursor(result) if isinstance(result, psycopg.Cursor) else result

        return call


class Dressed:
    """A `Database` with the interface of an `AsyncDatabase`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.inner = Database(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        if name in {"name", "stats", "metrics"}:
            return found
        if name in {"cursor", "connection", "transaction"}:

            @asynccontextmanager
            async def block(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
                with found(*args, **kwargs) as inner:
                    yield _Cursor(inner)

            return block

        async def call(*args: Any, **kwargs: Any) -> Any:
            return found(*args, **kwargs) if callable(found) else found

        return call

    async def __aenter__(self) -> Any:
        return _Cursor(self.inner.__enter__())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.inner.__exit__(kind, error, at)

    def __repr__(self) -> str:
        return repr(self.inner)


@pytest.fixture(params=["threads", "asyncio"])
def make(request: pytest.FixtureRequest) -> Any:
    """The class under test."""
    return Dressed if request.param == "threads" else AsyncDatabase


Play = Callable[[Callable[[], Awaitable[None]]], None]


@pytest.fixture
def play() -> Iterator[Play]:
    """Run the body of a test, and close whatever it has opened."""
    from pgusher.client import registry

    def run(body: Callable[[], Awaitable[None]]) -> None:
        async def whole() -> None:
            try:
                await body()
            finally:
                for entry in registry.everything():
                    pool = entry.forget_here()
                    if pool is not None:
                        await pool.close()

        asyncio.run(whole())

    yield run
    for entry in registry.everything():
        pool = entry.forget()
        if pool is not None:
            pool.close()


@pytest.fixture
def dsn(server: EmbeddedServer) -> str:
    """A string that no other test uses, so that each has a pool of its own."""
    return server.dsn(user="app", dbname="app", application_name=f"t-{uuid.uuid4().hex[:12]}")


@pytest.fixture
def sessions(server: EmbeddedServer, dsn: str) -> Iterator[Callable[[], list[int]]]:
    """The backends of the sessions of this test, as the server has them."""
    name = psycopg.conninfo.conninfo_to_dict(dsn)["application_name"]
    with psycopg.connect(server.dsn(), autocommit=True) as admin:

        def look() -> list[int]:
            rows = admin.execute("select pid from pg_stat_activity where application_name = %s", (name,))
            return [pid for (pid,) in rows]

        yield look


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PG") and name.isupper() and "PGUSHER" not in name]:
        monkeypatch.delenv(name)
