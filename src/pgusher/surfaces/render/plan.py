"""The screen of a plan: what would be done, what it loses, what is spared, and what to type."""

from __future__ import annotations

from collections.abc import Sequence

from pgusher.model.evidence import Gap
from pgusher.model.findings import Safety
from pgusher.model.plan import Lever, Plan, RoleSetting, SourceChange, Spared, Step
from pgusher.model.snapshot import Snapshot
from pgusher.surfaces.render import words
from pgusher.surfaces.render.chains import wrap
from pgusher.surfaces.render.headline import gap_lines, heading, refusal, unasked, verdict_text
from pgusher.surfaces.render.screen import BLANK, Line, Screen
from pgusher.surfaces.render.shell import quote
from pgusher.surfaces.render.state import fact_line
from pgusher.surfaces.render.table import Column, table
from pgusher.surfaces.render.tally import tally

_MARGIN = 6
_SPARED = 8
"""Kinds of what is spared that a terminal shows unless all are asked for."""
_PIDS = 12
"""Pids of alike steps that are listed in one line."""
_STEPS = tuple(
    Column(title)
    for title in (
        "step", "lever", "safety", "certainty", "slots", "holder", "pid", "started", "state", "state changed",
        "finding", "what", "why", "loses",
    )
)  # fmt: skip
_SPARED_COLUMNS = tuple(Column(title) for title in ("spared", "protected", "holder", "why", "instead", "pids"))
_UNDO = tuple(Column(title) for title in ("step", "how to bring it back"))
_SETTINGS = tuple(Column(title) for title in ("step", "role", "setting", "before", "after"))


def confirm_name(step: Step) -> str:
    """The word that --confirm takes for a step: its holder's name."""
    if step.holder is not None:
        return step.holder
    if step.process is not None:
        return f"pid/{step.process.pid}"
    return f"session/{step.sessions[0].pid}" if step.sessions else f"step/{step.number}"


def plan_page(
    screen: Screen,
    plan: Plan,
    commands: Sequence[tuple[str, str]],
    everything: bool = False,
    gaps: tuple[Gap, ...] = (),
    seen: Snapshot | None = None,
) -> list[Line]:
    """The whole page. `commands`: what to type next, each with its reason; `everything` shows each step by itself.

    `gaps`: what could not be seen when the plan was made; `seen`: what was, whose state a plan without steps tells.
    """
    told = tally(seen) if seen is not None and not plan.steps else None
    if screen.pipe:
        blind = [fact_line(screen, "gap", gap.what, gap.why, gap.opens) for gap in gaps]
        if seen is not None and told is not None:
            says = refusal(seen) or unasked(seen)
            blind.append(fact_line(screen, "state", told.status.value, verdict_text(told), *([says] if says else [])))
        return [*blind, *_pipe_lines(screen, plan), *(fact_line(screen, "next", *command) for command in commands)]
    lines: list[Line] = [[(headline(plan), "bold")]]
    if seen is not None and told is not None:
        lines += heading(screen, seen, told)
    lines += gap_lines(gaps, everything)
    for safety, title in ((Safety.SAFE, "safe: loses no work"), (Safety.UNSAFE, "unsafe: each says what it loses")):
        steps = [step for step in plan.steps if step.safety is safety]
        if steps:
            lines += [BLANK, [(title, "good" if safety is Safety.SAFE else "warn")]]
            for group in _groups(steps, everything):
                lines += _step_lines(screen, group, everything)
    lines += _spared_lines(screen, plan, everything)
    if commands:
        lines.append(BLANK)
        for text, reason in commands:
            if screen.width is not None and len(text) + len(reason) + 4 > screen.width:
                lines += [[(f"# {reason}:", "dim")], [(text, "paste")]]
            else:
                lines.append([(text, "paste"), (f"  # {reason}", "dim")])
    return lines


def headline(plan: Plan) -> str:
    """ "plan k7f3: 2 steps give 11 of 97 taken slots back"."""
    if not plan.steps:
        if plan.asked is not None and plan.asked.startswith("--"):
            return f"nothing to free by {plan.asked}"
        if plan.asked is not None:
            return f"nothing to free of {plan.asked}: each of its sessions is spared"
        if plan.slots.taken is None:
            return "nothing can be said: how many slots are taken could not be seen"
        if busy := sum(len(one.sessions) for one in plan.spared if "name it" in one.advice):
            held = f"{words.count(busy, 'slot')} of what is at work or in a transaction: named, it can be ended"
            return f"nothing is ended unasked: {held}"
        if unseen := sum(len(one.sessions) for one in plan.spared if one.why == "who holds it is not known"):
            return f"nothing is shown to be leaked: who holds {unseen} of {_taken(plan, 'taken slot')} is not known"
        return f"nothing is shown to be leaked: {_taken(plan, 'slot')} taken, none to free"
    steps = words.count(len(plan.steps), "step")
    verb = "gives" if len(plan.steps) == 1 else "give"
    if not plan.slots.back and all(_gives_none(step) for step in plan.steps):
        return f"plan {plan.id}: {steps}, no slot comes back at once"
    back = plan.slots.back
    return f"plan {plan.id}: {steps} {verb} {back} of {_taken(plan, 'taken slot')} back"


def _gives_none(step: Step) -> bool:
    return bool(step.settings) or step.lever in {Lever.CANCEL, Lever.SOURCE}


def _taken(plan: Plan, noun: str) -> str:
    """ "18 slots (1 is pgusher's own)": what is listed adds up to it."""
    own = f" ({plan.slots.own} {'is' if plan.slots.own == 1 else 'are'} pgusher's own)" if plan.slots.own else ""
    if plan.slots.taken is None:
        return f"an unknown number of {noun}s"
    return words.count(plan.slots.taken, noun) + own


def _groups(steps: Sequence[Step], everything: bool) -> list[list[Step]]:
    """Steps that differ by their session alone are told together, unless each is asked for."""
    groups: dict[object, list[Step]] = {}
    for step in steps:
        alone = everything or not step.sessions
        key = step.number if alone else (step.lever, step.loses, step.why, step.holder)
        groups.setdefault(key, []).append(step)
    return list(groups.values())


def _step_lines(screen: Screen, group: list[Step], everything: bool) -> list[Line]:
    first = group[0]
    slots = sum(step.slots for step in group)
    mark = str(first.number) if len(group) == 1 else f"{first.number}-{group[-1].number}"
    if len(group) > 1 and group[-1].number - first.number != len(group) - 1:
        mark = f"{first.number}.."
    text = first.text if len(group) == 1 else _together(group)
    if slots:
        text += f": {words.count(slots, 'slot')}"
    head, *rest = wrap(screen, text, _MARGIN)
    lines: list[Line] = [[(f"{mark:>{_MARGIN - 2}}  ", "dim"), (head, "bold")]]
    lines += [[(" " * _MARGIN, ""), (part, "bold")] for part in rest]
    for setting in first.settings:
        lines += _labelled(screen, "change", _change(setting), "")
    if first.source is not None:
        lines += _labelled(screen, "change", _source(first.source), "")
    if len(group) == 1 and first.sessions and (everything or first.process is None):
        for one in first.sessions if everything else first.sessions[:1]:
            started = f", began {words.iso(one.backend_start)}" if one.backend_start is not None else ""
            changed = f" since {words.iso(one.state_change)}" if one.state_change is not None else ""
            lines += _labelled(screen, "only if", f"session {one.pid}{started}, is {one.state or '?'}{changed}", "dim")
    if first.process is not None and everything:
        lines += _labelled(
            screen, "only if", f"process {first.process.pid} started at tick {first.process.start_ticks}", "dim"
        )
    if len(group) > 1:
        pids = [str(step.process.pid if step.process is not None else step.sessions[0].pid) for step in group]
        label = "sessions" if first.process is None else "processes"
        lines += _labelled(screen, label, words.listed(pids, _PIDS), "dim")
    why = first.why if first.finding is None else f"{first.finding.partition(':')[0]}, {first.certainty}: {first.why}"
    lines += _labelled(screen, "why", why, "")
    if first.loses:
        lines += _labelled(screen, "loses", first.loses, "warn" if first.safety is Safety.UNSAFE else "")
    if everything:
        for line in first.undo:
            lines += _labelled(screen, "undo", line, "dim")
    return lines


def _together(group: list[Step]) -> str:
    if group[0].process is not None:
        verb = "drain" if group[0].lever is Lever.DRAIN else "end"
        commands = {step.process.command for step in group if step.process is not None}
        what = f" ({next(iter(commands))})" if len(commands) == 1 else ""
        below = "" if verb == "drain" else ", each with all below it"
        return f"{verb} {len(group)} processes{what}{below}"
    verb, _, rest = group[0].text.partition(" session ")
    holder = f" of {group[0].holder}" if group[0].holder else ""
    states = {step.sessions[0].state or "?" for step in group}
    return f"{verb} {len(group)} sessions{holder}, {', '.join(sorted(states))}" if rest else group[0].text


def _change(setting: RoleSetting) -> str:
    before = "not set" if setting.before is None else setting.before
    return f"{setting.role}: {setting.setting} {before} -> {'not set' if setting.after is None else setting.after}"


def _source(one: SourceChange) -> str:
    after = "not set" if one.after is None else one.after
    return f"{one.name}, organisation {one.org} of {one.url}: maxOpenConns {one.before or 'not set'} -> {after}"


def _labelled(screen: Screen, label: str, text: str, style: str) -> list[Line]:
    parts = wrap(screen, text, _MARGIN + 10)
    return [
        [(" " * _MARGIN + f"{label if place == 0 else '':<10}", "dim"), (part, style)]
        for place, part in enumerate(parts)
    ]


def _spared_lines(screen: Screen, plan: Plan, everything: bool) -> list[Line]:
    if not plan.spared:
        return []
    shown = plan.spared if everything or len(plan.spared) <= _SPARED + 1 else plan.spared[:_SPARED]
    lines: list[Line] = [BLANK, [("spared", "bold")]]
    for one in shown:
        what = one.what if one.holder is None or one.holder in one.what else f"{one.what} of {one.holder}"
        never = "never ended: " if one.protected else ""
        head, *rest = wrap(screen, f"{what}: {never}{one.why}", 2)
        lines += [[("  ", ""), (head, "")], *([("    ", ""), (part, "")] for part in rest)]
        if one.advice:
            told, colon, command = one.advice.partition(": pgusher ")
            parts = wrap(screen, told + colon[:1], _MARGIN + 10)
            lines += [
                [(" " * 4 + f"{'instead' if place == 0 else '':<9}", "dim"), (part, "command")]
                for place, part in enumerate(parts)
            ]
            if command:  # whole, to be typed as it is
                lines.append([(" " * 13, ""), (f"pgusher {command}", "paste")])
    if more := len(plan.spared) - len(shown):
        lines.append([(f"  {screen.sign('more')} {words.count(more, 'further reason')}: --all shows them", "dim")])
    return lines


def _pipe_lines(screen: Screen, plan: Plan) -> list[Line]:
    lines = [
        fact_line(screen, "plan", plan.id if plan.steps else "none", headline(plan)),
        fact_line(screen, "made at", words.iso(plan.made_at)),
        fact_line(screen, "expires at", words.iso(plan.expires_at)),
        fact_line(
            screen,
            "slots",
            "not seen" if plan.slots.taken is None else f"{plan.slots.taken} taken",
            f"{plan.slots.back} come back",
            f"{plan.slots.own} own",
        ),
    ]
    rows = [_row(step) for step in plan.steps]
    lines += [BLANK, *table(screen, _STEPS, rows)] if rows else []
    undo = [(str(step.number), line) for step in plan.steps for line in step.undo]
    lines += [BLANK, *table(screen, _UNDO, undo)] if undo else []
    settings = [
        (str(step.number), one.role, one.setting, one.before or "", one.after or "")
        for step in plan.steps
        for one in step.settings
    ]
    lines += [BLANK, *table(screen, _SETTINGS, settings)] if settings else []
    spared = [_spared_row(one) for one in plan.spared]
    return lines + ([BLANK, *table(screen, _SPARED_COLUMNS, spared)] if spared else [])


def _row(step: Step) -> tuple[str, ...]:
    one = step.sessions[0] if step.process is None and step.sessions else None
    if step.process is not None:
        pid, started = str(step.process.pid), f"tick {step.process.start_ticks}"
    else:
        pid, started = (str(one.pid), words.iso(one.backend_start)) if one is not None else ("", "")
    state, changed = (one.state or "", words.iso(one.state_change)) if one is not None else ("", "")
    return (
        str(step.number), step.lever.value, step.safety.value, step.certainty.value, str(step.slots), step.holder or "",
        pid, started, state, changed, step.finding or "", step.text, step.why, step.loses,
    )  # fmt: skip


def _spared_row(one: Spared) -> tuple[str, ...]:
    pids = " ".join(map(str, one.processes or one.sessions))
    return one.what, "never ended" if one.protected else "", one.holder or "", one.why, one.advice, pids


def commands(plan: Plan, program: str = "pgusher") -> list[tuple[str, str]]:
    """What to type to do it: the safe steps, and those that lose something, by the names of whom they hit."""
    found = []
    if plan.safe:
        found.append((f"{program} free --apply {plan.id}", f"do {_which(plan.safe)}"))
    if plan.unsafe:
        names = list(dict.fromkeys(confirm_name(step) for step in plan.unsafe))
        for name in names[:3]:
            mine = [step for step in plan.unsafe if confirm_name(step) == name]
            both = "the safe steps, and " if plan.safe else ""
            found.append(
                (f"{program} free --apply {plan.id} --unsafe --confirm {quote(name)}", f"do {both}{_which(mine)}")
            )
    if plan.steps:
        found.append((f"pgusher undo-help {plan.id}", "how to bring back what it ends"))
    return found


def _which(steps: Sequence[Step]) -> str:
    if len(steps) == 1:
        return f"step {steps[0].number}"
    return f"{len(steps)} steps"
