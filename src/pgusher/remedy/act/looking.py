"""Before anything is done: what speaks against each step, seen in one round trip."""

from __future__ import annotations

from collections.abc import Sequence

from pgusher.collect.postgres.connect import BrokenError, QueryError
from pgusher.model.plan import Lever, OutcomeKind, Step
from pgusher.remedy.act.result import Result
from pgusher.remedy.act.sessions import Server, judge, target
from pgusher.remedy.act.statements import Found, Target

NO_SQL = Result(
    OutcomeKind.FAILED, "the server could not be asked: there is no SQL", "make a new plan: it says what works without"
)
_BY_SQL = frozenset({Lever.TERMINATE, Lever.CANCEL, Lever.LIMIT, Lever.TIMEOUTS})
_WITH_SESSIONS = frozenset({Lever.TERMINATE, Lever.CANCEL, Lever.END_PROCESS})
_NOT_OF_THE_SESSION = frozenset({"gone", "other", "restarted", "denied", "superuser", "kind"})
"""What speaks against signalling a session, and not against ending the process that holds it."""


def look(steps: Sequence[Step], server: Server | None) -> dict[int, Result]:
    """What speaks against steps, by their number; of the others nothing does so far."""
    if server is None:
        return {step.number: NO_SQL for step in steps if step.lever in _BY_SQL}
    found: dict[int, Result] = {}
    of: list[tuple[Step, Target]] = []
    for step in steps:
        if step.lever in {Lever.TERMINATE, Lever.CANCEL} and len(step.sessions) != 1:
            found[step.number] = Result(OutcomeKind.REFUSED, "the plan does not name one session for it")
        for session in step.sessions if step.lever in _WITH_SESSIONS else ():
            if step.lever is Lever.END_PROCESS and session.backend_start is None:
                continue  # the plan was made without SQL: what the process is must do
            made = target(len(of), session, step)
            if isinstance(made, Result):
                found.setdefault(step.number, made)
            else:
                of.append((step, made))
    try:
        seen = server.look([one for _, one in of])
    except (QueryError, BrokenError, ValueError) as error:
        for step, _ in of:
            found.setdefault(step.number, Result(OutcomeKind.FAILED, f"the server could not be asked: {error}"))
        return found
    for step, one in of:
        answer = seen.get(one.number)
        result = NO_SQL if answer is None else judge(answer, one)
        if result is not None and not _irrelevant(step, answer):
            found.setdefault(step.number, result)
    return found


def _irrelevant(step: Step, answer: Found | None) -> bool:
    return step.lever is Lever.END_PROCESS and answer is not None and answer.verdict in _NOT_OF_THE_SESSION
