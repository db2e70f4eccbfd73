"""The last proof: an ordinary role takes a slot, and gives it back. A superuser's login would prove nothing."""

from __future__ import annotations

import os
import pwd
import time
from collections import Counter
from collections.abc import Iterable

from pgusher.collect.postgres.connect import BrokenError, ConnectError, Connection, QueryError, open_connection
from pgusher.collect.postgres.identity import effective_uid
from pgusher.collect.postgres.libpq import LibpqMissingError, load
from pgusher.collect.postgres.refusal import one_line, parse_error
from pgusher.collect.postgres.target import where
from pgusher.model.plan import Plan
from pgusher.model.server import Rung, Server
from pgusher.model.snapshot import Snapshot
from pgusher.remedy.verify import Proof

_PATIENCE = 1.0


def by_own_session(snapshot: Snapshot, took_ms: float) -> Proof | None:
    """The proof that the look itself is, when it was made by a new session of an ordinary role; None when not."""
    view = snapshot.facts.view
    if view.rung is Rung.ORDINARY and view.superuser is False and view.role is not None and not view.pooler:
        return Proof(view.role, took_ms)
    return None


def candidates(plan: Plan, before: Snapshot) -> list[tuple[str, str]]:
    """Roles, with a database, whose sessions were ended or are there, most sessions first; no superuser's.

    Where only titles were seen nothing tells a superuser but the name: `by_role` asks the server before it claims.
    """
    sessions = before.facts.sessions
    superusers = {session.user for session in sessions if session.superuser}
    if any(session.superuser is None for session in sessions):
        superusers |= {"postgres", before.facts.server.os_user}
    ended = Counter((one.user, one.database) for step in plan.steps for one in step.sessions)
    there = Counter((s.user, s.database) for s in sessions)
    found: list[tuple[str, str]] = []
    for (user, database), _ in (*ended.most_common(), *there.most_common()):
        if user is not None and database is not None and user not in superusers and (user, database) not in found:
            found.append((user, database))
    return found


def by_role(server: Server, role: str, database: str) -> Proof:
    """Whether that role gets a slot now, without any password of ours. On this host alone: nobody else is asked."""
    try:
        library = load()
    except LibpqMissingError as error:
        return Proof(why_not=one_line(str(error)))
    began = time.monotonic()
    pairs = [
        ("host", where(server)), ("port", str(server.port)), ("user", role), ("dbname", database),
        # Nobody's password: neither ours nor one that lies about is told to a server for a proof.
        ("password", "none"), ("passfile", "/nonexistent"), ("gssencmode", "disable"),
        ("application_name", "pgusher"), ("client_encoding", "SQL_ASCII"),
        ("options", f"-c statement_timeout={int(_PATIENCE * 1000)} -c default_transaction_read_only=on"),
    ]  # fmt: skip
    connection: Connection | None = None
    try:
        with effective_uid(_uid_of(role)):
            connection, failed = open_connection(library, pairs, began + _PATIENCE, elsewhere=False)
        if failed is not None:
            refusal = parse_error(str(failed))
            if refusal.too_many:
                return Proof(refused=refusal.words)
            return Proof(why_not=f"role {role} was not let in without its password")
        (rows,) = connection.run(
            "copy (select pg_catalog.current_setting('is_superuser')) to stdout", began + _PATIENCE
        )
        if rows != [b"off"]:
            return Proof(why_not=f"role {role} is a superuser")
        return Proof(role, (time.monotonic() - began) * 1000)
    except (ConnectError, BrokenError, QueryError, OSError, ValueError) as error:
        return Proof(why_not=f"role {role} could not connect: {one_line(str(error))}")
    finally:
        if connection is not None:
            connection.close()


def _uid_of(role: str) -> int:
    """Whom the kernel is to name to the server: the account of the role's name, where root may be it; else ourselves.

    A server that lets its users in by `peer` lets that one in.
    """
    if os.geteuid() == 0:
        try:
            return pwd.getpwnam(role).pw_uid
        except (KeyError, ValueError):
            pass
    return os.geteuid()


def prove(plan: Plan, before: Snapshot, after: Snapshot, tries: int = 2) -> Proof:
    """The best proof that can be had where no look's own session is one: by a role that has sessions there."""
    server = after.facts.server
    if not server.local:
        return Proof(why_not="pgusher is a superuser there: an ordinary role is named by -U")
    last = Proof(why_not="no ordinary role is known: name one by -U")
    for role, database in _first(candidates(plan, before), tries):
        last = by_role(server, role, database)
        if last.role is not None or last.refused:
            return last
    return last


def _first(found: Iterable[tuple[str, str]], most: int) -> list[tuple[str, str]]:
    """One try a role: a failed login is a line in the server's log."""
    seen: dict[str, tuple[str, str]] = {}
    for role, database in found:
        seen.setdefault(role, (role, database))
    return list(seen.values())[:most]
