"""The source itself: a sample of one server, on the best rung of the ladder that holds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping

from pgusher.collect.postgres import rows
from pgusher.collect.postgres.connect import NO_ANSWER, BrokenError, Connection, Peer, QueryError
from pgusher.collect.postgres.held import Held
from pgusher.collect.postgres.ladder import Climb, Ladder
from pgusher.collect.postgres.libpq import LibpqMissingError, load
from pgusher.collect.postgres.locate import alive, by_address, by_connection, by_words
from pgusher.collect.postgres.refusal import one_line
from pgusher.collect.postgres.shown import fill_in, gaps_of
from pgusher.collect.postgres.target import Target
from pgusher.model.evidence import Gap
from pgusher.model.server import Attempt, Ceilings, Rung, Server, Setting, View
from pgusher.model.session import Session
from pgusher.model.values import dataclass, replace

_LEAVES_NOW = 0.5
_LEAVES_FOR = 30.0
"""Seconds that a lost session is waited for: within one sample, and until it is taken for gone (a dead link)."""
_REFUSED_FOR = 5.0
"""Seconds until a server that refused is asked again: it forks a process for each refusal, for which others wait."""


@dataclass(frozen=True, slots=True)
class PostgresFacts:
    """What one sample brought."""

    server: Server
    view: View
    ceilings: Ceilings | None = None
    sessions: tuple[Session, ...] = ()
    gaps: tuple[Gap, ...] = ()
    settings: tuple[Setting, ...] = ()


class PostgresSource:
    """Looks at one server, again and again, with one connection that it keeps. For one thread at a time."""

    def __init__(
        self,
        target: Target,
        *,
        timeout: float = 3.0,
        proc: str = "/proc",
        clock: Callable[[], float] = time.monotonic,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """`timeout`: seconds for each connect and each sample; `clock`: what deadlines are measured by."""
        self._target = target
        self._timeout = timeout
        self._proc = proc
        self._clock = clock
        self._environ = os.environ if environ is None else environ
        self._reader = rows.SessionReader()
        self._held: Held | None = None
        self._within = timeout
        self._leaving: tuple[Connection, float] | None = None
        self._refused: Climb | None = None
        self._again_at = 0.0
        self._peer: Peer | None = None
        self._local: Server | None = None

    def sample(self, within: float | None = None) -> PostgresFacts:
        """Look once. Never raises for a refusal, a missing right, a deadline or a server that is not there.

        `within`: seconds for each connect and each answer of this sample alone, where less than usual is left.
        """
        self._within = self._timeout if within is None else min(within, self._timeout)
        attempts: list[Attempt] = []
        gaps: list[Gap] = []
        climb: Climb | None = None
        if self._target.sql:
            facts, answers = self._held_sample(attempts)
            if facts is None and answers and self._has_left(attempts):
                climb = self._climb(gaps)
                attempts += climb.attempts if climb is not None else []
                facts, _ = self._held_sample(attempts)
            if facts is not None:
                return facts
        return self._without_sql(climb, attempts, gaps)

    @property
    def connection(self) -> Connection | None:
        """The connection that is kept, for what is to be done or asked beside samples; None without SQL."""
        return self._held.connection if self._held is not None else None

    def close(self) -> None:
        """Give the slot back. May be called again; a further sample connects again."""
        if self._held is not None:
            held, self._held = self._held, None
            held.connection.close()
        if self._leaving is not None:
            (connection, _), self._leaving = self._leaving, None
            connection.close()

    # -- with SQL

    def _climb(self, gaps: list[Gap]) -> Climb | None:
        """A new connection, if it can be had; at once after a refusal the same refusal is told again."""
        if self._refused is not None and self._clock() < self._again_at:
            return self._refused
        self._refused = None
        try:
            library = load()
        except LibpqMissingError as error:
            gaps.append(
                Gap(
                    "postgres",
                    "everything that is asked for by SQL",
                    f"no libpq on this machine: {one_line(str(error))}",
                    "pip install 'pgusher[binary]' or apt install libpq5",
                )
            )
            return None
        climb = Ladder(library, self._target, self._within, self._clock, self._environ).climb(self._by_address)
        if climb.connection is not None:
            self._held = Held(climb.connection, climb, self._timeout, self._clock)
        elif any(attempt.sqlstate or attempt.outcome == NO_ANSWER for attempt in climb.attempts):
            # Also after silence: each try stays in the queue of a server that hangs, before those who need it.
            self._refused, self._again_at = climb, self._clock() + _REFUSED_FOR
        return climb

    def _held_sample(self, attempts: list[Attempt]) -> tuple[PostgresFacts | None, bool]:
        """A sample by the held connection, if any; and whether it is worth connecting anew when there is none."""
        held = self._held
        if held is None:
            return None, True
        deadline = self._clock() + self._within
        try:
            return self._ask(held, deadline, attempts), True
        except (BrokenError, QueryError, ValueError) as error:
            self._leave(held)
            attempts.append(
                Attempt(
                    one_line(str(held.peer)) + (" (held)" if held.samples else ""),
                    one_line(str(error)),
                    getattr(error, "sqlstate", None),
                )
            )
            # A server that was silent until the deadline would be so again.
            return None, isinstance(error, BrokenError) and self._clock() < deadline and held.samples > 0

    def _leave(self, held: Held) -> None:
        """Let go of a connection that is of no more use."""
        self._held = None
        held.connection.leave()
        self._leaving = held.connection, self._clock() + _LEAVES_FOR

    def _has_left(self, attempts: list[Attempt]) -> bool:
        """Whether the slot that was let go of is free again: another one is not taken before."""
        if self._leaving is None:
            return True
        connection, until = self._leaving
        if not connection.ended(_LEAVES_NOW) and self._clock() < until:
            attempts.append(Attempt(one_line(str(connection.peer)), "the last session has not ended yet"))
            return False
        self._leaving = None
        connection.close()
        return True

    def _ask(self, held: Held, deadline: float, attempts: list[Attempt]) -> PostgresFacts:
        own, results, gaps = held.ask(deadline)
        superusers = rows.superusers_of(results["roles"])
        sessions = self._reader.read(results["sessions"], own.pid, superusers)
        sessions += held.unseen(rows.pids_of(results.get("locks", ())) - self._reader.pids, deadline)
        if held.server is None:
            held.server = self._local = self._describe(held, own)
            self._peer = held.peer
        opened = rows.opened_of(results.get("traffic", ()))
        server = replace(held.server, in_recovery=own.in_recovery, opened=opened)
        sessions = fill_in(sessions, self._reader, server, own.cluster_name, self._proc)
        gaps += gaps_of(own, self._reader, sessions)
        ceilings = rows.read_ceilings(own, results["roles"], results["databases"], sessions)
        view = _view(held, own, ceilings, sessions, own.role in superusers, attempts)
        held.samples += 1
        return PostgresFacts(server, view, ceilings, tuple(sessions), tuple(gaps), held.settings)

    def _describe(self, held: Held, own: rows.Self) -> Server:
        told = self._target.server
        local = by_connection(held.connection, own, self._proc)
        server = local or Server(port=own.port)
        return replace(
            server,
            host=held.peer.host if told is None or self._target.is_given(self._environ) else None,
            port=own.port,
            version=own.version,
            version_num=own.version_num,
            started=own.started,
            cluster_name=own.cluster_name or None,
        )

    # -- without

    def _without_sql(self, climb: Climb | None, attempts: list[Attempt], gaps: list[Gap]) -> PostgresFacts:
        if climb is not None and climb.peer is not None:
            self._peer = climb.peer
        elif self._peer is None and not self._target.sql:
            self._peer = by_words(self._target, self._environ)
        server = self._where()
        view = View(
            rung=Rung.NONE,
            attempts=tuple(attempts),
            refuses=climb.refuses if climb is not None else None,
            refuses_all=self._is_full(climb, server),
        )
        from pgusher.collect.postgres import without_sql  # late: seldom needed

        refused = (climb is not None and climb.refusal is not None) if self._target.sql else None
        seen = without_sql.look(server, self._proc, refused=refused)
        if seen is None:
            return PostgresFacts(server, view, gaps=tuple(gaps))
        server, sessions, ceilings, more = seen
        return PostgresFacts(server, replace(view, rung=Rung.TITLES), ceilings, sessions, (*gaps, *more))

    def _where(self) -> Server:
        """The server as far as it is known without a session on it."""
        known = self._local or self._target.server
        if known is not None and (alive(known, self._proc) or self._peer is None):
            return known
        found = None if self._peer is None else self._by_address(self._peer)
        if found is not None:
            self._local = found
            return found
        if known is not None:
            return known
        peer = self._peer
        port = (peer.port if peer else None) or self._target.port or 5432
        return Server(port=port, host=peer.host if peer else self._target.host)

    def _is_full(self, climb: Climb | None, server: Server) -> bool:
        """Whether even a superuser would be refused; asked of the server itself where the refusal does not tell."""
        if climb is None or climb.refusal is None:
            return False
        if climb.full or climb.refusal.ceiling is not None or server.postmaster_pid is None or climb.peer is None:
            return climb.full
        from pgusher.collect.postgres.probe import ask
        from pgusher.collect.postgres.target import where

        address = server.socket_paths[0] if server.socket_paths else (where(server), server.port)
        user = climb.peer.user or "postgres"
        return ask(address, user, climb.peer.dbname or user, self._clock() + self._within, self._clock).full

    def _by_address(self, peer: Peer) -> Server | None:
        return by_address(peer, self._proc)


def _view(
    held: Held, own: rows.Self, ceilings: Ceilings, sessions: list[Session], superuser: bool, attempts: list[Attempt]
) -> View:
    taken = sum(session.takes_slot for session in sessions)
    if taken < ceilings.ordinary:
        held.refuses = None  # there is room again
    rung = held.rung
    if held.samples:
        rung = Rung.HELD
    elif (superuser or own.uses_reserved) and taken > ceilings.ordinary:
        rung = Rung.RESERVED
    return View(
        rung=rung,
        attempts=tuple(attempts),
        role=own.role,
        superuser=superuser,
        sees_all=own.sees_all,
        own_pid=own.pid,
        refuses=held.refuses,
        pooler=held.pooler,
    )
