"""Which unit a cgroup is of, and what the names of units are made of. Pure.

As systemd itself reads a path (cg_path_get_unit and cg_path_get_user_unit in src/basic/cgroup-util.c): slices are
passed over, the first component that is none is the unit; below user@UID.service the same again gives the unit of that
user's own manager. systemd.unit(5) says how names are built.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from pgusher.model.pattern import pattern
from pgusher.model.text import decode

_NAME = pattern(r"[A-Za-z0-9:_.\\@-]{1,240}\.(service|scope|socket|mount|swap|automount|path|timer|target|slice)")
_HOLDS = (".service", ".scope", ".socket", ".mount", ".swap")
_MANAGER = pattern(r"user@(\d{1,10})\.service")
_TOPS = ("system.slice", "user.slice", "machine.slice", "init.scope", "app.slice", "session.slice")
# Scopes of containers and virtual machines: another source names them.
_CONTAINER = pattern(
    r"(?:docker|libpod|libpod-conmon|libpod-payload|crio|crio-conmon|cri-containerd|nerdctl|buildkit|containerd)"
    r"-[0-9a-f]{12,64}\.scope|machine-.*\.scope|lxc[.-].*\.scope|.*[0-9a-f]{64}\.scope"
)
_SESSION = pattern(r"session-c?\d+\.scope")


class UnitPath(NamedTuple):
    """The unit that a cgroup path leads to."""

    name: str
    owner_uid: int | None = None
    """The user whose manager it is of; None for the system's."""


def unit_of(cgroup: str) -> UnitPath | None:
    """The unit of the processes in a cgroup; None when it is of a login, a container, or of no unit at all."""
    parts = [_unescaped(part) for part in cgroup.split("/") if part]
    if ".." in parts:
        # Seen from a cgroup namespace. Only below a slice of the top it is known what the path is relative to.
        parts = parts[len(parts) - parts[::-1].index("..") :]
        if not parts or parts[0] not in _TOPS[:3]:
            return None
    name, rest = _first(parts)
    if name is None:
        return None
    manager = _MANAGER.fullmatch(name)
    if manager is None:
        return UnitPath(name) if _is_unit(name) else None
    inner, _ = _first(rest)
    # The manager's own processes are in its init.scope.
    if inner is None or inner == "init.scope":
        return UnitPath(name)
    return UnitPath(inner, int(manager[1])) if _is_unit(inner) else None


def _first(parts: list[str]) -> tuple[str | None, list[str]]:
    """The first component that is no slice, and what follows."""
    for at, part in enumerate(parts):
        if not part.endswith(".slice"):
            return part, parts[at + 1 :]
    return None, []


def _is_unit(name: str) -> bool:
    if not name.endswith(_HOLDS) or not _NAME.fullmatch(name):
        return False
    return not (_SESSION.fullmatch(name) or _CONTAINER.fullmatch(name) or name == "init.scope")


def _unescaped(part: str) -> str:
    """A cgroup whose name could be taken for a file of the kernel's has an underscore in front (cg_unescape)."""
    return part.removeprefix("_")


def is_transient(name: str) -> bool:
    """Whether the name alone says that it was made at run time: a scope always is (systemd.scope(5))."""
    return name.endswith(".scope") or re.fullmatch(r"run-[ru]?[0-9a-f]+\.service", name) is not None


class Parts(NamedTuple):
    """foo@bar.service: prefix foo, instance bar, suffix service."""

    prefix: str
    instance: str | None
    suffix: str


def split(name: str) -> Parts:
    """The parts of a unit's name; the instance is "" for a template and None for neither."""
    stem, _, suffix = name.rpartition(".")
    prefix, at, instance = stem.partition("@")
    return Parts(prefix, instance if at else None, suffix)


def template(name: str) -> str | None:
    """The template of an instance: foo@.service for foo@bar.service; None for what is no instance."""
    prefix, instance, suffix = split(name)
    return f"{prefix}@.{suffix}" if instance else None


def expand(text: str, name: str) -> str:
    """The text of a unit file with the specifiers that depend on the unit's name alone (systemd.unit(5), table 4)."""
    prefix, instance, _ = split(name)
    values = {
        "i": instance or "",
        "I": unescape(instance or ""),
        "n": name,
        "N": name.rpartition(".")[0],
        "p": prefix,
        "P": unescape(prefix),
        "j": prefix.rpartition("-")[2],
        "J": unescape(prefix.rpartition("-")[2]),
        "%": "%",
    }
    return re.sub("%([iInNpPjJ%])", lambda match: values[match[1]], text)


def unescape(text: str) -> str:
    r"""As systemd-escape --unescape: "-" is a slash, \xNN a byte."""
    raw = text.replace("-", "/").encode("utf-8", "replace")
    return decode(re.sub(rb"\\x([0-9a-fA-F]{2})", lambda match: bytes([int(match[1], 16)]), raw))
