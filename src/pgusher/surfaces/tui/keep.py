"""Looks that can be gone back to, kept small: what is not drawn goes, and what is the same in several is there once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from pgusher.app.live import Moment
from pgusher.model.address import Micros
from pgusher.model.findings import Diagnosis, Finding
from pgusher.model.holder import Chain, Holder
from pgusher.model.session import Session
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import replace

KEPT = 600
"""Looks that are kept."""


class Kept:
    """The last looks, the oldest first."""

    def __init__(self, most: int = KEPT) -> None:
        self._moments: deque[Moment] = deque(maxlen=most)
        self._sessions: dict[int, Session] = {}
        self._chains: dict[int, Chain] = {}
        self._holders: dict[str, Holder] = {}
        self._findings: dict[str, Finding] = {}

    def __len__(self) -> int:
        return len(self._moments)

    def __getitem__(self, place: int) -> Moment:
        return self._moments[place]

    def __iter__(self) -> Iterator[Moment]:
        return iter(self._moments)

    def add(self, moment: Moment) -> None:
        """Keeps the newest look, and lets the oldest go."""
        self._moments.append(self._slim(moment))

    def place(self, at: Micros) -> int | None:
        """How many looks back that moment is: the last look up to it; None when it is older than all of them."""
        for back, moment in enumerate(reversed(self._moments)):
            if moment.at <= at:
                return back
        return None

    def _slim(self, moment: Moment) -> Moment:
        """A busy host has a thousand processes, and hundreds of looks are kept."""
        if moment.look is None:
            return moment
        before = self._sessions, self._chains, self._holders, self._findings
        self._sessions, self._chains, self._holders, self._findings = {}, {}, {}, {}
        snapshots = tuple(self._snapshot(one, *before[:3]) for one in moment.look.snapshots)
        diagnoses = tuple(self._diagnosis(one, before[3]) for one in moment.diagnoses)
        return replace(moment, look=replace(moment.look, snapshots=snapshots), diagnoses=diagnoses)

    def _snapshot(
        self, one: Snapshot, sessions: dict[int, Session], chains: dict[int, Chain], holders: dict[str, Holder]
    ) -> Snapshot:
        facts = one.facts
        for session in facts.sessions:
            old = sessions.get(session.pid)
            self._sessions[session.pid] = old if old is not None and _drawn_alike(old, session) else _bare(session)
        for chain in one.chains:
            same = chains.get(chain.pid)
            self._chains[chain.pid] = same if same == chain and same is not None else chain
        for holder in one.holders:
            known = holders.get(holder.name)
            self._holders[holder.name] = known if known == holder and known is not None else holder
        slim = replace(
            facts,
            sessions=tuple(self._sessions[session.pid] for session in facts.sessions),
            processes=(), sockets=(), cron=(), units=(), containers=(), stacks=(), settings=(), loans=(), pools=(),
            own_pools=(), poolers=(), grafana=(), panels=None,
        )  # fmt: skip
        return Snapshot(
            slim,
            tuple(self._chains[chain.pid] for chain in one.chains),
            tuple(self._holders[holder.name] for holder in one.holders),
        )

    def _diagnosis(self, one: Diagnosis, findings: dict[str, Finding]) -> Diagnosis:
        found = []
        for finding in one.findings:
            bare = replace(finding, detail=(), evidence=(), remedies=())
            known = findings.get(finding.id)
            self._findings[finding.id] = known if known == bare and known is not None else bare
            found.append(self._findings[finding.id])
        return replace(one, findings=tuple(found), skipped=())


def _drawn_alike(one: Session, other: Session) -> bool:
    """Whether two looks at a session draw the same: what it is, and what it does, but not its statement."""
    return (
        one.state == other.state
        and one.backend_start == other.backend_start
        and one.user == other.user
        and one.database == other.database
        and one.application_name == other.application_name
        and one.client == other.client
        and one.backend_type == other.backend_type
        and one.own == other.own
        and one.superuser == other.superuser
        and one.seen_by == other.seen_by
    )


def _bare(session: Session) -> Session:
    return replace(
        session, state_change=None, query_start=None, xact_start=None, wait_event_type=None, wait_event=None,
        query=None, blocked_by=(), idle_ms_estimate=None,
    )  # fmt: skip
