"""The statements that act on sessions. Pure.

What matters is the time between reading who has a pid and signalling it. pg_stat_activity is a copy of shared memory
that the server makes once in a transaction (pgstat_read_current_status). So that copy is thrown away and made anew for
each session in turn, and compared and signalled before the next one: the joins are lateral, so they can only be nested
loops, `offset 0` keeps the planner from moving a part, and `case` from calling the function where the comparison fails
(PostgreSQL documentation, "LATERAL Subqueries", "Expression Evaluation Rules").

What is left: a session that ends between the two. Its end would have to be noticed by the postmaster, which would have
to fork another one with that very pid, which would have to read its startup packet and enter the list of running
backends: pg_terminate_backend looks the pid up there anew (BackendPidGetProc). Measured from the copy to the signal,
on two processors for which eight processes waited, fifty sessions at a time, PostgreSQL 13 to 18: 0.02 ms at the
median, 0.3 in 99 of 100; at most 41, when the server process was not let run in between (bench/act.py). And a session
that wakes up within that time is ended in the first moment of its statement, as it would be by its own
idle_session_timeout.

A pidfd would close the first gap, and widen the second one to a round trip: sessions wake up every moment, pids come
round again after millions. So where there is SQL, sessions are ended by SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pgusher.model.address import Micros
from pgusher.model.plan import SessionIdentity
from pgusher.model.redact import redact_text

MARK = "/* pgusher free */ "
"""For the server's own log: who does this."""

SLEEPING = ("idle", "idle in transaction", "idle in transaction (aborted)")
WORKING = ("active", "fastpath function call")

_FRESH = "select pg_catalog.pg_stat_clear_snapshot(); "
_SAME_SERVER = "(pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time()) * 1000000)::int8 = STARTED"
# ROWS are numbers and words of our own alone. The order of the verdicts is from what is nobody's to end to what has
# merely changed.
_STATEMENT = """copy (
 select v.n, w.verdict, case when w.verdict = 'same' then ACT end,
  i.state, i.change, i.started, i.usename, i.kind, pg_catalog.quote_ident(session_user)
 from (values ROWS) v(n, pid, started, state, change, exact)
 cross join lateral (select v.pid, pg_catalog.pg_stat_clear_snapshot() as cleared offset 0) f
 left join lateral (select
   a.pid, a.usesysid, a.state, a.backend_type as kind, r.rolname as usename, r.rolsuper,
   (pg_catalog.date_part('epoch', a.backend_start) * 1000000)::int8 as started,
   (pg_catalog.date_part('epoch', a.state_change) * 1000000)::int8 as change
  from pg_catalog.pg_stat_get_activity(case when f.cleared is null then f.pid else f.pid end) a
  left join lateral (select r.rolname, r.rolsuper from pg_catalog.pg_roles r where r.oid = a.usesysid offset 0) r
   on true
  offset 0) i on true
 cross join lateral (select case
  when not SAME_SERVER then 'restarted'
  when i.pid is null then 'gone'
  when i.pid = pg_catalog.pg_backend_pid() then 'own'
  when i.started is null then 'hidden'
  when i.started <> v.started then 'other'
  when i.kind is distinct from 'client backend' then 'kind'
  when i.rolsuper then 'superuser'
  when v.exact and (i.state is distinct from v.state or i.change is distinct from v.change) then 'changed'
  when not coalesce(pg_catalog.pg_has_role(i.usesysid, 'usage'), false)
   and not pg_catalog.pg_has_role('pg_signal_backend', 'usage') then 'denied'
  else 'same' end as verdict
 offset 0) w
) to stdout"""
_LEFT = """copy (
 select v.n, a.state, (pg_catalog.date_part('epoch', a.state_change) * 1000000)::int8
 from (values ROWS) v(n, pid, started)
 join pg_catalog.pg_stat_activity a on a.pid = v.pid
  and (pg_catalog.date_part('epoch', a.backend_start) * 1000000)::int8 = v.started
) to stdout"""


class Target(NamedTuple):
    """One session in a statement."""

    number: int
    """By which the answer is matched."""
    session: SessionIdentity
    exact: bool
    """Whether its state and since when must be the same: of one that sleeps, and of a statement to be cancelled."""


class Found(NamedTuple):
    """What the server answered for one target."""

    number: int
    verdict: str
    """same, gone, other, changed, hidden, denied, superuser, own, kind, restarted."""
    signalled: bool | None
    """None when it was not tried."""
    state: str | None = None
    state_change: Micros | None = None
    backend_start: Micros | None = None
    user: str | None = None
    kind: str | None = None
    actor: str | None = None
    """The role of this connection, as it is written in a statement."""


def known_state(session: SessionIdentity) -> bool:
    """Whether its state is one that the server tells: anything else is never put into a statement."""
    return session.state in {*SLEEPING, *WORKING}


def ask(targets: Sequence[Target], started: Micros | None) -> str:
    """Look only: who is still what it was."""
    return _statement(targets, started, "null::bool")


def terminate(targets: Sequence[Target], started: Micros | None) -> str:
    """Terminate those that are still what they were."""
    return _statement(targets, started, "pg_catalog.pg_terminate_backend(i.pid)")


def cancel(targets: Sequence[Target], started: Micros | None) -> str:
    """Cancel the statement of those that are still at it."""
    return _statement(targets, started, "pg_catalog.pg_cancel_backend(i.pid)")


def left(targets: Iterable[Target]) -> str:
    """Which of these sessions there still are, with their state, as `ask` gives it."""
    rows = ", ".join(f"({one.number}, {one.session.pid}, {one.session.backend_start})" for one in targets)
    return MARK + _FRESH + _LEFT.replace("ROWS", rows)


def parse(values: Sequence[str | None]) -> Found:
    """One row of an answer. Raises ValueError when it has another form."""
    number, verdict, signalled, state, change, start, user, kind, actor = values
    return Found(
        int(number or ""),
        verdict or "",
        None if signalled is None else signalled == "t",
        state or None,
        int(change) if change else None,
        int(start) if start else None,
        None if user is None else redact_text(user),
        kind,
        actor,
    )


def _statement(targets: Sequence[Target], started: Micros | None, act: str) -> str:
    rows = ", ".join(_row(one) for one in targets)
    same_server = "true" if started is None else _SAME_SERVER.replace("STARTED", str(int(started)))
    return MARK + _STATEMENT.replace("SAME_SERVER", same_server).replace("ACT", act).replace("ROWS", rows)


def _row(one: Target) -> str:
    session = one.session
    if session.backend_start is None or not (session.state is None or known_state(session)):
        raise ValueError(session)
    # The first row gives the columns their types.
    state = "null::text" if session.state is None else f"'{session.state}'::text"
    change = "null" if session.state_change is None else str(int(session.state_change))
    return f"({one.number}, {session.pid}, {int(session.backend_start)}::int8, {state}, {change}::int8, {one.exact})"
