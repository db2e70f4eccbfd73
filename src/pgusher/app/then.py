"""A moment of the past as a snapshot: what the recorder kept of it, drawn as if it were now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pgusher.model.address import UNIX, UNKNOWN, ClientAddress, Micros, Transport
from pgusher.model.evidence import Certainty
from pgusher.model.facts import Facts
from pgusher.model.holder import Chain, ChainEnd, Holder, HolderKind, Link
from pgusher.model.past import Ceiling, Life, Span
from pgusher.model.past import Moment as Kept
from pgusher.model.server import Ceilings, Rung, View
from pgusher.model.session import Session
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import dataclass, replace

if TYPE_CHECKING:
    from pgusher.record.reading import Reader

_ENDS = {
    HolderKind.REMOTE: ChainEnd.REMOTE,
    HolderKind.GONE: ChainEnd.GONE,
    HolderKind.HIDDEN: ChainEnd.HIDDEN,
    HolderKind.UNKNOWN: ChainEnd.UNKNOWN,
    HolderKind.OWN: ChainEnd.OWN,
}


@dataclass(frozen=True, slots=True)
class Then:
    """What is known of one moment."""

    at: Micros
    snapshot: Snapshot | None = None
    """None: nobody looked then, or nothing is kept of it."""
    nothing: str = ""
    """Why there is none."""


def then(reader: Reader, label: str, at: Micros, like: Snapshot, direction: int = 0) -> Then:
    """The moment of a server. Raises StoreError.

    `like` is the server as it is now. With a `direction`, -1 or 1, a time in which nobody looked is passed over.
    """
    if label not in reader.servers():
        return Then(at, nothing="nothing is kept of this server")
    found = reader.moment(label, at)
    if found.seen is None and direction:
        span = found.before if direction < 0 else found.after
        if span is not None:
            at = span.until - 1000 if direction < 0 else span.since
            found = reader.moment(label, at)
    if found.seen is None:
        return Then(at, nothing=_nothing(found))
    return Then(at, _snapshot(reader, label, found, found.seen, like))


def _nothing(found: Kept) -> str:
    if found.before is None:
        return "nothing is kept of that time"
    return "nobody looked then"


def _snapshot(reader: Reader, label: str, found: Kept, span: Span, like: Snapshot) -> Snapshot:
    known = reader.holders(label)
    links: dict[int, tuple[Link, ...]] = {}
    chains: list[Chain] = []
    pids: dict[str, list[Life]] = {}
    for life in found.lives:
        if life.chain not in links:
            links[life.chain] = reader.chain(life.chain)
        kind = _kind(known, life.holder)
        end = _ENDS.get(kind, ChainEnd.HOLDER)
        chains.append(Chain(life.pid, life.backend_start, end, life.holder, links[life.chain]))
        pids.setdefault(life.holder, []).append(life)
    holders = []
    for name, lives in pids.items():
        processes = dict.fromkeys(life.process for life in lives if life.process is not None)
        starts = [life.backend_start if life.backend_start is not None else life.since for life in lives]
        holders.append(
            Holder(
                name,
                _kind(known, name),
                known[name][1] if name in known else name,
                tuple(life.pid for life in lives),
                tuple(processes),
                program=known[name][2] if name in known else None,
                since=min(starts),
                certainty=Certainty.weakest(*(link.certainty for life in lives for link in links[life.chain])),
            )
        )
    holders.sort(key=lambda one: (-len(one.sessions), one.name))
    server = like.facts.server
    if server.started is not None and server.started > found.at:  # it was started again since
        server = replace(server, started=None)
    facts = Facts(
        taken_at=found.at,
        host=like.facts.host,
        server=server,
        view=View(_rung(span.rung)),
        ceilings=_ceilings(found.ceiling),
        sessions=tuple(_session(life, _kind(known, life.holder) is HolderKind.OWN) for life in found.lives),
    )
    return Snapshot(facts, tuple(chains), tuple(holders))


def _ceilings(kept: Ceiling | None) -> Ceilings | None:
    if kept is None:
        return None
    return Ceilings(
        kept.max_connections, kept.superuser_reserved, kept.reserved, certainty=kept.certainty, source="the store"
    )


def _session(life: Life, own: bool) -> Session:
    client = UNKNOWN
    if life.client == str(UNIX):
        client = UNIX
    elif life.client:
        client = ClientAddress(Transport.TCP, life.client, life.port or 0)
    return Session(
        life.pid,
        life.backend_start,
        user=life.user,
        database=life.database,
        application_name=life.application_name,
        client=client,
        state=None if life.state == "hidden" else life.state,
        state_change=life.state_since,
        own=own,
    )


def _kind(known: dict[str, tuple[str, str, str | None]], name: str) -> HolderKind:
    try:
        return HolderKind(known[name][0])
    except (KeyError, ValueError):
        return HolderKind.UNKNOWN


def _rung(kept: str) -> Rung:
    try:
        return Rung(kept)
    except ValueError:  # of another version
        return Rung.NONE
