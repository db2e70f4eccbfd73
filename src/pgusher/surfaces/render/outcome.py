"""The screen after acting: what became of each step, and, told apart from that, what looking again showed."""

from __future__ import annotations

from collections.abc import Sequence

from pgusher.model.plan import Outcome, OutcomeKind, Plan, Verdict
from pgusher.surfaces.render import words
from pgusher.surfaces.render.chains import wrap
from pgusher.surfaces.render.screen import BLANK, Line, Screen
from pgusher.surfaces.render.state import fact_line
from pgusher.surfaces.render.table import Column, table

_STYLES = {
    OutcomeKind.DONE: "good",
    OutcomeKind.GONE: "good",
    OutcomeKind.REFUSED: "warn",
    OutcomeKind.FAILED: "alarm",
    OutcomeKind.SKIPPED: "dim",
}
_MARGIN = 12
_OUTCOMES = tuple(Column(title) for title in ("step", "outcome", "at", "what", "text", "seen after", "hint"))
_ALIKE = 4
"""Outcomes of one kind that a terminal shows one by one unless all are asked for."""


def applied_page(
    screen: Screen, plan: Plan, outcomes: Sequence[Outcome], verdict: Verdict, everything: bool = False
) -> list[Line]:
    """The whole page."""
    if screen.pipe:
        return _pipe_lines(screen, plan, outcomes, verdict)
    lines: list[Line] = [[(headline(plan, outcomes), "bold")]]
    for kind in OutcomeKind:
        alike = [one for one in outcomes if one.kind is kind]
        shown = alike if everything or len(alike) <= _ALIKE + 1 else alike[:_ALIKE]
        for one in shown:
            lines += _outcome_lines(screen, one)
        if more := len(alike) - len(shown):
            text = f"{words.count(more, 'further step')} {kind.value}: --all shows them"
            lines.append([(" " * _MARGIN, ""), (f"{screen.sign('more')} {text}", "dim")])
    lines += [BLANK, *_verdict_lines(screen, verdict)]
    return lines


def headline(plan: Plan, outcomes: Sequence[Outcome]) -> str:
    """ "plan k7f3: 3 of 4 steps done, 1 refused"."""
    done = sum(one.kind in (OutcomeKind.DONE, OutcomeKind.GONE) for one in outcomes)
    said = f"plan {plan.id}: {done} of {words.count(len(outcomes), 'step')} done"
    for kind in (OutcomeKind.REFUSED, OutcomeKind.FAILED, OutcomeKind.SKIPPED):
        if number := sum(one.kind is kind for one in outcomes):
            said += f", {number} {kind.value}"
    return said


def _outcome_lines(screen: Screen, one: Outcome) -> list[Line]:
    text = one.text if one.text.startswith(one.kind.value) else f"{one.kind.value}: {one.text}"
    head, *rest = wrap(screen, text, _MARGIN)
    lines: list[Line] = [[(f"  step {one.step:<{_MARGIN - 7}}", "dim"), (head, _STYLES[one.kind])]]
    lines += [[(" " * _MARGIN, ""), (part, _STYLES[one.kind])] for part in rest]
    for extra, style in ((one.seen_after, "dim"), (one.hint, "command")):
        if extra and extra not in one.text:
            lines += [[(" " * _MARGIN, ""), (part, style)] for part in wrap(screen, extra, _MARGIN)]
    return lines


def _verdict_lines(screen: Screen, verdict: Verdict) -> list[Line]:
    mark, style = ("verified", "good") if verdict.verified else ("NOT VERIFIED", "alarm")
    lines: list[Line] = []
    told = [f"{mark}: {verdict.text}", *([verdict.proof] if verdict.proof else []), *verdict.detail]
    for place, text in enumerate(told):
        parts = wrap(screen, text, 0 if place == 0 else 2)
        lines += [[(part, style)] if place == 0 else [("  ", ""), (part, "")] for part in parts]
    if verdict.hint:
        # It may end in a command, half of which would do something else: the terminal is left to break it.
        lines.append([("  ", ""), (verdict.hint, "paste")])
    return lines


def _pipe_lines(screen: Screen, plan: Plan, outcomes: Sequence[Outcome], verdict: Verdict) -> list[Line]:
    what = {step.number: step.text for step in plan.steps}
    rows = [
        (str(o.step), o.kind.value, words.iso(o.at), what.get(o.step, ""), o.text, o.seen_after, o.hint)
        for o in outcomes
    ]
    lines = [fact_line(screen, "plan", plan.id, headline(plan, outcomes))]
    lines += [fact_line(screen, "verdict", "verified" if verdict.verified else "not verified", verdict.text)]
    lines += [fact_line(screen, "proof", verdict.proof)] if verdict.proof else []
    lines += [fact_line(screen, "detail", text) for text in verdict.detail]
    lines += [fact_line(screen, "hint", verdict.hint)] if verdict.hint else []
    return lines + ([BLANK, *table(screen, _OUTCOMES, rows)] if rows else [])
