"""Containers by the cgroups of processes: their ids from the path, their names from what the runtimes keep on disk.

No runtime is asked: its socket is root's, and its daemon may be what is stuck.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from pgusher.collect import procfs, rights, rooted
from pgusher.collect.cgroups import CgroupPaths
from pgusher.collect.containers import stores
from pgusher.collect.containers.names import ContainerPath, container_of
from pgusher.collect.containers.stores import Known
from pgusher.collect.users import Users
from pgusher.model.evidence import Gap
from pgusher.model.jobs import Container
from pgusher.model.pattern import pattern
from pgusher.model.text import decode
from pgusher.model.values import dataclass

_AGAIN = 5.0
"""Seconds after which a container without a name is asked for again."""
_TASKS = "/run/containerd/io.containerd.runtime.v2.task"
_STORAGE = "/var/lib/containers/storage/overlay-containers"
_BUNDLES = "/run/containers/storage/overlay-containers"
_NOTHING = Known()
_LOGS = "/var/log/containers"
_POD_LOGS = "/var/log/pods"
_OWN = pattern(r"/(?P<store>containers|overlay-containers)/(?P<id>[0-9a-f]{64})/")
_OWN_POD = pattern(r"/pods/([0-9a-f-]{32,36})/etc-hosts$")
_LISTS = {
    "docker": "docker ps --no-trunc",
    "podman": "podman ps --no-trunc",
    "containerd": "crictl ps --no-trunc",
    "cri-o": "crictl ps --no-trunc",
    "kubernetes": "crictl ps --no-trunc",
}


@dataclass(frozen=True, slots=True)
class ContainerFacts:
    """What `look` saw."""

    containers: tuple[Container, ...]
    """One for each cgroup that is of a container, so one container may come up several times."""
    gaps: tuple[Gap, ...] = ()


class ContainerSource:
    """Looks at containers again and again. What a container is called does not change, so it is read once."""

    def __init__(
        self,
        root: str = "/",
        *,
        users: Users | None = None,
        paths: CgroupPaths | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._root = root
        self._clock = clock
        self._asked: dict[ContainerPath, float] = {}
        self._users = users or Users(root)
        self._paths = paths or CgroupPaths(root)
        self._known: dict[ContainerPath, Known] = {}
        self._files: dict[str, tuple[tuple[int, ...], dict[str, Known]]] = {}
        self._denied = False
        self._own: tuple[ContainerPath | None, Known] | None = None

    def look(self, cgroups: Collection[str]) -> ContainerFacts:
        """The containers of the processes in these cgroups."""
        now = self._clock()
        found: list[Container] = []
        known: dict[ContainerPath, Known] = {}
        nameless: set[ContainerPath] = set()
        for cgroup in sorted(set(cgroups)):
            path = container_of(cgroup) or self._hidden(cgroup)
            if path is None:
                continue
            if path not in known:
                known[path] = self._names(path, now)
            names = known[path]
            if not (names.name or names.pod):
                nameless.add(path)
            found.append(
                Container(
                    runtime=path.runtime,
                    id=path.id,
                    name=names.name,
                    image=names.image,
                    pod=names.pod or path.pod_uid,
                    namespace=names.namespace,
                    cgroup=cgroup,
                    cgroup_id=self._paths.id_of(cgroup),
                )
            )
        self._known = known
        self._asked = {path: when for path, when in self._asked.items() if path in nameless}
        return ContainerFacts(tuple(found), _gaps(nameless, denied=self._denied))

    def _names(self, path: ContainerPath, now: float) -> Known:
        """What it is called. Where no file said so, one may be written yet: it is asked for again, but not at once."""
        known = self._known.get(path)
        if known is None or now - self._asked.get(path, now) >= _AGAIN:
            known = _merged(known or _NOTHING, self._ask(path))
            self._asked[path] = now
        return known

    def _hidden(self, cgroup: str) -> ContainerPath | None:
        """Our own container, where a cgroup namespace shows its processes' paths without it."""
        if ".." in cgroup.split("/"):
            return None
        if self._own is None:
            self._own = self._own_container()
        path, known = self._own
        if path is not None and known != _NOTHING:
            self._known.setdefault(path, known)
        return path

    def _own_container(self) -> tuple[ContainerPath | None, Known]:
        try:
            own = procfs.parse_cgroup(rooted.read_file(self._root, "/proc/self/cgroup"))
            mounts = rooted.read_file(self._root, "/proc/self/mountinfo")
        except OSError:
            return None, _NOTHING
        # Without a cgroup namespace the path itself names the container, and "/" is the host's own.
        if own != "/":
            return None, _NOTHING
        try:
            told = stores.container_environment(rooted.read_file(self._root, "/run/.containerenv"))
        except OSError:
            told = None
        if told:
            return ContainerPath(told[0], told[1]), told[2]
        return own_container(mounts), _NOTHING

    def _ask(self, path: ContainerPath) -> Known:
        """All that the files of the runtimes say of a container."""
        if path.runtime in ("lxc", "nspawn", "libvirt-lxc", "garden"):
            return Known(path.id)
        known = self._list(_LOGS, stores.log_name).get(path.id, _NOTHING)
        if path.pod_uid:
            known = _merged(known, self._list(_POD_LOGS, stores.pod_logs_name).get(path.pod_uid, _NOTHING))
        for runtimes, ask in (
            (("docker", "kubernetes", "container"), self._docker),
            (("containerd", "kubernetes", "container"), self._containerd),
            (("podman", "cri-o", "kubernetes", "container"), self._storage),
        ):
            if path.runtime in runtimes and not (known.name and known.image):
                known = _merged(known, ask(path))
        return known

    def _docker(self, path: ContainerPath) -> Known:
        root = stores.daemon_root(self._read("/etc/docker/daemon.json")) or "/var/lib/docker"
        home = self._users.home(path.owner_uid) if path.owner_uid is not None else None
        if home:
            root = f"{home}/.local/share/docker"
        return stores.docker(self._read(f"{root}/containers/{path.id}/config.v2.json"))

    def _containerd(self, path: ContainerPath) -> Known:
        try:
            namespaces = rooted.list_directory(self._root, _TASKS)
        except OSError as error:
            self._denied |= rooted.is_denied(error)
            return _NOTHING
        files = (self._read(f"{_TASKS}/{namespace}/{path.id}/config.json") for namespace in namespaces)
        return next((known for raw in files if (known := stores.bundle(raw)) != _NOTHING), _NOTHING)

    def _storage(self, path: ContainerPath) -> Known:
        home = self._users.home(path.owner_uid) if path.owner_uid is not None else None
        store = f"{home}/.local/share/containers/storage/overlay-containers" if home else _STORAGE
        known = _NOTHING
        for file in ("containers.json", "volatile-containers.json"):
            known = _merged(known, self._parsed(f"{store}/{file}").get(path.id, _NOTHING))
        if not (known.name and known.image):
            known = _merged(known, stores.bundle(self._read(f"{_BUNDLES}/{path.id}/userdata/config.json")))
        return known

    def _read(self, path: str) -> bytes:
        try:
            return rooted.read_file(self._root, path)
        except OSError as error:
            self._denied |= rooted.is_denied(error)
            return b""

    def _parsed(self, path: str) -> dict[str, Known]:
        """A store of many containers, parsed again when it has changed."""
        signature = rooted.signature(self._root, path) or ()
        kept = self._files.get(path)
        if kept is None or kept[0] != signature:
            kept = self._files[path] = (signature, stores.storage(self._read(path)))
        return kept[1]

    def _list(self, directory: str, parse: Callable[[str], tuple[str, Known] | None]) -> dict[str, Known]:
        """A directory whose names tell, read again when it has changed."""
        signature = rooted.signature(self._root, directory) or ()
        kept = self._files.get(directory)
        if kept is None or kept[0] != signature:
            try:
                names = rooted.list_directory(self._root, directory) if signature else []
            except OSError as error:
                self._denied |= rooted.is_denied(error)
                names = []
            kept = self._files[directory] = (signature, dict(filter(None, map(parse, names))))
        return kept[1]


def own_container(mounts: bytes) -> ContainerPath | None:
    """The container that a mountinfo file is of: runtimes lay their own /etc/hostname, hosts or resolv.conf over it."""
    pod: str | None = None
    found: ContainerPath | None = None
    for line in mounts.split(b"\n"):
        fields = line.split(b" ", 5)
        if len(fields) == 6 and fields[4] in (b"/etc/hostname", b"/etc/hosts", b"/etc/resolv.conf"):
            source = decode(fields[3])
            match = _OWN_POD.search(source)
            pod = match[1] if match else pod
            match = _OWN.search(source)
            if match and found is None:
                runtime = "docker" if match["store"] == "containers" else "podman"
                found = ContainerPath(runtime, match["id"])
    if found is None:
        return ContainerPath("kubernetes", pod, pod) if pod else None
    return found._replace(pod_uid=pod, runtime="cri-o" if pod and found.runtime == "podman" else found.runtime)


def look_containers(cgroups: Collection[str], root: str = "/") -> ContainerFacts:
    """One look at the containers of these cgroups. See ContainerSource."""
    return ContainerSource(root).look(cgroups)


def _merged(one: Known, other: Known) -> Known:
    return Known(*(mine if mine is not None else its for mine, its in zip(one, other, strict=True)))


def _gaps(nameless: set[ContainerPath], *, denied: bool) -> tuple[Gap, ...]:
    if not nameless:
        return ()
    runtimes = sorted({path.runtime for path in nameless})
    what = f"the names of {len(nameless)} containers of {', '.join(runtimes)}"
    if denied:
        return (Gap("containers", what, "permission denied", rights.to_read_files(), len(nameless)),)
    lists = " or ".join(dict.fromkeys(_LISTS.get(runtime, "ask their runtime") for runtime in runtimes))
    return (
        Gap("containers", what, "no file of their runtime was found", f"compare the ids with: {lists}", len(nameless)),
    )
