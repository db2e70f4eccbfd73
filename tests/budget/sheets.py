"""Snapshots for budgets: holders in a few words, with ceilings and what their programs say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pgusher.attribute import attribute
from pgusher.model.budget import Claim, Sheet
from pgusher.model.own_pools import OwnPool
from pgusher.model.process import Process
from pgusher.model.server import Ceilings, Limit
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import replace
from tests.attribute.builders import BOOT, World


def snapshot(
    world: World,
    pools: Sequence[OwnPool] = (),
    most: int = 100,
    roles: Sequence[Limit] = (),
    databases: Sequence[Limit] = (),
    **more: Any,
) -> Snapshot:
    ceilings = Ceilings(most, 3, 0, tuple(roles), tuple(databases))
    return attribute(replace(world.facts(), ceilings=ceilings, own_pools=tuple(pools), **more))


def pool(process: Process | int, most: int = 10, budget: str = "", total: int = 0, **more: Any) -> OwnPool:
    pid = process if isinstance(process, int) else process.pid
    figures = {"size": 1, "most": 3, "most_lent": 2, "requests": 100, "busy_ms": 500, "since": BOOT, **more}
    return OwnPool(pid, "orders", 0, most, budget=budget, total=total, **figures)


def gunicorn(world: World, workers: int = 2, sessions: int = 1, user: str = "app", said: int | None = None) -> Any:
    """A master in a unit with so many workers that hold sessions; gives master and workers."""
    number = workers if said is None else said
    words = ("/srv/venv/bin/python", "/srv/venv/bin/gunicorn", "--workers", str(number), "orders.api:app")
    master = world.process(*words, cgroup="/system.slice/orders-api.service", uid=33)
    made = [world.process(*words, parent=master, uid=33) for _ in range(workers)]
    for worker in made:
        for _ in range(sessions):
            world.holds(worker, user=user)
    return master, made


def claim(sheet: Sheet, name: str) -> Claim:
    found = [one for one in sheet.claims if name in one.holder]
    assert len(found) == 1, [one.holder for one in sheet.claims]
    return found[0]
