"""Units by the cgroups of processes: their names from the path, the rest from their files. No systemctl is run."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from pgusher.collect import rooted
from pgusher.collect.cgroups import CgroupPaths
from pgusher.collect.systemd import files, names
from pgusher.collect.systemd.manager import Manager
from pgusher.collect.systemd.timers import Timers
from pgusher.collect.users import Users
from pgusher.model.evidence import Gap
from pgusher.model.jobs import Unit
from pgusher.model.redact import redact_text
from pgusher.model.values import dataclass

_LONGEST = 200
"""Characters that are kept of a description."""


@dataclass(frozen=True, slots=True)
class UnitFacts:
    """What `look` saw."""

    units: tuple[Unit, ...]
    """One for each cgroup that is of a unit, so one unit may come up several times."""
    gaps: tuple[Gap, ...] = ()


class UnitSource:
    """Looks at units again and again: what is known is read again when a directory of unit files has changed."""

    def __init__(
        self,
        root: str = "/",
        *,
        users: Users | None = None,
        paths: CgroupPaths | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._root = root
        self._users = users or Users(root)
        self._paths = paths or CgroupPaths(root)
        self._clock = clock
        self._managers: dict[int | None, Manager] = {}
        self._timers: dict[int | None, Timers] = {}
        self._units: dict[tuple[str, int | None], Unit] = {}

    def look(self, cgroups: Collection[str]) -> UnitFacts:
        """The units of the processes in these cgroups."""
        found = {cgroup: names.unit_of(cgroup) for cgroup in sorted(set(cgroups))}
        now = self._clock()
        gaps: list[Gap] = []
        for uid in dict.fromkeys(path.owner_uid for path in found.values() if path):
            manager = self._manager(uid)
            if manager.is_old(now):
                manager.forget(now)
                self._timers.pop(uid, None)
                self._units = {key: unit for key, unit in self._units.items() if key[1] != uid}
            gaps += manager.gaps
        self._units = {(cgroup, path.owner_uid): self._unit(cgroup, path) for cgroup, path in found.items() if path}
        outside = sum(1 for cgroup, path in found.items() if path is None and "/../" in f"{cgroup}/")
        if outside:
            what = f"the units of {outside} cgroups"
            why = "they lie outside of the container in which pgusher runs"
            gaps.append(Gap("systemd", what, why, "run pgusher on the host itself", outside))
        return UnitFacts(tuple(self._units.values()), tuple(gaps))

    def _manager(self, uid: int | None) -> Manager:
        if uid not in self._managers:
            where = files.SYSTEM if uid is None else files.user_directories(uid, self._users.home(uid))
            self._managers[uid] = Manager(self._root, where, self._users.name(uid) if uid is not None else None)
        return self._managers[uid]

    def _timers_of(self, path: names.UnitPath) -> tuple[str, ...]:
        if path.owner_uid not in self._timers:
            self._timers[path.owner_uid] = Timers(self._manager(path.owner_uid))
        return self._timers[path.owner_uid].of(path.name)

    def _unit(self, cgroup: str, path: names.UnitPath) -> Unit:
        key = (cgroup, path.owner_uid)
        unit = self._units.get(key)
        if unit is None:
            # Below "/.." it is a unit of another system: the files here are not its own.
            manager = None if ".." in cgroup.split("/") else self._manager(path.owner_uid)
            file = manager.find(path.name) if manager else None
            settings = manager.settings(path.name, file) if manager and file else {}
            transient = names.is_transient(path.name) or (file or "").rpartition("/")[0].endswith("/transient")
            unit = Unit(
                name=path.name,
                user_unit=path.owner_uid is not None,
                owner_uid=path.owner_uid,
                description=_description(settings.get(("Unit", "Description")), path.name),
                file=rooted.name_of(file) if file else None,
                timers=self._timers_of(path) if manager else (),
                cgroup=cgroup,
                cgroup_id=self._paths.id_of(cgroup),
                transient=transient,
            )
        return unit


def _description(text: str | None, name: str) -> str | None:
    return redact_text(names.expand(text, name))[:_LONGEST] if text else None


def look_units(cgroups: Collection[str], root: str = "/") -> UnitFacts:
    """One look at the units of these cgroups. See UnitSource."""
    return UnitSource(root).look(cgroups)
