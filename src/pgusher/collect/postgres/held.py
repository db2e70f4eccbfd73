"""The one connection that is kept, and what is asked by it."""

from __future__ import annotations

from collections.abc import Callable

from pgusher.collect.postgres import queries, rows
from pgusher.collect.postgres.connect import Connection, QueryError
from pgusher.collect.postgres.ladder import Climb
from pgusher.collect.postgres.target import guard_statements
from pgusher.model.evidence import Gap
from pgusher.model.server import Server, Setting
from pgusher.model.session import Session

_SETTINGS_FOR = 60.0
"""Seconds after which the settings are asked for again."""
_STATEMENT_TIMEOUT = "57014"

Results = dict[str, list[bytes]]


class Held:
    """The connection, and what is known of the other end."""

    def __init__(self, connection: Connection, climb: Climb, timeout: float, clock: Callable[[], float]) -> None:
        self.connection = connection
        self.rung = climb.rung
        self.peer = connection.peer
        self.refuses = climb.refuses
        self.server: Server | None = None
        self.samples = 0
        self.settings: tuple[Setting, ...] = ()
        self._guarded = climb.guarded
        self._timeout = timeout
        self._clock = clock
        self._settings_at: float | None = None
        self._backend: int | None = None

    @property
    def pooler(self) -> bool:
        """Whether a pooler stands in between."""
        return self._backend is not None and self._backend != self.connection.backend_pid

    def ask(self, deadline: float) -> tuple[rows.Self, Results, list[Gap]]:
        """What a sample needs. Raises as `Connection.run`, and ValueError for an answer of another form."""
        try:
            return *self._run(deadline, blocking=True), []
        except QueryError as error:
            if error.sqlstate != _STATEMENT_TIMEOUT:
                raise
        # With thousands waiting for each other, who blocks whom is what takes long.
        gap = Gap("postgres", "which session blocks which", "the server needs too long for it", "")
        return *self._run(deadline + self._timeout, blocking=False), [gap]

    def unseen(self, candidates: set[int], deadline: float) -> list[Session]:
        """Sessions that are not in pg_stat_activity: those that were not just coming or going at the first look."""
        if not candidates:
            return []
        locks, activity = self.connection.run(queries.second_look(self._guards), deadline)
        return [rows.unseen_session(pid) for pid in sorted(candidates & rows.pids_of(locks) - rows.pids_of(activity))]

    @property
    def _guards(self) -> str:
        return "" if self._guarded else guard_statements(self._timeout)

    def _run(self, deadline: float, *, blocking: bool) -> tuple[rows.Self, Results]:
        """One round trip, or two where it turns out that the settings of login are not in force."""
        now = self._clock()
        settings = self._settings_at is None or now - self._settings_at >= _SETTINGS_FOR
        version = self.connection.server_version
        while True:
            sql, names = queries.sample(version, settings=settings, blocking=blocking, guards=self._guards)
            try:
                results = dict(zip(names, self.connection.run(sql, deadline), strict=True))
            except QueryError:
                if not self._guarded:
                    self.connection.run("rollback", deadline)
                raise
            own = rows.parse_self(results["self"])
            if own.guarded or not self._guarded:
                break
            self._guarded = False
        if settings:
            self.settings, self._settings_at = rows.read_settings(results["settings"]), now
        self._backend = own.pid
        return own, results
