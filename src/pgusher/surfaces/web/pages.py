"""What the smaller pages show, as plain values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pgusher.app.forecast import minutes
from pgusher.app.forecast import to_full as by_record
from pgusher.app.live import Moment, Sum
from pgusher.model.address import Micros
from pgusher.model.past import HOUR, MINUTE
from pgusher.model.past import Past as Recorded
from pgusher.model.snapshot import Snapshot
from pgusher.surfaces.render import words
from pgusher.surfaces.render.tally import tally
from pgusher.surfaces.web import view
from pgusher.surfaces.web.area import Area, Point, area

_POINTS = 240
"""Steps of a picture."""
_RATE_OVER = 120 * 1_000_000
"""The time over which a rate is taken, and how much of it there must be."""
_FILLING = 3
"""Slots by which a server must have grown in that time to be called filling."""
_FAR = 7 * 86400


def servers(moment: Moment, here: str) -> list[dict[str, Any]]:
    """The servers that can be chosen."""
    found = []
    for snapshot in moment.look.snapshots if moment.look is not None else ():
        sums, key = tally(snapshot), view.key_of(snapshot)
        # Both sides of one kind: with the sessions of superusers it may be "40 of 37".
        counts = str(sums.ordinary) if sums.ordinary is not None else str(sums.taken)
        told = {"label": snapshot.facts.server.label, "counts": counts, "tone": view.tone(sums.status)}
        found.append({**told, "url": view.url("/", key), "here": key == here})
    return found


def recent(
    past: Sequence[Sum],
    letters: Mapping[str, str],
    server: str,
    full_in: tuple[float, str] | None,
    recorded: Recorded | None = None,
) -> Area | None:
    """The picture of the last hour: what is kept in memory, and before that what was recorded."""
    points = [Point(one.at, dict(one.holders)) for one in thinned(past)]
    if past and recorded is not None:
        before = minutes(recorded, past[-1].at - HOUR, past[0].at)
        while before and before[0][1] is None:  # a hole before the beginning is none
            before = before[1:]
        points = [*(Point(at, held) for at, held in before), *points]
    ceiling = past[-1].ordinary if past else None

    def link(at: Micros) -> str:
        return view.url("/history", server, at=words.iso(at)[:19] + "Z")

    return area(points, letters, ceiling, link, title="The last hour", full_in=full_in)


def thinned(past: Sequence[Sum]) -> list[Sum]:
    """So many as a picture has steps, of each step the fullest."""
    if len(past) <= _POINTS:
        return list(past)
    step = -(-len(past) // _POINTS)
    return [
        max(past[at : at + step], key=lambda one: sum(count for _, count in one.holders))
        for at in range(0, len(past), step)
    ]


def to_full(past: Sequence[Sum]) -> tuple[float, str] | None:
    """Seconds until the server is full at the rate of the last two minutes, and that in words; None: not filling.

    A straight line through all points (least squares): one session that comes and goes moves it little.
    """
    if not past or (ceiling := past[-1].ordinary) is None:
        return None
    last = past[-1].at
    window = [one for one in past if last - one.at <= _RATE_OVER]
    if len(window) < 10 or last - window[0].at < _RATE_OVER // 4:
        return None
    xs = [(one.at - last) / 1e6 for one in window]
    ys = [float(sum(count for _, count in one.holders)) for one in window]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - mean_x) ** 2 for x in xs)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread if spread else 0.0
    grown = slope * (xs[-1] - xs[0])
    left = ceiling - ys[-1]
    if grown < _FILLING or slope <= 0 or left < 0:
        return None
    seconds = left / slope
    if seconds > _FAR:
        return None
    return seconds, f"full in {words.age(0, int(seconds * 1e6)) or '0 s'} at the present rate"


def forecast(past: Sequence[Sum], snapshot: Snapshot, recorded: Recorded | None) -> tuple[float, str] | None:
    """When the server would be full, and that in words: by the newest looks, or by what was recorded; the sooner."""
    found = [one] if (one := to_full(past)) is not None else []
    slow = by_record(recorded, snapshot) if recorded is not None else None
    if slow is not None and slow[0] <= _FAR:
        seconds, over = slow
        left, span = words.age(0, int(seconds * 1e6)) or "0 s", words.age(0, over * MINUTE)
        found.append((seconds, f"full in {left} at the rate of the last {span}, by what was recorded"))
    return min(found, default=None)


def runs(entries: Iterable[Any]) -> list[dict[str, str]]:
    """The runs of a job, the newest first."""
    found = []
    for one in entries:
        took = words.age(0, one.duration) if one.duration is not None else ""
        code = "" if one.exit is None else str(one.exit)
        found.append({"started": words.iso(one.started)[:19] + "Z", "ending": one.ending, "exit": code, "took": took})
    return found


def history(data: Any, letters: Mapping[str, str], server: str, ceiling: int | None) -> dict[str, Any]:
    """The page of a moment of the past. `ceiling`: the ordinary slots of now, where those of then are not kept."""
    span = data.span_text
    ceiling = data.ordinary if data.ordinary is not None else ceiling

    def link(at: Micros) -> str:
        return view.url("/history", server, at=words.iso(at)[:19] + "Z", span=span)

    picture = area(
        [Point(at, held) for at, held in data.points], letters, ceiling, link, title="What was held", here=data.at
    )
    rows = [
        {
            "name": one.name,
            "slots": one.slots,
            "idle": one.idle,
            "active": one.active,
            "transaction": one.transaction,
            "url": view.url("/holder", server, name=one.name),
        }
        for one in data.held or ()
    ]
    return {
        "at": words.iso(data.at)[:19] + "Z" if data.at is not None else "",
        "asked": data.asked,
        "span": span,
        "server": server,
        "wrong": data.wrong,
        "area": picture,
        "rows": rows,
        "states": any(row["idle"] is not None for row in rows),  # a screen that does not record keeps numbers alone
        "total": sum(row["slots"] for row in rows),
        "ceiling": ceiling,
        "nothing": data.nothing,
    }


def history_json(data: Any) -> dict[str, Any]:
    """The same as data."""
    held = [
        {
            "holder": one.name,
            "slots": one.slots,
            "idle": one.idle,
            "active": one.active,
            "in_transaction": one.transaction,
        }
        for one in data.held or ()
    ]
    points = [{"at": words.iso(at), "holders": None if held is None else dict(held)} for at, held in data.points]
    return {
        "schema": 1,
        "kind": "moment",
        "at": words.iso(data.at) or None,
        "seen": data.held is not None,
        "holders": held,
        "points": points,
    }


def plan_words(plan: Mapping[str, Any]) -> str:
    """What a plan comes to."""
    taken = f" of {plan['taken']} taken" if plan["taken"] is not None else ""
    if not plan["steps"]:
        return "Nothing was found that could be ended without harm."
    return (
        f"{words.count(len(plan['steps']), 'step')}, {plan['back']}{taken} slots would come back. Nothing was done: "
        f"a plan may be applied until {str(plan['expires_at'])[11:19]}Z, and what has changed by then is refused."
    )


def outcome_text(done: Mapping[str, Any]) -> str:
    """What was done, and what was seen after, a line each."""
    lines = [f"{one['step']}: {one['outcome']}: {one['text']}" for one in done["outcomes"]]
    verdict = done["verdict"]
    return "\n".join([*lines, "", verdict["text"], *verdict["detail"], verdict["proof"] or "", verdict["hint"] or ""])


_MARKS = re.compile(r"(`+)(.+?)\1|\*\*(.+?)\*\*|\[([^\]]+)\]\([^)\s]+\)")


def blocks(text: str) -> list[tuple[str, str]]:
    """A page of Markdown as (kind, text): "h1", "h2", "pre", "li", "p"; the pages of the rules have no more."""
    found: list[tuple[str, str]] = []
    lines: list[str] = []
    kind = "p"

    def close() -> None:
        if lines:
            said = "\n".join(lines) if kind == "pre" else " ".join(line.strip() for line in lines)
            plain = _MARKS.sub(lambda m: m.group(2) or m.group(3) or m.group(4), said)
            found.append((kind, said if kind == "pre" else plain))
            lines.clear()

    for line in text.split("\n"):
        if line.startswith("```"):
            close()
            kind = "p" if kind == "pre" else "pre"
        elif kind == "pre":
            lines.append(line)
        elif line.startswith("#"):
            close()
            kind = "h1" if line.startswith("# ") else "h2"
            lines.append(line.lstrip("#"))
            close()
            kind = "p"
        elif re.match(r" *(?:[-*]|\d+\.) ", line):
            close()
            kind = "li"
            lines.append(line)
        elif not line.strip():
            close()
            kind = "p"
        else:
            lines.append(line)
    close()
    return found
