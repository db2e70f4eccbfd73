"""What the page of one server shows, as plain values: a template only writes them down.

Everything here is pure. Texts are as they were read: the templates escape them, and write control characters visibly.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from pgusher.app.live import Moment, Sum
from pgusher.model.evidence import Gap
from pgusher.model.findings import Diagnosis, Finding
from pgusher.model.holder import Holder
from pgusher.model.session import Session
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import dataclass
from pgusher.surfaces.render import words
from pgusher.surfaces.render.advice import Command, next_commands
from pgusher.surfaces.render.headline import refusal, seen_from, server_words, unasked, verdict_text
from pgusher.surfaces.render.holders import what
from pgusher.surfaces.render.letters import FREE, OWN, UNKNOWN
from pgusher.surfaces.render.seats import seated
from pgusher.surfaces.render.tally import Doing, Status, doing, holder_names, states, tally

MOST_SEATS = 1200
"""With more slots the map would be a wall: bars say it then."""
MOST_NAME = 300
"""Characters of a word in a URL."""
HUES = 8
"""Colours of the palette (Okabe and Ito's); the letter tells those apart that share one."""
SORTS = ("slots", "name", "oldest", "idle", "active", "transaction")

_CLASS = {Doing.TRANSACTION: "tx", Doing.ACTIVE: "active", Doing.IDLE: "idle", Doing.OTHER: "other"}
_BAD = {Status.FULL, Status.LIMIT, Status.REFUSES}


@dataclass(frozen=True, slots=True)
class Seat:
    """One slot of the map."""

    sign: str
    hue: str
    """The class of its colour: "h0" to "h7"; "own", "unknown", "free", "kept"."""
    state: str
    text: str
    """What it is in words: "backend 4711 of cron/report, idle for 3 h"."""
    url: str = ""
    holder: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One holder of the table."""

    name: str
    letter: str
    hue: str
    what: str
    slots: int
    idle: int
    active: int
    transaction: int
    other: int
    oldest: str
    certainty: str
    url: str
    share: float
    """Of all slots, in per cent."""
    spark: str = ""
    """The points of its line in a picture of 100 x 20; "" when there is no past."""
    peak: int = 0
    """The most slots that it held in that time."""


@dataclass(frozen=True, slots=True)
class Page:
    """The page of one server."""

    title: str
    server: str
    """Its key in a URL: "5432", or "db.example:5432"."""
    status: str
    tone: str
    """ "bad", "warn", "good" or "unknown"."""
    verdict: str
    facts: tuple[str, ...]
    taken: int
    ceiling: int | None
    seats: tuple[tuple[Seat, ...], ...]
    """In rows of ten times ten."""
    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]
    gaps: tuple[Gap, ...]
    commands: tuple[Command, ...]
    taken_at: str
    sort: str
    only: str
    hidden: int
    """Holders that `only` leaves out."""
    sorts: tuple[tuple[str, str], ...] = ()
    """(name, URL) of the ways to sort."""


def plain(text: str) -> str:
    """A name as a URL can carry it: one that no encoding knows (a lone surrogate) is written as an escape, and cut."""
    return text.encode("utf-8", "backslashreplace").decode()[:MOST_NAME]


def key_of(snapshot: Snapshot) -> str:
    """What names a server in a URL."""
    return plain(snapshot.facts.server.label.removeprefix("port "))


def holder_called(snapshot: Snapshot, name: str) -> Holder | None:
    """The holder that a URL names."""
    return next((holder for holder in snapshot.holders if plain(holder.name) == name), None)


def url(page: str, server: str, **more: str) -> str:
    """The address of one of our pages, with what it shows."""
    pairs = [("server", server), *((name, plain(value)) for name, value in more.items() if value)]
    return f"{page}?{urlencode(pairs)}"


def session_url(server: str, session: Session, old: str = "") -> str:
    """The page of one session: a pid alone would be another one's tomorrow."""
    return url("/session", server, pid=str(session.pid), start=str(session.backend_start or ""), at=old)


def tone(status: Status) -> str:
    """How a status is coloured."""
    return "bad" if status in _BAD else "good" if status is Status.OK else "warn"


def chosen(moment: Moment, key: str | None) -> tuple[Snapshot, Diagnosis] | None:
    """The server that a URL names, else the fullest; None when none was seen, or none is called that."""
    if moment.look is None:
        return None
    pairs = list(zip(moment.look.snapshots, moment.diagnoses, strict=True))
    if key:
        return next((pair for pair in pairs if key_of(pair[0]) == key), None)
    return next(iter(pairs), None)


def state_page(
    snapshot: Snapshot,
    diagnosis: Diagnosis,
    letters: Mapping[str, str],
    past: Sequence[Sum] = (),
    *,
    sort: str = "slots",
    only: str = "",
    gaps: tuple[Gap, ...] = (),
    repeat: str = "pgusher",
) -> Page:
    """The page of a server. `only`: holders whose name has this in it; `past` is of this server."""
    sums = tally(snapshot)
    key = key_of(snapshot)
    rows = _rows(snapshot, letters, past)
    kept = [row for row in rows if only.casefold() in row.name.casefold()] if only else rows
    ceilings = snapshot.facts.ceilings
    facts = [*server_words(snapshot), seen_from(snapshot), refusal(snapshot), unasked(snapshot)]
    all_gaps = (*snapshot.facts.gaps, *gaps)
    return Page(
        title=server_words(snapshot)[0],
        server=key,
        status=sums.status.value,
        tone=tone(sums.status),
        verdict=verdict_text(sums),
        facts=tuple(fact for fact in facts if fact),
        taken=sums.taken,
        ceiling=ceilings.max_connections if ceilings else None,
        seats=_seats(snapshot, letters),
        rows=tuple(_sorted(kept, sort)),
        findings=diagnosis.findings,
        gaps=all_gaps,
        commands=tuple(next_commands(snapshot, sums, repeat, bool(gaps), "pgusher", diagnosis.findings)),
        taken_at=words.iso(snapshot.facts.taken_at)[:19] + "Z",
        sort=sort,
        only=only,
        hidden=len(rows) - len(kept),
        sorts=tuple((name, url("/", key, sort=name, only=only)) for name in SORTS),
    )


def hue(letter: str) -> str:
    """The class of a holder's colour: by its letter, so that it stays when others come and go."""
    if letter == OWN:
        return "own"
    if letter == UNKNOWN or not letter.isalpha():
        return "unknown"
    return f"h{(ord(letter.lower()) - ord('a')) % HUES}"


def _rows(snapshot: Snapshot, letters: Mapping[str, str], past: Sequence[Sum]) -> list[Row]:
    counts = states(snapshot)
    ceilings = snapshot.facts.ceilings
    whole = ceilings.max_connections if ceilings and ceilings.max_connections else max(1, snapshot.taken)
    lines = sparks(past, [holder.name for holder in snapshot.holders])
    rows = []
    for holder in snapshot.holders:
        does = counts.get(holder.name, Counter())
        if not does:
            continue
        points, peak = lines.get(holder.name, ("", 0))
        rows.append(_row(snapshot, holder, does, letters.get(holder.name, UNKNOWN), whole, points, peak))
    return rows


def _row(
    snapshot: Snapshot, holder: Holder, does: Counter[Doing], letter: str, whole: int, points: str, peak: int
) -> Row:
    return Row(
        name=holder.name,
        letter=letter,
        hue=hue(letter),
        what=what(holder),
        slots=len(holder.sessions),
        idle=does[Doing.IDLE],
        active=does[Doing.ACTIVE],
        transaction=does[Doing.TRANSACTION],
        other=does[Doing.OTHER],
        oldest=words.age(holder.since, snapshot.facts.taken_at),
        certainty=holder.certainty.value,
        url=url("/holder", key_of(snapshot), name=holder.name),
        share=round(100 * len(holder.sessions) / whole, 2),
        spark=points,
        peak=max(peak, len(holder.sessions)),
    )


def _sorted(rows: list[Row], sort: str) -> list[Row]:
    if sort == "name":
        return sorted(rows, key=lambda row: row.name)
    if sort in {"idle", "active", "transaction"}:
        return sorted(rows, key=lambda row: -getattr(row, sort))
    if sort == "oldest":
        return sorted(rows, key=lambda row: -_seconds(row.oldest))
    return rows


_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "y": 365 * 86400}


def _seconds(age: str) -> int:
    number, _, unit = age.partition(" ")
    return int(number) * _UNITS[unit] if unit else -1


def _seats(snapshot: Snapshot, letters: Mapping[str, str]) -> tuple[tuple[Seat, ...], ...]:
    ceilings = snapshot.facts.ceilings
    if ceilings is None or not 0 < ceilings.max_connections <= MOST_SEATS:
        return ()
    names, key, now = holder_names(snapshot), key_of(snapshot), snapshot.facts.taken_at
    seats = []
    for session in seated(snapshot):
        name = names.get(session.pid, "")
        letter = OWN if session.own else letters.get(name, UNKNOWN)
        does = doing(session)
        since = words.age(session.state_change or session.backend_start, now)
        text = f"backend {session.pid} of {name or 'a holder that is not known'}, {session.state or 'state hidden'}"
        seats.append(
            Seat(
                letter.upper() if does in {Doing.ACTIVE, Doing.TRANSACTION} else letter,
                hue(letter),
                _CLASS[does],
                f"{text} for {since}" if since else text,
                session_url(key, session),
                name,
            )
        )
    most, ordinary = ceilings.max_connections, ceilings.ordinary
    for place in range(len(seats), most):
        kept = "" if place < ordinary else "reserved" if place < ordinary + ceilings.reserved else "superusers"
        seats.append(Seat(FREE, "kept" if kept else "free", "free", f"free, kept for {kept}" if kept else "free"))
    return tuple(tuple(seats[at : at + 10]) for at in range(0, len(seats), 10))


def sparks(past: Sequence[Sum], names: Sequence[str], points: int = 50) -> dict[str, tuple[str, int]]:
    """For each holder its line through the past, in a picture of 100 x 20, and its peak; {} without a past."""
    if len(past) < 2:
        return {}
    first, last = past[0].at, past[-1].at
    span = max(1, last - first)
    series: dict[str, list[int]] = {name: [] for name in names}
    rest = deque(past)
    held: dict[str, int] = {}
    for place in range(points):
        # Of a step the most that was held in it; a step with no look in it is as the one before.
        most: dict[str, int] | None = None
        while rest and ((rest[0].at - first) * points // span <= place or place == points - 1):
            held = dict(rest.popleft().holders)
            most = held if most is None else {name: max(held.get(name, 0), most.get(name, 0)) for name in names}
        shown = held if most is None else most
        for name in names:
            series[name].append(shown.get(name, 0))
    top = max((max(line) for line in series.values()), default=0) or 1
    width = 100 / (points - 1)
    return {
        name: (" ".join(f"{i * width:.1f},{19 - 18 * v / top:.1f}" for i, v in enumerate(line)), max(line))
        for name, line in series.items()
    }
