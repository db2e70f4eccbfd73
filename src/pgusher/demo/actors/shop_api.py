"""The back end of the shop: FastAPI under uvicorn, in each worker a pool of 10 that is filled at the start."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool
from truth import Truth

truth = Truth("shop_api")
PATIENCE = float(os.environ.get("POOL_TIMEOUT", "30"))  # seconds


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Fill the pool, or do not start at all."""
    pool = ConnectionPool("dbname=shop", min_size=10, max_size=10, open=False, configure=truth.session)
    pool.open()
    pool.wait(timeout=PATIENCE)
    app.state.pool = pool
    yield
    pool.close()


app = FastAPI(lifespan=lifespan)


@app.get("/products")
def products() -> list[dict[str, Any]]:
    """All products."""
    with app.state.pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute("select id, name, price from product order by id")
        rows: list[dict[str, Any]] = cursor.fetchall()
        return rows
