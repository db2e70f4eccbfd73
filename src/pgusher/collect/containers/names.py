"""Which container a cgroup is of. Pure: the shapes in which the runtimes name the cgroups they make.

With systemd as the driver the last component is `RUNTIME-ID.scope`, without it a directory named by the id alone. A
monitor (conmon, lxc.monitor) runs beside its container, not in it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from pgusher.model.pattern import pattern

_ID = r"[0-9a-f]{64}"
_SCOPE = pattern(
    rf"(?P<runtime>docker|libpod|libpod-payload|crio|cri-containerd|containerd|nerdctl|buildkit)-(?P<id>{_ID})(?:\.scope)?"
)
_COLON = pattern(rf"(?P<slice>.*):(?P<runtime>cri-containerd|docker|crio|containerd):(?P<id>{_ID})")
_BARE = pattern(rf"(?P<id>{_ID})(?:\.scope)?")
_TASK = pattern(r"(?P<id>[0-9a-f]{32}-[0-9]{6,12})")
_LXC = pattern(r"lxc\.payload\.(?P<name>.+)")
_NSPAWN = pattern(r"systemd-nspawn@(?P<name>.+)\.service")
_MACHINE = pattern(r"machine-(?P<name>.+)\.scope")
_POD = pattern(r"(?:^|-)pod(?P<uid>[0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})(?:\.slice)?$")
_RUNTIMES = {
    "docker": "docker",
    "buildkit": "docker",
    "libpod": "podman",
    "libpod-payload": "podman",
    "crio": "cri-o",
    "cri-containerd": "containerd",
    "containerd": "containerd",
    "nerdctl": "containerd",
}
_PARENTS = {"docker": "docker", "ecs": "docker", "actions_job": "docker", "libpod_parent": "podman", "garden": "garden"}


class ContainerPath(NamedTuple):
    """The container that a cgroup path leads to."""

    runtime: str
    id: str
    pod_uid: str | None = None
    """The uid of its Kubernetes pod, with hyphens."""
    owner_uid: int | None = None
    """The user whose rootless runtime it is of."""


def container_of(cgroup: str) -> ContainerPath | None:
    """The innermost container of the processes in a cgroup; None when the path names none."""
    pod: str | None = None
    parent: str | None = None
    owner: int | None = None
    found: ContainerPath | None = None
    previous = ""
    for part in cgroup.split("/"):
        if part.startswith("user@") and part.endswith(".service") and part[5:-8].isdecimal():
            owner = int(part[5:-8])
        match = _POD.search(part.partition(":")[0])
        if match:
            pod = _with_hyphens(match["uid"])
            found = ContainerPath("kubernetes", pod, pod, owner)
        parent = _PARENTS.get(part, parent)
        container = _component(part, previous, parent, pod)
        if container:
            found = container._replace(pod_uid=pod, owner_uid=owner)
        previous = part
    return found


def _component(part: str, previous: str, parent: str | None, pod: str | None) -> ContainerPath | None:
    """The container that one component of a path names."""
    match = _SCOPE.fullmatch(part) or _COLON.fullmatch(part)
    if match:
        return ContainerPath(_RUNTIMES[match["runtime"]], match["id"])
    match = _BARE.fullmatch(part)
    if match:
        return ContainerPath(parent or ("kubernetes" if pod else "container"), match["id"])
    if parent == "docker" and (match := _TASK.fullmatch(part)):
        return ContainerPath("docker", match["id"])
    match = _LXC.fullmatch(part)
    if match:
        return ContainerPath("lxc", match["name"])
    if previous in ("lxc", "lxc.payload") and part:
        return ContainerPath("lxc", part)
    match = _NSPAWN.fullmatch(part) or _MACHINE.fullmatch(part)
    if match:
        return _machine(_unescaped(match["name"]))
    return None


def _machine(name: str) -> ContainerPath | None:
    """A machine of systemd-machined: libvirt calls its own lxc-NUMBER-NAME and qemu-NUMBER-NAME."""
    if name.startswith("qemu-"):
        return None  # a virtual machine: the process in it is the hypervisor's
    if name.startswith("lxc-"):
        return ContainerPath("libvirt-lxc", re.sub(r"^lxc-\d+-", "", name))
    return ContainerPath("nspawn", name)


def _unescaped(name: str) -> str:
    return re.sub(r"\\x([0-7][0-9a-fA-F])", lambda match: chr(int(match[1], 16)), name)


def _with_hyphens(uid: str) -> str:
    # systemd's names of slices keep the hyphen for nesting, so Kubernetes writes "_" there. A static pod has a hash.
    return uid.replace("_", "-")
