"""Containers and units, by the cgroup of a process or the number of a socket's cgroup."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from pgusher.model.facts import Facts
from pgusher.model.jobs import Container, Unit
from pgusher.model.pattern import pattern
from pgusher.model.values import dataclass, replace


@dataclass(frozen=True, slots=True)
class Place:
    """What a cgroup says of the processes in it."""

    container: Container | None = None
    unit: Unit | None = None
    launcher: str | None = None
    """A unit that starts what others asked it to: cron.service, ssh.service. It says who started, not what."""
    telling: bool = False
    """Whether the cgroup says anything at all: false for "/" and where it could not be read."""


NOWHERE = Place()

CRON_UNITS = frozenset({"cron.service", "crond.service", "cronie.service", "fcron.service", "anacron.service"})
AT_UNITS = frozenset({"atd.service"})

# Units whose processes were started for somebody else, who is the one to be named.
_LAUNCHERS = (
    CRON_UNITS
    | AT_UNITS
    | {"ssh.service", "sshd.service", "dropbear.service", "telnetd.service", "teleport.service"}
    | {"docker.service", "containerd.service", "crio.service", "kubelet.service", "k3s.service", "podman.service"}
    | {
        "supervisor.service",
        "supervisord.service",
        "runit.service",
        "s6.service",
        "runsvdir.service",
        "gitlab-runsvdir.service",
        "svscan.service",
    }
    | {"gdm.service", "gdm3.service", "lightdm.service", "sddm.service", "display-manager.service", "xdm.service"}
    | {"xrdp.service", "xrdp-sesman.service", "dbus.service", "dbus-broker.service", "systemd-logind.service"}
)
_LAUNCHER_STARTS = ("user@", "ssh@", "sshd@", "getty@", "serial-getty@", "console-getty", "container-getty@", "pm2-")

_ID = pattern(r"(?:^|[-/:])([0-9a-f]{64})(?:\.scope)?(?:/|$)")
_LXC = pattern(r"/lxc(?:\.payload)?[./]([^/]+)")
_OWNER = pattern(r"/user@(\d+)\.service(?:/|$)")
_RUNTIMES = (("docker", "docker"), ("libpod", "podman"), ("crio", "cri-o"), ("cri-containerd", "containerd"))


class Places:
    """The containers and units of the facts, ready to be asked."""

    def __init__(self, facts: Facts) -> None:
        self._containers = _by_cgroup(facts.containers)
        self._by_id = {container.id: container for container in sorted(facts.containers, key=repr)}
        self._units = _by_cgroup(facts.units)
        self._numbers: dict[int, Place] = {}
        for unit in sorted(facts.units, key=repr):
            if unit.cgroup_id is not None and not is_launcher(unit.name):
                self._numbers[unit.cgroup_id] = Place(unit=unit, telling=True)
        for container in sorted(facts.containers, key=repr):
            if container.cgroup_id is not None:
                self._numbers[container.cgroup_id] = Place(container=container, telling=True)
        self._known: dict[str, Place] = {}

    def of(self, cgroup: str | None) -> Place:
        """What a cgroup path says."""
        if not cgroup or cgroup == "/":
            return NOWHERE
        place = self._known.get(cgroup)
        if place is None:
            place = self._known[cgroup] = self._find(cgroup)
        return place

    def numbered(self, cgroup_id: int | None) -> Place:
        """What the number of a cgroup says, which is all that an unprivileged look at a socket gives."""
        return self._numbers.get(cgroup_id, NOWHERE) if cgroup_id is not None else NOWHERE

    def _find(self, cgroup: str) -> Place:
        container = _nearest(self._containers, cgroup) or self._container_named(cgroup)
        if container is not None:
            return Place(container=container, telling=True)
        unit = _nearest(self._units, cgroup)
        if unit is not None and not is_launcher(unit.name):
            return Place(unit=unit, telling=True)
        # From the innermost: user@1000.service/app.slice/sync.service is sync.service.
        services = [part for part in cgroup.split("/") if part.endswith(".service")]
        launcher = next((part for part in reversed(services) if not part.startswith("user@")), None)
        if launcher is None or is_launcher(launcher):
            return Place(launcher=launcher, telling=True)
        owner = _OWNER.search(cgroup)
        unit = Unit(launcher, bool(owner), int(owner.group(1)) if owner else None, cgroup=cgroup)
        return Place(unit=unit, telling=True)

    def _container_named(self, cgroup: str) -> Container | None:
        """A container whose id is in the path: no source had to know it."""
        found = _ID.findall(cgroup)
        if found:
            known = self._by_id.get(found[-1])
            if known is not None:
                return replace(known, cgroup=cgroup)
            runtime = next((name for mark, name in _RUNTIMES if f"{mark}-" in cgroup or f"/{mark}/" in cgroup), "")
            if not runtime:
                runtime = "kubernetes" if "kubepods" in cgroup else "container"
            return Container(runtime, found[-1], cgroup=cgroup)
        lxc = _LXC.search(cgroup)
        return Container("lxc", lxc.group(1), lxc.group(1), cgroup=cgroup) if lxc else None


def is_launcher(unit: str) -> bool:
    """Whether a unit is named by what it starts, not by itself; scopes of logins too."""
    return (
        unit in _LAUNCHERS
        or unit.startswith(_LAUNCHER_STARTS)
        or (
            unit.endswith(".scope")
            and unit.startswith(("session-", "init", "run-", "app-", "vte-spawn-", "tmux-spawn-"))
        )
    )


_Placed = TypeVar("_Placed", Container, Unit)


def _by_cgroup(items: Iterable[_Placed]) -> dict[str, _Placed]:
    # Sorted, so that of two that claim one path the same is taken whatever the order of the facts.
    return {item.cgroup: item for item in sorted(items, key=repr, reverse=True) if item.cgroup and item.cgroup != "/"}


def _nearest(placed: dict[str, _Placed], cgroup: str) -> _Placed | None:
    """What is at the path, or else at the nearest path above."""
    if not placed:
        return None
    path = cgroup.rstrip("/")
    while path:
        found = placed.get(path)
        if found is not None:
            return found
        path = path[: path.rfind("/")] if "/" in path else ""
    return None
