"""What a snapshot adds up to: the four ceilings with both sides of every count, and whether anything is full."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from operator import attrgetter

from pgusher.model.server import Ceiling as Refused
from pgusher.model.server import Limit, Rung
from pgusher.model.session import TAKE_SLOTS, UNSTARTED, Session
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import dataclass

NEAR = 0.9
"""From this share of a ceiling on it is told as nearly full."""


class Status(StrEnum):
    """How full a server is, worst first."""

    FULL = "full"
    """No ordinary role gets a slot."""
    LIMIT = "limit reached"
    """A role or a database is at its own CONNECTION LIMIT."""
    REFUSES = "refuses"
    """The server refused an ordinary role with 53300, though fewer slots are seen taken."""
    NEAR = "nearly full"
    OK = "ok"
    UNKNOWN = "not known"
    """Neither full nor not full can be said: it is not seen how many slots there are, or the server does not answer."""
    UNSEEN = "not seen"
    """No session and no ceiling could be read."""

    @property
    def finding(self) -> bool:
        """Whether the command ends with exit code 1."""
        return self in {Status.FULL, Status.LIMIT, Status.REFUSES}


@dataclass(frozen=True, slots=True)
class Ceiling:
    """One kind of slot: how many of how many are taken."""

    name: str
    taken: int
    limit: int

    def __str__(self) -> str:
        return f"{self.taken} of {self.limit}"


@dataclass(frozen=True, slots=True)
class Tally:
    """The sums of one snapshot."""

    taken: int
    status: Status
    ordinary: Ceiling | None
    reserved: Ceiling | None
    """Slots for members of pg_use_reserved_connections; None when there are none."""
    superuser: Ceiling | None
    reached: tuple[tuple[str, Limit], ...]
    """Role and database limits that are reached: ("role", limit)."""
    near: tuple[tuple[str, Limit], ...]
    refused: str = ""
    """"role limit" or "database limit" where a refusal alone tells that one is reached."""
    unstarted: int = 0
    """Connections that have not started a session: they take no slot, but one of the server's processes each."""
    crowded: bool = False
    """It is they that keep the server from accepting anybody, not its slots."""


def tally(snapshot: Snapshot) -> Tally:
    """Adds a snapshot up.

    PostgreSQL hands slots out without regard to kind and keeps the last ones free for those who may use them, so the
    first `ordinary` taken slots count as ordinary ones, the next as reserved, the last as the superusers'
    (source: PostgreSQL, src/backend/utils/init/postinit.c).
    """
    taken = snapshot.taken
    ceilings = snapshot.facts.ceilings
    if ceilings is None:
        status, refused = _status(snapshot, taken, None, False), _limited(snapshot)
        return Tally(taken, status, None, None, None, (), (), refused, snapshot.unstarted, snapshot.crowded)
    limits = [("role", limit) for limit in ceilings.roles] + [("database", limit) for limit in ceilings.databases]
    reached = tuple(pair for pair in limits if pair[1].used >= pair[1].limit)
    near = tuple(pair for pair in limits if pair not in reached and pair[1].used >= NEAR * pair[1].limit)
    ordinary = ceilings.ordinary
    beyond = max(0, taken - ordinary)
    return Tally(
        taken=taken,
        status=_status(snapshot, taken, ordinary, bool(reached)),
        ordinary=Ceiling("ordinary", taken - beyond, ordinary),
        reserved=Ceiling("reserved", min(beyond, ceilings.reserved), ceilings.reserved) if ceilings.reserved else None,
        # More than max_connections can only be a torn view (a session that ended while it was read).
        superuser=Ceiling(
            "superuser",
            min(max(0, beyond - ceilings.reserved), ceilings.superuser_reserved),
            ceilings.superuser_reserved,
        ),
        reached=reached,
        near=near,
        refused=_limited(snapshot),
        unstarted=snapshot.unstarted,
        crowded=snapshot.crowded,
    )


def _status(snapshot: Snapshot, taken: int, ordinary: int | None, reached: bool) -> Status:
    view = snapshot.facts.view
    if view.refuses_all or (ordinary is not None and taken >= ordinary):
        return Status.FULL
    if reached or _limited(snapshot):
        return Status.LIMIT
    if view.refuses or view.lacked is not None:
        return Status.REFUSES
    if ordinary is None:
        return Status.UNKNOWN if taken or snapshot.unstarted else Status.UNSEEN
    # So many may be all processes that it may have; only a new connection would show it.
    swarmed = snapshot.unstarted >= ordinary and view.rung in {Rung.HELD, Rung.TITLES}
    if taken >= NEAR * ordinary and not swarmed:
        return Status.NEAR
    return Status.UNKNOWN if swarmed or unanswered(snapshot) else Status.OK


def _limited(snapshot: Snapshot) -> str:
    lacked = snapshot.facts.view.lacked
    ceiling = lacked.ceiling if lacked is not None else None
    return ceiling.value if ceiling in {Refused.ROLE, Refused.DATABASE} and ceiling is not None else ""


def blind(snapshot: Snapshot) -> bool:
    """Whether it cannot be said how full the server is because it could not be asked: that is no good news."""
    status = tally(snapshot).status
    attempts = snapshot.facts.view.attempts
    return status in {Status.UNSEEN, Status.UNKNOWN} and bool(attempts) and not by_sql(snapshot)


def by_sql(snapshot: Snapshot) -> bool:
    """Whether the server itself was asked. Without that, limits of roles and databases are not known."""
    return snapshot.facts.view.rung in {Rung.HELD, Rung.ORDINARY, Rung.RESERVED}


def unanswered(snapshot: Snapshot) -> str:
    """Why the server could not be asked, where not even a refusal came of it; "" when it answered, or was not asked.

    A server that stands still has free slots by its titles, and lets nobody in all the same.
    """
    view = snapshot.facts.view
    if by_sql(snapshot) or not view.attempts or any(attempt.sqlstate for attempt in view.attempts):
        return ""
    return view.attempts[-1].outcome


_pid, _kind, _state = attrgetter("pid"), attrgetter("backend_type"), attrgetter("state")


class Doing(StrEnum):
    """What a session does, in four words."""

    TRANSACTION = "in transaction"
    ACTIVE = "active"
    IDLE = "idle"
    OTHER = "other"
    """Authenticating, or its state may not be read."""


def doing(session: Session) -> Doing:
    """The state of pg_stat_activity as one of four."""
    return _doing(session.state)


def _doing(state: str | None) -> Doing:
    if state == "idle":
        return Doing.IDLE
    if state in {"active", "fastpath function call"}:
        return Doing.ACTIVE
    if state is not None and state.startswith("idle in transaction"):
        return Doing.TRANSACTION
    return Doing.OTHER


def states(snapshot: Snapshot) -> dict[str, Counter[Doing]]:
    """For each holder, how many of its slots do what; its connections without a session count as OTHER."""
    names = holder_names(snapshot)
    sessions = snapshot.facts.sessions
    # A watch counts hundreds each second: nothing is done for each of them that is written in Python.
    alike = Counter(zip(map(names.get, map(_pid, sessions)), map(_kind, sessions), map(_state, sessions), strict=True))
    counts: dict[str, Counter[Doing]] = {}
    for (name, kind, state), number in alike.items():
        if kind in TAKE_SLOTS or kind == UNSTARTED:
            counts.setdefault(name or "", Counter())[_doing(state)] += number
    return counts


def holder_names(snapshot: Snapshot) -> dict[int, str]:
    """The holder's name for the pid of each session that takes a slot or has not started."""
    names = {pid: holder.name for holder in snapshot.holders for pid in holder.sessions}
    if snapshot.unstarted:
        waiting = {session.pid for session in snapshot.facts.sessions if session.backend_type == UNSTARTED}
        names |= {chain.pid: chain.holder for chain in snapshot.chains if chain.pid in waiting}
    return names


def unstarted(snapshot: Snapshot) -> dict[str, int]:
    """For each holder that has some, its connections without a session; most first."""
    if not snapshot.unstarted:
        return {}
    names = holder_names(snapshot)
    waiting = (session.pid for session in snapshot.facts.sessions if session.backend_type == UNSTARTED)
    return dict(Counter(names[pid] for pid in waiting if pid in names).most_common())
