"""Grafana's data source has its default limit, or none, and takes a good part of the slots."""

from __future__ import annotations

from collections.abc import Iterator

from pgusher.diagnose.case import Held
from pgusher.diagnose.grafana import holder_of, limit_remedies
from pgusher.diagnose.remedies import alter_role
from pgusher.diagnose.room import Room
from pgusher.diagnose.text import count
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Evidence, Finding, Remedy, Safety, Severity
from pgusher.model.grafana import Grafana
from pgusher.model.pools import PoolLimit

WORST = Severity.CRITICAL
RATIO = 0.25
"""The share of the ordinary slots that Grafana may take while there is room."""
_SCARCE = 0.1
"""The same while the slots run out."""
_GRAFANA = "Grafana"
YIELDS_TO = ("dead-thread-holds-slots",)


def check(
    holders: tuple[Held, ...],
    room: Room,
    pools: tuple[PoolLimit, ...],
    ratio: float,
    grafana: tuple[Grafana, ...] = (),
) -> Iterator[Finding]:
    """A dashboard asks with all its panels at once; what it opened stays open. Half of it must be idle now."""
    found = [held for held in holders if held.holder.program == _GRAFANA]
    for held in found:
        number = len(held.sessions)
        idle = sum(s.state == "idle" for s in held.sessions)
        if room.share(number) < (min(ratio, _SCARCE) if room.near else ratio) or 2 * idle < number:
            continue
        mine = [p for p in pools if p.program == _GRAFANA and (len(found) == 1 or p.pid in held.holder.processes)]
        told = [one for one in grafana if holder_of(one, found) is held]
        sources = [p.limit for p in mine if p.about]
        if not sources:
            sources = [(each.limits.max_open.value or 0) * one.replicas for one in told for each in one.sources]
        most = 0 if 0 in sources else sum(sources)
        if sources and most and room.share(most) <= ratio:
            continue  # it has a limit, and keeps to it
        yield _finding(held, mine, sources, most, idle, room, told)


def _finding(
    held: Held,
    mine: list[PoolLimit],
    sources: list[int],
    most: int,
    idle: int,
    room: Room,
    told: list[Grafana],
) -> Finding:
    number = len(held.sessions)
    evidence = [Evidence(f"{count(number, 'session')} lead to it, and {idle} of them are idle", held.holder.certainty)]
    known = [source for one in told for source in one.sources]
    for source in known[:6]:
        figure = source.limits.max_open
        each = "any number" if figure.value is None else count(figure.value, "session")
        evidence.append(Evidence(f"data source {source.name} may take {each}: {figure.origin}", Certainty.LIKELY))
    for pool in [] if known else mine[:6]:
        place = f"{pool.file}:{pool.line}" if pool.line else f"{pool.file} does not say, so the default holds"
        whose = f" of data source {pool.about}" if pool.about else ""
        evidence.append(
            Evidence(f"{pool.setting}{whose} is {pool.limit or 'without limit'}: {place}", Certainty.LIKELY)
        )
    if sources:
        default = bool(known) and all(source.limits.max_open.default for source in known)
        limit = f"{'the default' if default else 'its'} limit is {most}" if most else "it has no limit"
    elif mine:
        limit = f"its limit is {mine[0].limit} each" if mine[0].limit else "it has no limit"
    else:
        limit = "the default limit is 100"
        evidence.append(Evidence("from 9.5 on a data source may take 100 unless told otherwise", Certainty.LIKELY))
    wanted = max(2, room.ordinary // 10)
    remedies = [
        *(limit_remedies(known, wanted) or [_by_hand(wanted)]),
        Remedy(f"for all: [sql_datasources] max_open_conns_default = {wanted} in grafana.ini", Safety.SAFE),
    ]
    roles = sorted({s.user for s in held.sessions if s.user})
    if len(roles) == 1:
        text = "without access to Grafana: limit its role, if no other program uses it"
        remedies.append(alter_role(roles[0], f"CONNECTION LIMIT {wanted}", text, "panels above it show an error"))
    return Finding(
        "grafana-default-limit",
        room.severity(number),
        Certainty.weakest(Certainty.LIKELY, held.holder.certainty),
        held.name,
        f"Grafana holds {room.part(number)}, {idle} idle; {limit}",
        detail=("It keeps what its busiest moment opened, for hours.",),
        evidence=tuple(evidence),
        remedies=tuple(remedies),
        holder=held.name,
        sessions=held.holder.sessions,
        processes=held.holder.processes,
        slots=idle,
        since=held.holder.since,
    )


def _by_hand(wanted: int) -> Remedy:
    return Remedy(f'set "Max open" of the data source to {wanted}, and "Max idle" to 2', Safety.SAFE)
