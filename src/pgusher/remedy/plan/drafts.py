"""What each finding asks for, before anything is checked: the mildest lever that works.

A stuck job's processes are ended, since its pool would only open new sessions. A session whose client is gone, or that
is forgotten, is terminated. Of a pool that is too large nothing is ended: it is told which limit to change.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgusher.diagnose.case import IDLE
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Finding, Severity
from pgusher.model.holder import HolderKind
from pgusher.model.plan import Lever
from pgusher.model.session import Session
from pgusher.model.values import dataclass
from pgusher.remedy.plan.scene import Scene
from pgusher.remedy.plan.wanted import Wanted


@dataclass(frozen=True, slots=True)
class Draft:
    """One thing that might be done."""

    lever: Lever
    session: int | None = None
    """Pid of the server process, to terminate or cancel."""
    process: int | None = None
    """Pid of the topmost client process, to end or to drain."""
    finding: Finding | None = None
    named: bool = False
    """A person has named this very session or process, or the finding about it: then it may be busy, or come back."""


_SESSIONS = frozenset({"orphaned-session", "forgotten-session", "idle-in-transaction"})
_ENDS = frozenset({"stuck-job", "dead-thread-holds-slots"})
_LIMITS = frozenset({"idle-pool-oversized", "grafana-default-limit", "monitor-crowd", "one-holder-takes-all"})
RULES = _SESSIONS | _ENDS | {"blocked-by-idle"}
"""Rules of whose findings something can be ended."""
ADVISED = _LIMITS | {"overlapping-runs"}
"""Rules of whose findings it is said what helps instead."""


def chosen(scene: Scene, wanted: Wanted) -> tuple[Finding, ...]:
    """The findings that a plan is made for, worst first.

    Without a name only what is more than a guess, and more than a note.
    """
    findings = scene.diagnosis.findings
    if wanted.findings:
        return tuple(finding for finding in findings if finding.id in wanted.findings)
    if wanted.holders:
        return tuple(finding for finding in findings if finding.holder in wanted.holders)
    if wanted.named or wanted.filtered:
        return ()
    return tuple(f for f in findings if f.severity is not Severity.NOTE and f.certainty is not Certainty.GUESSED)


def of_finding(scene: Scene, finding: Finding, wanted: Wanted) -> Iterator[Draft]:
    """What ends a finding."""
    named = bool(wanted.findings or wanted.holders)
    if finding.rule in _ENDS:
        for pid in roots(scene, finding):
            yield Draft(Lever.END_PROCESS, process=pid, finding=finding, named=named)
    elif finding.rule in _SESSIONS:
        for pid in finding.sessions:
            yield Draft(Lever.TERMINATE, pid, finding=finding, named=named)
    elif finding.rule == "blocked-by-idle":
        # The finding lists those that wait as well: what they wait for is to be ended, not they.
        for pid in finding.sessions:
            session = scene.sessions.get(pid)
            if session is not None and session.state in IDLE and not session.blocked_by:
                yield Draft(Lever.TERMINATE, pid, finding=finding, named=named)


def roots(scene: Scene, finding: Finding) -> list[int]:
    """The topmost processes to end: of a cron job's run its root, never cron; else the process that hangs.

    What has left its run (a daemon's double fork) but holds its sessions is a root of its own.
    """
    mine = set(finding.sessions)
    found: list[int] = []
    for run in scene.runs:
        if run.holder != finding.holder or not {s.pid for s in run.sessions} <= mine:
            continue
        if finding.rule != "stuck-job" and not set(run.processes) & set(finding.processes):
            continue
        tops = [run.top] if run.top in scene.processes else []
        below = set().union(*(scene.tree(top) for top in tops)) if tops else set()
        found += [*tops, *(pid for pid in run.processes if pid not in below)]
    known = set().union(*(scene.tree(pid) for pid in found)) if found else set()
    found += [pid for pid in finding.processes if pid not in known]
    return _topmost(scene, dict.fromkeys(found))


def _topmost(scene: Scene, pids: dict[int, None]) -> list[int]:
    """Without those that go with another one."""
    below = {pid for root in pids for pid in scene.tree(root) if pid != root}
    return [pid for pid in pids if pid not in below]


def of_names(scene: Scene, wanted: Wanted, done: set[int]) -> Iterator[Draft]:
    """What was named, or is chosen by what it does, and is not among the sessions that are `done` already."""
    lever = wanted.lever or Lever.TERMINATE
    if lever is Lever.TERMINATE:
        yield from (Draft(Lever.END_PROCESS, process=pid, named=True) for pid in wanted.processes)
    for pid in wanted.sessions:
        if pid not in done:
            yield Draft(lever, pid, named=wanted.exact)
    for name in wanted.holders:
        holder = scene.holders.get(name)
        if holder is not None:
            yield from (Draft(lever, pid) for pid in holder.sessions if pid not in done)
    if not wanted.named and (wanted.filtered or wanted.lever is Lever.CANCEL):
        yield from (Draft(lever, s.pid) for s in scene.snapshot.slot_sessions if s.pid not in done)


def to_drain(scene: Scene, wanted: Wanted) -> Iterator[Draft]:
    """The processes that have pools of pgusher's own `Database`, of those that were meant."""
    for pid in dict.fromkeys(loan.process for loan in scene.facts.loans):
        mine = [loan.backend_pid for loan in scene.facts.loans if loan.process == pid]
        names = {chain.holder for one in mine if (chain := scene.chains.get(one)) is not None}
        meant = pid in wanted.processes or names & set(wanted.holders) or set(mine) & set(wanted.sessions)
        if meant or not wanted.named:
            yield Draft(Lever.DRAIN, process=pid, named=True)


def whole_scripts(scene: Scene, wanted: Wanted, left: set[int]) -> Iterator[Draft]:
    """Of a job or script that was named: its processes, where ending its sessions would only bring new ones.

    `left` are the sessions that nothing else frees. All of them must be idle: what is at work is named by its pid.
    """
    for name in wanted.holders:
        holder = scene.holders.get(name)
        if holder is None or holder.kind not in (HolderKind.CRON, HolderKind.SCRIPT):
            continue
        mine: list[Session] = [scene.sessions[pid] for pid in holder.sessions if pid in scene.sessions]
        if not left.intersection(holder.sessions) or any(s.state != "idle" for s in mine):
            continue
        tops = dict.fromkeys(
            [run.top for run in scene.runs if run.holder == name and run.top in scene.processes] or holder.processes
        )
        below = set().union(*(scene.tree(top) for top in tops)) if tops else set()
        tops |= dict.fromkeys(pid for pid in holder.processes if pid not in below)
        yield from (Draft(Lever.END_PROCESS, process=pid, named=False) for pid in _topmost(scene, tops))
