"""The pages of `pgusher history`: a moment, and what each holder had over a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pgusher.model.address import Micros
from pgusher.model.evidence import Certainty
from pgusher.model.holder import Link
from pgusher.model.past import ALL, Ceiling, Life, Moment, Peak, Refused
from pgusher.model.values import dataclass
from pgusher.surfaces.render import words
from pgusher.surfaces.render.asjson import SCHEMA
from pgusher.surfaces.render.screen import BLANK, Line, Screen
from pgusher.surfaces.render.table import Cell, Column, table
from pgusher.surfaces.render.tally import NEAR

Shown = Callable[[Micros], str]
"""A moment for people, in their time zone."""
Chains = Mapping[int, Sequence[Link]]


@dataclass(frozen=True, slots=True)
class Over:
    """A time that is asked for, and what the store has of it."""

    server: str
    since: Micros
    until: Micros
    peaks: tuple[Peak, ...]
    spans: tuple[tuple[Micros, Micros], ...]
    """In which somebody looked."""
    refusals: tuple[Refused, ...]
    ceiling: Ceiling | None
    opened: int | None
    """Sessions that the server opened at least."""
    holder: str | None
    lives: tuple[Life, ...]
    """Those of the holder."""
    chain: tuple[Link, ...]

    @property
    def gaps(self) -> tuple[tuple[Micros, Micros], ...]:
        """The times in which nobody looked, longer than two minutes, or all."""
        edges = [self.since, *(at for span in self.spans for at in span), self.until]
        pairs = zip(edges[::2], edges[1::2], strict=True)
        return tuple((first, last) for first, last in pairs if last - first > 120_000_000)


def moment_page(
    screen: Screen, moment: Moment, lives: Sequence[Life], chains: Chains, when: Shown, holder: str | None
) -> list[Line]:
    """Who held what."""
    at = words.iso if screen.pipe else when
    lines: list[Line] = []
    if not screen.pipe:
        lines += [[(_headline(moment, at(moment.at)), "bold")]]
        if moment.seen is not None:
            lines += [[(f"seen from: {moment.seen.rung}", "dim")]]
            lines += [
                [(f"{kind} {limit.name}: {limit.used} of {limit.limit} (CONNECTION LIMIT)", "warn")]
                for kind, limit in moment.limits
                if limit.used >= NEAR * limit.limit
            ]
        else:
            lines += [[(text, "warn")] for text in _unseen(moment, at)]
    by_holder: dict[str, list[Life]] = {}
    for life in lives:
        by_holder.setdefault(life.holder, []).append(life)
    rows: list[list[Cell]] = []
    for name, held in sorted(by_holder.items(), key=lambda item: (-len(item[1]), item[0])):
        oldest = min(life.backend_start or life.since for life in held)
        states = Counter(life.state or "unknown" for life in held)
        doing = ", ".join(f"{number} {state}" for state, number in states.most_common())
        chain = chains.get(held[0].chain, ())
        sure = Certainty.weakest(*(link.certainty for link in chain)).value if chain else ""
        rows.append([(name, "name"), str(len(held)), at(oldest) if screen.pipe else words.age(oldest, moment.at), doing,
                     sure])  # fmt: skip
    if rows or screen.pipe:
        columns = [Column("holder", least=12), Column("slots", right=True), Column("oldest", right=not screen.pipe),
                   Column("states", least=10, drop=1), Column("known", drop=2)]  # fmt: skip
        lines += [*([] if screen.pipe else [BLANK]), *table(screen, columns, rows)]
    if holder is not None and not screen.pipe:
        lines += _evidence(lives, chains.get(lives[0].chain, ()) if lives else ())
    return lines


def _headline(moment: Moment, at: str) -> str:
    if moment.seen is None:
        return f"{at}: nobody looked at {moment.server} then"
    ceiling = moment.ceiling
    if ceiling is None:
        return f"{at}: {words.count(moment.taken, 'slot')} of {moment.server} taken"
    return (
        f"{at}: {moment.taken} of {ceiling.max_connections} slots of {moment.server} taken, {ceiling.ordinary} ordinary"
    )


def _unseen(moment: Moment, at: Shown) -> list[str]:
    found = []
    if moment.before is not None:
        found.append(f"looked at until {at(moment.before.until)}")
    if moment.after is not None:
        found.append(f"and again from {at(moment.after.since)}")
    if moment.lives:
        found.append(f"{words.count(len(moment.lives), 'session')} lived through it; who else was there is not known")
    return found


def _evidence(lives: Sequence[Life], chain: Sequence[Link]) -> list[Line]:
    lines: list[Line] = [BLANK] if chain else []
    for link in chain:
        text = f"{link.subject}: {link.evidence}"
        lines.append([(f"  {link.certainty.value:<8}", link.certainty.value), (text, "")])
    if chain and len(lives) > 1:
        lines.append([(f"  of one of {words.count(len(lives), 'session')}", "dim")])
    return lines


def over_page(screen: Screen, over: Over, when: Shown, most: int | None) -> list[Line]:
    """The most that each holder had; or one holder with its sessions, at most so many."""
    at = words.iso if screen.pipe else when
    lines: list[Line] = []
    if not screen.pipe:
        lines.append([(_summary(over, at), "bold")])
        for first, last in over.gaps[:5]:
            lines.append([(f"nobody looked from {at(first)} to {at(last)}", "warn")])
        if len(over.gaps) > 5:
            lines.append([(f"nor at {len(over.gaps) - 5} other times", "warn")])
    if over.holder is None or not screen.pipe:
        shown = [peak for peak in over.peaks if peak.holder != ALL and over.holder in (None, peak.holder)]
        if shown or screen.pipe:
            lines += [*([] if screen.pipe else [BLANK]), *table(screen, _PEAK, [_peak(peak, at) for peak in shown])]
    if over.holder is not None:
        lines += _sessions(screen, over, at, most)
    elif over.refusals and not screen.pipe:
        lines += [BLANK, *table(screen, _REFUSED, [_refused(one, at) for one in over.refusals[-20:]])]
    return lines


def _summary(over: Over, at: Shown) -> str:
    total = next((peak for peak in over.peaks if peak.holder == ALL), None)
    if total is None:
        return f"nobody looked at {over.server} from {at(over.since)} to {at(over.until)}"
    limit = f" of {over.ceiling.max_connections}" if over.ceiling is not None else ""
    refused = sum(one.count for one in over.refusals)
    more = f", {words.count(refused, 'refusal')}" if refused else ""
    opened = f", at least {words.count(over.opened, 'session')} opened" if over.opened else ""
    return f"{over.server}: at most {total.most}{limit} slots taken, at {at(total.at)}{opened}{more}"


_PEAK = (
    Column("holder", least=12), Column("most", right=True), Column("at", least=8), Column("least", right=True, drop=2),
    Column("mean", right=True, drop=1), Column("now", right=True), Column("came", right=True, drop=3),
    Column("went", right=True, drop=3),
)  # fmt: skip
_REFUSED = (
    Column("refused", right=True), Column("from", least=8), Column("until", least=8, drop=1),
    Column("sqlstate", drop=2), Column("known by", drop=3, least=8), Column("words", least=10),
)  # fmt: skip


def _peak(peak: Peak, at: Shown) -> list[Cell]:
    return [(peak.holder, "name"), str(peak.most), at(peak.at), str(peak.least), f"{peak.mean:.1f}", str(peak.now),
            str(peak.opened), str(peak.ended)]  # fmt: skip


def _refused(one: Refused, at: Shown) -> list[Cell]:
    return [str(one.count), at(one.since), at(one.until), one.sqlstate or "", one.source, one.words]


def _sessions(screen: Screen, over: Over, at: Shown, most: int | None) -> list[Line]:
    lives = over.lives if most is None else over.lives[-most:]
    columns = [Column("pid", right=True), Column("first seen", least=8), Column("gone", least=5),
               Column("role", drop=1), Column("database", drop=2), Column("client", drop=3),
               Column("process", right=True, drop=4)]  # fmt: skip
    rows: list[list[Cell]] = [
        [str(life.pid), at(life.since), at(life.until) if life.until is not None else "", life.user or "",
         life.database or "", f"{life.client or ''}:{life.port}" if life.port else life.client or "",
         str(life.process or "")]
        for life in lives
    ]  # fmt: skip
    lines = [*([] if screen.pipe else [BLANK]), *table(screen, columns, rows)]
    if len(lives) < len(over.lives):
        lines.append([(f"and {len(over.lives) - len(lives)} before: --json, or export", "dim")])
    return lines if screen.pipe else [*lines, *_evidence(lives, over.chain)]


# -- JSON


def moment_json(moment: Moment, lives: Sequence[Life], chains: Chains) -> dict[str, Any]:
    """What `pgusher history --at TIME --json` prints."""
    seen = moment.seen
    return {
        "schema": SCHEMA,
        "kind": "history_moment",
        "server": moment.server,
        "at": words.iso(moment.at),
        "seen": seen is not None,
        "rung": seen.rung if seen is not None else None,
        "looked_until": words.iso(moment.before.until) if moment.before is not None else None,
        "looked_from": words.iso(moment.after.since) if moment.after is not None else None,
        "taken": moment.taken if seen is not None else None,
        "max_connections": moment.ceiling.max_connections if moment.ceiling is not None else None,
        "ordinary": moment.ceiling.ordinary if moment.ceiling is not None else None,
        "limits": [
            {"kind": kind, "name": limit.name, "used": limit.used, "limit": limit.limit}
            for kind, limit in moment.limits
        ],
        "sessions": [_life_json(life, chains.get(life.chain, ())) for life in lives],
    }


def over_json(over: Over) -> dict[str, Any]:
    """What `pgusher history --json` prints."""
    return {
        "schema": SCHEMA,
        "kind": "history",
        "server": over.server,
        "since": words.iso(over.since),
        "until": words.iso(over.until),
        "max_connections": over.ceiling.max_connections if over.ceiling is not None else None,
        "opened": over.opened,
        "holders": [
            {
                "name": peak.holder or None,
                "title": peak.title,
                "most": peak.most,
                "at": words.iso(peak.at),
                "least": peak.least,
                "mean": round(peak.mean, 3),
                "now": peak.now,
                "came": peak.opened,
                "went": peak.ended,
            }
            for peak in over.peaks
        ],
        "not_seen": [{"since": words.iso(first), "until": words.iso(last)} for first, last in over.gaps],
        "refusals": [
            {
                "since": words.iso(one.since),
                "until": words.iso(one.until),
                "count": one.count,
                "source": one.source,
                "sqlstate": one.sqlstate,
                "by": one.by,
                "ceiling": one.ceiling,
                "words": one.words,
            }
            for one in over.refusals
        ],
        "holder": over.holder,
        "sessions": [_life_json(life, over.chain) for life in over.lives],
    }


def _life_json(life: Life, chain: Sequence[Link]) -> dict[str, Any]:
    return {
        "pid": life.pid,
        "backend_start": words.iso(life.backend_start) or None,
        "holder": life.holder,
        "first_seen": words.iso(life.since),
        "gone": words.iso(life.until) or None,
        "user": life.user,
        "database": life.database,
        "application_name": life.application_name,
        "client": life.client,
        "port": life.port,
        "process": life.process,
        "state": life.state,
        "state_since": words.iso(life.state_since) or None,
        "chain": [
            {
                "kind": link.kind.value,
                "subject": link.subject,
                "certainty": link.certainty.value,
                "evidence": link.evidence,
            }
            for link in chain
        ],
    }
