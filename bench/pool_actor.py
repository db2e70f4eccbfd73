"""One process of bench/pool.py: a pool of one kind, and what it is put through. Prints one JSON object.

python bench/pool_actor.py SCENARIO KIND '{"dsn": ..., ...}'
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

now = time.monotonic


class Kind:
    """A pool behind one interface: `loan()` gives what runs a statement for a block."""

    def __init__(self, name: str, o: dict[str, Any]) -> None:
        self.name = name
        self.o = o
        self.largest, self.patience = o.get("max", 10), o.get("timeout", 30.0)
        self.loan: Callable[[], AbstractContextManager[Any]]
        getattr(self, "_" + name)()

    def _psycopg_pool(self) -> None:
        from psycopg_pool import ConnectionPool

        self.pool: Any = ConnectionPool(
            self.o["dsn"], min_size=self.o.get("min", 0), max_size=self.largest, timeout=self.patience, open=True,
            kwargs={"autocommit": True, "prepare_threshold": None if self.name == "pgbouncer" else 5},
        )  # fmt: skip
        self.loan = self.pool.connection
        self.take = self.pool.getconn

    _pgbouncer = _psycopg_pool

    def _sqlalchemy(self) -> None:
        import psycopg
        from sqlalchemy import create_engine

        small = self.o.get("min", 0) or self.largest
        # pre_ping as its own documentation advises for servers that restart
        self.pool = create_engine(
            "postgresql+psycopg://", pool_size=small, max_overflow=self.largest - small, pool_timeout=self.patience,
            pool_pre_ping=self.o.get("ping", False), creator=lambda: psycopg.connect(self.o["dsn"], autocommit=True),
        )  # fmt: skip

        @contextmanager
        def loan() -> Any:
            conn = self.pool.raw_connection()
            try:
                yield conn.driver_connection
            finally:
                conn.close()

        self.loan = loan
        self.take = self.pool.raw_connection

    def _pgusher(self) -> None:
        from psycopg.rows import tuple_row

        from pgusher import Budget, Database

        budget = None
        if self.o.get("budget"):
            budget = Budget("bench", self.o["budget"], directory=self.o["directory"])
        self.pool = Database(
            self.o["dsn"], min_size=self.o.get("min", 0), max_size=self.largest, timeout=self.patience, budget=budget,
            kwargs={"autocommit": True, "row_factory": tuple_row},
        ).pool  # fmt: skip
        self.loan = self.pool.connection
        self.take = self.pool.getconn


def say(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


def together(count: int, target: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=target, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# -- back after full ---------------------------------------------------------------------------------------------------


def full(name: str, o: dict[str, Any]) -> None:
    """Threads that wait for a server which is full from the start: when each is served, what was refused to them."""
    served: list[float] = []
    errors: list[str] = []
    __import__({"pgusher": "pgusher.client.database"}.get(name, name))
    say(ready=True)
    sys.stdin.readline()
    if name == "asyncpg":
        asyncio.run(_full_asyncpg(o, served, errors))
    else:
        kind = Kind(name, o)

        def caller(_: int) -> None:
            while True:
                try:
                    with kind.loan() as conn:
                        conn.execute("select 1")
                        served.append(now())
                        return
                except Exception as error:  # noqa: BLE001  # it is counted
                    errors.append(type(error).__name__)
                    time.sleep(0.25)

        together(o["threads"], caller)
    say(served=served, errors=errors)
    os._exit(0)


async def _full_asyncpg(o: dict[str, Any], served: list[float], errors: list[str]) -> None:
    import asyncpg  # type: ignore[import-untyped,unused-ignore]  # it has no types

    pool = asyncpg.create_pool(o["url"], min_size=0, max_size=o["threads"])
    await pool

    async def caller() -> None:
        while True:
            try:
                async with pool.acquire() as conn:
                    await conn.fetch("select 1")
                    served.append(now())
                    return
            except Exception as error:  # noqa: BLE001  # it is counted
                errors.append(type(error).__name__)
                await asyncio.sleep(0.25)

    await asyncio.gather(*(caller() for _ in range(o["threads"])))


# -- many processes ----------------------------------------------------------------------------------------------------


def crowd(name: str, o: dict[str, Any]) -> None:
    """Threads that work until a given time: units done, errors."""
    __import__({"pgusher": "pgusher.client.database", "pgbouncer": "psycopg_pool"}.get(name, name))
    say(ready=True)
    o["begin"], o["end"] = json.loads(sys.stdin.readline())
    if name == "asyncpg":
        asyncio.run(_crowd_asyncpg(o))
        return
    done = [0] * o["threads"]
    errors: dict[str, int] = {}
    kind = Kind(name, o)

    def worker(number: int) -> None:
        time.sleep(max(0.0, o["begin"] - now()))
        while now() < o["end"]:
            try:
                with kind.loan() as conn:
                    conn.execute("select pg_sleep(%s)", (o["work"],))
                done[number] += 1
            except Exception as error:  # noqa: BLE001  # it is counted
                errors[type(error).__name__] = errors.get(type(error).__name__, 0) + 1

    together(o["threads"], worker)
    say(done=sum(done), errors=errors)
    os._exit(0)


async def _crowd_asyncpg(o: dict[str, Any]) -> None:
    import asyncpg  # type: ignore[import-untyped,unused-ignore]  # it has no types

    done = 0
    errors: dict[str, int] = {}
    pool = asyncpg.create_pool(o["url"], min_size=0, max_size=o["threads"])
    await pool
    await asyncio.sleep(max(0.0, o["begin"] - now()))

    async def worker() -> None:
        nonlocal done
        while now() < o["end"]:
            try:
                async with pool.acquire(timeout=o["timeout"]) as conn:
                    await conn.fetch("select pg_sleep($1)", o["work"])
                done += 1
            except Exception as error:  # noqa: BLE001  # it is counted
                errors[type(error).__name__] = errors.get(type(error).__name__, 0) + 1

    await asyncio.gather(*(worker() for _ in range(o["threads"])))
    say(done=done, errors=errors)
    os._exit(0)


# -- restart -----------------------------------------------------------------------------------------------------------


def restart(name: str, o: dict[str, Any]) -> None:
    """Two threads with a short statement every 20 ms, through a restart, until SIGTERM: each unit's begin and end."""
    kind = Kind(name, {**o, "ping": True})
    units: list[tuple[float, float, bool]] = []
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())

    def worker(_: int) -> None:
        while not ended.is_set():
            began = now()
            try:
                with kind.loan() as conn:
                    conn.execute("select 1")
                worked = True
            except Exception:  # noqa: BLE001  # it is counted
                worked = False
            units.append((began, now(), worked))
            time.sleep(0.02)

    threads = [threading.Thread(target=worker, args=(number,), daemon=True) for number in range(2)]
    for thread in threads:
        thread.start()
    say(ready=True)
    ended.wait()
    time.sleep(0.1)
    say(units=units)
    os._exit(0)


# -- one process -------------------------------------------------------------------------------------------------------


def loan(_: str, o: dict[str, Any]) -> None:
    """One loan and return of an idle pool, the kinds in turn: microseconds, the least of each round."""
    kinds = {name: Kind(name, {**o, "min": 1, "max": 4}) for name in ("psycopg_pool", "sqlalchemy", "pgusher")}
    rounds: dict[str, list[float]] = {name: [] for name in [*kinds, "asyncpg"]}
    for kind in kinds.values():
        with kind.loan() as conn:
            conn.execute("select 1")
    for _ in range(o["rounds"]):
        for name, kind in kinds.items():
            borrow, count = kind.loan, o["count"]
            gc.disable()
            began = time.perf_counter()
            for _ in range(count):
                with borrow():
                    pass
            rounds[name].append((time.perf_counter() - began) / count * 1e6)
            gc.enable()
    with suppress(ImportError):
        asyncio.run(_loan_asyncpg(o, rounds["asyncpg"]))
    say(**{name: sorted(found)[len(found) // 2] for name, found in rounds.items() if found})
    os._exit(0)


async def _loan_asyncpg(o: dict[str, Any], rounds: list[float]) -> None:
    import asyncpg  # type: ignore[import-untyped,unused-ignore]  # it has no types

    async with asyncpg.create_pool(o["url"], min_size=1, max_size=4) as pool:
        for _ in range(o["rounds"]):
            began = time.perf_counter()
            for _ in range(o["count"] // 20):
                async with pool.acquire():
                    pass
            rounds.append((time.perf_counter() - began) / (o["count"] // 20) * 1e6)


def storm(name: str, o: dict[str, Any]) -> None:
    """50 threads at once on a pool with five warm sessions, connects slow: milliseconds until all are served."""
    kind = Kind(name, {**o, "min": 5, "max": 30})
    _warm(kind, 5)
    say(ready=True)
    sys.stdin.readline()
    start = threading.Barrier(51)
    served: list[float] = []

    def caller() -> None:
        start.wait()
        with kind.loan():
            time.sleep(0.002)
        served.append(now())

    threads = [threading.Thread(target=caller, daemon=True) for _ in range(50)]
    for thread in threads:
        thread.start()
    start.wait()
    began = now()
    for thread in threads:
        thread.join()
    say(ms=(max(served) - began) * 1e3)
    sys.stdin.readline()
    os._exit(0)


def _warm(kind: Kind, count: int) -> None:
    begun = threading.Barrier(count)

    def hold(_: int) -> None:
        with kind.loan() as conn:
            conn.execute("select 1")
            begun.wait(30)

    together(count, hold)


def dies(name: str, o: dict[str, Any]) -> None:
    """A thread ends with the only loan: seconds until another has it. None: not within ten."""
    kind = Kind(name, {**o, "max": 1, "timeout": 10.0})
    kept: list[Any] = []

    def careless() -> None:
        kept.append(kind.take())  # what a traceback or a list of results keeps

    threading.excepthook = lambda _: None
    thread = threading.Thread(target=careless)
    thread.start()
    thread.join()
    began = now()
    try:
        with kind.loan() as conn:
            conn.execute("select 1")
        say(seconds=now() - began)
    except Exception:  # noqa: BLE001  # told as never
        say(seconds=None)
    os._exit(0)


def _late(*_: object) -> None:
    raise TimeoutError


def fork(name: str, o: dict[str, Any]) -> None:
    """Two forked children make 300 queries each on the parent's pool: wrong rows, errors."""
    kind = Kind(name, {**o, "min": 1, "max": 4, "timeout": 2.0})
    with kind.loan() as conn:
        conn.execute("select 1")
    children = []
    for number in range(2):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            wrong = errors = 0
            until = now() + 25
            signal.signal(signal.SIGALRM, _late)
            signal.alarm(25)  # an answer that a sibling has read is waited for without end
            for unit in range(300):
                wanted = number * 1000 + unit
                try:
                    if now() > until:
                        raise TimeoutError  # noqa: TRY301  # as if it had waited: the rest would not be served either
                    with kind.loan() as conn:
                        row = conn.execute(f"select {wanted}").fetchone()  # a number
                        wrong += row is None or row[0] != wanted
                except Exception:  # noqa: BLE001  # it is counted
                    errors += 1
            os.write(write, json.dumps([wrong, errors]).encode())
            os._exit(0)
        os.close(write)
        children.append((child, read))
    wrong = errors = 0
    for child, read in children:
        os.waitpid(child, 0)
        with open(read, encoding="ascii") as file:
            found = json.loads(file.read() or "[0, 300]")
        wrong, errors = wrong + found[0], errors + found[1]
    say(wrong=wrong, errors=errors)
    os._exit(0)


def threads(name: str, o: dict[str, Any]) -> None:
    """Threads of a process with two pools that were just used, the main one left out."""
    kinds = [Kind(name, {**o, "dsn": f"{o['dsn']} application_name={number}"}) for number in range(2)]
    for kind in kinds:
        with kind.loan() as conn:
            conn.execute("select 1")
    busy = len(os.listdir("/proc/self/task")) - 1
    time.sleep(3.0)
    say(threads=busy, later=len(os.listdir("/proc/self/task")) - 1)
    os._exit(0)


def leave(name: str, o: dict[str, Any]) -> None:
    """A script that ends without close()."""
    kind = Kind(name, o)
    with kind.loan() as conn:
        conn.execute("select 1")
    globals()["kept"] = kind  # as a pool of a module is
    say(left=now())


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2], json.loads(sys.argv[3]))
