"""The time limit that follows from a run's own schedule: the crontab line or the timer that has started it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from pgusher.guard.kernel import read_stat
from pgusher.model.values import dataclass

if TYPE_CHECKING:  # who was started by hand needs none of it
    from pgusher.model.jobs import CronEntry

Micros = int

_DAEMONS = frozenset({"cron", "crond", "cronie", "busybox", "dcron", "fcron", "supercronic"})
_SHELLS = frozenset({"sh", "bash", "dash", "ksh", "zsh", "ash", "busybox"})
_HIGHEST = 8
"""Processes above us that are looked at: a shell or two, `nice`, `env`."""
_NOT_A_JOB = re.compile(r"cron|anacron|atd|^user@|^session|^ssh")


@dataclass(frozen=True, slots=True)
class FromSchedule:
    """A limit, and where it comes from."""

    limit: str
    """As `--timeout` takes it: "9m"."""
    source: str
    """ "schedule */10 * * * * of /etc/cron.d/reports:3"."""


def limit_from_schedule(proc: str = "/proc", pid: int | None = None) -> FromSchedule | None:
    """Nine tenths of the shortest pause of its schedule; None where none is found, or none follows from it.

    Raises nothing: who was started by hand has no schedule, and what cannot be read is none.
    """
    try:
        top = below_cron(proc, pid)
        if top is not None:
            return of_command(_argv(top, proc), _entries())
        unit = own_unit(proc, pid)
        return _of_unit(unit) if unit else None
    except (OSError, ValueError):
        return None


def below_cron(proc: str = "/proc", pid: int | None = None) -> int | None:
    """The process that a cron daemon has started, and that we are or descend from."""
    at = os.getpid() if pid is None else pid
    for _ in range(_HIGHEST):
        stat = read_stat(at, proc)
        if stat is None or stat.ppid < 1:
            return None
        if _comm(stat.ppid, proc).lower() in _DAEMONS:
            return at
        at = stat.ppid
    return None


def of_command(argv: Sequence[str], entries: Iterable[CronEntry], user: str | None = None) -> FromSchedule | None:
    """The limit of the lines that have become this command line: of several the longest, as none is known to be it."""
    from pgusher.attribute.crontab import Crontab, place
    from pgusher.diagnose.schedule import shortest_pause
    from pgusher.guard.adopt import limit_of
    from pgusher.model.redact import redact_argv

    crontab = Crontab(entries)
    words = redact_argv(argv)
    user = user or _me()
    if len(words) >= 3 and words[1] == "-c" and os.path.basename(words[0]).removeprefix("-") in _SHELLS:
        jobs = crontab.with_command(words[2], user)[0]
    else:
        jobs = crontab.with_argv(words, user)
    lines = [entry for job in jobs for entry in job.entries]
    pauses: list[Micros] = []
    for line in lines:
        pause = shortest_pause(line)
        if pause is None:
            return None  # it may be that line
        pauses.append(pause)
    if not pauses:
        return None
    longest = lines[pauses.index(max(pauses))]
    return FromSchedule(limit_of(max(pauses)), f"schedule {longest.schedule} of {place(longest)}")


def _entries() -> list[CronEntry]:
    """The lines of cron's own files, and those of this user's table as crontab(1) gives it."""
    from pgusher.collect.cron.source import CronSource

    found = [entry for entry in CronSource().look().entries if entry.line]
    if os.geteuid() != 0:
        from pgusher.app.crontabs import Crontabs

        found += [entry for table in Crontabs("").read()[0] for entry in table.parsed.entries]
    return found


def own_unit(proc: str = "/proc", pid: int | None = None) -> str:
    """The service of the system's manager that we run in; "" for none."""
    try:
        with open(f"{proc}/{'self' if pid is None else pid}/cgroup", encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:
        return ""
    for line in lines:
        path = line.split(":", 2)[-1]
        name = path.rpartition("/")[2]
        if path.startswith("/system.slice/") and name.endswith(".service") and not _NOT_A_JOB.search(name):
            return name
    return ""


def _of_unit(unit: str, pause: Callable[[str], tuple[Micros | None, str]] | None = None) -> FromSchedule | None:
    """The limit of a service that timers start."""
    from pgusher.guard.adopt import limit_of

    found, timers = (pause or _timers)(unit)
    return FromSchedule(limit_of(found), f"timer {timers}") if found else None


def _timers(unit: str) -> tuple[Micros | None, str]:
    from pgusher.app.adopt import timer_pause
    from pgusher.collect.systemd import files
    from pgusher.collect.systemd.manager import Manager
    from pgusher.collect.systemd.timers import Timers

    manager = Manager("/", files.SYSTEM, None)
    timers = Timers(manager).of(unit)
    return (timer_pause(manager, timers), ", ".join(timers)) if timers else (None, "")


def _argv(pid: int, proc: str) -> list[str]:
    with open(f"{proc}/{pid}/cmdline", "rb") as file:
        return [os.fsdecode(word) for word in file.read(1 << 16).split(b"\0")[:-1]]


def _comm(pid: int, proc: str) -> str:
    try:
        with open(f"{proc}/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def _me() -> str | None:
    from pgusher.collect.users import Users

    return Users("/").name(os.geteuid())
