"""What /proc/PID says beside stat: read through its open directory, parsed once for all processes that say the same."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from pgusher.collect import argv, procfs
from pgusher.model.text import decode

T = TypeVar("T")
_PAGE = 4096
_NO_EXE = (None, False)


class Files(NamedTuple):
    """What the files beside stat say."""

    cgroup: str | None
    audit_session: int | None
    loginuid: int | None
    argv: tuple[str, ...] = ()
    exe: str | None = None
    exe_deleted: bool = False
    cwd: str | None = None
    netns: int | None = None
    denied: bool = False
    """What only its owner may see could not be read."""


class FileReader:
    """Reads those files. Workers of one service have one command line and one cgroup: each is parsed once."""

    def __init__(self) -> None:
        self._lines: dict[bytes, tuple[str, ...]] = {}
        self._cgroups: dict[bytes, str | None] = {}
        self._exes: dict[bytes, tuple[str, bool]] = {}
        self._directories: dict[bytes, str] = {}
        self._namespaces: dict[bytes, int | None] = {}

    def forget(self, most: int) -> None:
        """Start over with any kind of which more than `most` different ones are kept."""
        for kept in (self._lines, self._cgroups, self._exes, self._directories, self._namespaces):
            if len(kept) > most:
                kept.clear()

    def read(self, directory: int, stat: procfs.Stat) -> Files:
        """All that is not in stat. Raises OSError when the process ends."""
        cgroup = _once(self._cgroups, _read("cgroup", directory), procfs.parse_cgroup)
        session = _number("sessionid", directory)
        # The kernel sets both together (audit_set_loginuid), so without the one there is not the other.
        login = _number("loginuid", directory) if session is not None else None
        if stat.kernel_thread or stat.state in "ZX":
            return Files(cgroup, session, login)
        raw = _read("cmdline", directory)
        if len(raw) >= _PAGE:
            raw = _read("cmdline", directory, argv.READ)
        words = _once(self._lines, raw, argv.parse)
        try:
            exe, deleted = _once(self._exes, _link(b"exe", directory), procfs.parse_exe)
            cwd = _once(self._directories, _link(b"cwd", directory), decode)
            netns = _once(self._namespaces, _link(b"ns/net", directory), procfs.parse_namespace)
        except PermissionError:
            return Files(cgroup, session, login, words, denied=True)  # the kernel guards all three by one check
        return Files(cgroup, session, login, words, exe or None, deleted, cwd or None, netns)


def _once(kept: dict[bytes, T], raw: bytes, parse: Callable[[bytes], T]) -> T:
    value = kept.get(raw)
    if value is None:
        value = kept[raw] = parse(raw)
    return value


def _read(name: str, directory: int, limit: int = _PAGE) -> bytes:
    """The file; nothing when there is none. A process that is gone is told by the stat that is read last."""
    try:
        return procfs.read(name, directory, limit)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""


def _link(name: bytes, directory: int) -> bytes:
    """Where a link leads; nothing when there is none. Raises PermissionError."""
    try:
        return os.readlink(name, dir_fd=directory)
    except PermissionError:
        raise
    except OSError:
        return b""


def _number(name: str, directory: int) -> int | None:
    return procfs.parse_number(_read(name, directory))  # a kernel without audit has no such file
