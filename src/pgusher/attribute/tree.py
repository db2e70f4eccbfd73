"""The processes of one host as a tree, read from any facts, also from torn or contradicting ones."""

from __future__ import annotations

from collections.abc import Iterable

from pgusher.model.process import Process

DEEPEST = 64
"""Ancestors that are followed."""

Lineage = tuple[Process, ...]
"""A process, its parent, the parent's parent ... up to where the facts end."""


class Tree:
    """Processes by pid, and the ancestors of each."""

    def __init__(self, processes: Iterable[Process]) -> None:
        processes = tuple(processes)
        self.by_pid: dict[int, Process] = {process.pid: process for process in processes}
        if len(self.by_pid) != len(processes):
            # Facts that name a pid twice were read at two moments: the later process is the one that is there.
            for process in processes:
                if _age(process) > _age(self.by_pid[process.pid]):
                    self.by_pid[process.pid] = process
        self._lineages: dict[int, Lineage] = {}

    def lineage(self, process: Process) -> Lineage:
        """The process and its ancestors, nearest first.

        Ends where a parent is missing, and where it cannot be the parent: a parent that started after its child is
        another process that got the pid, as the real one ended while the facts were read.
        """
        known = self._lineages.get(process.pid)
        if known is not None:
            return known
        line = [process]
        met = {process.pid}
        child = process
        above: Lineage = ()
        while len(line) < DEEPEST:
            parent = self.by_pid.get(child.ppid)
            if parent is None or parent.pid in met or parent.start_ticks > child.start_ticks:
                break
            # What was walked before is taken over; a chain that would come back to itself is walked out instead.
            above = self._lineages.get(parent.pid, ())
            if above:
                if not any(ancestor.pid in met for ancestor in above):
                    break
                above = ()
            line.append(parent)
            met.add(parent.pid)
            child = parent
        result = (*line, *above)[:DEEPEST]
        self._lineages[process.pid] = result
        return result

    def user(self, uid: int) -> str | None:
        """The name of a uid, when some process tells it."""
        names = sorted({p.user for p in self.by_pid.values() if p.uid == uid and p.user is not None})
        return names[0] if names else None


def _age(process: Process) -> tuple[int, int, str]:
    return process.start_ticks, process.start_time, repr(process)


def orphaned(lineage: Lineage) -> bool:
    """Whether the topmost process that is no init was handed to an init: what started it is gone."""
    top = [process for process in lineage if not is_init(process)]
    return bool(top) and top[-1].ppid != 0 and (top[-1].ppid == 1 or len(top) < len(lineage))


def is_init(process: Process) -> bool:
    """Whether it takes in orphans and says nothing of who started them: pid 1, or a user's systemd."""
    return process.pid == 1 or process.comm in {"systemd", "init", "(sd-pam)"}
