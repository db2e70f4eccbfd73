"""What the runtimes keep about their containers on disk: pure readers of their files. Environments are never read."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from pgusher.model.pattern import pattern
from pgusher.model.redact import redact_text

_LOG = pattern(r"(?P<pod>[^_]+)_(?P<namespace>[^_]+)_(?P<name>.+)-(?P<id>[0-9a-f]{64})\.log")
_POD_LOGS = pattern(r"(?P<namespace>[^_]+)_(?P<pod>[^_]+)_(?P<uid>[0-9a-f-]{32,36})")
_LONGEST = 256


class Known(NamedTuple):
    """What one store says of one container."""

    name: str | None = None
    image: str | None = None
    pod: str | None = None
    namespace: str | None = None


def docker(raw: bytes) -> Known:
    """config.v2.json in Docker's directory of a container."""
    top = _object(_json(raw))
    config = _object(top.get("Config"))
    labels = _object(config.get("Labels"))
    return Known(
        _text(labels.get("io.kubernetes.container.name")) or (_text(top.get("Name")) or "").lstrip("/") or None,
        _text(config.get("Image")),
        _text(labels.get("io.kubernetes.pod.name")),
        _text(labels.get("io.kubernetes.pod.namespace")),
    )


def storage(raw: bytes) -> dict[str, Known]:
    """containers.json of containers/storage, which podman and CRI-O share; by the id of the container."""
    found: dict[str, Known] = {}
    entries = _json(raw)
    for entry in entries if isinstance(entries, list) else ():
        one = _object(entry)
        identity = _text(one.get("id"))
        names = one.get("names")
        # The metadata is JSON within a string.
        metadata = _object(_json((_text(one.get("metadata"), 1 << 16) or "").encode()))
        name = _text(metadata.get("metadata-name")) or _text(metadata.get("name"))
        if not name and isinstance(names, list) and names:
            name = _text(names[0])
        if identity:
            found[identity] = Known(
                name,
                _text(metadata.get("image-name")) or _text(one.get("image")),
                _text(metadata.get("pod-name")),
                _text(metadata.get("pod-namespace")) or _text(metadata.get("namespace")),
            )
    return found


def bundle(raw: bytes) -> Known:
    """config.json of an OCI bundle, as containerd, nerdctl and CRI-O write it: only its annotations."""
    notes = _object(_object(_json(raw)).get("annotations"))

    def first(*keys: str) -> str | None:
        return next(filter(None, (_text(notes.get(key)) for key in keys)), None)

    return Known(
        first("io.kubernetes.cri.container-name", "io.kubernetes.container.name", "nerdctl/name"),
        first("io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName", "nerdctl/image"),
        first("io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"),
        first("io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace"),
    )


def log_name(name: str) -> tuple[str, Known] | None:
    """A name in /var/log/containers: POD_NAMESPACE_CONTAINER-ID.log; with the id of the container."""
    match = _LOG.fullmatch(name)
    if match is None:
        return None
    return match["id"], Known(_text(match["name"]), None, _text(match["pod"]), _text(match["namespace"]))


def pod_logs_name(name: str) -> tuple[str, Known] | None:
    """A name in /var/log/pods: NAMESPACE_POD_UID; with the uid of the pod."""
    match = _POD_LOGS.fullmatch(name)
    return (match["uid"], Known(pod=_text(match["pod"]), namespace=_text(match["namespace"]))) if match else None


def container_environment(raw: bytes) -> tuple[str, str, Known] | None:
    """/run/.containerenv, which podman puts into each container: runtime, id, and what else it says."""
    values = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', raw.decode("utf-8", "backslashreplace"), re.M))
    identity = values.get("id", "")
    if not re.fullmatch("[0-9a-f]{64}", identity):
        return None
    return "podman", identity, Known(_text(values.get("name")), _text(values.get("image")))


def daemon_root(raw: bytes) -> str | None:
    """Where /etc/docker/daemon.json puts Docker's files, if it says so."""
    settings = _object(_json(raw))
    path = _text(settings.get("data-root")) or _text(settings.get("graph"))
    return path.rstrip("/") if path and path.startswith("/") else None


def _json(raw: bytes) -> object:
    import json  # late: most hosts have no containers

    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object, longest: int = _LONGEST) -> str | None:
    """A text of a file, redacted and bounded. A lone surrogate, which JSON can spell, would break every output."""
    if not isinstance(value, str) or not value:
        return None
    plain = value.encode("utf-8", "backslashreplace").decode()
    return plain if longest > _LONGEST else redact_text(plain)[:longest]
