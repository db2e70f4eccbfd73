"""Several pools of one process that share a budget."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pgusher import AsyncDatabase, Budget, Database
from pgusher.client.gate import Gate
from pgusher.demo.server import EmbeddedServer


def is_pressed(gate: Gate) -> bool:
    return gate.pressed


def test_what_one_pool_has_idle_goes_to_the_callers_of_another(tmp_path: Path) -> None:
    budget = Budget("web", 2, directory=str(tmp_path))
    rich, poor = budget.gate(), budget.gate()
    now = time.monotonic()
    assert [rich.may_connect(now), rich.may_connect(now)] == [0.0, 0.0]
    rich.tick(now, 2, 2, 0)
    assert not is_pressed(rich)
    assert poor.may_connect(now) > 0
    rich.tick(now, 2, 2, 0)
    assert is_pressed(rich)
    assert not rich.give_back(now, now)  # too young
    assert rich.give_back(now + 2, now)
    assert not is_pressed(rich)  # one was wanted
    rich.closed()
    rich.tick(now + 2, 1, 1, 0)
    poor.may_connect(now + 2)
    assert poor.may_connect(now + 2.2) == 0.0
    rich.tick(now + 2.2, 1, 1, 0)
    assert not is_pressed(rich)  # what nobody waits for stays


def test_two_busy_pools_have_as_much_as_each_other(tmp_path: Path) -> None:
    budget = Budget("web", 4, directory=str(tmp_path))
    rich, poor = budget.gate(), budget.gate()
    now = time.monotonic()
    assert [rich.may_connect(now) for _ in range(4)] == [0.0] * 4
    poor.tick(now, 0, 0, 4)
    rich.tick(now, 4, 0, 4)
    assert [rich.give_back(now + 2, now) for _ in range(3)] == [True, True, False]
    rich.closed()
    rich.closed()
    assert rich.may_connect(now + 2) > 0  # it is the other's turn
    assert poor.may_connect(now + 2) == 0.0
    assert rich.may_connect(now + 2.01) > 0
    assert rich.may_connect(now + 2.2) == 0.0  # who does not come holds nobody up for long


def test_a_lease_is_not_held_up_by_the_pools_of_its_process(tmp_path: Path) -> None:
    budget = Budget("web", 4, directory=str(tmp_path))
    pool = budget.gate()
    pool.tick(time.monotonic(), 0, 0, 4)
    assert budget.lease(3).take(2.0) is not None


@pytest.mark.parametrize("flavour", [Database, AsyncDatabase])
def test_two_databases_of_one_budget(server: EmbeddedServer, tmp_path: Path, flavour: type) -> None:
    import asyncio

    budget = Budget("web", 2, directory=str(tmp_path))
    first = Database(server.dsn(), budget=budget)
    with first.connection(), first.connection():
        pass

    async def other() -> object:
        db = flavour(server.dsn(dbname="template1"), budget=budget, timeout=10.0)
        found = db.fetch_one("select 1 as one")
        try:
            return await found if flavour is AsyncDatabase else found
        finally:
            closing = db.close()
            if flavour is AsyncDatabase:
                await closing

    try:
        assert asyncio.run(other()) == {"one": 1}
    finally:
        first.close()
