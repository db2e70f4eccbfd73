"""The commands to type next: only those that matter in this state, each with its reason."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pgusher.diagnose.remedies import FREED
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Finding, Severity
from pgusher.model.holder import Holder, HolderKind
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import dataclass
from pgusher.surfaces.render import cells, words
from pgusher.surfaces.render.screen import Line, Screen
from pgusher.surfaces.render.shell import quote
from pgusher.surfaces.render.tally import Status, Tally

_NAMED = set(HolderKind) - {HolderKind.OWN, HolderKind.UNKNOWN, HolderKind.HIDDEN}
_ENDING = {HolderKind.CRON, HolderKind.SCRIPT, HolderKind.TERMINAL, HolderKind.GONE}
"""What is expected to end, unlike a service."""
_OLD = 3600 * 1_000_000
"""An hour: a session older than that may be one that nobody will ever close."""
_LEAST_REASON = 20
"""Columns for a reason; with fewer it is left out."""
_WORDS = re.compile(r"""(?:'[^']*'|"[^"]*"|\S)+""")


@dataclass(frozen=True, slots=True)
class Command:
    """One command to type, and why."""

    text: str
    reason: str


def next_commands(
    snapshot: Snapshot,
    tally: Tally,
    repeat: str = "pgusher",
    gaps: bool = False,
    program: str = "pgusher",
    findings: Sequence[Finding] = (),
) -> list[Command]:
    """What to type after the state.

    `repeat` is the command as it was typed, with its connection options; `program` is how sudo finds it. `gaps` tells
    that there are some beside those of the snapshot. `findings` are those of this server.
    """
    facts = snapshot.facts
    found: list[Command] = []
    opens = " ".join(gap.opens for gap in facts.gaps)
    if facts.gaps and facts.host.uid != 0 and re.search(r"\b(root|sudo)\b", opens) and " --from" not in repeat:
        found.append(Command(f"sudo {program}{repeat.removeprefix('pgusher')}", "root sees what is hidden now"))
    told = [f for f in findings if f.severity is not Severity.NOTE]
    if told:
        worst = min((f.severity for f in told), key=lambda severity: severity.rank)
        text = f"{words.count(len(told), 'finding')}, {worst.value}: the thread, the line, the remedy"
        found.append(Command(f"{repeat} why", text))
    if " --from" not in repeat and any(f.rule in FREED and f.certainty is not Certainty.GUESSED for f in told):
        found.append(Command(f"{repeat} free", "a plan of what gives slots back; it ends nothing"))
    suspects = _suspects(snapshot, tally.status.finding)
    # Where root would see more, that comes first, and guessing around in what is seen now does not.
    most = max(1, 3 - len(found)) if told else 1 if found else 3
    found += [_who(snapshot, tally, name, group, repeat) for name, group in suspects[:most]]
    if not found and tally.taken:
        found.append(Command(f"{repeat} who", "the chain of every session"))
    if (facts.gaps or gaps) and " --from" not in repeat:
        found.append(Command(f"{repeat} doctor", "what it cannot see, and what opens it"))
    if len(found) < 2 and tally.taken and " --from" not in repeat:
        found.append(Command(f"{repeat} --watch 2", "looks again every 2 seconds"))
    if tally.status is Status.UNSEEN and not facts.gaps:
        found.append(Command(f"{repeat} doctor", "why nothing could be seen"))
    return found


def _suspects(snapshot: Snapshot, full: bool) -> list[tuple[str, list[Holder]]]:
    """The holder with the most slots, then what should have ended long ago; on a full server three in all.

    Several such holders of one kind are one suspect: `pgusher who cron` shows them all.
    """
    known = [h for h in snapshot.holders if h.sessions and h.kind in _NAMED]
    now = snapshot.facts.taken_at
    kinds: dict[str, list[Holder]] = {}
    for holder in known[1:]:
        old = holder.since is not None and now - holder.since >= _OLD
        if holder.runs > 1 or (old and holder.kind in _ENDING):
            kinds.setdefault(holder.name.partition("/")[0], []).append(holder)
    groups = [(kind, group) if len(group) > 1 else (group[0].name, group) for kind, group in kinds.items()]
    # Several runs at once first: a job that overlaps itself hangs more often than not.
    groups.sort(key=lambda pair: (-sum(h.runs for h in pair[1] if h.runs > 1), -_slots(pair[1])))
    named = {holder.name for _, group in groups for holder in group}
    others = [(h.name, [h]) for h in known[1:] if h.name not in named] if full else []
    return [(h.name, [h]) for h in known[:1]] + (groups + others)[:2]


def _slots(holders: list[Holder]) -> int:
    return sum(len(holder.sessions) for holder in holders)


def _who(snapshot: Snapshot, tally: Tally, name: str, holders: list[Holder], repeat: str) -> Command:
    reason = f"{_slots(holders)} of {tally.taken} slots"
    if runs := sum(holder.runs for holder in holders if holder.runs > 1):
        reason += f", {runs} runs"
    starts = [holder.since for holder in holders if holder.since is not None]
    if starts:
        reason += f", oldest {words.age_in_words(min(starts), snapshot.facts.taken_at)}"
    return Command(f"{repeat} who {quote(name)}", reason)


def advice_lines(screen: Screen, commands: list[Command], title: str = "next") -> list[Line]:
    """The commands with their reasons as shell comments, so that a whole line can be pasted."""
    indent = len(title) + 2 if title else 0
    room = None if screen.width is None else screen.width - indent
    texts = [screen.text(command.text) for command in commands]
    wide = max((cells.width(text) for text in texts if room is None or cells.width(text) <= room), default=0)
    lines: list[Line] = []
    for text, command in zip(texts, commands, strict=True):
        parts = broken(text, room)
        for part in parts:
            first = ((f"{title}  " if title else "") if not lines else " " * indent, "dim")
            lines.append([first, (part, "command" if room is None or cells.width(part) <= room else "paste")])
        last = parts[-1] if len(parts) > 1 else cells.pad(text, wide)
        reason = f"  # {command.reason}"
        left = None if room is None else room - cells.width(last)
        if left is None or left >= min(cells.width(reason), _LEAST_REASON):
            lines[-1] = [lines[-1][0], (last, lines[-1][1][1]), (reason, "dim")]
    return lines


def broken(text: str, room: int | None, on: str = " \\") -> list[str]:
    """A command that is longer than a line, in several, each but the last with the shell's sign that it goes on.

    It is never cut: half a command does something else. A word that is longer than the line is left to the terminal,
    and what stands in quotes is one word.
    """
    if room is None or cells.width(text) <= room:
        return [text]
    lines, line = [], ""
    for word in _WORDS.findall(text):
        longer = f"{line} {word}" if line else word
        if line and cells.width(longer) > room - len(on):
            lines.append(line + on)
            longer = f"  {word}"
        line = longer
    return [*lines, line]
