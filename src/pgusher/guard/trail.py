"""What a run is known by when its guard has been killed and the mark in the environment was cleared.

The guard keeps on record which processes its job has (pid and start), their sessions, and the cgroup. `remains` gives
those that are there still, and what belongs to them for certain: nothing is ended for having a pid that was used once.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from pgusher.guard import cgroup
from pgusher.guard.kernel import Stat, boot_id, processes

_MOST = 2000
"""Processes that are kept on record; of more than those their sessions are."""


class Trail(NamedTuple):
    """One run, as of `stamp`."""

    run: str
    boot: str
    stamp: int
    """Clock ticks since boot: when the processes were looked at, or a moment before."""
    cgroup: str
    """Its directory; "" when there is none."""
    processes: list[list[int]]
    """Pid and start in clock ticks since boot."""
    sessions: list[int]
    """Those that were made by the job and had a member then."""


def now() -> int:
    """Clock ticks since boot, as in /proc/PID/stat."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))


def write(path: str, run: str, place: str, stamp: int, family: Iterable[Stat]) -> None:
    """Keep that on record. Whatever goes wrong with it is no reason to fail the job."""
    family = list(family)
    own = os.getsid(0)
    trail = Trail(
        run,
        boot_id(),
        stamp,
        place,
        [[stat.pid, stat.ticks] for stat in family[:_MOST]],
        sorted({stat.session for stat in family} - {own})[:_MOST],
    )
    with contextlib.suppress(OSError):
        # Renamed: we may be killed while we write.
        fd = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            json.dump(trail, file)
        os.rename(f"{path}.new", path)


def read(path: str) -> Trail | None:
    """The last one; None when there is none of this boot, or it is not ours to believe."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(fd, encoding="utf-8") as file:
            trail = Trail(*json.loads(file.read(1 << 18)))
        return trail if trail.boot == boot_id() and _sound(trail) else None
    except (OSError, ValueError, TypeError, RecursionError):
        return None


def forget(path: str) -> None:
    """Nothing of that run is left: its cgroup may go, too."""
    trail = read(path)
    if trail is not None and trail.cgroup:
        with contextlib.suppress(OSError):
            os.rmdir(trail.cgroup)
    with contextlib.suppress(OSError):
        os.unlink(path)


def _sound(trail: Any) -> bool:
    words = [trail.run, trail.cgroup]
    numbers = [trail.stamp, *trail.sessions, *(number for pair in trail.processes for number in pair)]
    pairs = all(len(pair) == 2 for pair in trail.processes)
    return pairs and all(isinstance(x, str) for x in words) and all(type(x) is int for x in numbers)


def remains(trail: Trail, proc: str = "/proc") -> list[Stat]:
    """Those of the run that live, whoever their parent is by now.

    A process of one of its sessions that was there at the stamp is the run's: the session had a member then, so its
    number was not free for another one. As long as such a one lives the number is not free either, so all of that
    session are the run's. So is whoever has one of them as parent, and whoever is in the run's cgroup.
    """
    known = {(pid, ticks) for pid, ticks in trail.processes}
    inside = set(cgroup.members(trail.cgroup)) if trail.cgroup else set()
    sessions = set(trail.sessions)
    living = [stat for stat in processes(proc) if stat.pid != os.getpid()]
    ours = {
        stat.pid: stat
        for stat in living
        if (stat.pid, stat.ticks) in known
        or stat.pid in inside
        or (stat.session in sessions and stat.ticks <= trail.stamp)
    }
    while True:
        kept = {stat.session for stat in ours.values() if stat.session in sessions}
        more = {
            stat.pid: stat for stat in living if stat.pid not in ours and (stat.ppid in ours or stat.session in kept)
        }
        if not more:
            return [stat for stat in ours.values() if stat.state not in "ZX"]
        ours |= more
