"""Why something is left alone: it is protected, at work, not what was asked for, or it would only come back."""

from __future__ import annotations

from pgusher.attribute.programs import ProgramKind
from pgusher.diagnose.text import count
from pgusher.model.plan import Lever, Spared
from pgusher.model.process import Process
from pgusher.model.session import UNSTARTED, Session
from pgusher.remedy.plan.drafts import Draft
from pgusher.remedy.plan.pools import Pools, advice
from pgusher.remedy.plan.scene import Scene, listens
from pgusher.remedy.plan.wanted import Wanted
from pgusher.remedy.protected import guarded, holder_reason, session_reason

_MASTERS = frozenset({ProgramKind.WEB, ProgramKind.WORKER, ProgramKind.SCHEDULER, ProgramKind.BI, ProgramKind.APP})


class Checks:
    """Asks of each draft whether it may be done, and is worth it."""

    def __init__(self, scene: Scene, wanted: Wanted) -> None:
        self._scene = scene
        self._wanted = wanted
        self._pools = Pools(scene)

    def session(self, draft: Draft, session: Session) -> Spared | None:
        """Why a session is not to be ended or cancelled; None when it is."""
        if why := self.protects(session):
            return self._spared(session, why, protected=True)
        if session.backend_type != "client backend" or session.state == "authenticating":
            return self._spared(session, "it has not finished its login", "authentication_timeout ends it")
        if (why := self._filtered(session)) is not None:
            return self._spared(session, why)
        if draft.lever is Lever.CANCEL:
            if session.state != "active":
                return self._spared(session, "it runs no statement that could be cancelled")
            return None
        idle = session.state == "idle"
        said = draft.named or session.state in self._wanted.states
        if not idle and not said and session.state is not None and not self._scene.is_gone(session):
            hint = f"if it is to be ended, name it: pgusher free {session.pid}"
            return self._spared(session, f"it is busy: {session.state}", hint)
        if idle and listens(session) and not draft.named:
            return self._spared(session, "it listens for notifications")
        insisted = draft.named or (self._wanted.named and self._wanted.filtered)
        if idle and not insisted and draft.finding is None and (why := self._pools.refills(session)):
            return self._spared(session, why, advice(self._scene.holder_of(session.pid)))
        return None

    def refills(self, session: Session) -> str | None:
        """Why a session would come back."""
        return self._pools.refills(session)

    def process(
        self, draft: Draft, root: Process, tree: dict[int, Process], held: tuple[Session, ...]
    ) -> Spared | None:
        """Why a process is not to be ended with all below it; None when it is."""
        scene = self._scene
        for process in tree.values():
            if why := guarded(process, scene.own, below=process.pid != root.pid):
                where = "" if process.pid == root.pid else f"below it runs {scene.looks.of(process).text}: "
                return self._spared_process(root, held, f"{where}{why}", protected=True)
        for session in scene.touched_by(tree):
            if why := self.protects(session):
                return self._spared_process(root, held, f"it holds session {session.pid}: {why}", protected=True)
        for session in held:  # whatever was named: who gives --idle-for or --state means those alone
            if (why := self._filtered(session)) is not None:
                return self._spared_process(root, held, f"session {session.pid}: {why}")
        if draft.named:
            return None
        if busy := [s for s in held if s.state is not None and s.state != "idle"]:
            chain = scene.chains.get(busy[0].pid)
            hint = f"if it is to be ended, name it: pgusher free {chain.holder if chain is not None else root.pid}"
            return self._spared_process(root, held, f"a session of it is busy: {busy[0].state}", hint)
        if scene.looks.of(root).kind in _MASTERS and len(tree) > 1:
            holder = scene.holder_of(held[0].pid) if held else None
            hint = f"restart it: {holder.stop}" if holder is not None and holder.stop else ""
            return self._spared_process(root, held, f"{count(len(tree) - 1, 'process')} below it may be at work", hint)
        return None

    def protects(self, session: Session) -> str | None:
        """Why pgusher never ends a session; None when it may."""
        scene = self._scene
        if session.backend_type == UNSTARTED:
            return None
        if session.pid == scene.facts.view.own_pid:
            return "it is pgusher's own session"
        if why := session_reason(session, scene.facts.server):
            return why
        holder = scene.holder_of(session.pid)
        if holder is not None and (why := holder_reason(holder)):
            return why
        for pid in scene.clients(session.pid):
            process = scene.processes.get(pid)
            if process is not None and (why := guarded(process, scene.own)):
                return why
        return None

    def _filtered(self, session: Session) -> str | None:
        wanted = self._wanted
        if wanted.states and session.state not in wanted.states:
            return f"its state is {session.state or 'not known'}"
        if wanted.idle_for is not None:
            quiet = self._scene.quiet.get(session.pid)
            if quiet is None:
                return "it is not idle" if session.state == "active" else "since when it is idle is not known"
            if quiet < wanted.idle_for:
                return "it has not been idle for so long"
        return None

    def _spared(self, session: Session, why: str, hint: str = "", *, protected: bool = False) -> Spared:
        holder = self._scene.holder_of(session.pid)
        name = holder.name if holder is not None else None
        return Spared(f"session {session.pid}", why, hint, protected, name, (session.pid,))

    def _spared_process(
        self, root: Process, held: tuple[Session, ...], why: str, hint: str = "", *, protected: bool = False
    ) -> Spared:
        holder = self._scene.holder_of(held[0].pid) if held else None
        pids = tuple(session.pid for session in held)
        name = holder.name if holder is not None else None
        return Spared(f"process {root.pid}", why, hint, protected, name, pids, (root.pid,))
