"""What a look shows of a pool that was replaced."""

from __future__ import annotations

from pgusher.model.findings import Safety
from pgusher.model.plan import Lever, Outcome, OutcomeKind, Plan, Reach, ServerIdentity, Slots, SourceChange, Step
from pgusher.model.session import Session
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import replace
from pgusher.remedy.verify import Proof, judge
from pgusher.remedy.verify.sources import details, pools
from tests.surfaces import worlds

QUIET = worlds.quiet()
MODEL = QUIET.slot_sessions[0]


def seen(*pids: int) -> Snapshot:
    """A server with these sessions of Grafana's, and one of somebody else."""
    mine = tuple(replace(MODEL, pid=pid, backend_start=pid * 1000, user="grafana", database="shop") for pid in pids)
    other: Session = replace(MODEL, pid=9, user="app", database="shop")
    return replace(QUIET, facts=replace(QUIET.facts, sessions=(*mine, other)), chains=(), holders=())


def plan(after: int | None = 2, replicas: int = 1) -> Plan:
    change = SourceChange("http://g", 1, "u", "Shop", "100", after, user="grafana", database="shop", replicas=replicas)
    step = Step(1, Lever.SOURCE, "limit", Safety.SAFE, source=change)
    return Plan("k7f3", 0, 1, 0, ServerIdentity(5432), Reach(), Slots(4, 100, 97, 0), (step,))


DONE = (Outcome(1, OutcomeKind.DONE, "done", 0),)


def test_the_old_pool_is_gone() -> None:
    (one,) = pools(plan(), DONE, seen(1, 2, 3), seen(4))
    assert one.text == "role grafana has 1 session in shop, 3 before; 3 of 3 of the old pool are gone"
    assert one.settled
    assert details([one]) == []
    verdict = judge(plan(), DONE, seen(1, 2, 3), seen(4), Proof(), 5.0)
    assert (verdict.verified, verdict.gone, verdict.left) == (True, 3, 0)


def test_what_drains_is_not_verified() -> None:
    verdict = judge(plan(), DONE, seen(1, 2, 3), seen(1, 2, 3, 4), Proof(), 8.0)
    assert not verdict.verified
    assert verdict.text == "role grafana has 4 sessions in shop, 3 before; 0 of 3 of the old pool are gone"
    assert verdict.detail[0] == "3 of the old pool's sessions still drain: one at work ends with its query."
    assert verdict.hint == "look again: pgusher who grafana"


def test_sessions_that_may_be_of_another_data_source_are_not_said_to_drain() -> None:
    made = plan()
    (step,) = made.steps
    assert step.source is not None
    made = replace(made, steps=(replace(step, source=replace(step.source, alike=2)),))
    verdict = judge(made, DONE, seen(1, 2, 3), seen(1, 2, 3), Proof(), 8.0)
    assert verdict.verified
    assert verdict.text == (
        "role grafana has 3 sessions in shop, 3 before; "
        "2 other data sources with the same role and database: whose they are is not told"
    )
    assert not any("drain" in one for one in verdict.detail)
    made = replace(made, steps=(replace(step, source=replace(step.source, elsewhere="db2:6432")),))
    verdict = judge(made, DONE, seen(1, 2, 3), seen(1, 2, 3), Proof(), 8.0)
    assert (verdict.verified, verdict.left) == (True, 0)
    assert verdict.text.endswith("; the data source leads to db2:6432: whose they are is not told")


def test_few_sessions_may_be_of_either_pool() -> None:
    (one,) = pools(plan(), DONE, seen(1, 2), seen(1, 2))
    assert one.settled
    (several,) = pools(plan(2, replicas=3), DONE, seen(1, 2, 3), seen(1, 2, 3))
    assert several.settled
    assert details([several]) == ["Each of 3 processes of Grafana changes its pool with its own next query."]


def test_a_pid_that_is_used_again_is_another_session() -> None:
    after = seen(1)
    session = replace(after.facts.sessions[0], backend_start=77)
    (one,) = pools(plan(None), DONE, seen(1), replace(after, facts=replace(after.facts, sessions=(session,))))
    assert (one.left, one.now) == (0, 1)


def test_what_was_not_done_is_not_looked_for() -> None:
    assert pools(plan(), (Outcome(1, OutcomeKind.REFUSED, "no", 0),), seen(1), seen(1)) == ()
    assert judge(plan(), (Outcome(1, OutcomeKind.REFUSED, "no", 0),), seen(1), seen(1), Proof(), 0.0).verified is False
