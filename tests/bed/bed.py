"""A server with holders around it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import psycopg
from psycopg import sql

from pgusher.demo.server import EmbeddedServer
from tests.bed.cron import Cron
from tests.bed.holder import BED, HANGS, ROOT, Holder, hanging, program
from tests.bed.kernel import served_by
from tests.bed.truth import Truth

APP = "app"
"""An ordinary role, with no right to see more than its own sessions."""
REPORTS = "reports"
"""Another ordinary role."""
MONITOR = "monitor"
"""A member of pg_monitor."""
SIGNALLER = "signaller"
"""A member of pg_monitor and pg_signal_backend: what pgusher needs to see and to act."""
RESERVE = "reserve"
"""An ordinary role, from 16 on a member of pg_use_reserved_connections."""
SLOW = "slow"
"""A role that must give a password, whatever the others must: who asks for it and waits holds a slot."""

HBA = (f"local all {SLOW} scram-sha-256", f"host all {SLOW} all scram-sha-256")
"""For the pg_hba.conf of every server of the tests."""

DATABASES = ("app", "reports")


def prepare(server: EmbeddedServer) -> None:
    """Make the roles and databases above in a new server."""
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        for role in (APP, REPORTS, MONITOR, SIGNALLER, RESERVE):
            connection.execute(sql.SQL("create role {} login").format(sql.Identifier(role)))
        connection.execute(f"create role {SLOW} login password 'sesame'")
        connection.execute(f"grant pg_monitor to {MONITOR}, {SIGNALLER}")
        connection.execute(f"grant pg_signal_backend to {SIGNALLER}")
        if server.major >= 16:
            connection.execute(f"grant pg_use_reserved_connections to {RESERVE}")
        for name in DATABASES:
            connection.execute(sql.SQL("create database {0} owner {0}").format(sql.Identifier(name)))


class Bed:
    """The holders of one test. `close()` ends them all."""

    def __init__(self, server: EmbeddedServer) -> None:
        self.server = server
        self._stack = ExitStack()
        self._admin: psycopg.Connection[Any] | None = None

    def close(self) -> None:
        """End the holders and their sessions, close the connection."""
        self._stack.close()
        if self._admin is not None:
            self._admin.close()

    @property
    def admin(self) -> psycopg.Connection[Any]:
        """The test's own connection as superuser, kept until the end. Ask for it before the server is full."""
        if self._admin is None or self._admin.closed:
            self._admin = psycopg.connect(self.server.dsn(application_name="test bed"), autocommit=True)
        return self._admin

    def sessions(self, order: str = "pid") -> list[dict[str, Any]]:
        """The client backends as the server shows them to its superuser, the test's own left out."""
        cursor = self.admin.cursor(row_factory=psycopg.rows.dict_row)
        return cursor.execute(
            "select *, pg_catalog.host(client_addr) as client_host,"
            " (extract(epoch from backend_start) * 1000000)::bigint as start_micros,"
            " pg_catalog.pg_blocking_pids(pid) as blocked_by"
            " from pg_catalog.pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"
            f" order by {order}".encode()
        ).fetchall()

    def _complete(self, truth: Truth) -> Truth:
        """With what a holder cannot know: when its sessions began and, for one that is not in yet, its backend."""
        if not self.server.postmaster_pid:
            return truth
        if any(session.backend_pid == 0 for session in truth.sessions):
            truth = truth.with_backends(served_by(self.server.postmaster_pid, self.server.port))
        known = [session.backend_pid for session in truth.sessions if session.state != "authenticating"]
        if not known:  # and perhaps no slot left to ask
            return truth
        rows = self.admin.execute(
            "select pid, (extract(epoch from backend_start) * 1000000)::bigint from pg_catalog.pg_stat_activity"
            " where pid = any(%s)",
            (known,),
        ).fetchall()
        return truth.with_starts(dict(rows))

    def holder(
        self,
        state: str | Sequence[str] = "idle",
        sessions: int = 1,
        *,
        dsn: str | None = None,
        workers: int = 0,
        share: int = 0,
        extra: Sequence[str] = (),
        words: Sequence[str] = (),
        env: dict[str, str] | None = None,
        **more: Any,
    ) -> Holder:
        """A holder not yet started (use it in a `with` block) that opens `sessions` in each of these states.

        `state`: never, idle, idle_in_transaction, aborted, active, or lock (two sessions: one waits for the other).
        `workers`: that many processes with these sessions each. `share`: forked children that inherit the sockets.
        `extra`: further options of tests/bed/holders/sessions.py. `words`: anything, for the end of the command line.
        """
        states = [state] if isinstance(state, str) else list(state)
        argv = [*program("sessions"), "--dsn", dsn or self.dsn(), "--sessions", str(sessions)]
        for name in states:
            argv += ["--state", name]
        argv += ["--workers", str(workers), "--share", str(share), *extra]
        if words:
            argv += ["--", *words]
        each = sum((2 if name.startswith("lock") else 1) * int(name.partition(":")[2] or sessions) for name in states)
        return self.run(argv, processes=1 + workers + share, sessions=each * max(1, workers), env=env or {}, **more)

    def run(self, argv: Sequence[str], **more: Any) -> Holder:
        """Any program as a holder, not yet started; it is ended with the bed at the latest."""
        holder = Holder(argv, complete=self._complete, after=self._gone, **more)
        self._stack.callback(holder.stop)
        return holder

    def cron(self, system: Sequence[str] = (), **more: Any) -> Cron:
        """A real cron with these lines in its /etc/crontab, not yet started; see tests/bed/cron.py."""
        cron = Cron(system, complete=self._complete, after=self._gone, **more)
        self._stack.callback(cron.stop)
        return cron

    def hang(self, name: str, sessions: int = 5) -> Holder:
        """A script of tests/bed/hangs, not yet started; it hangs for ever with that many sessions open."""
        return self.run([sys.executable, hanging(name)], sessions=sessions, env=self.hang_env(sessions))

    def hang_env(self, sessions: int) -> dict[str, str]:
        """What such a script needs in its environment."""
        with psycopg.connect(self.dsn(user="postgres"), autocommit=True) as connection:
            if connection.execute("select pg_catalog.to_regclass('job')").fetchone() == (None,):
                with open(os.path.join(HANGS, "schema.sql"), "rb") as file:
                    connection.execute(file.read())
        path = os.pathsep.join((os.path.join(BED, "hook"), ROOT))
        return {"PGUSHER_DSN": self.dsn(), "INCIDENT_SIZE": str(sessions), "PYTHONPATH": path}

    def web(self, server: str, workers: int = 2, sessions: int = 2) -> Holder:
        """A web server of which each worker has that many sessions, not yet started: gunicorn or uvicorn.

        `server`: "uvicorn", or "gunicorn" and after a colon a kind of worker ("gunicorn:sync"). `pid` is the parent's.
        """
        name, _, kind = server.partition(":")
        holder = self.run(
            [],
            processes=workers,
            sessions=workers * sessions,
            cwd=os.path.join(BED, "holders"),
            env={"PGUSHER_DSN": self.dsn(), "SESSIONS": str(sessions)},
        )
        address = os.path.join(holder.keeper.directory, "web")
        argv = [sys.executable, "-m", name, "--workers", str(workers)]
        if name == "uvicorn":
            argv += ["--uds", address, "--log-level", "warning", "web:asgi"]
        else:
            application = "web:app" if kind in {"sync", "gthread"} else "web:asgi"
            argv += ["--bind", f"unix:{address}", "--worker-class", kind, application]
        holder.argv = argv
        return holder

    def dsn(self, user: str = APP, dbname: str = "app", **more: Any) -> str:
        """How a holder connects."""
        return self.server.dsn(user=user, dbname=dbname, **more)

    def fill(self, user: str = APP, dbname: str = "app", most: int = 1000, **more: Any) -> Holder:
        """Take every slot that this user can get, until it is refused: the holder's truth has the refusal.

        As an ordinary role it leaves the reserved slots; as postgres after that, it leaves none.
        """
        dsn = self.dsn(user, dbname, **more)
        _ = self.admin  # for the backend_start of the sessions: afterwards there may be no slot for it
        holder = self.run([*program("fill"), "--dsn", dsn, "--most", str(most)]).start()
        assert holder.truth.refusal, "the server refused nobody"
        return holder

    def unfinished(self, sessions: int, host: str | None = None) -> Holder:
        """Sockets that hold slots and never finish their authentication. At most as many as there are slots."""
        argv = [*program("unfinished"), "--host", host or self.server.addresses[0], "--port", str(self.server.port)]
        return self.run([*argv, "--user", SLOW, "--sessions", str(sessions)], sessions=None)

    def _gone(self, truth: Truth) -> None:
        """Wait until the server has noticed the end of a holder: a running query would keep its backend for ever."""
        waits = any(session.state == "authenticating" for session in truth.sessions)
        ended = [session.backend_pid for session in truth.sessions]
        deadline = time.monotonic() + 30
        while self.unauthenticated() if waits else self._terminate(ended):
            assert time.monotonic() < deadline, f"the server still has sessions of {truth}"
            time.sleep(0.002)

    def _terminate(self, backends: Sequence[int]) -> int:
        """Ask these to end; how many are still there."""
        if not backends or not self.server.postmaster_pid:
            return 0
        rows = self.admin.execute(
            "select pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity where pid = any(%s)",
            (list(backends),),
        )
        return len(rows.fetchall())

    def unauthenticated(self) -> list[int]:
        """The server's processes whose client has not finished its authentication, by their titles."""
        found = []
        pid = self.server.postmaster_pid
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            children = [int(word) for word in file.read().split()]
        for child in children:
            with suppress(OSError), open(f"/proc/{child}/cmdline", "rb") as file:
                if file.read().rstrip(b"\0").endswith(b" authentication"):
                    found.append(child)
        return found

    @contextmanager
    def role_limit(self, role: str, limit: int) -> Iterator[None]:
        """ALTER ROLE ... CONNECTION LIMIT, undone at the end. 0 makes the server full for this role at once."""
        with self._limit("role", role, limit):
            yield

    @contextmanager
    def database_limit(self, name: str, limit: int) -> Iterator[None]:
        """ALTER DATABASE ... CONNECTION LIMIT, undone at the end."""
        with self._limit("database", name, limit):
            yield

    @contextmanager
    def _limit(self, kind: str, name: str, limit: int) -> Iterator[None]:
        statement = sql.SQL(f"alter {kind} {{}} connection limit {{}}")
        self.admin.execute(statement.format(sql.Identifier(name), sql.Literal(limit)))
        try:
            yield
        finally:
            self.admin.execute(statement.format(sql.Identifier(name), sql.Literal(-1)))
