"""What Grafana may take: the limits of its data sources that lead to this server, times its processes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from pgusher.budget.found import Found
from pgusher.diagnose.text import count, listed
from pgusher.model.budget import Amount, Claim, Setting
from pgusher.model.evidence import Certainty
from pgusher.model.facts import Facts
from pgusher.model.grafana import DataSource, Grafana, OwnDatabase
from pgusher.model.holder import Holder, HolderKind
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import dataclass, replace

_PEOPLE = frozenset({HolderKind.TERMINAL, HolderKind.OWN, HolderKind.GONE})


def shared_out(snapshot: Snapshot) -> tuple[dict[str, tuple[Grafana, ...]], tuple[Grafana, ...]]:
    """The Grafanas of each holder, by its name; and those of which no holder has a session here, or none is told.

    By their processes. One on another host, of which the API alone is known, is who logs in by the roles of its data
    sources, if that is one holder only.
    """
    mine: dict[str, tuple[Grafana, ...]] = {}
    rest = []
    for one in snapshot.facts.grafana:
        found = [holder for holder in snapshot.holders if set(one.processes) & set(holder.processes)]
        if not found and not one.processes:
            found = [holder for holder in snapshot.holders if holder.program == "Grafana"] or _by_role(one, snapshot)
            found = found if len(found) == 1 else []
        for holder in found:
            mine[holder.name] = (*mine.get(holder.name, ()), one)
        if not found:
            rest.append(one)
    return mine, tuple(rest)


def _by_role(one: Grafana, snapshot: Snapshot) -> list[Holder]:
    roles = {source.user for source in one.sources if source.user and _leads_here(source, snapshot.facts)}
    users = {session.pid: session.user for session in snapshot.slot_sessions if session.user}
    found = []
    for holder in snapshot.holders:
        its = {users[pid] for pid in holder.sessions if pid in users}
        if its and its <= roles and holder.kind not in _PEOPLE:
            found.append(holder)
    return found


def of_grafana(found: Sequence[Grafana], facts: Facts) -> Found | None:
    """By its data sources that lead to this server."""
    if not found:
        return None
    made = _added(found, lambda source: _leads_here(source, facts))
    if made is None or any(one.processes for one in found):
        return made
    note = "That it is Grafana is told by the role of its data sources."
    sure = Certainty.weakest(made.may.certainty, Certainty.LIKELY)
    return replace(made, may=replace(made.may, certainty=sure), notes=(*made.notes, note))


def of_absent(one: Grafana, facts: Facts) -> Claim | None:
    """One that has no session here now, by its data sources that lead here; None where none does."""
    here = tuple(source for source in one.sources if _leads_here(source, facts))
    return of_one(replace(one, sources=here), one.name.partition("://")[2].rstrip("/") or one.name) if here else None


def of_one(grafana: Grafana, place: str) -> Claim | None:
    """One that does not run, by its files: all its data sources, wherever they lead. None where it has none."""
    found = _added([grafana], lambda _: True)
    if found is None:
        return None
    return Claim(
        f"grafana/{place}", HolderKind.SERVICE, 0, 0, found.may, processes=found.processes, each=found.each,
        roles=found.roles, databases=found.databases, settings=found.settings,
    )  # fmt: skip


@dataclass
class _Sum:
    """What was added up so far."""

    total: int = 0
    endless: bool = False
    certainty: Certainty = Certainty.PROVEN


def _added(found: Sequence[Grafana], here: Callable[[DataSource | OwnDatabase], bool]) -> Found | None:
    parts: list[str] = []
    settings: list[Setting] = []
    logins: list[DataSource | OwnDatabase] = []
    added, elsewhere = _Sum(), 0
    for one in found:
        sources = [source for source in one.sources if here(source)]
        logins += sources
        elsewhere += len(one.sources) - len(sources)
        for source in sources:
            _add_source(added, one, source, parts, settings)
        if one.own is not None and here(one.own):
            most = one.own.max_open
            logins.append(one.own)
            added.endless = added.endless or most.value is None
            added.total += (most.value or 0) * one.replicas
            parts.append(f"its own tables {most.value or 'no limit'} ({most.origin})")
            settings.append(Setting("max_open_conn", str(most.value or "no limit"), "[database] in grafana.ini"))
    if not parts:
        return None
    lead = "lead" if elsewhere > 1 else "leads"
    notes = (f"{count(elsewhere, 'data source')} of it {lead} to another server.",) if elsewhere else ()
    amount = Amount(None if added.endless else added.total, listed(parts, 4), added.certainty, added.endless)
    replicas = max(1, *(one.replicas for one in found))
    return Found(
        amount, None if added.endless else added.total // replicas, replicas, tuple(settings), notes=notes,
        roles=tuple(sorted({one.user for one in logins if one.user})),
        databases=tuple(sorted({one.database for one in logins if one.database})),
    )  # fmt: skip


def _add_source(added: _Sum, one: Grafana, source: DataSource, parts: list[str], settings: list[Setting]) -> None:
    most = source.limits.max_open
    added.certainty = Certainty.weakest(added.certainty, most.certainty)
    times = f" x {one.replicas} replicas" if one.replicas > 1 else ""
    place = source.limit_place or source.place
    where = f"data source {source.name} of {one.name}"
    if place is not None:
        where = f"{place.file}:{place.line}" if place.line else place.file
    name = f"{source.org}/{source.uid}"
    settings.append(Setting("maxOpenConns", str(most.value or "no limit"), where, one.replicas, name))
    if most.value is None:
        added.endless = True
        parts.append(f"data source {source.name} has no limit ({most.origin})")
    else:
        added.total += most.value * one.replicas
        parts.append(f"data source {source.name} {most.value}{times} ({most.origin})")


def _leads_here(source: DataSource | OwnDatabase, facts: Facts) -> bool:
    """By its port, and by its host where that is an address of another machine."""
    if source.port != facts.server.port:
        return False
    host = (source.host or "").strip("[]")
    numeric = re.fullmatch(r"[0-9.]+|[0-9a-f:.]+:[0-9a-f:.]*", host) is not None
    ours = {*facts.host.addresses, "127.0.0.1", "::1"}
    return not (facts.server.local and numeric and facts.host.addresses and host not in ours)
