"""A process that has opened a session since the plan is at work."""

from __future__ import annotations

from pgusher.attribute import attribute
from pgusher.model.plan import OutcomeKind
from pgusher.model.values import replace
from pgusher.remedy.plan.fresh import grown
from tests.diagnose.worlds import NOW
from tests.remedy.planning import STUCK, look, plan


def test_a_process_with_the_sessions_of_then_is_not_refused() -> None:
    assert grown(plan(STUCK).steps, look(STUCK)[0]) == ()
    fewer = STUCK.replace("count = 3", "count = 2")
    assert grown(plan(STUCK).steps, look(fewer)[0]) == ()


def test_one_with_a_further_session_is_refused() -> None:
    more = STUCK.replace("count = 3", "count = 4")
    (refused,) = grown(plan(STUCK).steps, look(more)[0])
    assert (refused.step, refused.kind) == (1, OutcomeKind.REFUSED)
    assert refused.text.endswith("has opened 1 session since the plan: it is at work")


def test_one_with_another_session_of_the_same_pid_is_refused() -> None:
    snapshot = look(STUCK)[0]
    first = next(s for s in snapshot.facts.sessions if not s.own)
    others = tuple(replace(s, backend_start=NOW) if s.pid == first.pid else s for s in snapshot.facts.sessions)
    (refused,) = grown(plan(STUCK).steps, attribute(replace(snapshot.facts, sessions=others)))
    assert refused.kind is OutcomeKind.REFUSED


def test_where_there_is_no_sql_any_more_the_pid_must_do() -> None:
    snapshot = look(STUCK)[0]
    others = tuple(replace(s, backend_start=None) for s in snapshot.facts.sessions)
    assert grown(plan(STUCK).steps, attribute(replace(snapshot.facts, sessions=others))) == ()
