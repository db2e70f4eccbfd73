"""Ctrl-C while something is being done: what is known of each step then."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from pgusher.diagnose.text import count
from pgusher.model.address import Micros
from pgusher.model.plan import Lever, Outcome, OutcomeKind, Step
from pgusher.remedy.act.pinned import Pinned
from pgusher.remedy.act.processes import Ending
from pgusher.remedy.act.result import Result

_MEANT = Result(
    OutcomeKind.FAILED, "interrupted in the midst of it: whether it was done is not known", "look again: pgusher"
)


class InterruptedActError(KeyboardInterrupt):
    """Raised by `act` for a KeyboardInterrupt, with an outcome for each step."""

    def __init__(self, outcomes: tuple[Outcome, ...]) -> None:
        super().__init__("interrupted while acting")
        self.outcomes = outcomes


def outcomes_of(
    steps: Sequence[Step],
    settled: Mapping[int, Outcome],
    stages: Mapping[int, str],
    held: Mapping[int, Pinned],
    endings: Mapping[int, Ending],
    now: Micros,
) -> tuple[Outcome, ...]:
    """What is known of each: its outcome, or how far it came. Nothing is waited for, and nothing more is signalled.

    `stages`: the last stage that each step came to; without those that were not begun.
    """
    found = []
    for step in steps:
        if step.number in settled:
            found.append(settled[step.number])
            continue
        stage = stages.get(step.number)
        result = Result(OutcomeKind.SKIPPED, "not begun: interrupted before")
        if stage in _BEFORE.get(step.lever, ()):
            result = Result(OutcomeKind.SKIPPED, f"{_whom(step)} runs on: interrupted before it was signalled")
        elif stage == "signalled":
            result = _signalled(step, held, endings)
        elif stage is not None:
            result = _MEANT
        found.append(Outcome(step.number, result.kind, result.text, now, result.seen_after, result.hint))
    return tuple(found)


_BEFORE: Mapping[Lever, Collection[str]] = {
    Lever.END_PROCESS: frozenset({"intended", "stopped"}),
    Lever.END_BACKEND: frozenset({"intended"}),
}
"""Stages of one step after the other before a signal to end: whoever closes a tree lets it go on."""


def _signalled(step: Step, held: Mapping[int, Pinned], endings: Mapping[int, Ending]) -> Result:
    text = f"{_whom(step)} was signalled: interrupted before it was seen to end"
    seen = ""
    if (ending := endings.get(step.number)) is not None:
        left, members = ending.left()
        seen = f"{members - left} of {count(members, 'process')} {'is' if members == 1 else 'are'} gone"
    elif (pinned := held.get(step.number)) is not None:
        seen = "it is still there" if pinned.alive() else f"{_whom(step)} is gone"
    hint = "what ignores TERM gets no KILL now" if step.lever is Lever.END_PROCESS else ""
    return Result(OutcomeKind.FAILED, text, hint, seen)


def _whom(step: Step) -> str:
    if step.process is not None:
        return f"process {step.process.pid}"
    return f"session {step.sessions[0].pid}" if step.sessions else f"step {step.number}"
