"""Many days minute by minute, of those holders alone that rose or fell much: the others tell nothing of a clock.

Hours are unpacked only where something happened in them, so that two weeks of a hundred holders take no longer than a
look at the server.
"""

from __future__ import annotations

from pgusher.model.address import Micros
from pgusher.model.past import ALL, Series
from pgusher.record import hours, sweep
from pgusher.record.database import Database

_MOST = 50
"""Holders that are looked at, those that rose most."""


def days(
    database: Database, server: int, names: dict[int, str], since: Micros, until: Micros, rise: int
) -> tuple[Series, ...]:
    """All together first, then each holder whose slots differed by `rise` at least. By whole hours that are over.

    `names` are those of the server's holders by their number.
    """
    hour = hours.HOUR
    first, last = -(-(since // 1000) // hour) * hour, until // 1000 // hour * hour
    rows = database.rows(
        "select holder, at, least, most from hour where server = ? and at >= ? and at < ? and seen_ms > 0",
        (server, first, last),
    )
    each: dict[int, dict[int, tuple[int, int]]] = {}
    for holder, at, least, most in rows:
        each.setdefault(int(holder), {})[int(at)] = (least, most)
    looked = each.get(sweep.ALL)
    if not looked:
        return ()
    spread = {}
    for holder, figures in each.items():
        most = max(figure[1] for figure in figures.values())
        least = min(figure[0] for figure in figures.values()) if len(figures) == len(looked) else 0
        if holder != sweep.ALL and holder in names and most - least >= rise:
            spread[holder] = most - least
    chosen = [sweep.ALL, *sorted(spread, key=lambda holder: -spread[holder])[:_MOST]]
    unpacked = _unpacked(database, server, first, last, rise, frozenset(chosen))
    size = (last - first) // hours.MINUTE
    return tuple(
        _series(names.get(holder, ALL), first, size, looked, each[holder], unpacked.get(holder, {}))
        for holder in chosen
    )


def _unpacked(
    database: Database, server: int, first: int, last: int, rise: int, chosen: frozenset[int]
) -> dict[int, dict[int, list[int | None]]]:
    """By holder and hour the minutes of those hours in which it rose or fell."""
    found: dict[int, dict[int, list[int | None]]] = {}
    rows = database.rows(
        "select holder, at, minutes from hour where server = ? and at >= ? and at < ? and most - least >= ?",
        (server, first, last, rise),
    )
    for holder, at, raw in rows:
        if int(holder) in chosen:
            found.setdefault(int(holder), {})[int(at)] = hours.unpack_most(raw)
    return found


def _series(
    name: str,
    first: int,
    size: int,
    looked: dict[int, tuple[int, int]],
    figures: dict[int, tuple[int, int]],
    unpacked: dict[int, list[int | None]],
) -> Series:
    most: list[int | None] = [None] * size
    for at in looked:
        begin = (at - first) // hours.MINUTE
        if at in unpacked:  # without minutes, of an old hour: then it is not known when in it
            minutes = unpacked[at][:60]
            most[begin : begin + len(minutes)] = minutes
        else:
            most[begin : begin + 60] = [figures.get(at, (0, 0))[1]] * 60
    return Series(name, first * 1000, (), tuple(most), ())
