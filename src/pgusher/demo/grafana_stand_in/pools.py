"""The pools behind the data sources: what a PUT does to the sessions on the server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pgusher.demo.grafana_stand_in.store import Source

DISPOSED_AFTER = 5.0
"""Seconds for which the instance that an update replaced lives on (defaultDisposeTTL in instance_manager.go)."""


@dataclass
class Pool:
    """One pool: of one data source, as it was at one time."""

    limit: int
    """0 for none."""
    made_for: float
    """The `updated` of the row."""
    sessions: list[Any] = field(default_factory=list)
    until: float | None = None
    """When it is disposed of; None while it is in use."""


class Pools:
    """The pools of one process. `connect` opens a session for a data source; without it they are only counted."""

    def __init__(
        self,
        clock: Callable[[], float],
        connect: Callable[[Source], Any] | None,
        default: int,
        disposed_after: float = DISPOSED_AFTER,
    ) -> None:
        self._clock = clock
        self._connect = connect or (lambda _: None)
        self._default = default
        self._disposed_after = disposed_after
        self.pools: dict[int, list[Pool]] = {}

    def current(self, row: Source) -> Pool:
        """The pool that a query or a health check gets: a new one after an update, the old one then drains."""
        self.tick()
        mine = self.pools.setdefault(row.id, [])
        if mine and mine[-1].made_for == row.updated:
            return mine[-1]
        for old in mine:
            old.until = self._clock() + self._disposed_after if old.until is None else old.until
        limit = row.json_data.get("maxOpenConns")
        made = Pool(self._default if limit is None else int(limit), row.updated)
        mine.append(made)
        return made

    def ask(self, row: Source, queries: int) -> Pool:
        """So many panels ask at once; each session that they open stays open."""
        pool = self.current(row)
        while len(pool.sessions) < queries and (pool.limit <= 0 or len(pool.sessions) < pool.limit):
            pool.sessions.append(self._connect(row))
        return pool

    def open(self, row: Source) -> int:
        """The sessions of all pools of a data source, also of one that drains."""
        self.tick()
        return sum(len(pool.sessions) for pool in self.pools.get(row.id, ()))

    def tick(self) -> None:
        """Close what is due."""
        for pools in self.pools.values():
            for pool in [one for one in pools if one.until is not None and one.until <= self._clock()]:
                pools.remove(pool)
                _close(pool)

    def close(self) -> None:
        """Close all."""
        for pools in self.pools.values():
            for pool in pools:
                _close(pool)
        self.pools.clear()


def _close(pool: Pool) -> None:
    for session in pool.sessions:
        if session is not None:
            session.close()
    pool.sessions.clear()
