"""What starts the processes of a look: cron, systemd and the container runtimes, asked together."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence

from pgusher.collect.cgroups import CgroupPaths
from pgusher.collect.containers import ContainerSource
from pgusher.collect.cron import CronFacts, CronSource
from pgusher.collect.systemd import UnitSource
from pgusher.collect.users import Users
from pgusher.model.evidence import Gap
from pgusher.model.jobs import Container, CronEntry, Unit
from pgusher.model.process import Process
from pgusher.model.sockets import ClientSocket
from pgusher.model.values import dataclass, replace

_DAEMONS = frozenset({"cron", "crond", "cronie", "busybox", "dcron", "fcron"})


@dataclass(frozen=True, slots=True)
class JobFacts:
    """The jobs, units and containers that the processes of a look may belong to."""

    cron: tuple[CronEntry, ...] = ()
    units: tuple[Unit, ...] = ()
    containers: tuple[Container, ...] = ()
    gaps: tuple[Gap, ...] = ()


class Jobs:
    """Asks cron, systemd and the runtimes again and again; what has not changed on disk is not read again."""

    def __init__(
        self, crontabs: Sequence[str] = (), *, root: str = "/", proc: str = "/proc", users: Users | None = None
    ) -> None:
        """`crontabs` are further ones, of a cron that keeps them elsewhere; `users` the names of this host's uids."""
        users = users or Users(root)
        self._proc = proc
        self._paths = CgroupPaths(root)
        self._cron = CronSource(root, crontabs, users)
        self._private: dict[tuple[int, int], CronSource] = {}
        self._units = UnitSource(root, users=users, paths=self._paths)
        self._containers = ContainerSource(root, users=users, paths=self._paths)

    def look(self, sockets: Iterable[ClientSocket], processes: Sequence[Process]) -> JobFacts:
        """What these processes may belong to, and the owners of these sockets where no process could be seen."""
        cgroups = {process.cgroup for process in processes if process.cgroup is not None}
        # The kernel names a socket's cgroup to everybody: so a unit or container is known though its files are not.
        numbers = {one.cgroup_id for one in sockets if not one.holders and one.cgroup_id is not None}
        cgroups.update(path for number in numbers if (path := self._paths.path_of(number)) is not None)
        units = self._units.look(cgroups)
        containers = self._containers.look(cgroups)
        entries: list[CronEntry] = []
        gaps: list[Gap] = [*units.gaps, *containers.gaps]
        for facts in (self._cron.look(), *self._elsewhere(processes)):
            entries += facts.entries
            gaps += facts.gaps
        return JobFacts(tuple(entries), units.units, containers.containers, tuple(gaps))

    def _elsewhere(self, processes: Sequence[Process]) -> Iterator[CronFacts]:
        """The crontabs of daemons that have files of their own, as in a container: they do not read ours.

        Their files are named as this host reaches them, so that nobody looks into his own /etc/crontab for them.
        """
        own = self._files_of("self")
        seen = {own}
        live: dict[tuple[int, int], CronSource] = {}
        for process in processes:
            if process.comm.lower() not in _DAEMONS:
                continue
            files = self._files_of(str(process.pid))
            # A cron's child is a copy of it under the same name, with the same files.
            if files is None or own is None or files in seen:
                continue
            seen.add(files)
            root = f"{self._proc}/{process.pid}/root"
            key = (process.pid, process.start_ticks)
            source = live[key] = self._private.get(key) or CronSource(root)
            facts = source.look()
            yield replace(facts, entries=tuple(replace(e, file=f"{root}{e.file}") for e in facts.entries))
        self._private = live

    def _files_of(self, pid: str) -> tuple[int, int, int] | None:
        """What tells one view of the files from another: the mount namespace, and the directory that is its root."""
        try:
            root = os.stat(f"{self._proc}/{pid}/root")
            return os.stat(f"{self._proc}/{pid}/ns/mnt").st_ino, root.st_dev, root.st_ino
        except OSError:
            return None
