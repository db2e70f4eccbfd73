"""Where a plan is made and applied: which pgusher this is, which server is meant, and whether it is still the same."""

from __future__ import annotations

import os

from pgusher.app.request import Request
from pgusher.collect import procfs
from pgusher.collect.postgres.postmaster import parent_of, read_postmaster
from pgusher.errors import RefusedError
from pgusher.model.plan import Plan, ProcessIdentity, Reach, ServerIdentity
from pgusher.model.server import Rung
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import replace

_DEEPEST = 200


def own_family(pid: int | None = None, proc: str = "/proc") -> tuple[int, ...]:
    """This process and all that is above it: its shell, the terminal, the login's sshd."""
    found: list[int] = []
    next_pid: int | None = os.getpid() if pid is None else pid
    while next_pid and next_pid not in found and len(found) < _DEEPEST:
        found.append(next_pid)
        next_pid = parent_of(next_pid, proc)
    return tuple(found)


def pid_namespace(proc: str = "/proc") -> int | None:
    """The inode of this process's pid namespace; None when it cannot be read."""
    try:
        return procfs.parse_namespace(os.readlink(os.fsencode(f"{proc}/self/ns/pid")))
    except OSError:
        return None


def postmaster_of(snapshot: Snapshot, proc: str = "/proc") -> ProcessIdentity | None:
    """The first process of a server of this host; None for one elsewhere, or when it is not known."""
    server = snapshot.facts.server
    if not server.local or server.postmaster_pid is None:
        return None
    found = read_postmaster(server.postmaster_pid, proc)
    if found is None:
        return None
    return ProcessIdentity(
        found.pid, found.start_ticks, snapshot.facts.host.boot_id, pid_namespace(proc), uid=found.uid
    )


def reach_of(request: Request) -> Reach:
    """How the server was reached, without secrets. One that was found by itself is found again by its identity."""
    dsn = request.dsn or request.config.dsn
    secret = dsn is not None and _has_secret(dsn)
    database = request.database
    if database is not None and _has_secret(database):
        database, secret = None, True
    return Reach(
        None if secret else dsn,
        request.host,
        request.port,
        request.user,
        database,
        request.service,
        request.sql,
        secret,
    )


def request_again(plan: Plan, given: Request) -> Request:
    """The request by which the plan's server is reached: what is given now stands above what the plan has kept.

    Raises RefusedError when it was reached by a password that is not given again.
    """
    reach = plan.reach
    if given.dsn is None and given.host is None and given.service is None and reach.secret:
        raise RefusedError(
            f"plan {plan.id} needs its connection string again: a password is not kept with a plan",
            hint=f"pgusher free --apply {plan.id} --dsn ...",
        )
    port = given.port if given.port is not None else reach.port
    if port is None and not (given.dsn or reach.dsn or reach.host or reach.service or given.names_a_server()):
        port = plan.server.port  # it was found by itself: others of this host need not be looked at
    return replace(
        given,
        dsn=given.dsn or reach.dsn,
        host=given.host or reach.host,
        port=port,
        user=given.user or reach.user,
        database=given.database or reach.database,
        service=given.service or reach.service,
        sql=given.sql and reach.sql,
    )


def as_server_user(request: Request, before: Snapshot) -> Request | None:
    """The request by which a local server is seen as its own user; None where a full server was not seen so before.

    The look before acting was made through a slot that is reserved for superusers, or without SQL; with room again the
    same request gives a session of an ordinary role, which sees less.
    """
    view, server = before.facts.view, before.facts.server
    seen = view.role is None or (view.superuser and view.rung is not Rung.ORDINARY)
    if not (server.local and seen and os.geteuid() in {0, server.os_uid}):
        return None
    return replace(
        request,
        dsn=None,
        host=None,
        port=server.port,
        user=None,
        database=None,
        service=None,
        config=replace(request.config, dsn=None),
    )


def check_place(plan: Plan, snapshot: Snapshot) -> None:
    """Raises RefusedError when pids of the plan mean nothing here: another boot, another container."""
    host = snapshot.facts.host
    identities = [step.process for step in plan.steps if step.process is not None]
    identities += [plan.server.postmaster] if plan.server.postmaster is not None else []
    if any(one.boot_id != host.boot_id for one in identities):
        raise RefusedError(
            f"plan {plan.id} is of another host, or of before this one was booted", hint="plan anew: pgusher free"
        )
    here = pid_namespace()
    if any(one.pid_namespace is not None and here is not None and one.pid_namespace != here for one in identities):
        raise RefusedError(f"plan {plan.id} was made in another container", hint="plan anew, there: pgusher free")


def is_same(plan: ServerIdentity, now: ServerIdentity) -> bool | None:
    """Whether a server is still the plan's; None when nothing tells."""
    if plan.port != now.port and plan.local and now.local:
        return False
    told = None
    if plan.postmaster is not None and now.postmaster is not None:
        key = (plan.postmaster.pid, plan.postmaster.start_ticks, plan.postmaster.boot_id)
        if key != (now.postmaster.pid, now.postmaster.start_ticks, now.postmaster.boot_id):
            return False
        told = True
    if plan.started is not None and now.started is not None:
        return plan.started == now.started
    return told


def _has_secret(text: str) -> bool:
    from pgusher.model.redact import redact_text

    return ("=" in text or "://" in text) and redact_text(text) != text
