"""Plans made and applied on real servers, against real processes; what is refused, and what is seen afterwards."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgusher.app.config import Config
from pgusher.app.free import Applied, Free
from pgusher.app.free_store import PlanStore
from pgusher.app.request import Request
from pgusher.app.why import diagnose
from pgusher.attribute import attribute
from pgusher.collect.host import look_host
from pgusher.collect.postgres import PostgresSource, Target
from pgusher.demo.server import EmbeddedServer
from pgusher.errors import RefusedError, UsageError
from pgusher.model.facts import Facts
from pgusher.model.findings import Diagnosis, Safety
from pgusher.model.plan import Lever, OutcomeKind, Plan
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import replace
from pgusher.remedy.act import Context, Log, act
from pgusher.remedy.plan import Wanted, make_plan
from pgusher.surfaces.cli.free_words import meaning
from tests.bed import Bed
from tests.bed.bed import APP, MONITOR, SIGNALLER
from tests.bed.requirements import needs_root
from tests.client.test_drain import program
from tests.conftest import NewServer
from tests.remedy.planning import TERMS
from tests.surfaces.fakes import FakeApp, Shell

SERVER_SETTINGS = {"max_connections": 20}
SLOTS = 17
"""Those of ordinary roles."""
ROUNDS = int(os.environ.get("PGUSHER_WAKING_ROUNDS", "30"))

NewFree = Callable[..., Free]


@pytest.fixture
def new_free(tmp_path: Path, server: EmbeddedServer) -> Iterator[NewFree]:
    """Further ones: `new_free(user=...)`; their plans and their log are the test's own."""
    made: list[Free] = []

    def make(log: str | None = None, clock: Callable[[], float] = time.time, **words: Any) -> Free:
        request = Request(port=words.pop("port", server.port), timeout=10.0, **words)
        store = PlanStore(str(tmp_path / "plans"))
        free = Free(request, store, clock=clock, log=log or str(tmp_path / "log" / "free.jsonl"), back_within=0.1)
        made.append(free)
        return free

    yield make
    for one in made:
        one.close()


def planned(free: Free, **wanted: Any) -> tuple[Plan, Snapshot]:
    """A plan without a look at threads."""
    look = free.look(lambda _: frozenset(), 0.1)
    (diagnosis,) = diagnose(look, Config())
    return free.plan(look.snapshots[0], diagnosis, Wanted(**wanted)), look.snapshots[0]


def applied(free: Free, plan: Plan, **more: Any) -> Applied:
    return free.apply(free.load(plan.id), plan.steps, **more)


def test_from_a_full_server_to_a_slot_for_an_ordinary_role(bed: Bed, new_free: NewFree, tmp_path: Path) -> None:
    with bed.holder("idle", sessions=SLOTS) as holder:
        with pytest.raises(psycopg.OperationalError, match="remaining connection slots are reserved"):
            psycopg.connect(bed.server.dsn(APP))
        free = new_free()
        plan, snapshot = planned(free, processes=(holder.pid,))
        assert snapshot.facts.view.refuses or snapshot.taken >= SLOTS
        (step,) = plan.steps
        assert (step.lever, step.slots, plan.slots.back) == (Lever.END_PROCESS, SLOTS, SLOTS)
        result = applied(free, plan)
        assert [one.kind for one in result.outcomes] == [OutcomeKind.DONE], result.outcomes
        assert result.good, result.verdict
        assert result.verdict.text == f"{SLOTS} of {SLOTS} sessions are gone"
        assert f"role {APP} took an ordinary slot" in result.verdict.proof
        with psycopg.connect(bed.server.dsn(APP)):
            pass
    lines = [json.loads(line) for line in (tmp_path / "log" / "free.jsonl").read_text().splitlines()]
    assert {line["plan"] for line in lines} == {plan.id}


def test_sessions_are_terminated_and_an_applied_plan_does_no_harm_again(bed: Bed, new_free: NewFree) -> None:
    with bed.holder("idle", sessions=4) as holder:
        free = new_free()
        plan, snapshot = planned(free, holders=(_name(free, holder.pid),), idle_for=1)
        assert {step.lever for step in plan.steps} == {Lever.TERMINATE}
        assert len(plan.steps) == 4
        result = applied(free, plan)
        assert {one.kind for one in result.outcomes} == {OutcomeKind.DONE}
        assert result.verdict.gone == 4
        assert result.good
        again = applied(new_free(), plan)
        assert {one.kind for one in again.outcomes} == {OutcomeKind.GONE}
        assert again.good
        assert snapshot.facts.server.port == bed.server.port


def test_a_process_that_is_at_work_again_is_spared_and_that_is_in_the_log(
    bed: Bed, new_free: NewFree, tmp_path: Path
) -> None:
    with bed.holder("idle", sessions=3) as holder:
        free = new_free()
        plan, _ = planned(free, processes=(holder.pid,))
        (step,) = plan.steps
        # As if the plan were from before its last session.
        result = free.apply(plan, [replace(step, sessions=step.sessions[:-1])])
        (outcome,) = result.outcomes
        assert outcome.kind is OutcomeKind.REFUSED
        assert "has opened 1 session since the plan" in outcome.text
        assert not result.good
        os.kill(holder.pid, 0)
    lines = (tmp_path / "log" / "free.jsonl").read_text().splitlines()
    assert any("has opened 1 session since the plan" in line for line in lines), lines


@contextmanager
def victim_of(bed: Bed) -> Iterator[int]:
    """The pid of an idle session of another process: what is in this one is pgusher's own."""
    with bed.holder("idle", sessions=1) as holder:
        (session,) = holder.truth.sessions
        yield session.backend_pid


def _name(free: Free, pid: int) -> str:
    look = free.look(lambda _: frozenset(), 0.1)
    return next(h.name for h in look.snapshots[0].holders if pid in h.processes)


def test_the_server_that_was_started_anew_is_another(new_server: NewServer, new_free: NewFree) -> None:
    server = new_server(max_connections=10)
    with closing(Bed(server)) as bed, victim_of(bed) as victim:
        free = new_free(port=server.port)
        plan, _ = planned(free, sessions=(victim,), exact=True)
        assert len(plan.steps) == 1
    server.stop()
    server.start()
    with pytest.raises(RefusedError, match="for another server, or for this one before it was started anew"):
        applied(free, plan)


def test_a_server_that_has_vanished_is_one_message_and_exit_code_4(new_server: NewServer, new_free: NewFree) -> None:
    server = new_server(max_connections=10)
    with closing(Bed(server)) as bed, victim_of(bed) as victim:
        free = new_free(port=server.port)
        plan, _ = planned(free, sessions=(victim,), exact=True)
    server.stop()
    code, err = command(free, plan)
    assert code == 4
    assert err.startswith(f"pgusher: nothing was done: no PostgreSQL server was found on port {server.port}")


def command(free: Free, plan: Plan) -> tuple[int, str]:
    """`pgusher free --apply`, with everything confirmed; the exit code and what it says."""
    app = FakeApp()
    app.freeing = free
    words = ["free", "--apply", plan.id]
    if plan.unsafe:
        names = ",".join(dict.fromkeys(step.holder or "" for step in plan.unsafe))
        words += ["--unsafe", "--confirm", names]
    done = Shell(app).run(*words)
    return done.code, done.err + done.out


def test_without_the_right_to_end_a_session_it_stays_and_the_role_to_grant_is_named(
    bed: Bed, new_free: NewFree
) -> None:
    with victim_of(bed) as victim:
        free = new_free(host=bed.server.socket_dir, user=MONITOR)
        plan, _ = planned(free, sessions=(victim,), exact=True)
        code, said = command(free, plan)
        assert code == 4
        assert "refused" in said
        assert "pg_signal_backend" in said
        assert victim in [session["pid"] for session in bed.sessions()]


def test_with_that_right_alone_it_is_ended_and_the_role_itself_is_the_proof(bed: Bed, new_free: NewFree) -> None:
    with victim_of(bed) as victim:
        free = new_free(host=bed.server.socket_dir, user=SIGNALLER)
        plan, _ = planned(free, sessions=(victim,), exact=True)
        result = applied(free, plan)
    assert result.good, (result.outcomes, result.verdict)
    assert f"role {SIGNALLER} took an ordinary slot" in result.verdict.proof


LAUNCHER = """
import os, subprocess, sys, time
code = "import psycopg, sys, time; c = psycopg.connect(sys.argv[1], autocommit=True); c.execute('select 1');" \
    " print('up', flush=True); time.sleep(600)"
wait = "import time; print('up', flush=True); time.sleep(600)"
for words in (["-c", code, sys.argv[1]], ["-I", "-S", "-c", wait], ["-S", "-W", "ignore", "-m", "barman", "backup"]):
    child = subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True, cwd=sys.argv[2])
    child.stdout.readline()
print(child.pid, flush=True)
child.wait()
print("over", flush=True)
time.sleep(600)
"""


def test_what_runs_below_a_process_and_holds_no_session_is_counted_and_protects_it(
    bed: Bed, new_free: NewFree, tmp_path: Path
) -> None:
    (tmp_path / "barman.py").write_text("import time; print('up', flush=True); time.sleep(600)")
    words = [sys.executable, "-c", LAUNCHER, bed.server.dsn(APP), str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True) as launcher:
        try:
            assert launcher.stdout is not None
            backup = int(launcher.stdout.readline())
            free = new_free()
            look = free.look(lambda _: frozenset(), 0.1)
            (diagnosis,) = diagnose(look, Config())
            snapshot, diagnosis, wanted = meaning(str(launcher.pid)).choose(
                look.snapshots, (diagnosis,), {"idle_for": None, "states": (), "most": None, "lever": None}
            )
            plan = free.plan(snapshot, diagnosis, wanted)
            assert plan.steps == ()
            (one,) = [one for one in plan.spared if one.what == f"process {launcher.pid}"]
            assert (one.protected, one.why) == (
                True,
                "below it runs python -S -W ignore -m barman backup: it is a backup",
            )
            os.kill(backup, signal.SIGTERM)
            assert launcher.stdout.readline() == "over\n"
            plan, _ = planned(free, processes=(launcher.pid,))
            (step,) = plan.steps
            assert " with 2 processes below it" in step.text
            assert step.slots == 1
            result = applied(free, plan)
            assert [one.text for one in result.outcomes] == [f"ended process {launcher.pid} and 2 descendants"]
        finally:
            with suppress(ProcessLookupError):
                os.killpg(launcher.pid, signal.SIGKILL)


LOCKER = """
import psycopg, sys, time
made = [psycopg.connect(sys.argv[1], autocommit=True) for _ in range(2)]
made[0].execute("select pg_advisory_lock(7)")
made[1].execute("select pg_try_advisory_lock_shared(8), pg_advisory_unlock_shared(8)")
print(*(one.info.backend_pid for one in made), flush=True)
time.sleep(600)
"""


def test_a_session_that_holds_an_advisory_lock_is_told_by_the_server(bed: Bed, new_free: NewFree) -> None:
    words = [sys.executable, "-c", LOCKER, bed.server.dsn(APP)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as locker:
        try:
            assert locker.stdout is not None
            locked, free_of_it = map(int, locker.stdout.readline().split())
            plan, _ = planned(new_free(), sessions=(locked, free_of_it), exact=True)
        finally:
            locker.kill()
    loses = {step.sessions[0].pid: step.loses for step in plan.steps}
    assert loses.keys() == {locked, free_of_it}
    assert "advisory lock that it holds" in loses[locked]
    assert "advisory" not in loses[free_of_it]


def test_without_a_record_nothing_is_done(bed: Bed, new_free: NewFree, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    with victim_of(bed) as victim:
        free = new_free(log=str(tmp_path / "file" / "free.jsonl"))
        plan, _ = planned(free, sessions=(victim,), exact=True)
        code, said = command(free, plan)
        assert code == 4
        assert "could not be written" in said
        assert victim in [session["pid"] for session in bed.sessions()]


@pytest.mark.parametrize("stage", ["intended", "waiting", "done"])
def test_who_presses_ctrl_c_is_told_what_was_done(
    bed: Bed, new_free: NewFree, tmp_path: Path, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bed.holder("idle", sessions=2) as holder:
        free = new_free()
        plan, _ = planned(free, processes=(holder.pid,))
        plain = free.apply

        def apply(plan: Plan, steps: Any, **more: Any) -> Applied:
            def pressed(now: str, _step: Any) -> None:
                if now == stage:
                    signal.raise_signal(signal.SIGINT)

            return plain(plan, steps, progress=pressed, **more)

        monkeypatch.setattr(free, "apply", apply)
        code, said = command(free, plan)
        assert code == 130
        assert "interrupted" in said
        word = {"intended": "runs on: interrupted", "waiting": "was signalled: interrupted"}.get(stage, "")
        assert word in said
        assert str(tmp_path / "log" / "free.jsonl") in said
        assert f"pgusher free --apply {plan.id}" in said
        monkeypatch.undo()
        code, said = command(free, plan)
        assert code == 0, said


def test_a_plan_is_applied_by_one_at_a_time(bed: Bed, new_free: NewFree) -> None:
    with victim_of(bed) as victim:
        free, other = new_free(), new_free()
        plan, _ = planned(free, sessions=(victim,), exact=True)
        told: list[tuple[int, str]] = []

        def meanwhile(stage: str, _step: Any) -> None:
            if stage == "begun":
                told.append(command(other, plan))

        result = applied(free, plan, progress=meanwhile)
        assert result.good
        ((code, said),) = told
        assert code == 4
        assert said.startswith(f"pgusher: nothing was done: plan {plan.id} is being applied by process {os.getpid()}")
        assert command(other, plan)[0] == 0, "the lock is gone with who had it"


def test_an_expired_plan_is_refused(bed: Bed, new_free: NewFree) -> None:
    with victim_of(bed) as victim:
        free = new_free()
        plan, _ = planned(free, sessions=(victim,), exact=True)
        late = new_free(clock=lambda: time.time() + 11 * 60)
        with pytest.raises(RefusedError, match="is 11 min old: it could be applied for 10"):
            late.load(plan.id)
        early = new_free(clock=lambda: time.time() - 3600)
        with pytest.raises(RefusedError, match="the clock was set back"):
            early.load(plan.id)
        code, said = command(late, plan)
        assert code == 4
        assert "plan anew: pgusher free" in said
        assert victim in [session["pid"] for session in bed.sessions()]


def test_a_role_is_limited_and_its_settings_are_told_before_and_after(bed: Bed, new_free: NewFree) -> None:
    free = new_free()
    look = free.look(lambda _: frozenset(), 0.1)
    steps = free.settings(look.snapshots[0], [(APP, 5)], [APP])
    plan = free.plan(look.snapshots[0], Diagnosis(), Wanted(), steps)
    assert [step.lever for step in plan.steps] == [Lever.LIMIT, Lever.TIMEOUTS]
    result = applied(free, plan)
    assert {one.kind for one in result.outcomes} == {OutcomeKind.DONE}, result.outcomes
    assert result.good
    row = bed.admin.execute("select rolconnlimit, rolconfig from pg_roles where rolname = %s", (APP,)).fetchone()
    assert row is not None
    assert row[0] == 5
    assert set(row[1]) == {"idle_in_transaction_session_timeout=5min", "idle_session_timeout=30min"}
    for line in (line for step in plan.steps for line in step.undo):
        bed.admin.execute(line.encode())
    row = bed.admin.execute("select rolconnlimit, rolconfig from pg_roles where rolname = %s", (APP,)).fetchone()
    assert row == (-1, None)


@pytest.mark.parametrize("name", ["nobody", 'we"ird', "o'brien", "back\\slash", "ümläut", "postgres"])
def test_a_role_that_cannot_be_limited_is_told(new_free: NewFree, name: str) -> None:
    free = new_free()
    look = free.look(lambda _: frozenset(), 0.1)
    with pytest.raises(UsageError, match="is a superuser" if name == "postgres" else "the server has no role"):
        free.settings(look.snapshots[0], [(name, 5)], [])


def _snapshot(source: PostgresSource) -> Snapshot:
    """The server's side alone: quick, and all that these steps are about."""
    sample = source.sample()
    facts = Facts(
        int(time.time() * 1_000_000), look_host(), sample.server, sample.view, sample.ceilings, sample.sessions
    )
    return attribute(facts)


def test_a_session_that_wakes_up_between_plan_and_apply_is_spared(bed: Bed, tmp_path: Path) -> None:
    """In each of many random schedules: what woke up, for a moment or longer, lives on; what slept is ended."""
    chance = random.Random(20261122)
    source = PostgresSource(Target(conninfo=bed.server.dsn()), timeout=10.0)
    log = Log(str(tmp_path / "free.jsonl"))
    victims: list[psycopg.Connection[Any]] = []
    spared = ended = 0
    try:
        for _ in range(ROUNDS):
            victims += [psycopg.connect(bed.server.dsn(APP), autocommit=True) for _ in range(4 - len(victims))]
            pids = [one.info.backend_pid for one in victims]
            plan = make_plan(_snapshot(source), Diagnosis(), Wanted(sessions=tuple(pids), exact=True), TERMS)
            assert len(plan.steps) == len(pids)
            awake = {pid: chance.choice(["moment", "transaction", "begin"]) for pid in pids if chance.random() < 0.5}
            for one in victims:
                how = awake.get(one.info.backend_pid)
                if how is not None:
                    one.execute("begin" if how != "moment" else "select 1")
                if how == "transaction":
                    one.execute("select 1")
            assert source.connection is not None
            outcomes = act(plan, plan.steps, Context(log, source.connection))
            kinds = {step.sessions[0].pid: one.kind for step, one in zip(plan.steps, outcomes, strict=True)}
            assert {pid for pid, kind in kinds.items() if kind is OutcomeKind.REFUSED} == set(awake)
            assert {pid for pid, kind in kinds.items() if kind is OutcomeKind.DONE} == set(pids) - set(awake)
            left = []
            for one in victims:
                if one.info.backend_pid in awake:
                    assert one.execute("select 2").fetchone() == (2,)
                    one.execute("rollback")
                    left.append(one)
                else:
                    one.close()
            spared, ended, victims = spared + len(left), ended + len(victims) - len(left), left
    finally:
        for one in victims:
            one.close()
        log.close()
        source.close()
    assert spared > ROUNDS
    assert ended > ROUNDS


@pytest.mark.skipif(os.geteuid() != 0, reason="only root, or the server's user, gets a reserved slot")
def test_sessions_that_the_last_look_sees_less_of_have_not_come_back(bed: Bed, new_free: NewFree) -> None:
    """The first look is through a reserved slot, with room again the role that was named gets in, and sees less."""
    with bed.holder("idle", sessions=SLOTS, dsn=bed.server.dsn(MONITOR)) as holder:
        free = new_free(host=bed.server.socket_dir, user=APP)
        some = tuple(one.backend_pid for one in holder.truth.sessions[:5])
        plan, snapshot = planned(free, sessions=some, exact=True)
        assert snapshot.facts.view.superuser
        result = applied(free, plan)
    assert result.good, (result.outcomes, result.verdict)
    assert result.verdict.text == "5 of 5 sessions are gone"
    assert result.verdict.returned == 0
    assert not [line for line in result.verdict.detail if "came back" in line], result.verdict.detail
    assert f"role {APP} took an ordinary slot" in result.verdict.proof


@pytest.mark.skipif(os.geteuid() != 0, reason="without SQL only root, or the server's user, may signal its processes")
@pytest.mark.parametrize("way", ["process", "sessions"])
def test_where_not_one_slot_is_left_it_works_without_sql(bed: Bed, new_free: NewFree, way: str) -> None:
    with bed.holder("idle", sessions=SLOTS) as holder, bed.holder("idle", sessions=2, dsn=bed.server.dsn()):
        with pytest.raises(psycopg.OperationalError, match="sorry, too many clients already"):
            psycopg.connect(bed.server.dsn())
        free = new_free()
        wish: dict[str, Any] = {"processes": (holder.pid,)}
        if way == "sessions":
            wish = {"sessions": tuple(one.backend_pid for one in holder.truth.sessions[:5]), "exact": True}
        plan, snapshot = planned(free, **wish)
        assert snapshot.facts.view.role is None
        levers = {Lever.END_PROCESS} if way == "process" else {Lever.END_BACKEND}
        assert {step.lever for step in plan.steps} == levers
        result = applied(free, plan)
        assert {one.kind for one in result.outcomes} == {OutcomeKind.DONE}, result.outcomes
        assert result.good, result.verdict
        assert f"role {APP} took an ordinary slot" in result.verdict.proof  # though no title says that it is one
        with psycopg.connect(bed.server.dsn(APP)):
            pass


AS_NOBODY = """
import contextlib, io, os, sys
from pgusher.surfaces.cli.main import main
with contextlib.redirect_stdout(io.StringIO()):  # loads what an ordinary user may not be able to read
    main([*sys.argv[1:], "--no-sql"])
os.setgroups([]); os.setgid(65534); os.setuid(65534)
sys.exit(main(sys.argv[1:]))
"""


@needs_root
def test_an_ordinary_user_of_a_full_server_is_told_its_state_and_what_to_type(bed: Bed) -> None:
    with bed.holder("idle", sessions=SLOTS):
        words = ["free", "-h", bed.server.socket_dir, "-p", str(bed.server.port), "-U", APP, "-d", "postgres"]
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, *words, "--width", "100"],
            check=False, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.match(f"nothing is shown to be leaked: who holds {SLOTS} of .* is not known\n", done.stdout), done.stdout
    assert 'refuses ordinary roles: "remaining connection slots' in done.stdout
    assert "seen without SQL" in done.stdout
    assert "half-blind" in done.stdout
    assert any(line.startswith("sudo ") and line.endswith(" free") for line in done.stdout.splitlines()), done.stdout


def test_a_program_with_a_database_of_ours_is_drained_and_what_is_lent_stays(bed: Bed, new_free: NewFree) -> None:
    with program(bed.server, "idle", "lent") as (process, _):
        free = new_free()
        plan, snapshot = planned(free, processes=(process.pid,), lever=Lever.DRAIN)
        assert max(loan.lent for loan in snapshot.facts.loans if loan.process == process.pid)
        (step,) = plan.steps
        assert (step.lever, step.safety, step.slots) == (Lever.DRAIN, Safety.SAFE, len(step.sessions))
        assert "1 session on loan stay" in step.text
        result = applied(free, plan)
        assert [one.kind for one in result.outcomes] == [OutcomeKind.DONE], result.outcomes
        assert result.good, (result.outcomes, result.verdict)
        assert result.verdict.gone == len(step.sessions)
        assert len([s for s in bed.sessions() if s["application_name"] == "drained"]) == 1


WAKING = """
import sys, psycopg
found = [psycopg.connect(sys.argv[1], autocommit=True) for _ in range(3)]
print("ready", flush=True)
for line in sys.stdin:
    if line == "more\\n":
        found.append(psycopg.connect(sys.argv[1], autocommit=True))
    else:
        found[1].execute("select 1")
    print("awake", flush=True)
"""


@pytest.mark.parametrize("wakes", ["statement", "more", ""])
def test_a_process_of_which_a_session_woke_up_since_the_plan_is_not_ended(
    bed: Bed, new_free: NewFree, wakes: str
) -> None:
    argv = [sys.executable, "-c", WAKING, bed.server.dsn(APP)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        free = new_free()
        plan, _ = planned(free, processes=(process.pid,))
        (step,) = plan.steps
        assert len(step.sessions) == 3
        if wakes:
            process.stdin.write(f"{wakes}\n")
            process.stdin.flush()
            assert process.stdout.readline() == "awake\n"
        result = applied(free, plan)
        assert [one.kind for one in result.outcomes] == [OutcomeKind.REFUSED if wakes else OutcomeKind.DONE]
        assert result.good is not bool(wakes)
        assert (process.poll() is None) is bool(wakes)
        process.kill()


def test_a_session_of_this_very_process_and_of_what_is_above_it_is_spared(bed: Bed, new_free: NewFree) -> None:
    with psycopg.connect(bed.server.dsn(APP)) as ours:
        free = new_free()
        pid = ours.info.backend_pid
        for wish in ({"sessions": (pid,), "exact": True}, {"processes": (os.getpid(),)}, {"idle_for": 1}):
            plan, _ = planned(free, **wish)
            assert plan.steps == ()
            assert any(one.protected and "pgusher" in one.why for one in plan.spared), plan.spared
        assert ours.execute("select 1").fetchone() == (1,)
