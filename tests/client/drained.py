"""A program with pgusher's databases whose main thread hangs, for tests/client/test_drain.py: `drained.py DSN HOW...`.

lent    one connection is on loan
idle    five are idle
async   an event loop of its own thread has two idle and one on loan
held    as async, and then the loop is held up
min     a database with min_size=2, of which both are idle
fork    a child is forked, which uses nothing
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from typing import Any

from pgusher import AsyncDatabase, Database

dsn, *words = sys.argv[1:]
ready: list[int] = []
loans: list[Any] = []


def idle(database: Database, count: int) -> None:
    taken = [database.connection() for _ in range(count)]
    for one in taken:
        one.__enter__()
    for one in taken:
        one.__exit__(None, None, None)


async def loop() -> None:
    database = AsyncDatabase(dsn)
    taken = [database.connection() for _ in range(3)]
    for one in taken:
        await one.__aenter__()
    for one in taken[1:]:
        await one.__aexit__(None, None, None)
    loans.append(taken[0])
    ready.append(1)
    if "held" in words:
        time.sleep(600)  # noqa: ASYNC251 - that is what is tested
    await asyncio.sleep(600)


def borrow(database: Database) -> None:
    with database.connection():
        ready.append(1)
        time.sleep(600)


def main() -> None:
    database = Database(dsn, min_size=2 if "min" in words else 0)
    if "lent" in words:
        threading.Thread(target=borrow, args=(database,), daemon=True).start()
        while not ready:
            time.sleep(0.001)
    if "idle" in words or "min" in words:
        idle(database, 5)
    if "async" in words or "held" in words:
        before = len(ready)
        threading.Thread(target=asyncio.run, args=(loop(),), daemon=True).start()
        while len(ready) == before:
            time.sleep(0.001)
    child = 0
    if "fork" in words:
        child = os.fork()
        if child == 0:
            time.sleep(600)
    sys.stdout.write(f"ready {child}\n")
    sys.stdout.flush()
    never = threading.Lock()
    never.acquire()
    never.acquire()  # it hangs, as a lock that nobody releases does


main()
