"""The table of holders: who takes how many slots, doing what, since when."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from pgusher.model.holder import Holder, HolderKind
from pgusher.model.pattern import pattern
from pgusher.model.snapshot import Snapshot
from pgusher.surfaces.render import words
from pgusher.surfaces.render.screen import Line, Screen
from pgusher.surfaces.render.seats import MOST_SLOTS, hue_of
from pgusher.surfaces.render.table import Cell, Column, table
from pgusher.surfaces.render.tally import Doing, states

_COLUMNS = (
    Column("", optional=True),
    Column("slots", right=True),
    Column("holder", least=16),
    Column("share", least=8, drop=3, optional=True),
    Column("idle", right=True, drop=5, optional=True),
    Column("active", right=True, drop=5, optional=True),
    Column("in tx", right=True, drop=5, optional=True),
    Column("other", right=True, drop=6, optional=True),
    Column("oldest", right=True, drop=2),
    Column("what it is", least=14, drop=4),
)
_IN_A_PIPE = (
    *(Column(title) for title in ("slots", "holder", "kind", "idle", "active", "in transaction", "other")),
    *(Column(title) for title in ("oldest session", "processes", "runs", "certainty", "what it is", "limit", "stop")),
)
_BAR = 20
_UNIT = pattern(r"systemd unit (?P<unit>\S+)(?: of user \S+)?(?: \((?P<description>.*?)\))?(?:, started by .*)?", re.S)
# What stands before the words that tell one job from another: "cd DIR &&", the directory of an interpreter.
_CD = pattern(r"\bcd [^\s&;]+ *(?:&&|;) *")
_PATH = pattern(r"(?<!\S)/\S*/((?:python|pypy|ruby|perl|php|node|bash|sh)[\d.]*)(?!\S)")
_EIGHTHS = " ▏▎▍▌▋▊▉"


def holder_table(screen: Screen, snapshot: Snapshot, letters: Mapping[str, str], most: int | None = None) -> list[Line]:
    """The holders that take slots, most slots first; at most `most` rows, the others as one line."""
    counts = states(snapshot)
    holders = [holder for holder in snapshot.holders if holder.name in counts]
    if screen.pipe:
        return table(screen, _IN_A_PIPE, [_whole(holder, counts) for holder in holders])
    if not holders:
        return []
    shown = holders if most is None or len(holders) <= most else holders[: max(1, most - 1)]
    bar_of = _bar_scale(snapshot)
    hues = hue_of(letters)
    rows = [_row(screen, snapshot, holder, counts, letters, hues, bar_of) for holder in shown]
    lines = table(screen, _COLUMNS, rows, indent=" ", gap=2)
    if rest := holders[len(shown) :]:
        slots = sum(len(holder.sessions) for holder in rest)
        text = f"{words.count(len(rest), 'further holder')} with {words.count(slots, 'slot')}: --all shows them"
        lines.append([(f" {screen.sign('more')} {text}", "dim")])
    return lines


def _row(
    screen: Screen,
    snapshot: Snapshot,
    holder: Holder,
    counts: Mapping[str, Counter[Doing]],
    letters: Mapping[str, str],
    hues: Mapping[str, str],
    full: int,
) -> list[Cell]:
    letter = letters.get(holder.name, "?")
    doing = counts.get(holder.name, Counter())
    waiting = doing[Doing.TRANSACTION]
    return [
        # The letter means something beside a map only.
        ("" if screen.plain else letter, hues.get(letter, "bold")),
        str(len(holder.sessions)),
        (holder.name, "name"),
        (_bar(screen, len(holder.sessions), full) if full else "", hues.get(letter, "")),
        _number(doing[Doing.IDLE]),
        _number(doing[Doing.ACTIVE]),
        (_number(waiting), "warn" if waiting else ""),
        _number(doing[Doing.OTHER]),
        words.age(holder.since, snapshot.facts.taken_at),
        (what(holder) if holder.sessions else f"not started, {what(holder)}", ""),
    ]


def what(holder: Holder) -> str:
    """What its name does not say, the most telling first, since a narrow terminal cuts the end."""
    if holder.kind is HolderKind.OWN:
        return "this look" if holder.name == "pgusher" else holder.title
    parts = [f"{holder.runs} runs"] if holder.runs > 1 else []
    if len(holder.processes) > 1 and holder.runs <= 1:
        parts.append(f"{len(holder.processes)} procs")
    title = holder.title
    if holder.kind is HolderKind.CRON:
        title = _PATH.sub(r"\1", _CD.sub("", title.removeprefix("cron job "), count=1))
    elif holder.kind is HolderKind.UNIT and (found := _UNIT.fullmatch(title)):
        title = found["description"] or found["unit"]
    elif holder.kind is HolderKind.TERMINAL:
        title = title.rpartition(": ")[2]
    if holder.program and holder.program.lower() not in title.lower():
        return ", ".join([holder.program, *parts, title])
    return ", ".join([*parts, title])


def _number(value: int) -> str:
    return str(value) if value else ""


def _whole(holder: Holder, counts: Mapping[str, Counter[Doing]]) -> list[Cell]:
    doing = counts.get(holder.name, Counter())
    return [
        str(len(holder.sessions)),
        holder.name,
        holder.kind.value,
        *(str(doing[state]) for state in (Doing.IDLE, Doing.ACTIVE, Doing.TRANSACTION, Doing.OTHER)),
        words.iso(holder.since),
        str(len(holder.processes)),
        str(holder.runs),
        holder.certainty.value,
        holder.title,
        holder.limit or "",
        holder.stop or "",
    ]


def _bar_scale(snapshot: Snapshot) -> int:
    """How many slots a full bar stands for; 0 when the seat map is drawn instead."""
    ceilings = snapshot.facts.ceilings
    if ceilings is None:
        return 0
    return ceilings.max_connections if ceilings.max_connections > MOST_SLOTS else 0


def _bar(screen: Screen, slots: int, full: int) -> str:
    """A bar of up to 20 columns; whoever holds a slot has at least an eighth of a sign, or one ASCII sign."""
    eighths = max(1, min(_BAR * 8, slots * _BAR * 8 // full))
    if not screen.unicode:
        return screen.sign("bar") * max(1, eighths // 8)
    return screen.sign("bar") * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
