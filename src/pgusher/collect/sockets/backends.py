"""The server's processes: which of them has which session's socket, and who connected to it."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Collection, Iterable

from pgusher.collect.sockets import syscalls
from pgusher.collect.sockets.scan import FdScanner, Wanted

_CREDENTIALS = struct.Struct("=iII")
_START = 19  # field 22 of /proc/PID/stat, counted from behind the name

Proof = tuple[int, int, int]
"""(pid, descriptor, inode) of a server process and its end of a session."""


def children(proc: str, pid: int) -> list[int]:
    """The children of the postmaster, as the kernel lists them: those of another pid namespace as well."""
    try:
        with open(f"{proc}/{pid}/task/{pid}/children", "rb") as file:
            return [int(word) for word in file.read().split()]
    except (OSError, ValueError):
        return []


def prove(scanner: FdScanner, pids: Iterable[int], links: Wanted) -> tuple[list[Proof], list[int], list[int]]:
    """What each process has of the server's ends: the proofs; the pids that have none; the pids that cannot be read."""
    proofs: list[Proof] = []
    without: list[int] = []
    denied: list[int] = []
    for pid in pids:
        try:
            found = scanner.first_of(pid, links)
        except PermissionError:
            denied.append(pid)
            continue
        if found is None:
            without.append(pid)
        else:
            proofs.append((pid, *found))
    return proofs, without, denied


def strange_sockets(scanner: FdScanner, pids: Iterable[int]) -> dict[int, Proof]:
    """The sockets, by inode, that one of these server processes has open and no other one of them.

    What all have they inherited (the statistics socket of PostgreSQL 14 and before): it is nobody's session.
    """
    seen: dict[int, Proof | None] = {}
    for pid in pids:
        for fd, inode in scanner.sockets(pid):
            seen[inode] = None if inode in seen else (pid, fd, inode)
    return {inode: proof for inode, proof in seen.items() if proof is not None}


class Numbering:
    """Pids as the server numbers them, when it runs in a PID namespace of its own (a container)."""

    def __init__(self, proc: str, postmaster: int | None) -> None:
        self._proc = proc
        self._inner: dict[int, int] = {}
        try:
            theirs = os.readlink(f"{proc}/{postmaster}/ns/pid") if postmaster else ""
            self.foreign = bool(theirs) and theirs != os.readlink(f"{proc}/self/ns/pid")
        except OSError:
            self.foreign = False

    def inner(self, pid: int) -> int:
        """The number that the process has for itself (NSpid in proc_pid_status(5)); its own when that is not told."""
        known = self._inner.get(pid)
        if known is None:
            known = self._inner[pid] = self._read(pid)
        return known

    def _read(self, pid: int) -> int:
        try:
            with open(f"{self._proc}/{pid}/status", "rb") as file:
                for line in file.read(1 << 14).split(b"\n"):
                    if line.startswith(b"NSpid:"):
                        return int(line.split()[-1])
        except (OSError, ValueError):
            pass
        return pid

    def ours(self, asked: Collection[int], postmaster: int | None) -> dict[int, int]:
        """From pids as they are in our /proc to those that the caller knows the server's processes by.

        The caller's come from the server itself (then they are numbered as inside) or from our /proc.
        """
        # Its children also hold the slots that no view of the server shows: those that have not logged in yet.
        outer = children(self._proc, postmaster) if postmaster else []
        if not self.foreign:
            return {pid: pid for pid in {*asked, *outer}}
        inner = {pid: self.inner(pid) for pid in outer}
        wanted = set(asked)
        if len(wanted & set(outer)) > len(wanted & set(inner.values())):
            return {pid: pid for pid in wanted | set(outer)}
        return inner


def start_of(proc: str, pid: int) -> int | None:
    """When a process began, in clock ticks since boot; None when it is gone."""
    try:
        with open(f"{proc}/{pid}/stat", "rb") as file:
            return int(file.read(4096).rpartition(b")")[2].split()[_START])
    except (OSError, ValueError, IndexError):
        return None


def connector(proof: Proof) -> int | None:
    """The pid that connected to the server's end of a unix socket; it may be another process's by now.

    A copy of the server's descriptor is asked for its peer's credentials (unix(7), SO_PEERCRED) and closed at once.
    None when that may not be done (ptrace(2): access mode checking, which asks for more here than for a link).
    """
    pid, fd, inode = proof
    try:
        pidfd = os.pidfd_open(pid)
        try:
            copy = syscalls.pidfd_getfd(pidfd, fd)
        finally:
            os.close(pidfd)
    except OSError:
        return None
    try:
        return _credentials(copy) if os.fstat(copy).st_ino == inode else None
    finally:
        os.close(copy)


def _credentials(fd: int) -> int | None:
    """The process at the other end of a unix socket, when it connected; None for other sockets."""
    # Named as non-blocking so that Python leaves the mode alone: it belongs to the file, which is the server's too.
    theirs = socket.SocketType(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK, 0, fd)
    try:
        peer = _CREDENTIALS.unpack(theirs.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))[0]
    except OSError:
        return None
    finally:
        theirs.detach()
    return peer if peer > 0 else None


def is_elder(proc: str, client: int, backend: int) -> bool:
    """Whether a process has run for at least as long as the backend that it is said to have connected to.

    A younger one did not connect to it: it only has the pid of the one that did.
    """
    started, served = start_of(proc, client), start_of(proc, backend)
    return started is not None and served is not None and started <= served
