"""What was recorded of a server, for the rules that need a past."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pgusher.model.address import Micros
from pgusher.model.evidence import Gap
from pgusher.model.past import HOUR, MINUTE, Past
from pgusher.model.snapshot import Snapshot
from pgusher.record.place import default_path, exists, is_dsn

if TYPE_CHECKING:
    from pgusher.record.reading import Reader

_DAYS = 14
_FRESH = MINUTE
"""For so long what was read stays: a look each second reads a day of minutes once a minute."""
_RISE = 0.08
"""The share of max_connections by which a holder must have risen or fallen to be looked at over many days."""
_AWAY = 10 * MINUTE
_known: dict[tuple[str | None, str], tuple[Micros, Past | Gap | None]] = {}
"""By store and server what was read last, and when."""


def past_of(snapshot: Snapshot, place: str | None = None) -> Past | Gap | None:
    """The last day before the look, and two weeks of those who rose or fell; None where nothing was recorded.

    `place`: the recorder's store, a file or a connection string; None for the usual one.
    """
    if not (is_dsn(place) if place else False) and not exists(place):
        return None
    key, now = (place, snapshot.facts.server.label), snapshot.facts.taken_at
    known = _known.get(key)
    if known is None or not 0 <= now - known[0] < _FRESH:
        known = _known[key] = now, _read(snapshot, place)
    return known[1]


def _read(snapshot: Snapshot, place: str | None) -> Past | Gap | None:
    # Late, as all of it: where nothing is recorded nothing of it is loaded.
    from pgusher.record.database import StoreError
    from pgusher.record.reading import Reader
    from pgusher.record.store import open_store

    what = "the past of this server"
    try:
        reader = Reader(open_store(place))
    except StoreError as error:
        where = "the store" if place and is_dsn(place) else place or default_path()  # a connection string has passwords
        return Gap("history", what, str(error), f"read access to {where}")
    try:
        return _past(snapshot, reader)
    except StoreError as error:
        return Gap("history", what, str(error), "pgusher record")
    finally:
        reader.close()


def _past(snapshot: Snapshot, reader: Reader) -> Past | None:
    label, until = snapshot.facts.server.label, snapshot.facts.taken_at
    bounds = reader.bounds(label) if label in reader.servers() else None
    if bounds is None or bounds[1] < until - _AWAY:
        return None  # of a recorder that is away nothing follows for now
    since = until - 24 * HOUR
    ceilings = snapshot.facts.ceilings
    rise = max(5, round(_RISE * ceilings.max_connections)) if ceilings is not None else 5
    return Past(
        since,
        until,
        reader.series(label, since, until),
        time.localtime(until // 1_000_000).tm_gmtoff,
        reader.days(label, until - _DAYS * 24 * HOUR, until, rise),
    )
