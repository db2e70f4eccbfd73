"""One suite for both pools: a test is a coroutine that speaks to a `Flavour`, which makes it threads or tasks.

With threads each call blocks, so a coroutine never really waits, and each `spawn` is a thread of its own.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, Self

import psycopg

import pgusher
from pgusher.client import loans

loans.OWN_FILES[__file__] = True  # so that a loan's line is that of the test

Body = Callable[[], Coroutine[Any, Any, Any]]


class Worker(Protocol):
    """What `spawn` gives."""

    async def join(self) -> Any: ...


class Flavour:
    """Threads or tasks."""

    name: str
    unit: str
    """What borrows: "thread" or "task"."""

    def pool(self, conninfo: Any = "", **options: Any) -> Any:
        """A pool, to be opened by `async with`."""
        raise NotImplementedError

    def spawn(self, body: Body, name: str | None = None) -> Worker:
        """Run it beside the test."""
        raise NotImplementedError

    async def gather(self, *workers: Worker) -> list[Any]:
        """Wait for all; the first exception is raised."""
        return [await worker.join() for worker in workers]

    async def until(self, condition: Callable[[], object], within: float = 30.0) -> float:
        """Wait until it holds; the seconds it took. Fails after `within`."""
        began = time.monotonic()
        while not condition():
            assert time.monotonic() - began < within, "it did not come about"
            await self.sleep(0.005)
        return time.monotonic() - began

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError

    async def execute(self, conn: Any, query: str) -> Any:
        """The first row, or None for a statement without rows."""
        raise NotImplementedError

    async def close(self, conn: Any) -> None:
        raise NotImplementedError

    def hook(self, function: Callable[[Any], Any]) -> Any:
        """A callback of the pool's, made of a coroutine function."""
        raise NotImplementedError


class Tasks(Flavour):
    """asyncio."""

    name, unit = "async", "task"

    def pool(self, conninfo: Any = "", **options: Any) -> Any:
        return pgusher.AsyncPool(conninfo, **{"open": False, **options})

    def spawn(self, body: Body, name: str | None = None) -> Worker:
        task = asyncio.get_running_loop().create_task(body(), name=name)

        class Joined:
            task_ = task

            async def join(self) -> Any:
                return await task

        return Joined()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def execute(self, conn: Any, query: str) -> Any:
        cursor = await conn.execute(query)
        return await cursor.fetchone() if cursor.description else None

    async def close(self, conn: Any) -> None:
        await conn.close()

    def hook(self, function: Callable[[Any], Any]) -> Any:
        return function


class Threads(Flavour):
    """Threads; each runs its coroutine to the end, since nothing in it waits."""

    name, unit = "sync", "thread"

    def pool(self, conninfo: Any = "", **options: Any) -> Any:
        return Blocking(pgusher.Pool(conninfo, **{"open": False, **options}))

    def spawn(self, body: Body, name: str | None = None) -> Worker:
        result: list[Any] = []

        def run() -> None:
            try:
                result.append((drive(body()), None))
            except BaseException as error:  # noqa: BLE001  # raised again by who joins
                result.append((None, error))

        thread = threading.Thread(target=run, name=name)
        thread.start()

        class Joined:
            async def join(self) -> Any:
                thread.join()
                value, error = result[0]
                if error is not None:
                    raise error
                return value

        return Joined()

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251  # nothing else runs in this thread

    async def execute(self, conn: Any, query: str) -> Any:
        cursor = conn.execute(query)
        return cursor.fetchone() if cursor.description else None

    async def close(self, conn: Any) -> None:
        conn.close()

    def hook(self, function: Callable[[Any], Any]) -> Any:
        return lambda thing: drive(function(thing))


class Blocking:
    """A pool for threads with the methods of the one for asyncio."""

    def __init__(self, pool: Any) -> None:
        self.__dict__["pool"] = pool

    def __getattr__(self, name: str) -> Any:
        return getattr(self.pool, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.pool, name, value)

    async def __aenter__(self) -> Self:
        self.pool.__enter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.pool.__exit__(*exc)

    def connection(self, timeout: float | None = None) -> AbstractAsyncContextManager[Any]:
        return BlockingLoan(self.pool.connection(timeout))

    async def getconn(self, timeout: float | None = None) -> Any:  # noqa: ASYNC109  # as the pool has it
        return self.pool.getconn(timeout)

    async def putconn(self, conn: Any) -> None:
        self.pool.putconn(conn)

    async def open(self, wait: bool = False, timeout: float = 30.0) -> None:  # noqa: ASYNC109  # as the pool has it
        self.pool.open(wait, timeout)

    async def wait(self, timeout: float = 30.0) -> None:  # noqa: ASYNC109  # as the pool has it
        self.pool.wait(timeout)

    async def close(self) -> None:
        self.pool.close()

    async def check(self) -> None:
        self.pool.check()

    async def drain(self) -> None:
        self.pool.drain()

    async def resize(self, *sizes: int) -> None:
        self.pool.resize(*sizes)


class BlockingLoan(AbstractAsyncContextManager[Any]):
    """The same for a loan."""

    def __init__(self, loan: Any) -> None:
        self.loan = loan

    async def __aenter__(self) -> Any:
        return self.loan.__enter__()

    async def __aexit__(self, *exc: object) -> Any:
        return self.loan.__exit__(*exc)


def drive(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as ended:
        return ended.value
    raise AssertionError("it waited for an event loop")


FLAVOURS: dict[str, type[Flavour]] = {"sync": Threads, "async": Tasks}


def run(flavour: Flavour, body: Body) -> Any:
    """Run a test."""
    if isinstance(flavour, Tasks):
        return asyncio.run(body())
    return drive(body())


async def pid(conn: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> int:
    """The backend of a connection."""
    return conn.pgconn.backend_pid
