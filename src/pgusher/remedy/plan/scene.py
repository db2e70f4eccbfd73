"""A snapshot turned over, so that each question of the plan is answered once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

from pgusher.attribute.looks import Looks
from pgusher.diagnose.case import Case
from pgusher.diagnose.runs import Run, find_runs
from pgusher.model.address import Micros
from pgusher.model.findings import Diagnosis
from pgusher.model.holder import Chain, Holder, LinkKind
from pgusher.model.pattern import pattern
from pgusher.model.plan import ProcessIdentity, SessionIdentity
from pgusher.model.process import Process
from pgusher.model.server import Rung
from pgusher.model.session import Session
from pgusher.model.snapshot import Snapshot
from pgusher.remedy.plan.wanted import Seen


class Scene:
    """One server with what was found about it, ready to be planned for."""

    def __init__(
        self,
        snapshot: Snapshot,
        diagnosis: Diagnosis,
        own: Iterable[int] = (),
        pid_namespace: int | None = None,
        seen: Seen | None = None,
    ) -> None:
        """`own`: pgusher and all that is above it, by pid; `pid_namespace` the one in which pids are meant."""
        seen = seen or Seen()
        facts = snapshot.facts
        self.snapshot, self.diagnosis, self.facts = snapshot, diagnosis, facts
        self.now: Micros = facts.taken_at
        self.own = frozenset(own) | {facts.host.pid}
        self.locking = seen.locking
        self._below = seen.below
        self._pid_namespace = pid_namespace
        self.sessions: dict[int, Session] = {session.pid: session for session in facts.sessions}
        self.chains: dict[int, Chain] = {chain.pid: chain for chain in snapshot.chains}
        self.holders: dict[str, Holder] = {holder.name: holder for holder in snapshot.holders}
        self.processes: dict[int, Process] = {process.pid: process for process in facts.processes}
        self.by_sql = facts.view.rung not in (Rung.TITLES, Rung.NONE)
        self.quiet = cast("Mapping[int, Micros]", Case(snapshot).need("quiet"))
        self.looks = Looks()
        self._runs: tuple[Run, ...] | None = None
        self._children: dict[int, list[int]] = {}
        for process in facts.processes:
            self._children.setdefault(process.ppid, []).append(process.pid)

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs of cron jobs that hold sessions."""
        if self._runs is None:
            self._runs = find_runs(self.snapshot)
        return self._runs

    def holder_of(self, pid: int) -> Holder | None:
        """The holder of a session."""
        chain = self.chains.get(pid)
        return self.holders.get(chain.holder) if chain is not None else None

    def is_gone(self, session: Session) -> bool:
        """Whether the client of a session is gone."""
        chain = self.chains.get(session.pid)
        return chain is not None and chain.end.value == "gone"

    def clients(self, pid: int) -> tuple[int, ...]:
        """The client processes that have a session open."""
        chain = self.chains.get(pid)
        links = chain.links if chain is not None else ()
        return tuple(link.pid for link in links if link.kind is LinkKind.PROCESS and link.pid is not None)

    def tree(self, root: int) -> dict[int, Process]:
        """A process with all that would go with it, as far as it was looked at.

        Where nobody has looked below it those that hold sessions, and what is above them.
        """
        found: dict[int, Process] = {}
        todo = [root]
        while todo:
            pid = todo.pop()
            if pid in self.processes and pid not in found:
                found[pid] = self.processes[pid]
                todo += self._children.get(pid, ())
        if root in found:
            found.update((process.pid, process) for process in self._below.get(root, ()) if process.pid not in found)
        return found

    def held_by(self, pids: Iterable[int]) -> tuple[Session, ...]:
        """The sessions that nobody else than these processes holds: they end with them. Oldest first."""
        family = set(pids)
        mine = [
            session
            for session in self.facts.sessions
            if (clients := self.clients(session.pid)) and family.issuperset(clients)
        ]
        return tuple(sorted(mine, key=lambda s: (s.backend_start or 0, s.pid)))

    def touched_by(self, pids: Iterable[int]) -> tuple[Session, ...]:
        """The sessions that at least one of these processes has open."""
        family = set(pids)
        return tuple(s for s in self.facts.sessions if family.intersection(self.clients(s.pid)))

    def identity(self, session: Session) -> SessionIdentity:
        """What a session must still be when the step is done."""
        return SessionIdentity(
            session.pid,
            session.backend_start,
            session.state,
            session.state_change,
            session.user,
            session.database,
            session.start_ticks,
        )

    def process_identity(self, process: Process) -> ProcessIdentity:
        """The same of a process."""
        return ProcessIdentity(
            process.pid,
            process.start_ticks,
            self.facts.host.boot_id,
            self._pid_namespace,
            self.looks.of(process).text,
            process.uid,
        )


_LISTEN = pattern(r"(?i)(?:^|;)(?:\s|--[^\n]*(?:\n|$)|/\*(?:[^*]|\*(?!/))*\*/)*+listen\s")


def listens(session: Session) -> bool:
    """Whether its last statement began to listen, also one of several; of an earlier one no view tells."""
    return _LISTEN.search(session.query or "") is not None
