"""FastAPI: a session for a request, given back before its response is sent; and an end with the application.

    from pgusher.client.fastapi import cursor, lifespan

    db = pgusher.AsyncDatabase("orders", budget=pgusher.Budget("web", 40))
    app = FastAPI(lifespan=lifespan(db))
    Cursor = Annotated[psycopg.AsyncCursor[DictRow], cursor(db)]

    @app.get("/parts/{part}")
    async def one(part: int, cur: Cursor) -> dict[str, Any] | None:
        await cur.execute("select * from parts where id = %s", (part,))
        return await cur.fetchone()

A whole back end: `uvicorn pgusher.examples.orders_api:app --workers 2` (pgusher/examples/orders_api.py).

The scope of the dependency is "function": it ends when the path operation has returned. With "request", FastAPI's
default from 0.118 on, a client that reads slowly keeps a session until it has read all (source: FastAPI's
documentation, "Dependencies with yield", "Early exit and scope"). An error at the commit is an error of the request.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import Depends

from pgusher.client.async_database import AsyncDatabase
from pgusher.client.database import Database
from pgusher.client.registry import DatabaseError

Lifespan = Callable[[Any], AbstractAsyncContextManager[None]]


def lifespan(*databases: Database | AsyncDatabase, wait: float | None = None) -> Lifespan:
    """For `FastAPI(lifespan=...)`: the databases are closed when the application ends.

    `wait`: do not start before each of them has let us in, for so many seconds at most; then PoolTimeout says why.
    None: start without, the first request asks. Inside a lifespan of your own: `async with lifespan(db)(app):`.
    """

    @asynccontextmanager
    async def span(app: Any) -> AsyncIterator[None]:  # noqa: ARG001  # FastAPI gives it
        from anyio.to_thread import run_sync  # FastAPI's own helper for what blocks

        try:
            for db in databases if wait is not None else ():
                if isinstance(db, AsyncDatabase):
                    await db.wait(wait or 0.0)
                else:
                    await run_sync(db.wait, wait or 0.0)
            yield
        finally:
            for db in databases:
                if isinstance(db, AsyncDatabase):
                    await db.close()
                else:
                    await run_sync(db.close)

    return span


def cursor(db: Database | AsyncDatabase, **options: Any) -> Any:
    """`Depends` that gives a cursor; `options` are those of `Database.cursor`. One for all uses within a request."""
    return _depends(db, "cursor", options)


def connection(db: Database | AsyncDatabase, **options: Any) -> Any:
    """`Depends` that gives a connection."""
    return _depends(db, "connection", options)


def transaction(db: Database | AsyncDatabase, **options: Any) -> Any:
    """`Depends` that gives a connection in a transaction."""
    return _depends(db, "transaction", options)


def _depends(db: Database | AsyncDatabase, kind: str, options: dict[str, Any]) -> Any:
    scope: dict[str, Any] = {"scope": "function"} if "scope" in inspect.signature(Depends).parameters else {}
    if not scope and _late():
        raise DatabaseError(
            "this FastAPI keeps a session until its response is sent",
            detail="0.118 to 0.120 end dependencies after the response, and have no scope to change that",
            hint="use FastAPI 0.121 or later",
        )
    block = getattr(db, kind)
    # What FastAPI shall not take for parameters of the request must not be parameters here.
    if isinstance(db, AsyncDatabase):

        async def borrowed() -> Any:
            async with block(**options) as given:
                yield given

        return Depends(borrowed, **scope)

    def borrowed_in_threads() -> Any:
        # FastAPI enters and leaves it in two threads. While it is suspended it must be seen to have the connection.
        with block(**options) as given:
            keeps = given if kind != "cursor" else given.connection
            yield given
            del keeps

    return Depends(borrowed_in_threads, **scope)


def _late() -> bool:
    import fastapi

    words = fastapi.__version__.split(".")
    return (int(words[0]), int(words[1])) >= (0, 118)
