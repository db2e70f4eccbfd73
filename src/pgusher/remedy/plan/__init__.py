"""The plan: from what was seen and found to the steps that give slots back. Pure: values in, values out.

Nothing is in it that is merely guessed, unless a person has named it; nothing that is protected, whoever names it. The
mildest lever that works comes first, and what would come back by itself is not worth ending: its limit is told instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pgusher.diagnose.text import count
from pgusher.model.findings import Diagnosis
from pgusher.model.plan import Lever, Plan, ProcessIdentity, ServerIdentity, Slots, Spared, Step
from pgusher.model.server import Rung
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import replace
from pgusher.remedy.plan.checks import Checks
from pgusher.remedy.plan.drafts import RULES, Draft, chosen, of_finding, of_names, to_drain, whole_scripts
from pgusher.remedy.plan.scene import Scene
from pgusher.remedy.plan.spared import gathered, left_over
from pgusher.remedy.plan.steps import Steps
from pgusher.remedy.plan.wanted import Seen, Terms, Wanted

__all__ = ["MOST", "Seen", "Terms", "Wanted", "make_plan", "server_identity"]

MOST = 200
"""Steps of one plan, unless --max says otherwise."""


def make_plan(
    snapshot: Snapshot,
    diagnosis: Diagnosis,
    wanted: Wanted,
    terms: Terms,
    settings: Sequence[Step] = (),
    seen: Seen | None = None,
) -> Plan:
    """What would be done on one server.

    `settings`: steps about roles, which are made elsewhere, as they need the server. `seen`: what was looked at for the
    plan alone.
    """
    scene = Scene(snapshot, diagnosis, terms.own, terms.pid_namespace, seen)
    plan = _Maker(scene, wanted)
    steps = [] if settings and not wanted.named and not wanted.filtered else plan.steps()
    steps = [*settings, *steps]
    steps.sort(key=lambda step: (step.lever.rank, step.safety.value, step.holder or ""))
    most = MOST if wanted.most is None else wanted.most
    spared = list(plan.spared)
    for over in steps[most:]:
        pids = tuple(identity.pid for identity in over.sessions)
        spared.append(
            Spared(over.text, f"the plan has {count(most, 'step')} at most", "--max N", False, over.holder, pids)
        )
    steps = [replace(step, number=number) for number, step in enumerate(steps[:most], 1)]
    if not wanted.named and not settings:
        spared += left_over(scene, steps, spared, plan.checks)
    facts = snapshot.facts
    ceilings = facts.ceilings
    return Plan(
        terms.id,
        terms.made_at,
        terms.expires_at,
        terms.uid,
        server_identity(snapshot, terms.postmaster),
        terms.reach,
        Slots(
            None if _unseen(snapshot) else snapshot.taken,
            ceilings.max_connections if ceilings is not None else None,
            ceilings.ordinary if ceilings is not None else None,
            sum(step.slots for step in steps),
            sum(session.own for session in snapshot.slot_sessions),
        ),
        tuple(steps),
        gathered(spared),
        wanted.word,
        _holders(steps),
    )


def server_identity(snapshot: Snapshot, postmaster: ProcessIdentity | None = None) -> ServerIdentity:
    """Which server a snapshot is of."""
    server = snapshot.facts.server
    by_sql = snapshot.facts.view.role is not None
    return ServerIdentity(
        server.port,
        server.host,
        server.local,
        server.started if by_sql else None,
        server.version_num,
        postmaster,
        server.data_directory,
        server.socket_paths,
    )


def _unseen(snapshot: Snapshot) -> bool:
    """Whether it was not seen how many slots are taken: none is, and yet there is no room; or nothing was seen."""
    view = snapshot.facts.view
    if snapshot.taken or view.rung not in (Rung.TITLES, Rung.NONE):
        return False
    return view.rung is Rung.NONE or view.refuses_all or view.refuses is not None or view.lacked is not None


def _holders(steps: Sequence[Step]) -> tuple[str, ...]:
    slots: dict[str, int] = {}
    for step in steps:
        if step.holder is not None:
            slots[step.holder] = slots.get(step.holder, 0) + step.slots
    return tuple(sorted(slots, key=lambda name: (-slots[name], name)))


class _Maker:
    """The steps of one plan in the making."""

    def __init__(self, scene: Scene, wanted: Wanted) -> None:
        self._scene = scene
        self._wanted = wanted
        self._steps = Steps(scene, "it was named" if wanted.named else f"chosen by {wanted.word or 'what it does'}")
        self._ended: set[int] = set()  # processes that are in a step already
        self._freed: set[int] = set()  # sessions
        self.checks = Checks(scene, wanted)
        self.spared: list[Spared] = []

    def steps(self) -> list[Step]:
        """Steps of findings first, then of what was named, then of whole scripts."""
        scene, wanted = self._scene, self._wanted
        if wanted.lever is Lever.DRAIN:
            drained = [step for draft in to_drain(scene, wanted) if (step := self._drained(draft)) is not None]
            if not drained:
                why = "no pool of pgusher's Database has an idle session there"
                self.spared.append(Spared(wanted.word or "every program", why))
            return drained
        found: list[Step] = []
        if wanted.lever is None:
            for finding in chosen(scene, wanted):
                if finding.rule in RULES:
                    found += self._made(of_finding(scene, finding, wanted))
        tried = self._freed | {pid for one in self.spared for pid in one.sessions}
        before = len(self.spared)
        found += self._made(of_names(scene, wanted, tried))
        if wanted.lever is None and not found:
            left = {pid for one in self.spared[before:] for pid in one.sessions if not one.protected}
            whole = self._made(whole_scripts(scene, wanted, left))
            if whole:
                self.spared = [one for one in self.spared if not self._freed.issuperset(one.sessions)]
            found += whole
        return found

    def _made(self, drafts: Iterable[Draft]) -> list[Step]:
        made = []
        for draft in drafts:
            step = self._of_process(draft) if draft.process is not None else self._of_session(draft)
            if step is not None:
                made.append(step)
        return made

    def _of_session(self, draft: Draft) -> Step | None:
        session = self._scene.sessions.get(draft.session or 0)
        if session is None or session.pid in self._freed:
            return None
        reason = self.checks.session(draft, session)
        if reason is not None:
            self.spared.append(reason)
            return None
        self._freed.add(session.pid)
        return self._steps.session(draft, session, self.checks.refills(session))

    def _of_process(self, draft: Draft) -> Step | None:
        scene = self._scene
        root = scene.processes.get(draft.process or 0)
        if root is None or root.pid in self._ended:
            return None
        tree = scene.tree(root.pid)
        held = scene.held_by(tree)
        reason = self.checks.process(draft, root, tree, held)
        if reason is not None:
            self.spared.append(reason)
            return None
        self._ended.update(tree)
        self._freed.update(session.pid for session in held)
        return self._steps.process(draft, root, tree, held)

    def _drained(self, draft: Draft) -> Step | None:
        scene = self._scene
        process = scene.processes.get(draft.process or 0)
        loans = [loan for loan in scene.facts.loans if loan.process == draft.process]
        idle = tuple(
            scene.sessions[one.backend_pid] for one in loans if not one.lent and one.backend_pid in scene.sessions
        )
        if process is None or not idle:
            return None
        return self._steps.drain(process, idle, sum(loan.lent for loan in loans))
