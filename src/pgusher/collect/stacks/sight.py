"""How far into the processes that hold slots one may look from here, tried without taking a stack."""

from __future__ import annotations

from collections.abc import Iterable

from pgusher.collect import procfs
from pgusher.collect.stacks import denied, programs
from pgusher.model.evidence import Gap
from pgusher.model.values import dataclass


@dataclass(frozen=True, slots=True)
class Sight:
    """What may be seen of some processes."""

    processes: int
    """How many there are."""
    python: int = 0
    """Those of them that may be looked into and run Python: py-spy shows their lines."""
    other: int = 0
    """Those of them that may be looked into and run something else: threads and system calls are all there is."""
    gaps: tuple[Gap, ...] = ()
    """One for each process that may not be looked into."""


def sight(pids: Iterable[int], proc: str = "/proc") -> Sight:
    """What may be seen of these processes; those that are gone are left out. Never raises."""
    processes = python = other = 0
    gaps = []
    for pid in pids:
        try:
            # The kernel asks here for the right to attach, as for reading memory (fs/proc/base.c, proc_pid_syscall).
            procfs.read(f"{proc}/{pid}/syscall", limit=256)
        except (FileNotFoundError, ProcessLookupError):
            continue
        except OSError:
            processes += 1
            gaps.append(denied.why_denied(proc, pid))
            continue
        processes += 1
        if programs.python_of(proc, pid) is None:
            other += 1
        else:
            python += 1
    return Sight(processes, python, other, tuple(gaps))
