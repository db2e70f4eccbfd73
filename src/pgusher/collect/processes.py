"""Processes: those that hold sessions and all their ancestors, from /proc.

What a process is known by is (pid, start_ticks). All files of one process are read through one open directory: when
the process ends and its pid is used again, that directory stays that of the old process and its files are gone, so
two processes are never mixed (proc(5); fs/proc/base.c looks the task up by its struct pid). Of a young process, which
is still to change its program, and where /proc is not that of the running kernel, the line of stat is read before and
after the other files: what was read in between counts only if both agree.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection
from typing import NamedTuple

from pgusher.collect import procfs, rights
from pgusher.collect.boot import boot_time
from pgusher.collect.process_files import FileReader
from pgusher.collect.rooted import reason
from pgusher.collect.users import Users
from pgusher.model.address import Micros
from pgusher.model.evidence import Gap
from pgusher.model.process import Process
from pgusher.model.values import dataclass, replace

_HZ = os.sysconf("SC_CLK_TCK")
_YOUNG = 2.0
"""Seconds: a process may still be on the way from fork over setuid to exec, so it is read anew at the next look."""
_STALE = 4.0
"""Seconds after which state, parent and name of a known process are read anew."""
_OLD = 30.0
"""Seconds after which a known process is read anew in full: it may have changed its title or its directory."""
_TRIES = 3
_GONE = (FileNotFoundError, ProcessLookupError)
_HIDDEN = "/proc is mounted with hidepid"


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """What `look` saw."""

    processes: tuple[Process, ...]
    """By pid."""
    gaps: tuple[Gap, ...] = ()


class _Known(NamedTuple):
    """A process as it was read, and until when that may be believed."""

    process: Process
    stat: procfs.Stat
    directory: tuple[int, int]
    """Inode and time of /proc/PID: the kernel makes both anew for a new process of that pid."""
    stale: float
    old: float
    denied: bool
    """What only its owner may see could not be read."""


class ProcessSource:
    """Looks at processes again and again: what is known and cannot have changed is not read again."""

    def __init__(
        self,
        *,
        proc: str = "/proc",
        users: Callable[[int], str | None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        uptime: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
        boot: Callable[[], Micros] | None = None,
    ) -> None:
        """`users` gives the name of a uid, `boot` the time of boot; both come from the system if not given."""
        self._proc = proc
        self._users = users or Users().name
        self._clock = clock
        self._uptime = uptime
        self._boot = boot or (lambda: boot_time(proc))
        self._boot_time: Micros = 0
        self._known: dict[int, _Known] = {}
        self._names: dict[int, str | None] = {}
        self._files = FileReader()
        self._is_live = _is_live(proc)

    def look(self, pids: Collection[int]) -> ProcessFacts:
        """The processes of `pids` and all their ancestors. One that has ended is simply absent."""
        now = self._clock()
        boot = self._boot()
        if boot != self._boot_time:
            self._boot_time = boot
            self._known.clear()
        self._names.clear()
        troubles: dict[str, int] = {}
        found: dict[int, _Known] = {}
        missing: set[int] = set()
        self._walk(sorted(set(pids)), found, missing, troubles, now)
        for _ in range(_TRIES):
            # A process whose parent has ended has another one by now, unless its parent may not be seen.
            orphans = {pid: known.process.ppid for pid, known in found.items() if known.process.ppid in missing}
            for pid in orphans:
                del found[pid]
            self._walk(list(orphans), found, missing, troubles, now, again=True)
            if all(pid not in found or found[pid].process.ppid == ppid for pid, ppid in orphans.items()):
                break
        self._known = found
        self._files.forget(4 * len(found) + 64)
        processes = tuple(found[pid].process for pid in sorted(found))
        denied = sum(found[pid].denied for pid in set(pids) if pid in found)
        return ProcessFacts(processes, _gaps(denied, troubles))

    def _name(self, uid: int) -> str | None:
        """The name of a uid, asked for once a look."""
        if uid not in self._names:
            self._names[uid] = self._users(uid)
        return self._names[uid]

    def _walk(
        self,
        todo: list[int],
        found: dict[int, _Known],
        missing: set[int],
        troubles: dict[str, int],
        now: float,
        *,
        again: bool = False,
    ) -> None:
        while todo:
            pid = todo.pop()
            if pid <= 0 or pid in found or pid in missing:
                continue
            try:
                known = self._look(pid, now, again=again)
            except OSError as error:
                known = None
                why = _HIDDEN if isinstance(error, _GONE) and self._is_live and _is_hidden(pid) else reason(error)
                if why is _HIDDEN or not isinstance(error, _GONE):
                    troubles[why] = troubles.get(why, 0) + 1
            if known is None:
                missing.add(pid)
            else:
                found[pid] = known
                todo.append(known.process.ppid)

    def _look(self, pid: int, now: float, *, again: bool) -> _Known | None:
        """One process, from what is known where that is enough. Raises OSError when it is gone or may not be seen."""
        path = f"{self._proc}/{pid}"
        known = self._known.get(pid)
        if known and self._is_live and not again and now < known.stale:
            # Four times cheaper than its stat file, and proof enough: a new process has a new directory.
            place = os.stat(path)
            if (place.st_ino, place.st_mtime_ns) == known.directory and place.st_uid == known.process.uid:
                return known
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            line = procfs.read("stat", directory)
            stat = procfs.parse_stat(line)
            if stat is None:
                return None
            if known and now < known.old and _same_program(stat, known.stat):
                place = os.fstat(directory)
                if place.st_uid == known.process.uid:
                    return _refreshed(known, stat, (place.st_ino, place.st_mtime_ns), now)
            return self._read(directory, line, stat, now)
        finally:
            os.close(directory)

    def _read(self, directory: int, line: bytes, stat: procfs.Stat, now: float) -> _Known | None:
        """All of one process, whose stat was just read. Raises OSError when it ends."""
        tries = 0
        while True:
            tries += 1
            place = os.fstat(directory)
            files = self._files.read(directory, stat)
            young = 0 <= self._uptime() - stat.start_ticks / _HZ < _YOUNG
            settled = self._is_live and not young and bool(files.argv)
            if settled:
                break  # its directory is proof of who it is, its arguments that it still runs
            again = procfs.read("stat", directory)
            after = stat if again == line else procfs.parse_stat(again)
            if after is None or after.start_ticks != stat.start_ticks:
                return None
            # In the middle of an exec there are no arguments yet.
            settled = _same_program(stat, after) and (bool(files.argv) or stat.kernel_thread or stat.state in "ZX")
            line, stat = again, after
            if settled or tries == _TRIES:
                break
        process = Process(
            pid=stat.pid,
            start_ticks=stat.start_ticks,
            start_time=self._boot_time + stat.start_ticks * 1_000_000 // _HZ,
            ppid=stat.ppid,
            comm=stat.comm,
            uid=place.st_uid,
            user=self._name(place.st_uid),
            argv=files.argv,
            state=stat.state,
            sid=stat.sid,
            tty=stat.tty,
            cwd=files.cwd,
            exe=files.exe,
            exe_deleted=files.exe_deleted,
            cgroup=files.cgroup,
            loginuid=files.loginuid,
            audit_session=files.audit_session,
            netns=files.netns,
            threads=stat.threads,
        )
        # By pid, so that not all that was first seen together is read anew together.
        old = now if young or not settled else now + _OLD * (1 + stat.pid % 16 / 16)
        return _Known(
            process, stat, (place.st_ino, place.st_mtime_ns), min(old, _stale(stat.pid, now)), old, files.denied
        )


def _gaps(denied: int, troubles: dict[str, int]) -> tuple[Gap, ...]:
    gaps = []
    for why, count in sorted(troubles.items()):
        opens = rights.to_see_processes() if why in (_HIDDEN, "permission denied", "operation not permitted") else ""
        gaps.append(Gap("processes", f"{count} process{'es' * (count != 1)}", why, opens, count))
    if denied:
        # Only of those that were asked for: what an ancestor's directory is explains no slot.
        what = f"the program file, directory and network namespace of {denied} process{'es' * (denied != 1)}"
        gaps.append(Gap("processes", what, "permission denied", rights.to_see_processes(), denied))
    return tuple(gaps)


def _same_program(one: procfs.Stat, other: procfs.Stat) -> bool:
    """Whether it is one process that has not changed its program in between."""
    return (one.start_ticks, one.start_stack, one.comm) == (other.start_ticks, other.start_stack, other.comm)


def _refreshed(known: _Known, stat: procfs.Stat, directory: tuple[int, int], now: float) -> _Known:
    process = known.process
    if stat != known.stat:
        process = replace(process, ppid=stat.ppid, state=stat.state, sid=stat.sid, tty=stat.tty, threads=stat.threads)
    return known._replace(
        process=process, stat=stat, directory=directory, stale=min(known.old, _stale(process.pid, now))
    )


def _stale(pid: int, now: float) -> float:
    return now + _STALE * (0.5 + pid % 16 / 32)


def _is_live(proc: str) -> bool:
    """Whether it is the /proc of this kernel and this pid namespace."""
    try:
        return os.stat(proc).st_dev == os.stat("/proc").st_dev
    except OSError:
        return False


def _is_hidden(pid: int) -> bool:
    """Whether there is such a process and /proc does not show it. Signal 0 asks without doing anything."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        pass
    except (OSError, OverflowError):
        return False
    return not os.path.exists(f"/proc/{pid}")
