"""The seat map: every slot as one sign, each holder by its letter, work in upper case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import groupby

from pgusher.model.server import Ceilings
from pgusher.model.session import Session
from pgusher.model.snapshot import Snapshot
from pgusher.surfaces.render.letters import FREE, OTHERS, OWN, UNKNOWN
from pgusher.surfaces.render.screen import Line, Screen, Span, flow
from pgusher.surfaces.render.tally import Doing, doing, holder_names

MOST_CELLS = 200
"""Over this many slots one cell stands for several."""
MOST_SLOTS = 1000
"""Over this many slots the table of holders has a bar each instead."""
_AISLE = 10
_ORDER = {Doing.TRANSACTION: 0, Doing.ACTIVE: 1, Doing.OTHER: 2, Doing.IDLE: 3}


def seat_map(screen: Screen, snapshot: Snapshot, letters: Mapping[str, str]) -> list[Line]:
    """The map and its key. Empty when there is no ceiling to draw, or more slots than a map can show."""
    ceilings = snapshot.facts.ceilings
    if ceilings is None or not 0 < ceilings.max_connections <= MOST_SLOTS:
        return []
    seats = _seats(snapshot, letters)
    ordinary = ceilings.ordinary
    seats += [FREE] * (ceilings.max_connections - len(seats))
    scale = -(-ceilings.max_connections // MOST_CELLS)
    grid = _scaled(seats[:ordinary], scale)
    apart = _scaled(seats[ordinary : ceilings.max_connections], scale)
    hues = hue_of(letters)
    number = len(str(ordinary))
    # Whole blocks of ten between aisles, as many as the width takes, at most fifty seats a row.
    blocks = max(1, min(5, ((screen.width or 80) - number - 4) // (_AISLE + 1)))
    rows = [grid[at : at + blocks * _AISLE] for at in range(0, len(grid), blocks * _AISLE)]
    lines: list[Line] = []
    for index, row in enumerate(rows):
        first = index * blocks * _AISLE * scale + 1
        line: list[Span] = [(f"  {first:>{number}}  ", "dim")]
        for at in range(0, len(row), _AISLE):
            line += [(" ", "")] if at else []
            line += _coloured(row[at : at + _AISLE], hues)
        lines.append(line)
    if apart:
        lines.append([(f"  {'':>{number}}  ", ""), *_coloured(apart, hues), (f"  {_kept_for(ceilings)}", "dim")])
    return [*lines, *_key(screen, seats, scale)]


def hue_of(letters: Mapping[str, str]) -> dict[str, str]:
    """The style of each holder's letter: by its place in the alphabet, so that it stays when others come and go."""
    return {letter: f"hue{ord(letter) - ord('a')}" for letter in letters.values() if letter.isalpha()}


def seated(snapshot: Snapshot) -> list[Session]:
    """The sessions as they sit: holder by holder, superusers last, since the last slots are kept for them."""
    names = holder_names(snapshot)
    rank = {holder.name: place for place, holder in enumerate(snapshot.holders)}

    def place(session: Session) -> tuple[bool, bool, int, int]:
        name = names.get(session.pid, "")
        return (session.own, session.superuser is True, rank.get(name, len(rank)), _ORDER[doing(session)])

    return sorted(snapshot.slot_sessions, key=place)


def _seats(snapshot: Snapshot, letters: Mapping[str, str]) -> list[str]:
    """One sign a taken slot."""
    names = holder_names(snapshot)
    seats = []
    for session in seated(snapshot):
        letter = OWN if session.own else letters.get(names.get(session.pid, ""), UNKNOWN)
        busy = doing(session) in {Doing.ACTIVE, Doing.TRANSACTION}
        seats.append(letter.upper() if busy else letter)
    return seats


def _scaled(seats: list[str], scale: int) -> list[str]:
    """One cell for `scale` seats: the sign that most of them have."""
    if scale == 1:
        return seats
    return [Counter(seats[at : at + scale]).most_common(1)[0][0] for at in range(0, len(seats), scale)]


def _coloured(row: list[str], hues: Mapping[str, str]) -> list[Span]:
    spans: list[Span] = []
    for sign, run in groupby(row):
        hue = hues.get(sign.lower())
        style = "dim" if sign == FREE else "bold" if hue is None else hue + ("+" if sign.isupper() else "")
        spans.append((sign * len(list(run)), style))
    return spans


def _kept_for(ceilings: Ceilings) -> str:
    if ceilings.reserved and ceilings.superuser_reserved:
        return f"{ceilings.reserved} reserved, {ceilings.superuser_reserved} kept for superusers"
    return "reserved" if ceilings.reserved else "kept for superusers"


def _key(screen: Screen, seats: list[str], scale: int) -> list[Line]:
    """What the signs mean: only those that are there."""
    present = set(seats)
    words = [f"one sign = {scale} slots"] if scale > 1 else []
    if any(sign.isalpha() for sign in seats):
        words.append("letter = holder")
    if any(sign.isupper() for sign in seats):
        words.append("CAPITAL = at work or in a transaction")
    signs = ((FREE, "free"), (OWN, "pgusher"), (UNKNOWN, "not known"), (OTHERS, "further holders"))
    words += [f"{sign} {meaning}" for sign, meaning in signs if sign in present]
    return flow(screen, words, indent="  ", between=", ")
