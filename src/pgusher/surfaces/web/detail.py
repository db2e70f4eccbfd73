"""What the pages of one holder and of one session show."""

from __future__ import annotations

from pgusher.model.findings import Diagnosis, Finding
from pgusher.model.holder import Chain, Holder
from pgusher.model.process import Process
from pgusher.model.session import Session
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import dataclass, replace
from pgusher.surfaces.render import words
from pgusher.surfaces.render.advice import Command
from pgusher.surfaces.render.sessions import ordered
from pgusher.surfaces.render.shell import quote
from pgusher.surfaces.web.view import key_of, session_url, url

_OF_ONE = frozenset({"socket", "panel"})
"""Links that are about one session alone."""

MOST_SESSIONS = 500
"""Sessions of one holder that a page lists."""


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One session in a table."""

    session: Session
    url: str
    age: str
    since: str
    """How long it has been in its state."""
    waits: str
    client: str


@dataclass(frozen=True, slots=True)
class HolderPage:
    """The page of one holder."""

    holder: Holder
    server: str
    letter: str
    hue: str
    slots: int
    taken: int
    oldest: str
    chains: tuple[tuple[Chain, int], ...]
    """Each different chain, and how many sessions have it."""
    processes: tuple[Process, ...]
    sessions: tuple[SessionRow, ...]
    more: int
    """Sessions that are not listed."""
    findings: tuple[Finding, ...]
    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class SessionPage:
    """The page of one session."""

    row: SessionRow
    server: str
    chain: Chain | None
    holder: Holder | None
    holder_url: str
    blocked_by: tuple[tuple[int, str], ...]
    """(pid, URL) of those it waits for."""
    findings: tuple[Finding, ...]
    times: tuple[tuple[str, str], ...]


def holder_page(
    snapshot: Snapshot, diagnosis: Diagnosis, holder: Holder, letter: str, hue: str, repeat: str = "pgusher"
) -> HolderPage:
    """The page of a holder. `repeat`: the command with its connection options, for what is to be typed."""
    name = holder.name
    pids = set(holder.sessions) | {chain.pid for chain in snapshot.chains if chain.holder == name}
    sessions = ordered([session for session in snapshot.facts.sessions if session.pid in pids])
    mine = set(holder.processes)
    found = tuple(f for f in diagnosis.findings if f.holder == name or pids.intersection(f.sessions))
    return HolderPage(
        holder=holder,
        server=key_of(snapshot),
        letter=letter,
        hue=hue,
        slots=len(holder.sessions),
        taken=snapshot.taken,
        oldest=words.age_in_words(holder.since, snapshot.facts.taken_at) if holder.since is not None else "",
        chains=_chains(snapshot, name),
        processes=tuple(process for process in snapshot.facts.processes if process.pid in mine),
        sessions=tuple(_row(snapshot, session) for session in sessions[:MOST_SESSIONS]),
        more=max(0, len(sessions) - MOST_SESSIONS),
        findings=found,
        commands=(
            Command(f"{repeat} why {quote(name)}", "its threads, the line, the remedy"),
            Command(f"{repeat} free {quote(name)}", "a plan of what gives its slots back; it ends nothing"),
        ),
    )


def session_page(snapshot: Snapshot, diagnosis: Diagnosis, pid: int, start: int | None) -> SessionPage | None:
    """The page of a session; None when there is none with that pid and start."""
    session = next((s for s in snapshot.facts.sessions if s.pid == pid), None)
    if session is None or (start is not None and session.backend_start != start):
        return None
    chain = next((c for c in snapshot.chains if c.pid == pid), None)
    holder = snapshot.holder(chain.holder) if chain is not None else None
    key = key_of(snapshot)
    others = {s.pid: s for s in snapshot.facts.sessions}
    blockers = ((one, session_url(key, others[one]) if one in others else "") for one in session.blocked_by)
    names = (("started", "backend_start"), ("last statement", "query_start"), ("transaction", "xact_start"))
    times = [(title, words.iso(getattr(session, field)) or "not known") for title, field in names]
    return SessionPage(
        row=_row(snapshot, session),
        server=key,
        chain=chain,
        holder=holder,
        holder_url=url("/holder", key, name=chain.holder) if chain is not None else "",
        blocked_by=tuple(blockers),
        findings=tuple(f for f in diagnosis.findings if pid in f.sessions),
        times=tuple(times),
    )


def _row(snapshot: Snapshot, session: Session) -> SessionRow:
    now, client = snapshot.facts.taken_at, session.client
    waits = ": ".join(part for part in (session.wait_event_type, session.wait_event) if part)
    place = client.transport.value
    if client.host:
        place = f"{client.host}:{client.port}" if client.port else client.host
    return SessionRow(
        session,
        session_url(key_of(snapshot), session),
        words.age(session.backend_start, now),
        words.age(session.state_change, now),
        waits,
        place,
    )


def _chains(snapshot: Snapshot, name: str) -> tuple[tuple[Chain, int], ...]:
    """Chains that differ in more than their socket, each once; the panels of several are told beside, by slots."""
    found: dict[tuple[object, ...], list[Chain]] = {}
    for chain in snapshot.chains:
        if chain.holder == name:
            key = tuple((link.kind, link.subject) for link in chain.links if link.kind.value not in _OF_ONE)
            found.setdefault((*key, chain.end), []).append(chain)
    return tuple((_alike(chains), len(chains)) for chains in found.values())


def _alike(chains: list[Chain]) -> Chain:
    first = chains[0]
    if len(chains) == 1:
        return first
    return replace(first, links=tuple(link for link in first.links if link.kind.value != "panel"))
