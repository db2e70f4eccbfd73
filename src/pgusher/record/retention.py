"""What goes, so that a store stays as small as it may be: lives first, their hours much later."""

from __future__ import annotations

import time
from collections.abc import Callable

from pgusher.record import schema
from pgusher.record.database import Database

DAY = 86_400_000
KEEP_DAYS = 90
MOST_BYTES = 1 << 30
_HOURS_LONGER = 10
"""The figures of hours are kept so many times as long as lives: they are a hundredth of their size."""
_EVERY = 600.0
_UNUSED_EVERY = 86_400.0
"""Seconds: what nothing refers to is found by a look at every life."""
_AT_ONCE = 20_000
"""Lives that go at once: whoever records must be back for the next look."""
_USERS = {
    "chain": (("life", "chain"),),
    "who": (("life", "who"),),
    "holder": (("life", "holder"), ("chain", "holder"), ("hour", "holder")),
}
"""By table: where its numbers stand. In this order: a chain that goes lets its holder go."""


class Retention:
    """How much is kept. For the one who writes."""

    def __init__(
        self,
        keep: float = KEEP_DAYS,
        most_bytes: int = MOST_BYTES,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`keep`: days of lives; `most_bytes`: of the store, where it is a file."""
        self._keep = int(keep * DAY)
        self._most = most_bytes
        self._monotonic = monotonic
        self._last = self._swept = monotonic()

    def trim(self, database: Database, now: int, *, at_once: bool = False) -> bool:
        """Removes what is too old or too much (now in milliseconds), once in ten minutes; whether it looked.

        Numbers of chains, of holders and of who a session is may have gone: whoever remembers some forgets them then.
        """
        if not at_once and self._monotonic() - self._last < _EVERY:
            return False
        self._last = self._monotonic()
        self._remove(database, now - self._keep)
        database.run("update hour set minutes = null where at < ? and minutes is not null", (now - self._keep,))
        database.run("delete from hour where at < ?", (now - self._keep * _HOURS_LONGER,))
        if at_once or self._monotonic() - self._swept >= _UNUSED_EVERY:
            self._unused(database)
        for _ in range(20):
            size = database.size()
            if size is None or size <= self._most or not self._remove_oldest(database, now):
                break
            self._unused(database)  # the names of jobs that never come again may be the larger part
        self._orphans(database)
        database.commit()
        database.shrink()
        return True

    def _remove_oldest(self, database: Database, now: int) -> bool:
        """A twentieth of the time that lives are kept of; when that is less than an hour, of the hours."""
        rows = database.rows("select min(since) from life where level < ?", (schema.OPEN,))
        oldest = rows[0][0]
        if oldest is not None and now - int(oldest) > 3_600_000:
            cut = int(oldest) + max(60_000, (now - int(oldest)) // 20)
            self._remove(database, cut)
            # Those that lasted beyond the cut began before it: they are the oldest now, and would be for ever.
            database.run("delete from life where id in (select id from life where level < ? and since < ? limit ?)",
                         (schema.OPEN, cut, _AT_ONCE))  # fmt: skip
            return True
        rows = database.rows("select min(at) from hour")
        if rows[0][0] is None:
            return False
        database.run("delete from hour where at < ?", (int(rows[0][0]) + DAY,))
        return True

    def _remove(self, database: Database, before: int) -> None:
        """Lives that ended before; by their level, so that the index finds them."""
        for (server,) in database.rows("select id from server"):
            for level in range(schema.LEVELS):
                database.run(
                    "delete from life where id in (select id from life where server = ? and level = ? and since < ?"
                    " and until < ? limit ?)",
                    (server, level, before, before, _AT_ONCE),
                )
        for table in ("span", "refusal"):
            database.run(f"delete from {table} where until < ?", (before,))  # noqa: S608 - two tables of ours
        database.run(
            "delete from ceiling where since < ? and since < (select max(c.since) from ceiling c"
            " where c.server = ceiling.server and c.since < ?)",
            (before, before),
        )

    def _unused(self, database: Database) -> None:
        """Chains, holders and names of sessions that nothing kept refers to any more."""
        self._swept = self._monotonic()
        for table, used_by in _USERS.items():
            used = " ".join(f"except select {column} from {user}" for user, column in used_by)  # noqa: S608 - names of ours
            database.run(f"delete from {table} where id in (select id from {table} {used})")  # noqa: S608 - as above

    def _orphans(self, database: Database) -> None:
        """What no life has any more."""
        database.run("delete from turn where not exists (select 1 from life where life.id = turn.life)")
        database.run("delete from turns where not exists (select 1 from life where life.id = turns.life)")
