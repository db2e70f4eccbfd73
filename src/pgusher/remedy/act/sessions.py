"""Sessions by SQL: compared and signalled in one statement, all of them first, then waited for once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from pgusher.collect.postgres.connect import BrokenError, QueryError
from pgusher.collect.postgres.rows import fields
from pgusher.model.address import Micros
from pgusher.model.findings import Safety
from pgusher.model.plan import Lever, OutcomeKind, SessionIdentity, Step
from pgusher.remedy.act import statements
from pgusher.remedy.act.result import Result
from pgusher.remedy.act.said import since
from pgusher.remedy.act.statements import Found, Target

_EACH = 0.02
"""Seconds that the server may take for each session on top: it copies the state of all of them for each."""
_DENIED = "42501"  # insufficient_privilege


class Sql(Protocol):
    """What a connection must be able to do; `pgusher.collect.postgres.connect.Connection` is one."""

    def run(self, sql: str, deadline: float) -> list[list[bytes]]:
        """The rows of each `COPY ... TO STDOUT`. Raises QueryError or BrokenError."""


class Server:
    """The server, as far as acting needs it."""

    def __init__(self, sql: Sql, started: Micros | None, clock: Callable[[], float], within: float = 5.0) -> None:
        """`started`: when its postmaster did, by the plan. `within`: seconds for each answer."""
        self._sql = sql
        self._started = started
        self._clock = clock
        self._within = within

    def look(self, targets: Sequence[Target]) -> dict[int, Found]:
        """Who is still what it was, by number. Raises QueryError or BrokenError."""
        return self._ask(statements.ask(targets, self._started), len(targets)) if targets else {}

    def signal(self, lever: Lever, targets: Sequence[Target]) -> dict[int, Found | str]:
        """Signal those that still are what they were; for each what was found, or why it was not done.

        One that is told no answer for may have been signalled: that is said.
        """
        statement = statements.cancel if lever is Lever.CANCEL else statements.terminate
        found: dict[int, Found | str] = {}
        try:
            found.update(self._ask(statement(targets, self._started), len(targets)))
        except QueryError as error:
            # One error ends the whole batch, in which others have been signalled already: each by itself tells.
            if len(targets) == 1:
                denied = error.sqlstate == _DENIED
                found[targets[0].number] = Found(targets[0].number, "denied", None) if denied else str(error)
            else:
                for target in targets:
                    found.update(self.signal(lever, [target]))
        except (BrokenError, ValueError) as error:
            for target in targets:
                found[target.number] = f"the connection ended before the server answered: {error}"
        return found

    def left(self, targets: Iterable[Target]) -> dict[int, tuple[str | None, Micros | None]]:
        """Those that are still there, with state and since when. Raises QueryError or BrokenError."""
        results = self._sql.run(statements.left(targets), self._clock() + self._within)
        rows = [fields(line) for line in results[0]]
        return {int(row[0] or ""): (row[1] or None, int(row[2]) if row[2] else None) for row in rows}

    def run(self, sql: str) -> list[list[bytes]]:
        """Other statements. Raises QueryError or BrokenError."""
        return self._sql.run(statements.MARK + sql, self._clock() + self._within)

    def _ask(self, sql: str, count: int) -> dict[int, Found]:
        results = self._sql.run(sql, self._clock() + self._within + count * _EACH)
        found = [statements.parse(fields(line)) for rows in results for line in rows]
        return {one.number: one for one in found}


def target(number: int, session: SessionIdentity, step: Step) -> Target | Result:
    """How a session is to be compared, or why it cannot be.

    One that slept when the plan was made must still sleep, since the same moment, whatever the step's safety: what it
    would lose now was not agreed to. Of one that worked it was agreed to lose its work: it must be the same session.
    A statement to be cancelled must be the same statement.
    """
    if session.backend_start is None:
        return Result(OutcomeKind.REFUSED, f"the plan does not tell when session {session.pid} began")
    if session.state_change is None or not statements.known_state(session):
        # Hidden, or track_activities is off: whether it sleeps is not known.
        if step.safety is Safety.SAFE or step.lever is Lever.CANCEL:
            return Result(OutcomeKind.REFUSED, f"what session {session.pid} did was not seen, so it may be at work")
        unseen = SessionIdentity(session.pid, session.backend_start, None, None, session.user, session.database)
        return Target(number, unseen, exact=False)
    exact = session.state in statements.SLEEPING or step.safety is Safety.SAFE or step.lever is Lever.CANCEL
    return Target(number, session, exact)


def judge(found: Found, target: Target) -> Result | None:
    """What follows for a session that was looked at; None when it is still what it was."""
    pid, was, role = target.session.pid, target.session, found.actor or "ROLE"
    match found.verdict:
        case "same":
            return None
        case "gone":
            return Result(OutcomeKind.GONE, f"session {pid} is gone already")
        case "other":
            return Result(OutcomeKind.GONE, f"session {pid} is gone already: its pid is another session's now")
        case "restarted":
            return Result(OutcomeKind.GONE, f"session {pid} is gone already: the server was restarted")
        case "changed":
            again = " again" if found.state == was.state else ""
            before = f"was {was.state} since {since(was.state_change)}"
            now = f"is {found.state or 'in a hidden state'}{again} since {since(found.state_change)}"
            return Result(OutcomeKind.REFUSED, f"session {pid} has changed: it {before}, and {now}")
        case "superuser":
            text = f"session {pid} is a superuser's (role {found.user}): those are never ended"
            return Result(OutcomeKind.REFUSED, text)
        case "own":
            return Result(OutcomeKind.REFUSED, f"session {pid} is pgusher's own")
        case "kind":
            return Result(OutcomeKind.REFUSED, f"process {pid} is no client's session but a {found.kind}")
        case "hidden":
            text = f"session {pid} is another role's, of which role {role} sees too little"
            return Result(OutcomeKind.REFUSED, text, f"GRANT pg_monitor, pg_signal_backend TO {role}")
        case _:
            owner = f" (role {found.user})" if found.user else ""
            text = f"session {pid} is another role's{owner}, which role {role} may not end"
            return Result(OutcomeKind.REFUSED, text, f"GRANT pg_signal_backend TO {role}")
