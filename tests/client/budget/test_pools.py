"""Pools of several processes that share a budget as large as their server: nobody is refused, everybody is served."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import psycopg_pool
import pytest

import pgusher
from pgusher.demo.server import EmbeddedServer
from tests.bed.bed import APP
from tests.client.budget.conftest import HERE, SOURCES, Actor

SLOTS = 6
SERVER_SETTINGS = {"max_connections": SLOTS + 1 + 3, "superuser_reserved_connections": 3}
"""What they may have together, and one for the test itself: as a superuser it could take any."""


class Worker:
    def __init__(self, kind: str, server: EmbeddedServer, place: Path, callers: int) -> None:
        words = [kind, server.dsn(APP, "app"), str(place), str(SLOTS), str(callers)]
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "worker.py"), *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
            env={**os.environ, "PYTHONPATH": str(SOURCES)},
        )  # fmt: skip

    def tell(self) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("tell\n")
        told: dict[str, Any] = json.loads(self.process.stdout.readline())
        return told

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def worker(server: EmbeddedServer, place: Path) -> Iterator[Callable[..., Worker]]:
    started: list[Worker] = []

    def start(kind: str, callers: int = 4) -> Worker:
        started.append(Worker(kind, server, place, callers))
        return started[-1]

    yield start
    for one in started:
        one.close()


def refused(server: EmbeddedServer) -> int:
    return len(re.findall("FATAL: +(?:sorry|too many|remaining)", server.log()))


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("kinds", [["sync"] * 4, ["sync", "async", "async", "sync"]])
def test_all_are_served_none_is_refused_and_a_killed_ones_slots_are_used(
    server: EmbeddedServer, worker: Callable[..., Worker], kinds: list[str]
) -> None:
    before = refused(server)
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        workers = [worker(kind) for kind in kinds]
        # Sixteen callers in four processes want sixteen sessions, and there are six.
        wait_for(lambda: all(min(one.tell()["done"]) > 20 for one in workers))

        def sessions() -> int:
            row = connection.execute("select count(*) from pg_stat_activity where usename = %s", (APP,)).fetchone()
            assert row is not None
            return int(row[0])

        assert max(sessions() for _ in range(50)) <= SLOTS
        assert refused(server) == before
        # From here on a refusal may be: the server notices that a client was killed a moment after its slot is free.
        workers.pop().close()
        workers.pop().close()
        told = [sum(one.tell()["done"]) for one in workers]
        wait_for(lambda: sessions() == SLOTS)
        wait_for(lambda: all(sum(one.tell()["done"]) > was + 100 for one, was in zip(workers, told, strict=True)))
    assert [one.tell()["errors"] for one in workers] == [[], []]


def test_a_timeout_names_the_budget_and_who_has_its_slots(
    server: EmbeddedServer, actor: Callable[..., Actor], place: Path
) -> None:
    other = actor(2)
    assert other.fill(time.monotonic(), 2) == 2
    budget = pgusher.Budget("web", 2, directory=str(place))
    pool = pgusher.Pool(server.dsn(APP, "app"), gate=budget.gate())
    with pool, pytest.raises(psycopg_pool.PoolTimeout) as caught:
        pool.getconn(0.5)
    line = f"budget 'web': 2 of 2 slots of this host are taken, 0 by this process, 2 by pid {other.process.pid}"
    assert line in str(caught.value)
