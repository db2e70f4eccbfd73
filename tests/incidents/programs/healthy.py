"""Programs that are at work and look as if they hung: healthy.py KIND DSN. Each prints "ready" when it is at it."""

from __future__ import annotations

import asyncio
import multiprocessing
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg

LONG = "select pg_sleep(600)"


def connect() -> psycopg.Connection[Any]:
    """One session."""
    return psycopg.connect(sys.argv[2], autocommit=True)


def ready() -> None:
    """Say so."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def long_query() -> None:
    """A report whose statement takes ten minutes."""
    connection = connect()
    ready()
    connection.execute(LONG)


def poller() -> None:
    """Looks for work every half second."""
    connection = connect()
    ready()
    while True:
        connection.execute("select 1")
        time.sleep(0.5)


def computing() -> None:
    """Has read its rows and reckons with them; a breath now and then, for the machine's sake."""
    kept = [connect() for _ in range(3)]
    ready()
    while kept:
        sum(number * number for number in range(20_000))
        time.sleep(0.01)


def executor() -> None:
    """Main waits for the results of workers, each of which waits for its statement."""
    with ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(lambda: connect().execute(LONG).fetchall()) for _ in range(3)]
        ready()
        for future in futures:
            future.result()


def workers() -> None:
    """Main waits in join() for a queue whose workers are in the middle of their items."""
    items: queue.Queue[int] = queue.Queue()

    def work() -> None:
        connection = connect()
        while True:
            items.get()
            try:
                connection.execute(LONG)
            finally:
                items.task_done()

    for number in range(2):
        threading.Thread(target=work, daemon=True).start()
        items.put(number)
    ready()
    items.join()


def child_at_work() -> None:
    """Waits for a program that takes long, and has a helper process of multiprocessing that only listens."""
    helper = multiprocessing.get_context("spawn").Semaphore()
    connection = connect()
    ready()
    subprocess.run(["sleep", "600"], capture_output=True, check=False)
    del helper, connection


def mp_at_work() -> None:
    """Main waits for the result of a pool of processes that reckon."""
    connection = connect()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        ready()
        pool.map(reckon, range(10_000), chunksize=1)
    del connection


def reckon(number: int) -> int:
    """Some work, with a breath."""
    time.sleep(0.05)
    return sum(range(number))


def asking() -> None:
    """Waits for the answer of a web service that takes half a minute, with a time limit."""
    server = socket.create_server(("127.0.0.1", 0))
    connection = connect()
    ready()
    client = socket.create_connection(server.getsockname(), timeout=300)
    client.recv(1)
    del connection


def event_loop() -> None:
    """An asyncio program with a timer and a session: it looks for work each second."""

    async def main() -> None:
        connection = connect()
        ready()
        while True:
            connection.execute("select 1")
            await asyncio.sleep(1)

    asyncio.run(main())


KINDS: dict[str, Callable[[], None]] = {
    function.__name__: function
    for function in (
        long_query,
        poller,
        computing,
        executor,
        workers,
        child_at_work,
        mp_at_work,
        asking,
        event_loop,
    )
}

if __name__ == "__main__":
    KINDS[sys.argv[1]]()
