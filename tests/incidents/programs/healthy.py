"""Programs that are at work and look as if they hung: healthy.py KIND DSN. Each prints "ready" when it is at it."""

from __future__ import annotations

import queue
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


KINDS: dict[str, Callable[[], None]] = {
    function.__name__: function for function in (long_query, poller, computing, executor, workers)
}

if __name__ == "__main__":
    KINDS[sys.argv[1]]()
