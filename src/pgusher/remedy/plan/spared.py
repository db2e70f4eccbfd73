"""What is spared, in few words: what is alike is told once, and every session that no step frees is accounted for."""

from __future__ import annotations

from collections.abc import Iterable

from pgusher.diagnose.text import count
from pgusher.model.holder import HolderKind
from pgusher.model.plan import Spared, Step
from pgusher.model.session import Session
from pgusher.remedy.plan.checks import Checks
from pgusher.remedy.plan.drafts import ADVISED
from pgusher.remedy.plan.pools import advice
from pgusher.remedy.plan.scene import Scene

_Key = tuple[str | None, str, str, bool]


def gathered(spared: Iterable[Spared]) -> tuple[Spared, ...]:
    """Those that are alike become one; what is protected comes first, then what holds most."""
    groups: dict[_Key, list[Spared]] = {}
    for one in spared:
        groups.setdefault((one.holder, one.why, one.advice, one.protected), []).append(one)
    found = [group[0] if len(group) == 1 else _one(group) for group in groups.values()]
    found.sort(key=lambda one: (not one.protected, -len(one.sessions), one.holder or "", one.what))
    return tuple(found)


def _one(group: list[Spared]) -> Spared:
    first = group[0]
    sessions = tuple(dict.fromkeys(pid for one in group for pid in one.sessions))
    processes = tuple(dict.fromkeys(pid for one in group for pid in one.processes))
    what = count(len(sessions), "session") if not processes else count(len(processes), "process")
    of = f" of {first.holder}" if first.holder else ""
    return Spared(f"{what}{of}", first.why, first.advice, first.protected, first.holder, sessions, processes)


def left_over(scene: Scene, steps: Iterable[Step], spared: Iterable[Spared], checks: Checks) -> list[Spared]:
    """Of all other sessions that take a slot: why they are left alone."""
    told = {identity.pid for step in steps for identity in step.sessions}
    told.update(pid for one in spared for pid in one.sessions)
    found = []
    for session in scene.snapshot.slot_sessions:
        if session.pid in told or session.own or session.pid == scene.facts.view.own_pid:
            continue
        holder = scene.holder_of(session.pid)
        name = holder.name if holder is not None else None
        if why := checks.protects(session):
            found.append(Spared(f"session {session.pid}", why, "", True, name, (session.pid,)))
            continue
        why, hint = _reason(scene, session, checks)
        found.append(Spared(f"session {session.pid}", why, hint, False, name, (session.pid,)))
    return found


def _reason(scene: Scene, session: Session, checks: Checks) -> tuple[str, str]:
    holder = scene.holder_of(session.pid)
    if session.state not in ("idle", None):
        return (
            ("it has not finished its login", "")
            if session.state == "authenticating"
            else ("busy: in a statement or a transaction", "")
        )
    # Before what is concluded from likeness: of processes that were not seen nobody knows what they would do.
    if holder is None or holder.kind in (HolderKind.UNKNOWN, HolderKind.HIDDEN):
        return "who holds it is not known", "run pgusher as root" if scene.facts.host.uid else ""
    if why := checks.refills(session):
        about = any(f.rule in ADVISED and f.holder == holder.name for f in scene.diagnosis.findings)
        hint = advice(holder) if about else ""
        return "they are in a pool, which would open others" if "pool" in why else why, hint
    return "nothing proves that it is leaked", ""
