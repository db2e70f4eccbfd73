"""How large a pool has to be, by what it was measured to use: its busiest moment, and Little's law.

Little's law: the mean number of loans at once is the loans a second times the mean length of a loan. With arrivals that
do not know of each other that number varies like a Poisson variable, so that the mean and two of its square roots are
seldom exceeded. A pool is proposed as large as the larger of the two: what it needed at most, and what that gives.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pgusher.model.own_pools import OwnPool
from pgusher.model.proposal import Size
from pgusher.model.snapshot import Snapshot


def sizes(snapshot: Snapshot) -> tuple[Size, ...]:
    """One for each holder and database of pgusher's own pools; what could be given back most comes first."""
    now = snapshot.facts.taken_at
    groups: dict[tuple[str, str], list[OwnPool]] = {}
    for holder in snapshot.holders:
        for pool in snapshot.facts.own_pools:
            if pool.process in holder.processes:
                groups.setdefault((holder.name, pool.name), []).append(pool)
    found = [_size(holder, name, pools, now) for (holder, name), pools in groups.items()]
    return tuple(sorted(found, key=lambda one: (-(one.may - one.used), one.holder, one.pool)))


def silent(snapshot: Snapshot) -> tuple[str, ...]:
    """Holders of several sessions whose use nothing measures."""
    told = {pool.process for pool in snapshot.facts.own_pools}
    return tuple(h.name for h in snapshot.holders if len(h.sessions) > 1 and not told & set(h.processes))


def _size(holder: str, name: str, pools: Sequence[OwnPool], now: int) -> Size:
    ages = [max(1, now - pool.since) / 1e6 for pool in pools]
    loans, busy = sum(pool.requests for pool in pools), sum(pool.busy_ms for pool in pools)
    means = [pool.busy_ms / 1000 / age for pool, age in zip(pools, ages, strict=True)]
    low, high = max(pool.min_size for pool in pools), max(pool.max_size for pool in pools)
    busiest = max(pool.most_lent for pool in pools)
    by_law = max(math.ceil(mean + 2 * math.sqrt(mean)) for mean in means)
    proposed = high if busiest >= high else max(1, low, busiest, by_law)
    return Size(
        holder, name, len({pool.process for pool in pools}), high, sum(pool.most_lent for pool in pools), busiest,
        loans, sum(pool.requests / age for pool, age in zip(pools, ages, strict=True)), busy / max(1, loans),
        sum(means), min(ages), min(high, proposed),
    )  # fmt: skip
