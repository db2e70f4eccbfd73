"""Whether a process has done something since the plan that its sessions of then do not show: it has opened others."""

from __future__ import annotations

from collections.abc import Iterable

from pgusher.diagnose.text import count
from pgusher.model.address import Micros
from pgusher.model.findings import Diagnosis
from pgusher.model.plan import Lever, Outcome, OutcomeKind, Step
from pgusher.model.session import Session
from pgusher.model.snapshot import Snapshot
from pgusher.remedy.plan.scene import Scene


def grown(steps: Iterable[Step], now: Snapshot) -> tuple[Outcome, ...]:
    """A refusal for each step whose process, or one below it, has a session that it had not when the plan was made."""
    scene = Scene(now, Diagnosis())
    refused = []
    for step in steps:
        root = scene.processes.get(step.process.pid) if step.process is not None else None
        if step.lever is not Lever.END_PROCESS or step.process is None or root is None:
            continue
        if root.start_ticks != step.process.start_ticks:
            continue  # another process: whoever acts sees that, too
        starts = {one.pid: one.backend_start for one in step.sessions}
        new = [s for s in scene.held_by(scene.tree(root.pid)) if not _known(starts, s)]
        if new:
            text = f"process {root.pid} has opened {count(len(new), 'session')} since the plan: it is at work"
            refused.append(Outcome(step.number, OutcomeKind.REFUSED, text, now.facts.taken_at))
    return tuple(refused)


def _known(starts: dict[int, Micros | None], session: Session) -> bool:
    """Whether it is one of those; where one of the two looks was without SQL, its pid must do."""
    if session.pid not in starts:
        return False
    start = starts[session.pid]
    return start is None or session.backend_start is None or start == session.backend_start
