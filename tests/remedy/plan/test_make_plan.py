"""What a plan does, and what it leaves alone, by worlds of which the truth is written down."""

from __future__ import annotations

from typing import Any

from pgusher.model.findings import Safety
from pgusher.model.holder import HolderKind
from pgusher.model.plan import Lever, Step
from pgusher.model.values import replace
from pgusher.remedy.plan import Seen, Terms, make_plan
from pgusher.remedy.plan.wanted import Wanted
from tests.diagnose.worlds import NOW, SECOND
from tests.remedy.planning import PSQL, STUCK, TERMS, WEB, look, plan, spared

MINUTE = 60 * SECOND
DAY = 86400 * SECOND


def test_a_stuck_job_is_ended_by_its_root_and_never_by_its_cron() -> None:
    snapshot, _ = look(STUCK)
    made = plan(STUCK)
    (step,) = made.steps
    assert step.lever is Lever.END_PROCESS
    assert step.safety is Safety.UNSAFE
    assert "not finished" in step.loses
    shell = next(p for p in snapshot.facts.processes if p.argv[:2] == ("/bin/sh", "-c"))
    assert step.process is not None
    assert (step.process.pid, step.process.start_ticks) == (shell.pid, shell.start_ticks)
    assert step.process.boot_id == snapshot.facts.host.boot_id
    assert {one.pid for one in step.sessions} == {s.pid for s in snapshot.slot_sessions if not s.own}
    assert step.slots == made.slots.back == 3
    assert step.finding == "stuck-job:cron/version_history"
    assert step.holder == "cron/version_history"
    assert "/etc/cron.d/jobs:3" in step.undo[0]
    assert "*/10 * * * *" in step.undo[0]


def test_a_session_is_named_by_all_that_must_not_have_changed() -> None:
    snapshot, _ = look(STUCK)
    (step,) = plan(STUCK).steps
    for identity in step.sessions:
        session = next(s for s in snapshot.facts.sessions if s.pid == identity.pid)
        assert (identity.backend_start, identity.state) == (session.backend_start, "idle")
        assert identity.state_change == session.state_change == NOW - 23 * 86400 * SECOND


def test_an_idle_pool_is_spared_with_the_limit_to_change() -> None:
    made = plan("slots = 11" + WEB)
    assert made.steps == ()
    assert made.slots.back == 0
    (one,) = [one for one in made.spared if one.holder == "unit/grafana-server"]
    assert len(one.sessions) == 8
    assert "pool" in one.why
    assert "max" in one.advice.lower()


def test_a_pool_is_ended_only_when_somebody_insists() -> None:
    assert plan("slots = 11" + WEB, holders=("unit/grafana-server",)).steps == ()
    made = plan("slots = 11" + WEB, holders=("unit/grafana-server",), idle_for=10 * MINUTE)
    assert len(made.steps) == 8
    assert {step.lever for step in made.steps} == {Lever.TERMINATE}
    assert made.slots.back == 0, "what would come back is not promised"
    assert "would open another" in made.steps[0].why


def test_a_forgotten_session_is_terminated_safely_when_slots_run_out() -> None:
    made = plan("slots = 6" + PSQL + WEB.replace("count = 8", "count = 2"))
    (step,) = made.steps
    assert (step.lever, step.safety, step.slots) == (Lever.TERMINATE, Safety.SAFE, 1)
    assert step.sessions[0].user == "anna"


def test_a_forgotten_session_is_left_where_there_is_room() -> None:
    made = plan("slots = 100" + PSQL)
    assert made.steps == ()
    assert plan("slots = 100" + PSQL, holders=("terminal/anna@pts3",)).steps[0].safety is Safety.SAFE


GONE = 'slots = 6\n[[gone]]\nsessions = [{ count = 2, idle = "3h" }, { state = "active", idle = "1h" }]\n'


def test_a_session_whose_client_is_gone_is_terminated_the_idle_ones_safely() -> None:
    made = plan(GONE)
    assert [step.safety for step in made.steps] == [Safety.SAFE, Safety.SAFE, Safety.UNSAFE]
    assert {step.lever for step in made.steps} == {Lever.TERMINATE}
    assert "transaction" in made.steps[2].loses


BUSY = """
slots = 100
[[process]]
argv = "python3 /opt/report.py"
age = "2h"
sessions = [{ state = "idle in transaction", idle = "20min" }, { state = "active", idle = "40min" }]
"""


def test_who_is_busy_in_a_transaction_is_spared_unless_named() -> None:
    assert plan(BUSY).steps == ()
    (step,) = plan(BUSY, holders=("script/report.py",)).steps
    assert step.finding == "idle-in-transaction:script/report.py"
    snapshot, diagnosis = look(BUSY)
    pid = next(s.pid for s in snapshot.facts.sessions if s.state == "idle in transaction")
    (step,) = plan(BUSY, sessions=(pid,), exact=True).steps
    assert (step.safety, step.sessions[0].pid) == (Safety.UNSAFE, pid)
    finding = next(f for f in diagnosis.findings if f.rule == "idle-in-transaction")
    (step,) = plan(BUSY, findings=(finding.id,)).steps
    assert step.sessions[0].pid == pid
    (step,) = plan(BUSY, states=("idle in transaction",)).steps
    assert step.sessions[0].pid == pid


def test_what_only_waits_for_the_one_that_blocks_is_not_ended() -> None:
    text = """
slots = 100
[[process]]
argv = "python3 /opt/a.py"
sessions = [{ state = "idle in transaction", idle = "20min", id = "a" }]
[[process]]
argv = "python3 /opt/b.py"
sessions = [{ state = "active", idle = "19min", blocked_by = "a" }]
"""
    snapshot, diagnosis = look(text)
    finding = next(f for f in diagnosis.findings if f.rule == "blocked-by-idle")
    (step,) = plan(text, findings=(finding.id,)).steps
    blocker = next(s for s in snapshot.facts.sessions if s.state == "idle in transaction")
    assert step.sessions[0].pid == blocker.pid
    assert step.safety is Safety.UNSAFE
    assert plan(text).steps == ()


def test_what_is_only_guessed_is_in_no_plan_unless_it_is_named() -> None:
    guessed = STUCK + 'certainty = "guessed"\nstill_certainty = "guessed"\n'
    told = guessed.replace("*/10 * * * *", "0 0 1 1 *").replace("23d", "2h")  # its schedule says nothing
    assert plan(told).steps == ()
    made = plan(told, holders=("cron/version_history",))
    assert [step.lever for step in made.steps] == [Lever.END_PROCESS]


def test_likely_is_in_the_plan_and_says_so() -> None:
    (step,) = plan(STUCK + 'certainty = "likely"\n').steps
    assert step.certainty.value == "likely"
    assert "likely, not proven" in step.loses


def test_a_named_process_is_ended_with_what_is_below_it() -> None:
    snapshot, _ = look(STUCK)
    python = next(p for p in snapshot.facts.processes if p.argv == ("python3", "version_history.py"))
    (step,) = plan(STUCK, processes=(python.pid,)).steps
    assert step.process is not None
    assert step.process.pid == python.pid
    assert len(step.sessions) == 3


def test_a_session_that_two_processes_share_ends_only_with_both() -> None:
    text = """
slots = 100
[[process]]
argv = "python3 /opt/fork.py"
share = 1
sessions = [{ count = 2, idle = "3h" }]
"""
    snapshot, _ = look(text)
    parent, child = (p for p in snapshot.facts.processes if p.argv == ("python3", "/opt/fork.py"))
    (step,) = plan(text, processes=(child.pid,)).steps
    assert step.slots == 0
    assert step.sessions == ()
    (step,) = plan(text, processes=(parent.pid,)).steps
    assert step.slots == 2, "the child goes with its parent"


def test_idle_for_and_state_choose_among_all_sessions() -> None:
    text = "slots = 100" + PSQL + PSQL.replace("9h", "5min").replace("pts/3", "pts/4")
    assert len(plan(text, idle_for=4 * MINUTE).steps) == 2
    made = plan(text, idle_for=60 * MINUTE, word="--idle-for")
    assert len(made.steps) == 1
    assert "not been idle for so long" in spared(made, "pts4")
    assert {step.why for step in made.steps} == {"chosen by --idle-for"}
    (young,) = [s for s in plan(text, idle_for=4 * MINUTE).steps if s.safety is Safety.UNSAFE]
    assert "at work less than 10 minutes ago" in young.loses


def test_idle_for_and_state_hold_for_what_a_finding_asks_for_too() -> None:
    (id_,) = [finding.id for finding in look(STUCK)[1].findings if finding.rule == "stuck-job"]
    names: list[dict[str, Any]] = [{"findings": (id_,)}, {"holders": ("cron/version_history",)}]
    for name in names:
        assert len(plan(STUCK, **name, idle_for=DAY).steps) == 1
        made = plan(STUCK, **name, idle_for=30 * DAY)
        assert made.steps == ()
        assert "not been idle for so long" in spared(made, "cron/version_history")
        assert plan(STUCK, **name, states=("active",)).steps == ()


def test_there_are_at_most_so_many_steps() -> None:
    made = plan(GONE, most=1)
    assert len(made.steps) == 1
    assert made.slots.back == 1
    listed = {pid for one in made.spared for pid in one.sessions} | {one.pid for s in made.steps for one in s.sessions}
    assert made.slots.own == 1
    assert made.slots.taken == len(listed) + made.slots.own
    assert "the plan has 1 step at most" in spared(made, "")


def test_nothing_leaked_is_an_empty_plan_that_accounts_for_every_session() -> None:
    made = plan("slots = 100" + WEB + PSQL)
    assert made.steps == ()
    assert sum(len(one.sessions) for one in made.spared) == 9


def test_without_sql_a_server_process_gets_a_signal_and_a_likely_superuser_none() -> None:
    gone = '[[gone]]\nsessions = [{ count = 2, idle = "3h" }]\n'
    text = f'slots = 6\nview = "titles"\nrefuses_all = true\n{gone}'
    made = plan(text)
    assert [step.lever for step in made.steps] == [Lever.END_BACKEND] * 2
    assert {step.safety for step in made.steps} == {Safety.UNSAFE}, "whether app is a superuser could not be asked"
    assert plan(text.replace('idle = "3h"', 'idle = "3h", user = "postgres"')).steps == ()


def test_a_statement_is_cancelled_and_the_session_stays() -> None:
    snapshot, _ = look(BUSY)
    active = next(s.pid for s in snapshot.facts.sessions if s.state == "active" and not s.own)
    (step,) = plan(BUSY, holders=("script/report.py",), lever=Lever.CANCEL).steps
    assert (step.lever, step.sessions[0].pid, step.slots) == (Lever.CANCEL, active, 0)
    assert step.safety is Safety.UNSAFE


def test_steps_are_numbered_mildest_first() -> None:
    made = plan("slots = 6" + STUCK.replace("slots = 20", "") + PSQL)
    assert [step.number for step in made.steps] == list(range(1, len(made.steps) + 1))
    assert [step.lever for step in made.steps] == [Lever.TERMINATE, Lever.END_PROCESS]
    assert made.holders == ("cron/version_history", "terminal/anna@pts3")


def test_the_terms_are_kept() -> None:
    made = plan(STUCK, terms=Terms("abcd", NOW, NOW + MINUTE, 7, TERMS.reach), word="x", holders=("x",))
    assert (made.id, made.made_at, made.expires_at, made.uid, made.asked) == ("abcd", NOW, NOW + MINUTE, 7, "x")


def test_a_wish_knows_whether_somebody_was_named() -> None:
    assert not Wanted().named
    assert Wanted(sessions=(1,)).named
    assert Wanted(idle_for=1).filtered


def test_a_name_that_nothing_has_plans_nothing() -> None:
    assert plan(STUCK, holders=("nobody/here",)).steps == ()
    assert plan(STUCK, findings=("nobody/here",)).steps == ()


def test_of_processes_that_were_not_seen_nobody_says_that_they_are_a_pool() -> None:
    snapshot, diagnosis = look("slots = 11" + WEB)
    hidden = tuple(replace(h, name="hidden/root", kind=HolderKind.HIDDEN, program=None) for h in snapshot.holders)
    chains = tuple(replace(chain, holder="hidden/root", links=()) for chain in snapshot.chains)
    seen = replace(snapshot, holders=hidden, chains=chains, facts=replace(snapshot.facts, processes=(), sockets=()))
    made = make_plan(seen, replace(diagnosis, findings=()), Wanted(), TERMS)
    assert made.steps == ()
    assert {one.why for one in made.spared if one.holder == "hidden/root"} == {"who holds it is not known"}


def of_psql(**more: Any) -> Step:
    """The step for a session that is idle for nine hours, when its holder is named."""
    text = "slots = 100" + PSQL
    if "query" in more:
        text = text.replace('idle = "9h",', f'idle = "9h", query = "{more.pop("query")}",')
    pid = next(s.pid for s in look(text)[0].slot_sessions if not s.own)
    locking = more.pop("locking", ())
    seen = Seen(locking=None if locking is None else frozenset(locking and (pid,)))
    (step,) = plan(text, seen=seen, sessions=(pid,), exact=True).steps
    return step


def test_what_is_safe_says_what_cannot_be_seen() -> None:
    step = of_psql()
    assert step.safety is Safety.SAFE
    assert step.loses == "nothing that can be seen; its temporary tables and settings, if it has any, cannot be"


def test_a_session_that_holds_an_advisory_lock_is_not_safe_to_end_however_long_it_is_idle() -> None:
    step = of_psql(locking=True)
    assert step.safety is Safety.UNSAFE
    assert step.loses == "the advisory lock that it holds: what that keeps apart could run twice"


def test_where_nobody_could_be_asked_for_advisory_locks_nothing_idle_is_safe() -> None:
    step = of_psql(locking=None)
    assert step.safety is Safety.UNSAFE
    assert "could not be asked" in step.loses


def test_a_session_that_listens_is_ended_only_as_unsafe_and_when_it_is_named() -> None:
    for query in (
        "LISTEN news",
        "listen\\tnews",
        "-- wait\\nLISTEN news",
        "/* a **/ listen news",
        "select 1; listen news",
    ):
        step = of_psql(query=query)
        assert (step.safety, step.loses) == (Safety.UNSAFE, "the notifications that it listens for"), query
    for query in ("UNLISTEN news", "select listen from radio", "-- listen to this\\nselect 1", "/* listen */ select 1"):
        assert of_psql(query=query).safety is Safety.SAFE, query


def test_a_query_of_nothing_but_comments_is_read_in_no_time() -> None:
    assert of_psql(query="/**/" * 25_000 + "--\\n" * 25_000).safety is Safety.SAFE


def test_locks_of_a_forgotten_session_are_somebodys_and_those_of_a_client_that_is_gone_are_nobodys() -> None:
    forgotten = "slots = 6" + PSQL + WEB.replace("count = 8", "count = 2")
    every = Seen(locking=frozenset(s.pid for s in look(forgotten)[0].slot_sessions))
    (step,) = plan(forgotten, seen=every).steps
    assert (step.safety, step.finding) == (Safety.UNSAFE, "forgotten-session:terminal/anna@pts3")
    every = Seen(locking=frozenset(s.pid for s in look(GONE)[0].slot_sessions))
    assert [(step.safety, step.loses) for step in plan(GONE, seen=every).steps][:2] == [(Safety.SAFE, "")] * 2
