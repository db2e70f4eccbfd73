"""The verdict says what was seen, not what was done: gone, still there, come back, and whether a slot can be taken."""

from __future__ import annotations

import pytest

from pgusher.attribute import attribute
from pgusher.model.plan import Outcome, OutcomeKind, Plan, Verdict
from pgusher.model.session import Session
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import replace
from pgusher.remedy.verify import Proof, came_back, free_slots, judge, meant, still_there
from tests.diagnose.worlds import NOW, SECOND
from tests.remedy.planning import STUCK, WEB, look, plan

TOOK = Proof("app", 4.2)


def done(plan: Plan, kind: OutcomeKind = OutcomeKind.DONE) -> tuple[Outcome, ...]:
    return tuple(Outcome(step.number, kind, "signalled", NOW) for step in plan.steps)


def without(snapshot: Snapshot, pids: set[int], *new: Session) -> Snapshot:
    """The world after those sessions have ended, and others have come."""
    facts = snapshot.facts
    return attribute(replace(facts, sessions=(*(s for s in facts.sessions if s.pid not in pids), *new)))


@pytest.fixture
def before() -> Snapshot:
    return look(STUCK)[0]


@pytest.fixture
def made() -> Plan:
    return plan(STUCK)


def ended(plan: Plan) -> set[int]:
    return {one.pid for step in plan.steps for one in step.sessions}


def verdict(made: Plan, before: Snapshot, after: Snapshot | None, proof: Proof = TOOK, seconds: float = 0.2) -> Verdict:
    return judge(made, done(made), before, after, proof, seconds)


def test_gone_and_a_slot_taken_is_verified(made: Plan, before: Snapshot) -> None:
    found = verdict(made, before, without(before, ended(made)))
    assert found.verified
    assert found.text == "3 of 3 sessions are gone"
    assert found.proof == "role app took an ordinary slot in 4 ms, and gave it back"
    assert found.detail == ("17 of 17 ordinary slots are free.",)
    assert (found.gone, found.left, found.returned) == (3, 0, 0)


def test_signalled_is_not_closed(made: Plan, before: Snapshot) -> None:
    one = min(ended(made))
    found = verdict(made, before, without(before, ended(made) - {one}))
    assert not found.verified
    assert found.text == "2 of 3 sessions are gone"
    assert f"Still there: session {one}." in found.detail


def test_another_session_with_the_pid_is_not_the_one_that_was_ended(made: Plan, before: Snapshot) -> None:
    pid = min(ended(made))
    old = next(s for s in before.facts.sessions if s.pid == pid)
    after = without(before, ended(made), replace(old, backend_start=NOW + SECOND))
    assert still_there(meant(made, done(made)), after) == ()
    found = verdict(made, before, after, seconds=3.6)
    assert (found.left, found.returned) == (0, 1)


def test_a_pool_that_refills_is_told_with_its_figure_and_time() -> None:
    text = "slots = 30" + WEB
    before = look(text)[0]
    made = plan(text, holders=("unit/grafana-server",), idle_for=SECOND)
    old = [s for s in before.facts.sessions if s.pid in ended(made)]
    # The sockets stay: the new sessions lead to the same process.
    back = tuple(replace(s, backend_start=NOW + place) for place, s in enumerate(old))
    found = verdict(made, before, without(before, ended(made), *back), seconds=3.6)
    assert "8 of 8 came back within 4 s: the pool of unit/grafana-server refills." in found.detail
    assert found.text == "8 of 8 sessions are gone, 8 came back"
    assert found.returned == 8
    assert "unit/grafana-server" in found.hint


def test_a_new_session_of_somebody_else_has_not_come_back(made: Plan, before: Snapshot) -> None:
    new = next(s for s in look("slots = 20" + WEB)[0].facts.sessions if not s.own)
    after = without(before, ended(made), replace(new, pid=77, backend_start=NOW + 1))
    assert came_back(made, meant(made, done(made)), before, after) == {}


TWO = """
slots = 20

[[process]]
argv = "python3 hold.py"
cwd = "/srv"
os_user = "anna"
sessions = [{ count = 2, idle = "1h" }]
"""


def test_a_holder_that_got_another_name_meanwhile_is_still_the_one_that_refills() -> None:
    other = '\n[[process]]\nargv = "python3 hold.py"\ncwd = "/home"\nos_user = "bob"\nsessions = [{ idle = "1h" }]\n'
    made = plan(TWO, holders=("script/hold.py",), idle_for=SECOND)
    before = look(TWO + other)[0]
    assert {holder.name for holder in before.holders} >= {"script/hold.py+anna", "script/hold.py+bob"}
    mine = [s for s in before.facts.sessions if s.pid in ended(made)]
    assert len(mine) == 2
    back = tuple(replace(s, backend_start=NOW + place) for place, s in enumerate(mine))
    steps = meant(made, done(made))
    assert came_back(made, steps, before, without(before, ended(made), *back)) == {"script/hold.py": 2}


def test_who_takes_over_the_name_of_a_holder_that_is_gone_is_not_said_to_refill() -> None:
    other = '\n[[process]]\nargv = "python3 hold.py"\ncwd = "/home"\nos_user = "bob"\nsessions = [{ idle = "1h" }]\n'
    made = plan(TWO, holders=("script/hold.py",), idle_for=SECOND)
    before = look(TWO + other)[0]
    theirs = next(s for s in before.facts.sessions if s.pid not in ended(made) and not s.own)
    after = without(before, ended(made) | {theirs.pid}, replace(theirs, backend_start=NOW + 1))
    assert "script/hold.py" in {holder.name for holder in after.holders}
    assert came_back(made, meant(made, done(made)), before, after) == {}


def test_a_slot_that_nobody_takes_is_not_verified(made: Plan, before: Snapshot) -> None:
    found = verdict(made, before, without(before, ended(made)), Proof(refused="sorry, too many clients already"))
    assert not found.verified
    assert found.proof == 'an ordinary role is still refused: "sorry, too many clients already"'


def test_with_a_superuser_alone_it_is_said_what_was_proven(made: Plan, before: Snapshot) -> None:
    found = verdict(made, before, without(before, ended(made)), Proof(why_not="role app was not let in"))
    assert found.verified
    assert found.proof == (
        "by the server's own count 17 of 17 ordinary slots are free; no ordinary role took one: role app was not let in"
    )


def test_a_full_server_is_not_verified_by_counting(made: Plan, before: Snapshot) -> None:
    facts = replace(before.facts, ceilings=replace(before.facts.ceilings, max_connections=4))  # type: ignore[type-var]  # it has some
    found = verdict(made, replace(before, facts=facts), replace(before, facts=facts), Proof())
    assert not found.verified


def test_no_second_look_is_no_verdict(made: Plan, before: Snapshot) -> None:
    found = verdict(made, before, None)
    assert not found.verified
    assert found.text.startswith("not verified")


def test_steps_that_were_refused_promise_nothing(made: Plan, before: Snapshot) -> None:
    outcomes = done(made, OutcomeKind.REFUSED)
    assert meant(made, outcomes) == ()
    found = judge(made, outcomes, before, before, Proof(), 0.1)
    assert not found.verified
    assert found.text == "nothing was done"


def test_what_was_signalled_and_is_still_there_is_not_nothing(made: Plan, before: Snapshot) -> None:
    failed = done(made, OutcomeKind.FAILED)
    found = judge(made, failed, before, before, Proof(), 5.1)
    assert not found.verified
    assert found.text == "3 of 3 sessions that were to end are still there"
    one = min(ended(made))
    found = judge(made, failed, before, without(before, ended(made) - {one}), Proof(), 5.1)
    assert found.text == "1 of 3 sessions that were to end is still there"


def test_what_failed_is_told_beside_what_was_done() -> None:
    text = 'slots = 100\n[[gone]]\nsessions = [{ count = 3, idle = "3h" }]\n'
    before, made = look(text)[0], plan(text)
    first, *others = made.steps
    kinds = (*done(replace(made, steps=tuple(others))), *done(replace(made, steps=(first,)), OutcomeKind.FAILED))
    left = first.sessions[0].pid
    found = judge(made, kinds, before, without(before, ended(made) - {left}), TOOK, 5.1)
    assert found.text == "2 of 2 sessions are gone"
    assert "Of the steps that failed 1 of 1 session that was to end is still there." in found.detail


def test_its_own_session_counts_as_free(before: Snapshot) -> None:
    assert free_slots(before) == (14, 17)
    assert before.taken == 4


def test_without_ceilings_nothing_is_claimed(made: Plan, before: Snapshot) -> None:
    after = without(before, ended(made))
    after = replace(after, facts=replace(after.facts, ceilings=None))
    assert free_slots(after) is None
    found = verdict(made, before, after, Proof(why_not="there is no SQL"))
    assert not found.verified
    assert found.proof == "no ordinary role took a slot: there is no SQL"


def hidden(snapshot: Snapshot, role: str = "app") -> Snapshot:
    """The same as an ordinary role sees it, to whom the start of others' sessions is not shown."""
    facts = snapshot.facts
    view = replace(facts.view, role=role, superuser=False, sees_all=False)
    sessions = tuple(replace(s, backend_start=None) for s in facts.sessions)
    return attribute(replace(facts, view=view, sessions=sessions))


def test_old_sessions_whose_start_is_hidden_have_not_come_back() -> None:
    text = "slots = 30" + WEB
    before = look(text)[0]
    made = plan(text, holders=("unit/grafana-server",), idle_for=SECOND)
    made = replace(made, steps=made.steps[:3])
    after = hidden(without(before, ended(made)))
    assert came_back(made, meant(made, done(made)), before, after) == {}
    assert came_back(made, meant(made, done(made)), after, without(before, ended(made))) == {}
    told = verdict(made, before, after).detail
    assert "Whether any came back is not known: role app sees less than the look before acting did." in told
    same = verdict(made, hidden(before), after)
    assert not [line for line in same.detail if "not known" in line]


def test_a_hidden_session_with_a_pid_that_nobody_had_has_come_back() -> None:
    text = "slots = 30" + WEB
    before = look(text)[0]
    made = plan(text, holders=("unit/grafana-server",), idle_for=SECOND)
    made = replace(made, steps=made.steps[:3])
    one = next(s for s in before.facts.sessions if s.pid in ended(made))
    after = hidden(without(before, ended(made)))
    chain = next(chain for chain in before.chains if chain.pid == one.pid)
    new = replace(one, pid=4_000_000, backend_start=None)
    after = replace(
        after,
        facts=replace(after.facts, sessions=(*after.facts.sessions, new)),
        chains=(*after.chains, replace(chain, pid=new.pid)),
    )
    told = verdict(made, before, after)
    assert told.returned == 1
    assert any(line.startswith("Whether more came back is not known") for line in told.detail)
