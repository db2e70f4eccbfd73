"""The pages of a plan and of what came of it: nothing hostile gets out, each step can be told from the others."""

from __future__ import annotations

import pytest

from pgusher.model.plan import Outcome, OutcomeKind, Plan, Verdict
from pgusher.model.values import replace
from pgusher.surfaces.render.outcome import applied_page
from pgusher.surfaces.render.plan import commands, plan_page
from pgusher.surfaces.render.screen import Screen
from tests.diagnose.worlds import NOW
from tests.remedy.planning import PSQL, STUCK, WEB, plan

NARROW, PIPE = Screen(), Screen(width=None, height=None)
MIXED = "slots = 14" + STUCK.replace("slots = 20", "") + PSQL + WEB
VERDICT = Verdict(False, "2 of 3 sessions are gone", 2, 1, 0, ("Still there: session 7.",), "", "pgusher why")


def page(screen: Screen, made: Plan, everything: bool = False) -> str:
    return screen.page(plan_page(screen, made, commands(made), everything))


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_no_line_is_wider_than_the_terminal_but_commands(width: int) -> None:
    made = plan(MIXED)
    for line in page(Screen(width=width), made, everything=True).splitlines():
        assert len(line) <= width or line.strip().startswith("pgusher ")


def test_every_command_is_whole_however_narrow_it_is() -> None:
    made = plan(MIXED)
    shown = page(Screen(width=40), made).splitlines()
    for command, _ in commands(made):
        assert command in [line.partition("  #")[0] for line in shown]


def test_a_command_in_an_advice_is_whole_too() -> None:
    made = plan(MIXED)
    long = replace(made.spared[0], advice=f"name it: pgusher --port 5432 free cron/{'x' * 40}")
    shown = page(NARROW, replace(made, spared=(long,)))
    assert f"pgusher --port 5432 free cron/{'x' * 40}\n" in shown


def test_alike_steps_are_told_together_unless_all_are_asked_for() -> None:
    text = 'slots = 100\n[[gone]]\nsessions = [{ count = 30, idle = "3h" }]\n'
    made = plan(text)
    short, long = page(NARROW, made), page(NARROW, made, everything=True)
    assert "1-30  terminate 30 sessions of gone" in short
    assert "and 18 more" in short
    assert long.count("terminate session") == 30
    assert all(str(step.sessions[0].pid) in long for step in made.steps)


def test_each_identity_is_in_the_pipe_to_the_microsecond() -> None:
    rows = [line.split("\t") for line in page(PIPE, plan(MIXED)).splitlines() if line[:1].isdigit()]
    terminate = next(row for row in rows if row[1] == "terminate")
    assert terminate[7].endswith("Z")
    assert "." in terminate[7]
    assert terminate[9].endswith("Z")


def test_hostile_text_does_not_get_out() -> None:
    made = plan(MIXED)
    evil = "\x1b[2J\u202e\nevil"
    steps = tuple(replace(s, text=evil, why=evil, loses=evil, holder=evil, undo=(evil,)) for s in made.steps)
    spared = tuple(replace(s, what=evil, why=evil, advice=evil, holder=evil) for s in made.spared)
    bad = replace(made, steps=steps, spared=spared, asked=evil)
    outcomes = [Outcome(1, kind, evil, NOW, evil, evil) for kind in OutcomeKind]
    verdict = replace(VERDICT, text=evil, detail=(evil,), proof=evil, hint=evil)
    for screen in (NARROW, PIPE):
        for text in (page(screen, bad, True), screen.page(applied_page(screen, bad, outcomes, verdict))):
            assert "\x1b" not in text
            assert "\u202e" not in text


@pytest.mark.parametrize("screen", [NARROW, PIPE])
def test_outcome_and_verdict_are_told_apart(screen: Screen) -> None:
    made = plan(STUCK)
    text = screen.page(applied_page(screen, made, [Outcome(1, OutcomeKind.DONE, "ended process 1", NOW)], VERDICT))
    assert "1 of 1 step done" in text
    assert "not verified" in text.lower()
    assert "2 of 3 sessions are gone" in text


def test_many_outcomes_of_a_kind_are_shortened_but_counted() -> None:
    made = plan(STUCK)
    outcomes = [Outcome(number, OutcomeKind.DONE, f"ended session {number}", NOW) for number in range(1, 51)]
    outcomes.append(Outcome(51, OutcomeKind.REFUSED, "it was idle, and is active now", NOW))
    text = NARROW.page(applied_page(NARROW, made, outcomes, VERDICT))
    assert "50 of 51 steps done, 1 refused" in text
    assert "46 further steps done: --all shows them" in text
    assert "refused: it was idle, and is active now" in text
