"""The recorder: takes each snapshot, and commits at most every two seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from pgusher.model.refusals import LoggedRefusals
from pgusher.model.snapshot import Snapshot
from pgusher.record.database import Database, StoreError
from pgusher.record.hours import Hours
from pgusher.record.names import Names
from pgusher.record.retention import Retention
from pgusher.record.sitting import Sitting

COMMIT_EVERY = 2.0
"""Seconds of which nothing is left when the process is ended in this moment."""


class Recorder:
    """Writes what it is given. One recorder a store; for one thread."""

    def __init__(
        self,
        database: Database,
        *,
        every: float = 1.0,
        retention: Retention | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        logged: Callable[[Snapshot], Iterable[LoggedRefusals]] | None = None,
    ) -> None:
        """`database` is open for writing; `every`: seconds from look to look.

        `logged` tells whom a server has refused since the look before, by its log.
        """
        self._logged = logged
        self._database = database
        self._every = max(1, round(every * 1000))
        self._retention = retention or Retention()
        self._monotonic = monotonic
        self._names = Names(database)
        self._hours = Hours(database)
        self._sittings: dict[str, Sitting] = {}
        self._committed = monotonic()
        self._store_started = database.started
        self.lost = 0
        """Looks that could not be stored."""

    def take(self, snapshots: Iterable[Snapshot]) -> None:
        """The snapshots of one look, one a server.

        Raises StoreError when they could not be stored; the next look goes on with what is in the store.
        """
        try:
            for snapshot in snapshots:
                label = snapshot.facts.server.label
                self._not_itself(snapshot)
                sitting = self._sittings.get(label)
                if sitting is None:
                    sitting = self._sittings[label] = Sitting(self._database, self._names, snapshot, self._every)
                sitting.take(snapshot)
                for one in self._logged(snapshot) if self._logged is not None else ():
                    how = (one.source, one.sqlstate, "postgres", one.ceiling, one.words)
                    sitting.refused(snapshot.facts.taken_at // 1000, how, one.count)
            if self._monotonic() - self._committed >= COMMIT_EVERY - self._every / 1000:
                self.commit()
        except StoreError:
            self._forget()
            self.lost += 1
            raise

    def blind(self) -> None:
        """A look that showed no server at all."""
        try:
            for sitting in self._sittings.values():
                sitting.blind()
            self.commit()
        except StoreError:
            self._forget()
            raise

    def commit(self) -> None:
        """Everything so far stays. Old hours are summed up, and what is too old or too much goes, now and then."""
        self._flush()
        now = max((one.last for one in self._sittings.values()), default=0)
        if not now:
            return
        if self._hours.sum_up(now):
            self._database.commit()
        elif self._retention.trim(self._database, now):
            self._names.forget()  # a chain that went is written anew when it comes again

    def close(self) -> None:
        """Commits, and lets the store go."""
        try:
            self._flush()
        finally:
            self._database.close()

    def _not_itself(self, snapshot: Snapshot) -> None:
        """Of the server that is recorded pgusher takes one slot, and none for its memory."""
        started = snapshot.facts.server.started
        if self._store_started is not None and started == self._store_started:
            raise StoreError(
                "store is on the server that is recorded, and would take a second of its slots",
                hint="record into a file, or on another server",
            )

    def _flush(self) -> None:
        for sitting in self._sittings.values():
            sitting.flush()
        self._database.commit()
        self._committed = self._monotonic()

    def _forget(self) -> None:
        """What is in memory may not be what is in the store: it is read anew."""
        self._database.rollback()
        self._sittings.clear()
        self._names.forget()
