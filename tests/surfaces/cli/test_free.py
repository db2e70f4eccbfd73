"""`pgusher free`: what is typed becomes a plan; what of it is done is what was agreed to, by name."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pgusher.app.free import Applied, Free
from pgusher.app.free_store import PlanStore
from pgusher.app.request import Request
from pgusher.attribute import attribute
from pgusher.diagnose.engine import diagnose
from pgusher.errors import RefusedError
from pgusher.model.evidence import Gap
from pgusher.model.findings import Diagnosis
from pgusher.model.plan import Lever, Outcome, OutcomeKind, Plan, Step, Verdict
from pgusher.model.server import Attempt, Rung, View
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import replace
from pgusher.remedy.plan import Wanted, make_plan
from pgusher.surfaces.cli import free as cli
from pgusher.surfaces.render.schema import json_schema
from tests.diagnose.worlds import NOW
from tests.remedy.planning import PSQL, SEEN, STUCK, TERMS, WEB, look
from tests.surfaces.fakes import FakeApp, Look, Shell

VALIDATOR = Draft202012Validator(json_schema())
MIXED = "slots = 6" + STUCK.replace("slots = 20", "") + PSQL


class FakeFree:
    """Plans for a world, and only says that it acts."""

    def __init__(self, text: str, path: Path) -> None:
        self.snapshot, self.diagnosis = look(text)
        self.store = PlanStore(str(path / "plans"))
        self.wanted: Wanted | None = None
        self.did: list[int] | None = None
        self.grace: float | None = None
        self.kinds: dict[int, OutcomeKind] = {}
        self.verified = True
        self.choose: Any = None
        self.loads: Callable[[str], Plan] = self.store.load

    def look(self, choose: Any, sample: float) -> Any:
        self.choose, self.sample = choose, sample
        return Look((self.snapshot,))

    def plan(self, snapshot: Snapshot, diagnosis: Diagnosis, wanted: Wanted, settings: Any = ()) -> Plan:
        self.wanted = wanted
        made = make_plan(snapshot, diagnosis, wanted, TERMS, settings, SEEN)
        if made.steps:
            self.store.save(made)
        return made

    def settings(self, snapshot: Snapshot, limits: Any, timeouts: Any) -> list[Step]:
        from pgusher.remedy.plan.roles import Role, limit_step, timeouts_step

        sessions = snapshot.facts.sessions
        steps = [limit_step(Role(name, -1, False), most, sessions) for name, most in limits]
        return [*steps, *(timeouts_step(Role(name, -1, False), 180000, sessions, {}) for name in timeouts)]

    def load(self, name: str) -> Plan:
        return self.loads(name)

    def apply(self, plan: Plan, steps: Any, **more: float) -> Applied:
        self.did, self.grace = [step.number for step in steps], more.get("grace")
        outcomes = tuple(
            Outcome(step.number, self.kinds.get(step.number, OutcomeKind.DONE), "what came of it", NOW)
            for step in steps
        )
        text = "3 of 3 sessions are gone"
        return Applied(plan, outcomes, Verdict(self.verified, text, 3, proof="role app took an ordinary slot"))

    def close(self) -> None:
        """Nothing is open."""


def shell(text: str, path: Path, **kinds: Any) -> tuple[Shell, FakeFree]:
    app = FakeApp(Look(()))
    free = FakeFree(text, path)
    kinds.setdefault("environ", {"TERM": "xterm", "COLUMNS": "80", "LINES": "24", "NO_COLOR": "1"})
    app.freeing = free
    app.diagnoses = {5432: free.diagnosis}
    return Shell(app, **kinds), free


def test_the_stand_in_has_what_the_real_one_has() -> None:
    for name in ("look", "plan", "settings", "load", "apply", "close", "store"):
        assert hasattr(Free(Request()), name)


def test_it_only_plans_and_says_what_to_type(tmp_path: Path) -> None:
    run, free = shell(MIXED, tmp_path, terminal=True)
    done = run.run("free")
    assert done.code == 0
    assert free.did is None
    assert "plan k7f3: 2 steps give 4 of 5 taken slots (1 is pgusher's own) back" in done.out
    assert "pgusher free --apply k7f3  # do step 1" in done.out
    assert "--unsafe --confirm cron/version_history" in done.out
    assert "loses     what it has not finished" in done.out


def test_nothing_leaked_says_so_and_what_to_type(tmp_path: Path) -> None:
    run, free = shell("slots = 100" + WEB, tmp_path, terminal=True)
    done = run.run("free")
    assert done.code == 0
    assert done.out.startswith("nothing is shown to be leaked: 9 slots (1 is pgusher's own) taken, none to free")
    assert "pgusher why" in done.out
    assert free.store.names() == []


REFUSAL = "remaining connection slots are reserved for roles with the SUPERUSER attribute"


def blind(free: FakeFree, rung: Rung, *, sessions: bool = True) -> None:
    """As an ordinary user sees a full server."""
    facts = free.snapshot.facts
    tried = Attempt("role app", REFUSAL, "53300", "postgres")
    view = View(rung, (tried,), refuses=REFUSAL)
    seen = tuple(replace(s, own=False) for s in facts.sessions if not s.own) if sessions else ()
    gap = Gap("postgres", "the ceilings", "permission denied", "run pgusher as root or as the server's own user")
    free.snapshot = attribute(
        replace(facts, view=view, host=replace(facts.host, uid=1000), ceilings=None, sessions=seen, gaps=(gap,))
    )
    free.diagnosis = diagnose(free.snapshot)


@pytest.mark.parametrize("terminal", [True, False])
def test_who_may_not_see_much_is_told_that_the_server_refuses_and_what_to_type(tmp_path: Path, terminal: bool) -> None:
    run, free = shell("slots = 8" + WEB, tmp_path, terminal=terminal)
    blind(free, Rung.TITLES)
    done = run.run("free", "-U", "app")
    assert done.code == 0
    assert "nothing is shown to be leaked: 8 slots taken, none to free" in done.out
    assert "8 slots seen taken, the ceiling is not known" in done.out
    assert REFUSAL in " ".join(done.out.split())
    assert "permission denied" in done.out
    assert "sudo pgusher --username app free" in done.out


@pytest.mark.parametrize("rung", [Rung.TITLES, Rung.NONE])
def test_no_session_seen_on_a_server_that_refuses_is_not_none_taken(tmp_path: Path, rung: Rung) -> None:
    run, free = shell("slots = 8" + WEB, tmp_path, terminal=True)
    blind(free, rung, sessions=False)
    done = run.run("free")
    assert done.out.startswith("nothing can be said: how many slots are taken could not be seen")
    assert "0 slots taken" not in done.out
    data = json.loads(run.run("free", "--json").out)
    VALIDATOR.validate(data)
    assert data["taken"] is None
    run, free = shell("slots = 8" + WEB, tmp_path / "pipe")
    blind(free, rung, sessions=False)
    assert "slots\tnot seen" in run.run("free").out


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ((), Wanted()),
        (("cron/version_history",), Wanted("cron/version_history", holders=("cron/version_history",))),
        (("version",), Wanted("version", holders=("cron/version_history",))),
        (("stuck-job",), Wanted("stuck-job", findings=("stuck-job:cron/version_history",))),
        (
            ("stuck-job:cron/version_history",),
            Wanted("stuck-job:cron/version_history", findings=("stuck-job:cron/version_history",)),
        ),
        (
            ("--idle-for", "10min", "--state", "idle"),
            Wanted("--idle-for --state", idle_for=600_000_000, states=("idle",)),
        ),
        (("--max", "3"), Wanted(most=3)),
        (("--cancel", "cron"), Wanted("cron", holders=("cron/version_history",), lever=Lever.CANCEL)),
        (("--drain",), Wanted("--drain", lever=Lever.DRAIN)),
    ],
)
def test_the_words_become_a_wish(tmp_path: Path, words: tuple[str, ...], wanted: Wanted) -> None:
    run, free = shell(MIXED, tmp_path)
    assert run.run("free", *words).code == 0
    assert free.wanted == wanted


def test_a_number_is_a_session_or_a_process(tmp_path: Path) -> None:
    run, free = shell(MIXED, tmp_path)
    session = next(s for s in free.snapshot.facts.sessions if s.user == "anna")
    run.run("free", str(session.pid))
    assert free.wanted == Wanted(str(session.pid), sessions=(session.pid,), exact=True)
    python = next(p for p in free.snapshot.facts.processes if p.argv == ("python3", "version_history.py"))
    run, free = shell(MIXED, tmp_path / "second")
    run.run("free", str(python.pid))
    assert free.wanted == Wanted(str(python.pid), processes=(python.pid,))


def test_threads_are_looked_at_only_where_they_tell_something(tmp_path: Path) -> None:
    run, free = shell(MIXED, tmp_path)
    run.run("free", "--max", "1")
    assert free.choose(free.snapshot) is None
    run.run("free", "--idle-for", "5min")
    assert free.choose is None
    run.run("free", "cron/version_history", "--max", "1")
    assert free.choose(free.snapshot) == frozenset(free.snapshot.holder("cron/version_history").processes)  # type: ignore[misc,union-attr]  # it is there


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nobody-here",), "nothing here is called"),
        (("idle-in-transaction",), "found nothing of that kind"),
        (("--unsafe",), "--unsafe is about doing a plan"),
        (("--confirm", "x"), "--confirm is about doing a plan"),
        (("--cancel", "--drain"), "are two ways"),
        (("--apply", "k7f3", "cron"), "a name is for planning"),
        (("--apply", "k7f3", "--idle-for", "3s"), "--idle-for is for planning"),
        (("--apply", "k7f3", "--unsafe"), "--unsafe needs the name"),
        (("--apply", "k7f3", "--confirm", "cron/version_history"), "--unsafe is missing"),
        (("--apply", "zzzz"), "there is no plan zzzz"),
        (("--apply", "../x"), "is no plan's name"),
        (("--idle-for", "soon"), "expected a length of time"),
        (("--state", "sleepy"), "expected one of idle"),
        (("--limit", "grafana"), "expected ROLE=N"),
        (("--max", "0"), "expected 1 to 10000"),
    ],
)
def test_what_is_typed_wrongly_is_told_once(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    run, free = shell(MIXED, tmp_path)
    done = run.run("free", *words)
    assert done.code == 2
    assert message in done.err
    assert free.did is None


def planned(tmp_path: Path, text: str = MIXED, **kinds: Any) -> tuple[Shell, FakeFree]:
    run, free = shell(text, tmp_path, **kinds)
    assert run.run("free").code == 0
    return run, free


def test_apply_does_the_safe_steps_alone(tmp_path: Path) -> None:
    run, free = planned(tmp_path)
    done = run.run("free", "--apply", "k7f3")
    assert done.code == 0
    assert free.did == [1]


def test_an_unsafe_step_is_done_when_its_holder_is_confirmed(tmp_path: Path) -> None:
    run, free = planned(tmp_path)
    done = run.run("free", "--apply", "k7f3", "--unsafe", "--confirm", "cron/version_history", "--grace", "1")
    assert done.code == 0
    assert (free.did, free.grace) == ([1, 2], 1.0)


def test_another_name_confirms_nothing(tmp_path: Path) -> None:
    run, free = planned(tmp_path)
    done = run.run("free", "--apply", "k7f3", "--unsafe", "--confirm", "cron/version")
    assert done.code == 2
    assert "no unsafe step about cron/version" in done.err
    assert "it has, by the names of then: cron/version_history" in done.err
    assert free.did is None


def test_a_plan_with_unsafe_steps_only_does_nothing_unless_confirmed(tmp_path: Path) -> None:
    run, free = planned(tmp_path, STUCK)
    done = run.run("free", "--apply", "k7f3")
    assert done.code == 4
    assert "nothing was done" in done.err
    assert "HINT:  pgusher free --apply k7f3 --unsafe --confirm cron/version_history" in done.err
    assert free.did is None


@pytest.mark.parametrize("kind", [OutcomeKind.REFUSED, OutcomeKind.FAILED])
def test_what_was_refused_is_exit_code_4(tmp_path: Path, kind: OutcomeKind) -> None:
    run, free = planned(tmp_path)
    free.kinds[1] = kind
    done = run.run("free", "--apply", "k7f3")
    assert done.code == 4
    assert kind.value in done.out


def test_an_interrupted_look_before_acting_did_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, free = planned(tmp_path)

    def pressed(*_: Any, **__: Any) -> Applied:
        raise KeyboardInterrupt

    monkeypatch.setattr(free, "apply", pressed)
    done = run.run("free", "--apply", "k7f3")
    assert done.code == 130
    assert done.err == "pgusher: interrupted: nothing was done\n"
    monkeypatch.setattr(cli, "_asked", pressed)  # at the question whom it may hit
    done = run.run("free", "--apply", "k7f3")
    assert (done.code, done.err) == (130, "pgusher: interrupted: nothing was done\n")


def test_what_was_not_verified_is_exit_code_4(tmp_path: Path) -> None:
    run, free = planned(tmp_path)
    free.verified = False
    done = run.run("free", "--apply", "k7f3")
    assert done.code == 4
    assert "not verified" in done.out


def test_a_refusal_to_act_is_exit_code_4_also_in_json(tmp_path: Path) -> None:
    run, free = planned(tmp_path)

    def broken(name: str) -> Plan:
        del name
        raise RefusedError("plan k7f3 is 12 min old", hint="plan anew: pgusher free")

    free.loads = broken
    done = run.run("free", "--apply", "k7f3", "--json")
    assert done.code == 4
    assert json.loads(done.out)["exit"] == 4
    VALIDATOR.validate(json.loads(done.out))


class Keyboard(io.StringIO):
    """What a person types."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "did"), [("cron/version_history\n", [1, 2]), ("\n", [1]), ("y\n", [1]), ("yes\n", [1]), ("", [1])]
)
def test_on_a_terminal_the_name_is_asked_for_and_nothing_is_no(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, did: list[int]
) -> None:
    run, free = planned(tmp_path, terminal=True)
    monkeypatch.setattr(sys, "stdin", Keyboard(typed))
    done = run.run("free", "--apply", "k7f3")
    assert "[Cancel]" in done.out
    assert free.did == did


@pytest.mark.parametrize("terminal", [True, False])
def test_nobody_is_asked_where_nobody_can_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    run, free = planned(tmp_path, terminal=terminal)
    monkeypatch.setattr(sys, "stdin", io.StringIO("cron/version_history\n") if terminal else Keyboard("cron\n"))
    done = run.run("free", "--apply", "k7f3")
    assert "[Cancel]" not in done.out
    assert free.did == [1]


@pytest.mark.parametrize("words", [(), ("cron",), ("--limit", "app=1"), ("--timeouts", "app"), ("--idle-for", "1h")])
def test_a_plan_in_json_fits_its_schema(tmp_path: Path, words: tuple[str, ...]) -> None:
    run, _ = shell(MIXED, tmp_path)
    done = run.run("free", *words, "--json")
    data = json.loads(done.out)
    VALIDATOR.validate(data)
    assert data["kind"] == "plan"
    assert data["id"] == "k7f3"


def test_what_came_of_it_in_json_fits_its_schema(tmp_path: Path) -> None:
    run, _ = planned(tmp_path)
    data = json.loads(run.run("free", "--apply", "k7f3", "--json").out)
    VALIDATOR.validate(data)
    assert (data["kind"], data["exit"], data["verdict"]["verified"]) == ("applied", 0, True)


def test_undo_help_says_how_to_bring_it_back(tmp_path: Path) -> None:
    run, _ = planned(tmp_path)
    done = run.run("undo-help", "k7f3")
    assert done.code == 0
    assert "/etc/cron.d/jobs:3" in done.out
    data = json.loads(run.run("undo-help", "k7f3", "--json").out)
    VALIDATOR.validate(data)


def test_undo_help_of_no_plan_is_a_mistake(tmp_path: Path) -> None:
    run, _ = planned(tmp_path)
    assert run.run("undo-help", "zzzz").code == 2
    assert run.run("undo-help").code == 2


def test_plans_complete_undo_help(tmp_path: Path) -> None:
    run, _ = planned(tmp_path)
    assert run.run("completion", "names", "undo-help", "").out == "k7f3\ta plan\n"


def test_plans_complete_apply_as_long_as_they_may_be_applied(tmp_path: Path) -> None:
    run, free = planned(tmp_path)
    assert run.run("completion", "names", "--", "free", "--apply").out == "k7f3\ta plan\n"
    assert run.run("completion", "line", "--", "pgusher free --apply k").out == "k7f3\ta plan\n"
    (file,) = (tmp_path / "plans").iterdir()
    old = file.stat().st_mtime - 660
    os.utime(file, (old, old))
    assert run.run("completion", "names", "--", "free", "--apply").out == ""
    assert free.store.names() == ["k7f3"]


def test_a_limit_is_previewed_with_whom_it_would_refuse(tmp_path: Path) -> None:
    run, _ = shell(MIXED, tmp_path, terminal=True)
    done = run.run("free", "--limit", "app=2")
    assert "CONNECTION LIMIT -1 -> 2" in done.out
    assert "it has 3 sessions now, 1 more than that: they stay" in done.out
    assert "each new session of app until 2 sessions of it have ended" in " ".join(done.out.split())


def test_a_generous_limit_is_safe(tmp_path: Path) -> None:
    run, _ = shell(MIXED, tmp_path, terminal=True)
    done = run.run("free", "--limit", "app=20")
    assert "safe: loses no work" in done.out


def test_where_nobody_has_a_pool_to_drain_it_says_so(tmp_path: Path) -> None:
    run, _ = shell(MIXED, tmp_path, terminal=True)
    done = run.run("free", "--drain")
    assert done.code == 0
    assert done.out.startswith("nothing to free by --drain")
    assert "no pool of pgusher's Database has an idle session there" in done.out


def test_what_could_not_be_seen_is_told_with_the_plan(tmp_path: Path) -> None:
    gap = 'gaps = [["sockets", "the files of 3 processes", "permission denied", "sudo pgusher", 3]]\n'
    run, _ = shell(gap + MIXED, tmp_path, terminal=True)
    assert "the files of 3 processes" in run.run("free").out
    run, _ = shell(gap + MIXED, tmp_path / "second")
    data = json.loads(run.run("free", "--json").out)
    VALIDATOR.validate(data)
    assert [one["what"] for one in data["gaps"]] == ["the files of 3 processes"]


def test_the_options_that_were_typed_are_in_what_is_to_be_typed_next(tmp_path: Path) -> None:
    run, _ = shell("slots = 100" + WEB, tmp_path, terminal=True)
    assert "pgusher --port 5432 why" in run.run("free", "--port", "5432").out
