"""A process with a pool of a budget: threads or tasks that work until the test says stop. Prints what was done.

python worker.py sync|async DSN DIRECTORY TOTAL CALLERS
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading

import pgusher

kind, dsn, directory = sys.argv[1:4]
total, callers = int(sys.argv[4]), int(sys.argv[5])
done = [0] * callers
errors: list[str] = []
stop = threading.Event()


def work(number: int, db: pgusher.Database) -> None:
    while not stop.is_set():
        try:
            db.execute("select pg_sleep(0.01)")
            done[number] += 1
        except Exception as error:  # noqa: BLE001 - the test looks at each
            errors.append(repr(error))


async def work_in_loop(number: int, db: pgusher.AsyncDatabase) -> None:
    while not stop.is_set():
        try:
            await db.execute("select pg_sleep(0.01)")
            done[number] += 1
        except Exception as error:  # noqa: BLE001 - the test looks at each
            errors.append(repr(error))


async def loop(budget: pgusher.Budget) -> None:
    db = pgusher.AsyncDatabase(dsn, budget=budget, max_size=callers)
    await asyncio.gather(*(work_in_loop(number, db) for number in range(callers)))


def listen() -> None:
    for line in sys.stdin:
        if line == "tell\n":
            print(json.dumps({"done": done, "errors": errors}), flush=True)  # noqa: T201 - the test reads it
    stop.set()


budget = pgusher.Budget("web", total, directory=directory)
threading.Thread(target=listen, daemon=True).start()
if kind == "async":
    asyncio.run(loop(budget))
else:
    database = pgusher.Database(dsn, budget=budget, max_size=callers)
    threads = [threading.Thread(target=work, args=(number, database)) for number in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
