"""What a word given to `pgusher who` means: a holder, a process, an address or an application."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pgusher.model.holder import Chain, Holder, LinkKind
from pgusher.model.session import Session
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import dataclass


@dataclass(frozen=True, slots=True)
class Match:
    """Sessions of one server that the word means, and as what it was read."""

    snapshot: Snapshot
    reading: str
    """ "holder", "server process", "client process", "parent process", "client address", "application"."""
    chains: tuple[Chain, ...]
    holders: tuple[Holder, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """All meanings of a word; or, when it has none, what else it may have meant."""

    matches: tuple[Match, ...] = ()
    candidates: tuple[str, ...] = ()
    """Holders that it fits equally well: the word is too short to tell."""
    near: tuple[str, ...] = ()
    """Names that are written much like it."""


def find(snapshots: Iterable[Snapshot], word: str | None) -> Found:
    """The sessions that `word` means on each server; all of them for None.

    A number means a server process and a client process; when there is one of each, both are meant. A name is looked
    for exactly before it is looked for by its beginning or a part.
    """
    every = tuple(snapshots)
    if word is None:
        return Found(tuple(_of_holders(s, s.holders) for s in every if s.chains))
    if exact := [_of_holders(s, (h,)) for s in every if (h := s.holder(word)) is not None]:
        return Found(tuple(exact))
    for reading in (_by_pid, _by_address, _by_application):
        if matches := [match for snapshot in every for match in reading(snapshot, word)]:
            return Found(tuple(matches))
    return _by_name(every, word)


def _by_name(every: tuple[Snapshot, ...], word: str) -> Found:
    lower = word.lower()
    # Each is tried on all servers before the next. The first four may mean several holders on purpose.
    steps: tuple[tuple[bool, Callable[[Holder], bool]], ...] = (
        (True, lambda h: h.name.partition("/")[0].lower() == lower.rstrip("/") and "/" in h.name),
        (True, lambda h: h.name.lower() == lower),
        (True, lambda h: h.name.partition("/")[2].lower() == lower),
        (True, lambda h: (h.program or "").lower() == lower),
        (False, lambda h: h.name.lower().startswith(lower) or h.name.partition("/")[2].lower().startswith(lower)),
        (False, lambda h: lower in h.name.lower()),
        (False, lambda h: lower in (h.program or "").lower() or lower in h.title.lower()),
    )
    if not lower.strip("/"):
        return Found(near=_near(every, word))
    # A number is a process or a whole name: the "3" of terminal/bob@pts3 is not what somebody means by 3.
    for several, fits in steps[:4] if word.isdecimal() else steps:
        hits = [(snapshot, holder) for snapshot in every for holder in snapshot.holders if fits(holder)]
        names = dict.fromkeys(holder.name for _, holder in hits)
        if len(names) > 1 and not several:
            return Found(candidates=tuple(names))
        if hits:
            return Found(
                tuple(
                    _of_holders(s, tuple(h for t, h in hits if t is s)) for s in every if any(t is s for t, _ in hits)
                )
            )
    parts = () if word.isdecimal() else every
    if matches := [match for snapshot in parts for match in _by_application(snapshot, word, part=True)]:
        return Found(tuple(matches))
    return Found(near=_near(every, word))


def _by_pid(snapshot: Snapshot, word: str) -> list[Match]:
    if not (word.isascii() and word.isdecimal()) or len(word) > 10:
        return []
    pid = int(word)
    readings = {
        "server process": [c for c in snapshot.chains if c.pid == pid],
        "client process": [c for c in snapshot.chains if _leads_to(c, pid, LinkKind.PROCESS)],
        "parent process": _of_parent(snapshot, pid),
    }
    if readings["client process"]:
        del readings["parent process"]  # a worker is often the parent of another: what it holds itself is meant
    return [_of_chains(snapshot, reading, chains) for reading, chains in readings.items() if chains]


def _leads_to(chain: Chain, pid: int, kind: LinkKind | None) -> bool:
    return any(link.pid == pid and (kind is None or link.kind is kind) for link in chain.links)


def _of_parent(snapshot: Snapshot, pid: int) -> list[Chain]:
    """The chains that lead to a process, and those whose client runs below it: also where no link names it."""
    parents = {process.pid: process.ppid for process in snapshot.facts.processes}

    def is_below(chain: Chain) -> bool:
        for link in chain.links:
            now, met = link.pid if link.kind is LinkKind.PROCESS else None, set[int]()
            while now is not None and now not in met:
                if now == pid:
                    return True
                met.add(now)
                now = parents.get(now)
        return False

    # Below process 1 there is everything: it says nothing of who holds what.
    return [c for c in snapshot.chains if _leads_to(c, pid, None) or (pid > 1 and is_below(c))]


def _by_address(snapshot: Snapshot, word: str) -> list[Match]:
    bare = word[1:-1] if word.startswith("[") and word.endswith("]") else word

    def fits(session: Session) -> bool:
        client = session.client
        return client.host is not None and (client.host == bare or (client.port is not None and str(client) == word))

    return _of_sessions(snapshot, "client address", fits)


def _by_application(snapshot: Snapshot, word: str, part: bool = False) -> list[Match]:
    lower = word.lower()

    def fits(session: Session) -> bool:
        name = (session.application_name or "").lower()
        return name == lower or (part and lower in name)

    return _of_sessions(snapshot, "application", fits) if word else []


def _of_sessions(snapshot: Snapshot, reading: str, fits: Callable[[Session], bool]) -> list[Match]:
    pids = {session.pid for session in snapshot.facts.sessions if fits(session)}
    chains = [chain for chain in snapshot.chains if chain.pid in pids]
    return [_of_chains(snapshot, reading, chains)] if chains else []


def _of_chains(snapshot: Snapshot, reading: str, chains: list[Chain]) -> Match:
    names = {chain.holder for chain in chains}
    return Match(snapshot, reading, tuple(chains), tuple(h for h in snapshot.holders if h.name in names))


def _of_holders(snapshot: Snapshot, holders: tuple[Holder, ...]) -> Match:
    names = {holder.name for holder in holders}
    return Match(snapshot, "holder", tuple(c for c in snapshot.chains if c.holder in names), holders)


def _near(every: tuple[Snapshot, ...], word: str) -> tuple[str, ...]:
    import difflib  # late: only a person who mistyped waits for it

    names: dict[str, str] = {}
    for snapshot in every:
        for holder in snapshot.holders:
            names[holder.name.lower()] = holder.name
            names[holder.name.rpartition("/")[2].lower()] = holder.name
            names[(holder.program or holder.name).lower()] = holder.name
        for session in snapshot.facts.sessions:
            if session.application_name:
                names.setdefault(session.application_name.lower(), session.application_name)
    close = difflib.get_close_matches(word[:200].lower(), list(names), n=5, cutoff=0.6)
    return tuple(dict.fromkeys(names[name] for name in close))
