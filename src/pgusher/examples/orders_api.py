"""A back end of two workers over one budget of slots.

    export PGUSHER_ORDERS_DSN=postgresql://app@localhost/app
    uvicorn pgusher.examples.orders_api:app --workers 2

PGUSHER_ORDERS_SLOTS (8) is the budget: however many requests come, both workers together never have more sessions than
that; who finds none waits in line.
"""

from __future__ import annotations

import os
from typing import Annotated, Any

import psycopg
from fastapi import FastAPI, HTTPException
from fastapi.responses import PlainTextResponse
from psycopg.rows import DictRow

import pgusher
from pgusher.client.fastapi import cursor, lifespan

budget = pgusher.Budget("orders-api", int(os.environ.get("PGUSHER_ORDERS_SLOTS", "8")))
db = pgusher.AsyncDatabase("orders", budget=budget, service="orders-api")
app = FastAPI(lifespan=lifespan(db))

Cursor = Annotated[psycopg.AsyncCursor[DictRow], cursor(db)]


@app.get("/databases")
async def databases(cur: Cursor) -> list[dict[str, Any]]:
    """All databases of the server."""
    await cur.execute("select datname as name, numbackends as sessions from pg_stat_database where datname is not null")
    return await cur.fetchall()


@app.get("/databases/{name}")
async def one(name: str, cur: Cursor) -> dict[str, Any]:
    """One of them."""
    await cur.execute(
        "select datname as name, numbackends as sessions from pg_stat_database where datname = %s", (name,)
    )
    row = await cur.fetchone()
    if row is None:
        raise HTTPException(404)
    return row


@app.get("/products")
async def products(cur: Cursor) -> list[dict[str, Any]]:
    """All products, where there is a table of them, as in the shop of `pgusher demo`."""
    try:
        await cur.execute("select id, name, price from product order by id")
    except psycopg.errors.UndefinedTable:
        raise HTTPException(404, "this database has no table product") from None
    return await cur.fetchall()


@app.get("/metrics", response_class=PlainTextResponse)
async def metrics() -> str:
    """For Prometheus."""
    return pgusher.metrics()
