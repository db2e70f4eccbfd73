"""Whether a session would come back: the member of a live pool is not worth ending, its limit is what to change."""

from __future__ import annotations

from collections import Counter

from pgusher.attribute.programs import TABLE, ProgramKind
from pgusher.diagnose.case import Held
from pgusher.diagnose.crowd import is_pooler
from pgusher.model.holder import Holder, HolderKind
from pgusher.model.session import Session
from pgusher.remedy.plan.scene import Scene

_POOLED = frozenset(
    {ProgramKind.WEB, ProgramKind.WORKER, ProgramKind.SCHEDULER, ProgramKind.BI, ProgramKind.APP, ProgramKind.MONITOR}
)
_SINGLE = frozenset({ProgramKind.SHELL, ProgramKind.GUI, ProgramKind.TOOL})
"""Programs that open a session when a person says so, and not again by themselves."""
_KINDS = {program.name: program.kind for program in TABLE}
_UNSEEN = frozenset({HolderKind.REMOTE, HolderKind.HIDDEN, HolderKind.UNKNOWN})


class Pools:
    """Which sessions are members of pools, by what is known of them."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._kept = {loan.backend_pid for loan in scene.facts.loans}
        alike = [self._likeness(session) for session in scene.facts.sessions]
        self._alike = Counter(likeness for likeness in alike if likeness is not None)

    def refills(self, session: Session) -> str | None:
        """Why a session would be opened again if it were ended; None when nothing says so."""
        holder = self._scene.holder_of(session.pid)
        if holder is None or holder.kind is HolderKind.GONE:
            return None
        if session.pid in self._kept:
            return "it is in a pool of pgusher's Database, which opens another"
        kind = _KINDS.get(holder.program or "")
        if kind in _SINGLE or holder.kind is HolderKind.TERMINAL:
            return None
        if kind in _POOLED:
            return f"the pool of {holder.program} would open another"
        if is_pooler(Held(holder, ())):
            return "the pooler would open another"
        likeness = self._likeness(session)
        if likeness is not None and self._alike[likeness] > 1:
            if holder.kind in _UNSEEN:
                return f"it is one of {self._alike[likeness]} alike from there: a pool would open another"
            return f"it is one of {self._alike[likeness]} alike in its process: a pool would open another"
        return None

    def _likeness(self, session: Session) -> tuple[object, ...] | None:
        """What the members of one pool have in common: the process, or where that is not seen the place; the login."""
        if not session.takes_slot or session.own:
            return None
        clients = self._scene.clients(session.pid)
        chain = self._scene.chains.get(session.pid)
        where: object = clients or (chain.holder if chain is not None else None)
        return where, session.user, session.database, session.application_name


def advice(holder: Holder | None) -> str:
    """The limit to change instead, with the setting of that program."""
    if holder is None:
        return ""
    if holder.limit:
        return f"lower its limit: {holder.limit}"
    return "lower the size of its pool"
