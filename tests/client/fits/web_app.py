"""A back end as users write them. Served by uvicorn and gunicorn in the tests."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Annotated, Any

import psycopg
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from psycopg.rows import DictRow

from pgusher import AsyncDatabase, Budget, Database
from pgusher.client.fastapi import connection, cursor, lifespan, transaction

BUDGET = Budget("web", int(os.environ.get("BUDGET", "6")), directory=os.environ["BUDGETS"])
db = AsyncDatabase("orders", budget=BUDGET, service="orders-api", max_size=4)
threads = Database("orders", budget=BUDGET, service="orders-api", max_size=4)
if os.environ.get("USE_BEFORE_FORK"):
    threads.fetch_one("select 1")

app = FastAPI(lifespan=lifespan(db, threads, wait=20))

Cursor = Annotated[psycopg.AsyncCursor[DictRow], cursor(db)]
Transaction = Annotated[psycopg.AsyncConnection[DictRow], transaction(db)]
InThreads = Annotated[psycopg.Cursor[DictRow], cursor(threads)]
Connection = Annotated[psycopg.Connection[DictRow], connection(threads)]


@app.get("/alive")
async def alive() -> str:
    return "yes"


@app.get("/async")
async def one(cur: Cursor) -> Any:
    await cur.execute("select 1 as one, pg_backend_pid() as pid")
    return {**(await cur.fetchone() or {}), "worker": os.getpid()}


@app.get("/threads")
def other(cur: InThreads) -> Any:
    return {**(cur.execute("select pg_backend_pid() as pid, pg_sleep(0.02)").fetchone() or {}), "worker": os.getpid()}


@app.get("/connection")
def third(conn: Connection) -> Any:
    return conn.execute("select 3 as three").fetchone()


@app.get("/fails")
async def fails(conn: Transaction) -> Any:
    await conn.execute("create table never (n int)")
    raise ZeroDivisionError


@app.get("/slowly")
async def slowly(cur: Cursor) -> StreamingResponse:
    """A response that takes long to send; its session must not wait for that."""
    await cur.execute("select 1")

    async def lines() -> AsyncIterator[str]:
        for _ in range(10):
            yield f"{db.stats()['loans_out']}\n"
            await asyncio.sleep(0.02)

    return StreamingResponse(lines(), media_type="text/plain")


@app.get("/stats")
async def stats() -> Any:
    return {"loans": db.stats().get("loans_out", 0) + threads.stats().get("loans_out", 0), "held": BUDGET.held}
