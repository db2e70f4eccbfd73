"""The ladder up to one session: what the user gave, then a slot that is reserved for the server's own superuser.

Never more than one slot is taken: a connection is closed before the next is tried.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping

from pgusher.collect.postgres import target as words_of
from pgusher.collect.postgres.connect import NO_ANSWER, ConnectError, Connection, Peer, open_connection
from pgusher.collect.postgres.identity import effective_uid
from pgusher.collect.postgres.libpq import Libpq
from pgusher.collect.postgres.locate import alive, listener, who_listens
from pgusher.collect.postgres.refusal import POSTGRES, Refusal, one_line, parse_error
from pgusher.collect.postgres.target import Target
from pgusher.model.server import Attempt, Ceiling, Rung, Server
from pgusher.model.values import replace

Locate = Callable[[Peer], Server | None]

_NO_SETTINGS_AT_LOGIN = frozenset({"08P01", "0A000", "22023", "42501", "42704"})
"""SQLSTATEs with which poolers and hosted servers refuse settings at login (source: PgBouncer, src/client.c: 08P01)."""
_BY_WRITING = frozenset({"read-write", "read-only"})
"""Values of target_session_attrs for which libpq asks whether the session can write, which ours are told not to."""
_NOT_LET_IN = frozenset({"28000", "28P01"})
_NO_DATABASE = "3D000"
_GIVE_A_PASSWORD = ("PGPASSWORD", "PGSERVICE")
_TO_GO = 0.5
"""Seconds for the process that refused us to give its slot back."""


class Climb:
    """How far the ladder led."""

    def __init__(self) -> None:
        self.connection: Connection | None = None
        self.rung = Rung.NONE
        # Whether settings were given at login.
        self.guarded = True
        self.attempts: list[Attempt] = []
        # The last refusal for lack of slots.
        self.refusal: Refusal | None = None
        # Where the user's own words lead.
        self.peer: Peer | None = None
        # Whether somebody was refused whom only a completely full server refuses.
        self.full = False
        # Whether it was silent until the deadline: it would be so again.
        self.silent = False

    @property
    def refuses(self) -> str | None:
        """The words with which the server refuses all ordinary roles; None when it does not.

        A pooler's refusal, or one for one role or database, is told by its attempt alone.
        """
        refusal = self.refusal
        if refusal is None or refusal.by != POSTGRES or refusal.ceiling in {Ceiling.ROLE, Ceiling.DATABASE}:
            return None
        return refusal.words


class Ladder:
    """Gets one session on one server."""

    def __init__(
        self,
        library: Libpq,
        target: Target,
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """`timeout`: for each rung, in seconds. `locate`, given later, finds the local server at an address."""
        self._pq = library
        # psql takes a connection string as a database name, and so do we.
        if target.conninfo is None and target.dbname is not None and ("=" in target.dbname or "://" in target.dbname):
            target = replace(target, conninfo=target.dbname, dbname=None)
        self._target = target
        self._timeout = timeout
        self._clock = clock
        self._environ = os.environ if environ is None else environ

    def climb(self, locate: Locate) -> Climb:
        """Try the rungs in order until one holds. Never raises for a refusal, a deadline or a wrong word."""
        climb = Climb()
        server = self._target.server
        if server is not None and not self._target.is_given(self._environ) and self._may_be(server):
            # Nothing was said but that server: its own user gets in nearly everywhere, a role "root" nearly nowhere.
            self._as_server_user(climb, server)
        if climb.connection is None and not climb.full and not climb.silent:
            # On a full server nobody else would get in either, and each try costs a fork.
            self._as_told(climb)
        if climb.connection is None and climb.refusal is not None and climb.peer is not None:
            server = server or locate(climb.peer)
            if server is not None and not climb.full and self._may_be(server):
                self._as_server_user(climb, server)
        return climb

    def _may_be(self, server: Server) -> bool:
        allowed = self._target.allow_reserved and server.os_uid is not None
        return allowed and os.geteuid() in {0, server.os_uid} and bool(server.socket_paths)

    def _as_told(self, climb: Climb) -> None:
        try:
            words = {} if self._target.conninfo is None else self._pq.parse(self._target.conninfo)
        except ValueError as error:
            climb.attempts.append(Attempt("the connection string", words_of.shown(self._target.conninfo, str(error))))
            return
        asked = words.get("target_session_attrs") or self._environ.get("PGTARGETSESSIONATTRS")
        for guarded in (False,) if asked in _BY_WRITING else (True, False):
            pairs = words_of.parameters(self._target, words, self._timeout, self._environ, guarded=guarded)
            refusal = self._try(climb, pairs)
            climb.guarded = guarded
            if climb.connection is not None:
                climb.rung = Rung.ORDINARY
                return
            if refusal is None or refusal.too_many:
                return
            # A service's file may ask for a session that can write: none of ours could.
            if refusal.sqlstate not in _NO_SETTINGS_AT_LOGIN and "session is read-only" not in refusal.words:
                return

    def _as_server_user(self, climb: Climb, server: Server) -> None:
        path = next((p for p in server.socket_paths if not p.startswith("@")), server.socket_paths[0])
        roles = dict.fromkeys(role for role in (server.os_user, "postgres") if role)
        for role in roles:
            refusal: Refusal | None = None
            for dbname in ("postgres", "template1"):
                pairs = words_of.peer_parameters(server, path, role, dbname, self._timeout)
                if any(os.environ.get(name) or self._environ.get(name) for name in _GIVE_A_PASSWORD):
                    # Anybody can run something that looks like a server: it is not to be told our password. libpq
                    # ignores an empty one.
                    pairs.append(("password", "none"))
                refusal = self._try(climb, pairs, uid=server.os_uid)
                if refusal is None or refusal.sqlstate != _NO_DATABASE:
                    break
            if climb.connection is not None:
                climb.guarded = True
                # A role's or a database's own limit tells nothing of the slots.
                climb.rung = Rung.RESERVED if climb.refuses is not None else Rung.ORDINARY
                return
            if refusal is None or refusal.sqlstate not in _NOT_LET_IN:
                return

    def _is_another(self, connection: Connection) -> bool:
        """Whether not the server that was found answered: one in a container has its sockets in other directories.

        Then it would be shown under the other's name, and the other twice.
        """
        server = self._target.server
        if server is None or server.postmaster_pid is None or connection.peer.host != words_of.where(server):
            return False
        pid = listener(connection.fileno)
        # A server that was restarted since it was found is no other.
        return pid is not None and pid != server.postmaster_pid and alive(server) is not None

    def _refused_by_another(self, peer: Peer, failed: ConnectError | OSError) -> bool:
        """The same of a refusal for lack of slots: libpq has closed the socket by then, so who listens is asked."""
        server = self._target.server
        if server is None or server.postmaster_pid is None or peer.host != words_of.where(server):
            return False
        if not peer.host.startswith(("/", "@")) or not parse_error(str(failed)).too_many:
            return False
        pid = who_listens(f"{peer.host}/.s.PGSQL.{peer.port}")
        return pid not in {0, server.postmaster_pid} and alive(server) is not None

    def _try(self, climb: Climb, pairs: list[tuple[str, str]], uid: int | None = None) -> Refusal | None:
        """One connect; None when it got a session, else what came instead."""
        deadline = self._clock() + self._timeout
        connection: Connection | None = None
        failed: ConnectError | OSError | None
        try:
            if uid is None:
                connection, failed = open_connection(self._pq, pairs, deadline, self._clock)
            else:
                with effective_uid(uid):
                    connection, failed = open_connection(self._pq, pairs, deadline, self._clock, elsewhere=False)
        except (ConnectError, OSError) as error:
            failed = error
        peer = connection.peer if connection is not None else None
        shown = one_line(str(peer)) if peer else "the server as given"
        if uid is None:
            climb.peer = peer
        elif failed is None and peer is not None and peer.hostaddr:
            # PGHOSTADDR or a service led elsewhere: whoever answered there is not the server that was meant.
            failed = ConnectError("PGHOSTADDR or PGSERVICE leads away from the unix socket")
        if failed is None and connection is not None and self._is_another(connection):
            failed = ConnectError("another server answers at its socket's path")
        if failed is None:
            climb.connection = connection
            climb.attempts.append(Attempt(shown, "connected"))
            return None
        if peer is not None and self._refused_by_another(peer, failed):
            failed = ConnectError("another server refuses at its socket's path")
        climb.silent = climb.silent or str(failed) == NO_ANSWER
        refusal = parse_error(str(failed))
        if connection is not None:
            connection.ended(_TO_GO if refusal.sqlstate else 0.0)
            connection.close()
        climb.attempts.append(Attempt(shown, refusal.words, refusal.sqlstate, refusal.by, refusal.ceiling))
        if refusal.too_many:
            climb.refusal = refusal
            # A superuser is refused by no other ceiling.
            climb.full = climb.full or refusal.ceiling is Ceiling.ALL or (uid is not None and refusal.by == POSTGRES)
        return refusal
