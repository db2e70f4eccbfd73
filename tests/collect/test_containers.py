"""Containers: every shape in which a runtime names a cgroup, and what the runtimes keep on disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgusher.collect.containers import ContainerSource, container_of, look_containers, stores
from pgusher.collect.containers.names import ContainerPath
from pgusher.collect.containers.source import own_container
from pgusher.model.jobs import Container

A = "0123456789abcdef" * 4
B = "fedcba9876543210" * 4
POD = "0f3a1b2c-1111-2222-3333-444455556666"
LOW = POD.replace("-", "_")
S = "s3cr3tW0rd"


@pytest.mark.parametrize(
    ("cgroup", "runtime", "identity", "pod", "owner"),
    [
        (f"/docker/{A}", "docker", A, None, None),
        (f"/docker/{A}/system.slice/x.service", "docker", A, None, None),
        (f"/system.slice/docker-{A}.scope", "docker", A, None, None),
        (f"/system.slice/docker-{A}.scope/init.scope", "docker", A, None, None),
        (f"/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{A}.scope", "docker", A, None, 1000),
        (f"/machine.slice/libpod-{A}.scope/container", "podman", A, None, None),
        (f"/user.slice/user-7.slice/user@7.service/user.slice/libpod-{A}.scope/container", "podman", A, None, 7),
        (f"/libpod_parent/libpod-{A}", "podman", A, None, None),
        (f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{LOW}.slice/cri-containerd-{A}.scope",
         "containerd", A, POD, None),
        (f"/kubepods.slice/kubepods-pod{LOW}.slice/crio-{A}.scope", "cri-o", A, POD, None),
        (f"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{LOW}.slice/docker-{A}.scope",
         "docker", A, POD, None),
        (f"/kubepods/burstable/pod{POD}/{A}", "kubernetes", A, POD, None),
        (f"/kubepods/pod{POD}/{A}", "kubernetes", A, POD, None),
        (f"/kubepods/besteffort/pod{'ab' * 16}/{A}", "kubernetes", A, "ab" * 16, None),
        (f"/kubepods/besteffort/pod{POD}", "kubernetes", POD, POD, None),
        (f"/system.slice/containerd.service/kubepods-burstable-pod{LOW}.slice:cri-containerd:{A}",
         "containerd", A, POD, None),
        (f"/system.slice/docker-{B}.scope/kubelet.slice/kubelet-kubepods-pod{LOW}.slice/cri-containerd-{A}.scope",
         "containerd", A, POD, None),
        (f"/docker/{B}/docker/{A}", "docker", A, None, None),
        (f"/ecs/{'12' * 16}/{A}", "docker", A, None, None),
        (f"/ecs/{'12' * 16}/{'12' * 16}-1234567890", "docker", f"{'12' * 16}-1234567890", None, None),
        (f"/actions_job/{A}", "docker", A, None, None),
        (f"/elsewhere/{A}", "container", A, None, None),
        ("/lxc/101/ns/system.slice/x.service", "lxc", "101", None, None),
        ("/lxc.payload.web/system.slice/x.service", "lxc", "web", None, None),
        ("/lxc.payload/web", "lxc", "web", None, None),
        ("/machine.slice/systemd-nspawn@my\\x2dweb.service/payload", "nspawn", "my-web", None, None),
        ("/machine.slice/machine-my\\x2dweb.scope", "nspawn", "my-web", None, None),
        ("/machine.slice/machine-lxc\\x2d12\\x2dweb.scope", "libvirt-lxc", "web", None, None),
        (f"/../../system.slice/docker-{A}.scope", "docker", A, None, None),
    ],
)  # fmt: skip
def test_container_of_a_cgroup(cgroup: str, runtime: str, identity: str, pod: str | None, owner: int | None) -> None:
    assert container_of(cgroup) == ContainerPath(runtime, identity, pod, owner)


@pytest.mark.parametrize(
    "cgroup",
    [
        "/",
        "",
        "/system.slice/docker.service",
        "/system.slice/docker-short.scope",
        f"/machine.slice/libpod-conmon-{A}.scope",
        f"/system.slice/crio-conmon-{A}.scope",
        "/lxc.monitor.web",
        "/lxc",
        "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope",
        "/kubepods.slice/kubepods-burstable.slice",
        "/user.slice/user-1000.slice/session-3.scope",
        f"/system.slice/x{A}.service",
    ],
)
def test_cgroups_of_no_container(cgroup: str) -> None:
    assert container_of(cgroup) is None


PIECES = ["docker", A, f"pod{POD}", "lxc", "lxc.payload", f"libpod-{A}.scope", "..", "ecs"]
PART = st.one_of(st.text(max_size=5), st.sampled_from(PIECES))


@settings(max_examples=2000)
@given(st.lists(PART))
def test_no_path_raises(parts: list[str]) -> None:
    found = container_of("/".join(["", *parts]))
    assert found is None or found.id


def put(root: Path, name: str, value: object) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))


def one(root: Path, cgroup: str) -> Container:
    facts = look_containers([cgroup], str(root))
    assert facts.gaps == ()
    (container,) = facts.containers
    return container


DOCKER = {"ID": A, "Name": "/web", "Config": {"Image": "orders:1.2", "Env": [f"PGPASSWORD={S}"], "Labels": {}}}


def test_docker(tmp_path: Path) -> None:
    put(tmp_path, f"var/lib/docker/containers/{A}/config.v2.json", DOCKER)
    container = one(tmp_path, f"/system.slice/docker-{A}.scope")
    assert container == Container("docker", A, "web", "orders:1.2", cgroup=f"/system.slice/docker-{A}.scope")
    assert S not in repr(container)


def test_docker_elsewhere_and_rootless(tmp_path: Path) -> None:
    put(tmp_path, "etc/docker/daemon.json", {"data-root": "/data/docker/"})
    put(tmp_path, f"data/docker/containers/{A}/config.v2.json", DOCKER)
    assert one(tmp_path, f"/docker/{A}").name == "web"
    put(tmp_path, "etc/passwd", "bob:x:1000:1000::/home/bob:/bin/sh\n")
    put(tmp_path, f"home/bob/.local/share/docker/containers/{B}/config.v2.json", {**DOCKER, "Name": "/mine"})
    rootless = f"/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{B}.scope"
    assert one(tmp_path, rootless).name == "mine"


def test_podman(tmp_path: Path) -> None:
    metadata = json.dumps({"image-name": "docker.io/library/x:1", "name": "web", "created-at": 1})
    first = {"id": A, "names": ["other"], "image": B, "metadata": metadata}
    second = {"id": B, "names": ["second"], "image": A}
    put(tmp_path, "var/lib/containers/storage/overlay-containers/containers.json", [first, second])
    found = one(tmp_path, f"/machine.slice/libpod-{A}.scope/container")
    assert (found.name, found.image) == ("web", "docker.io/library/x:1")
    found = one(tmp_path, f"/machine.slice/libpod-{B}.scope/container")
    assert (found.name, found.image) == ("second", A)


def test_podman_of_a_user(tmp_path: Path) -> None:
    put(tmp_path, "etc/passwd", "bob:x:1000:1000::/home/bob:/bin/sh\n")
    store = "home/bob/.local/share/containers/storage/overlay-containers/volatile-containers.json"
    put(tmp_path, store, [{"id": A, "names": ["mine"], "image": B}])
    cgroup = f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{A}.scope"
    assert one(tmp_path, cgroup).name == "mine"


def test_kubernetes_by_the_names_of_its_logs(tmp_path: Path) -> None:
    logs = tmp_path / "var/log/containers"
    logs.mkdir(parents=True)
    (logs / f"orders-6d5f_shop_api-server-{A}.log").symlink_to("/var/log/pods/x")
    cgroup = f"/kubepods/burstable/pod{POD}/{A}"
    assert one(tmp_path, cgroup) == Container("kubernetes", A, "api-server", None, "orders-6d5f", "shop", cgroup)


def test_kubernetes_by_the_names_of_the_pods_logs(tmp_path: Path) -> None:
    (tmp_path / f"var/log/pods/shop_orders-6d5f_{POD}").mkdir(parents=True)
    found = one(tmp_path, f"/kubepods.slice/kubepods-pod{LOW}.slice/cri-containerd-{A}.scope")
    assert (found.runtime, found.name, found.pod, found.namespace) == ("containerd", None, "orders-6d5f", "shop")


def test_containerd_by_its_bundle(tmp_path: Path) -> None:
    put(tmp_path, f"run/containerd/io.containerd.runtime.v2.task/k8s.io/{A}/config.json", {
        "process": {"env": [f"PGPASSWORD={S}"]},
        "annotations": {
            "io.kubernetes.cri.container-name": "api",
            "io.kubernetes.cri.image-name": "orders:3",
            "io.kubernetes.cri.sandbox-name": "orders-6d5f",
            "io.kubernetes.cri.sandbox-namespace": "shop",
        },
    })  # fmt: skip
    cgroup = f"/kubepods/pod{POD}/{A}"
    assert one(tmp_path, cgroup) == Container("kubernetes", A, "api", "orders:3", "orders-6d5f", "shop", cgroup)


def test_cri_o_by_its_bundle(tmp_path: Path) -> None:
    put(tmp_path, f"run/containers/storage/overlay-containers/{A}/userdata/config.json", {
        "annotations": {
            "io.kubernetes.container.name": "api",
            "io.kubernetes.pod.name": "p",
            "io.kubernetes.cri-o.ImageName": "i",
        },
    })  # fmt: skip
    found = one(tmp_path, f"/kubepods.slice/kubepods-pod{LOW}.slice/crio-{A}.scope")
    assert (found.runtime, found.name, found.image, found.pod) == ("cri-o", "api", "i", "p")


def test_machines_are_called_what_they_are(tmp_path: Path) -> None:
    assert one(tmp_path, "/lxc.payload.web").name == "web"
    assert one(tmp_path, "/machine.slice/machine-my\\x2dweb.scope").name == "my-web"


def test_without_files_the_id_is_left_and_a_gap_says_so(tmp_path: Path) -> None:
    facts = look_containers([f"/docker/{A}", f"/docker/{B}", "/"], str(tmp_path))
    assert [(found.id, found.name) for found in facts.containers] == [(A, None), (B, None)]
    (gap,) = facts.gaps
    assert (gap.source, gap.what, gap.count) == ("containers", "the names of 2 containers of docker", 2)
    assert gap.opens == "compare the ids with: docker ps --no-trunc"


def test_denied_files_are_a_gap_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pgusher.collect import rooted

    def denied(root: str, path: str, limit: int = 0) -> bytes:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(rooted, "read_file", denied)
    (gap,) = look_containers([f"/docker/{A}"], str(tmp_path)).gaps
    assert gap.why == "permission denied"
    assert gap.opens


MOUNTS = (
    b"900 1 0:50 / / rw - overlay overlay rw\n"
    b"901 900 8:1 /var/lib/docker/containers/%s/hostname /etc/hostname rw - ext4 /dev/vda1 rw\n" % A.encode()
)


def bind(source: str, target: str) -> bytes:
    return f"901 900 8:1 {source} {target} rw - ext4 /dev/vda1 rw\n".encode()


@pytest.mark.parametrize(
    ("mounts", "found"),
    [
        (MOUNTS, ContainerPath("docker", A)),
        (bind(f"/docker/containers/{A}/resolv.conf", "/etc/resolv.conf"), ContainerPath("docker", A)),
        (bind(f"/overlay-containers/{A}/userdata/hosts", "/etc/hosts"), ContainerPath("podman", A)),
        (bind(f"/var/lib/kubelet/pods/{POD}/etc-hosts", "/etc/hosts"), ContainerPath("kubernetes", POD, POD)),
        (bind("/", f"/var/lib/docker/containers/{A}/mounts/shm"), None),
        (bind("/", "/"), None),
        (b"", None),
    ],
)
def test_own_container_by_its_mounts(mounts: bytes, found: ContainerPath | None) -> None:
    assert own_container(mounts) == found


def test_a_container_that_its_cgroup_namespace_hides(tmp_path: Path) -> None:
    put(tmp_path, "proc/self/cgroup", "0::/\n")
    put(tmp_path, "proc/self/mountinfo", MOUNTS.decode())
    facts = look_containers(["/", "/system.slice/x.service", "/../other.scope"], str(tmp_path))
    assert [(found.id, found.cgroup) for found in facts.containers] == [(A, "/"), (A, "/system.slice/x.service")]
    put(tmp_path, "proc/self/cgroup", f"0::/system.slice/docker-{A}.scope\n")
    assert look_containers(["/"], str(tmp_path)).containers == ()


def test_a_container_of_podmans_that_tells_its_name(tmp_path: Path) -> None:
    put(tmp_path, "proc/self/cgroup", "0::/\n")
    put(tmp_path, "proc/self/mountinfo", "")
    put(
        tmp_path, "run/.containerenv", f'engine="podman-4.3.1"\nname="web"\nid="{A}"\nimage="orders:1"\nimageid="{B}"\n'
    )
    assert one(tmp_path, "/") == Container("podman", A, "web", "orders:1", cgroup="/")


def test_the_host_itself_is_no_container(tmp_path: Path) -> None:
    put(tmp_path, "proc/self/cgroup", "0::/\n")
    put(tmp_path, "proc/self/mountinfo", "1 2 8:1 / / rw - ext4 x rw\n")
    assert look_containers(["/"], str(tmp_path)).containers == ()


def test_names_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pgusher.collect import rooted

    put(tmp_path, f"var/lib/docker/containers/{A}/config.v2.json", DOCKER)
    now = [0.0]
    source = ContainerSource(str(tmp_path), clock=lambda: now[0])
    first = source.look([f"/docker/{A}", f"/docker/{B}"])
    reads: list[str] = []
    real = rooted.read_file

    def reading(root: str, path: str, limit: int = rooted.LIMIT) -> bytes:
        reads.append(path)
        return real(root, path, limit)

    monkeypatch.setattr(rooted, "read_file", reading)
    assert source.look([f"/docker/{A}", f"/docker/{B}"]) == first
    assert reads == []
    put(tmp_path, f"var/lib/docker/containers/{B}/config.v2.json", DOCKER)
    now[0] += 6
    assert [found.name for found in source.look([f"/docker/{A}", f"/docker/{B}"]).containers] == ["web", "web"]
    assert source.look([f"/docker/{A}"]).gaps == ()


def test_hostile_files(tmp_path: Path) -> None:
    config = {"Name": "/\ud800\x1b[2J" + "x" * 5000, "Config": {"Image": f"postgresql://u:{S}@h/d"}}
    put(tmp_path, f"var/lib/docker/containers/{A}/config.v2.json", config)
    found = one(tmp_path, f"/docker/{A}")
    assert found.name is not None
    assert len(found.name) <= 256
    assert S not in repr(found)
    repr(found).encode()


KEYS = ["Name", "Config", "Image", "Labels", "id", "names", "metadata", "annotations", "x"]
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    ),
    max_leaves=12,
)


@settings(max_examples=1000, deadline=None)
@given(st.one_of(JSON.map(lambda value: json.dumps(value).encode()), st.binary(max_size=100)))
def test_no_file_raises(raw: bytes) -> None:
    for known in (stores.docker(raw), stores.bundle(raw), *stores.storage(raw).values()):
        assert all(value is None or isinstance(value, str) for value in known)
    stores.daemon_root(raw)
    stores.container_environment(raw)
    own_container(raw)


def test_deep_nesting_is_no_way_out() -> None:
    for raw in (b"[" * 100_000, b'{"Config":' * 100_000, b'[{"id": "a", "metadata": "' + b"[" * 60_000 + b'"}]'):
        stores.docker(raw)
        stores.storage(raw)


@pytest.mark.parametrize("name", ["", "a.log", f"a_b_c-{A}", "_".join("abc"), f"a_b-{A}.log", "\x1b", f"-{A}.log"])
def test_other_names_of_logs_are_passed_over(name: str) -> None:
    assert stores.log_name(name) is None
