"""Whom the servers refused since the start, as their own logs have it: for the metrics, and for the recorder."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from typing import Protocol

from pgusher.collect.postgres.log import ServerLogs
from pgusher.model.refusals import LoggedRefusals
from pgusher.model.snapshot import Snapshot

_MOST = 200
"""Refusals, told apart, that wait for a recorder: one that cannot write gets no more of them."""


class Logs(Protocol):
    """What reads the logs, as `pgusher.collect.postgres.log.ServerLogs`."""

    def read(self, snapshot: Snapshot) -> Iterable[LoggedRefusals]:
        """What was refused since the look before."""

    def follows(self, snapshot: Snapshot) -> bool:
        """Whether there is a log of that server to read."""

    def close(self) -> None:
        """Let the files go."""


class Refused:
    """Reads each look's news once, for all who want them."""

    def __init__(self, logs: Logs | None = None) -> None:
        self._logs: Logs = logs or ServerLogs()
        self._totals: dict[str, Counter[str | None]] = {}
        self._waiting: dict[str, list[LoggedRefusals]] = {}
        self._lock = threading.Lock()

    def look(self, snapshots: Iterable[Snapshot]) -> None:
        """Reads on, after a look."""
        with self._lock:
            for snapshot in snapshots:
                label, found = snapshot.facts.server.label, tuple(self._logs.read(snapshot))
                if not self._logs.follows(snapshot):
                    continue
                totals = self._totals.setdefault(label, Counter())
                for one in found:
                    totals[one.ceiling] += one.count
                waiting = self._waiting.setdefault(label, [])
                waiting += found[: _MOST - len(waiting)]

    def take(self, snapshot: Snapshot) -> tuple[LoggedRefusals, ...]:
        """What was read of a server since this was asked last."""
        with self._lock:
            return tuple(self._waiting.pop(snapshot.facts.server.label, ()))

    def totals(self, label: str) -> dict[str | None, int] | None:
        """How often a server refused since the start, by the ceiling; None where there is no log to read."""
        with self._lock:
            found = self._totals.get(label)
            return None if found is None else dict(found)

    def close(self) -> None:
        """Let the files go."""
        with self._lock:
            self._logs.close()
