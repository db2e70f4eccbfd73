"""The statements that act on sessions. Pure.

What matters is the time between reading who has a pid and signalling it. pg_stat_activity is a copy of shared memory,
made once for a transaction (pgstat_read_current_status), so it is thrown away before each statement; the rows are
compared and signalled in one pass over that copy, nothing in between. `offset 0` keeps the planner from moving the
comparison, and `case` from calling the function where it fails (PostgreSQL documentation, "Expression Evaluation
Rules").

What is left: a session that ends after the copy was made, while another one gets its pid. pg_terminate_backend looks
the pid up anew in the list of running backends (BackendPidGetProc), so that other one must have been forked, have got
its slot and have entered that list before the signal. Measured with PostgreSQL 18: from the copy to the signal 0.01 to
0.3 ms for a batch of 50, from a fork to the list more than 1 ms. And a session that wakes up within that time is ended
in the first moment of its statement, as it would be by its own idle_session_timeout.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pgusher.model.address import Micros
from pgusher.model.plan import SessionIdentity

MARK = "/* pgusher free */ "
"""For the server's own log: who does this."""
BATCH = 50
"""Sessions in one statement: so the copy is never old when the last one is reached."""

SLEEPING = ("idle", "idle in transaction", "idle in transaction (aborted)")
WORKING = ("active", "fastpath function call")

_FRESH = "select pg_catalog.pg_stat_clear_snapshot(); "
_SAME_SERVER = "(pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time()) * 1000000)::int8 = STARTED"
# ROWS are numbers and words of our own alone. The order of the verdicts is from what is nobody's to end to what has
# merely changed.
_STATEMENT = """copy (
 select v.n, w.verdict, case when w.verdict = 'same' then ACT end,
  a.state, i.change, i.started, a.usename, a.backend_type
 from (values ROWS) v(n, pid, started, state, change, exact)
 left join pg_catalog.pg_stat_activity a on a.pid = v.pid
 left join pg_catalog.pg_roles r on r.oid = a.usesysid
 cross join lateral (select
  (pg_catalog.date_part('epoch', a.backend_start) * 1000000)::int8 as started,
  (pg_catalog.date_part('epoch', a.state_change) * 1000000)::int8 as change
 offset 0) i
 cross join lateral (select case
  when not SAME_SERVER then 'restarted'
  when a.pid is null then 'gone'
  when a.pid = pg_catalog.pg_backend_pid() then 'own'
  when i.started is null then 'hidden'
  when i.started <> v.started then 'other'
  when a.backend_type is distinct from 'client backend' then 'kind'
  when r.rolsuper then 'superuser'
  when v.exact and (a.state is distinct from v.state or i.change is distinct from v.change) then 'changed'
  when not coalesce(pg_catalog.pg_has_role(a.usesysid, 'usage'), false)
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


def known_state(session: SessionIdentity) -> bool:
    """Whether its state is one that the server tells: anything else is never put into a statement."""
    return session.state in {*SLEEPING, *WORKING}


def ask(targets: Sequence[Target], started: Micros | None) -> str:
    """Look only: who is still what it was."""
    return _statements(targets, started, "null::bool")


def terminate(targets: Sequence[Target], started: Micros | None) -> str:
    """Terminate those that are still what they were."""
    return _statements(targets, started, "pg_catalog.pg_terminate_backend(a.pid)")


def cancel(targets: Sequence[Target], started: Micros | None) -> str:
    """Cancel the statement of those that are still at it."""
    return _statements(targets, started, "pg_catalog.pg_cancel_backend(a.pid)")


def left(targets: Iterable[Target]) -> str:
    """Which of these sessions there still are, with their state, as `ask` gives it."""
    rows = ", ".join(f"({one.number}, {one.session.pid}, {one.session.backend_start})" for one in targets)
    return MARK + _FRESH + _LEFT.replace("ROWS", rows)


def parse(values: Sequence[str | None]) -> Found:
    """One row of an answer. Raises ValueError when it has another form."""
    number, verdict, signalled, state, change, start, user, kind = values
    return Found(
        int(number or ""),
        verdict or "",
        None if signalled is None else signalled == "t",
        state or None,
        int(change) if change else None,
        int(start) if start else None,
        user,
        kind,
    )


def _statements(targets: Sequence[Target], started: Micros | None, act: str) -> str:
    batches = [targets[at : at + BATCH] for at in range(0, len(targets), BATCH)]
    return MARK + "; ".join(_FRESH + _statement(batch, started, act) for batch in batches)


def _statement(targets: Sequence[Target], started: Micros | None, act: str) -> str:
    rows = ", ".join(_row(one) for one in targets)
    same_server = "true" if started is None else _SAME_SERVER.replace("STARTED", str(int(started)))
    return _STATEMENT.replace("SAME_SERVER", same_server).replace("ACT", act).replace("ROWS", rows)


def _row(one: Target) -> str:
    session = one.session
    if session.backend_start is None or not (session.state is None or known_state(session)):
        raise ValueError(session)
    # The first row gives the columns their types.
    state = "null::text" if session.state is None else f"'{session.state}'::text"
    change = "null" if session.state_change is None else str(int(session.state_change))
    return f"({one.number}, {session.pid}, {int(session.backend_start)}::int8, {state}, {change}::int8, {one.exact})"
