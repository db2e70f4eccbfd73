"""The files that a thread waits for: which descriptors its system call has, and what is at their other end.

A poll's and a select's descriptors are read from the process's memory, an epoll's from its fdinfo (proc_pid_fdinfo(5)).
The peer of a TCP socket and when it last spoke is asked of the socket itself, through a copy of the descriptor that is
closed at once (pidfd_getfd(2)): so it does not matter in which network namespace the process is.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import time
from collections.abc import Callable, Sequence

from pgusher.collect import procfs
from pgusher.collect.sockets.syscalls import pidfd_getfd
from pgusher.collect.stacks import calls
from pgusher.model.pattern import pattern
from pgusher.model.stacks import WaitedFile
from pgusher.model.text import decode

_MOST = 64
"""Descriptors of one call that are looked at."""
_POLLFD = struct.Struct("<ihh")
_TFD = pattern(rb"^tfd:\s+(\d{1,9})\s", re.M)
_TCP_INFO_RECEIVED = 52  # offset of tcpi_last_data_recv in struct tcp_info (linux/tcp.h), milliseconds


def waited(proc: str, pid: int, call: calls.Call) -> tuple[WaitedFile, ...]:
    """What the call of one thread waits for; () for one that waits for no file. Never raises."""
    try:
        numbers = _descriptors(proc, pid, call)
        return tuple(_file(proc, pid, fd) for fd in numbers[:_MOST])
    except (OSError, struct.error, OverflowError, ValueError):
        return ()


def left_ms(
    proc: str, pid: int, call: calls.Call, clock_ns: Callable[[int], int] = time.clock_gettime_ns
) -> int | None:
    """Milliseconds until the limit of a futex call; None without one, or when it cannot be read. Never raises."""
    found = calls.limit(call)
    if found is None:
        return None
    address, wall = found
    try:
        seconds, nanos = struct.unpack("<qq", _memory(proc, pid, address, 16))
        now = clock_ns(time.CLOCK_REALTIME if wall else time.CLOCK_MONOTONIC)
    except (OSError, struct.error, OverflowError):
        return None
    left: int = (seconds * 1_000_000_000 + nanos - now) // 1_000_000
    return left if 0 <= left < 1 << 53 else None


def _descriptors(proc: str, pid: int, call: calls.Call) -> list[int]:
    name, args = call.name, call.args
    if name in calls.READS or name in calls.WRITES or name in calls.LOCKS:
        return [args[0] & 0x7FFFFFFF]
    if name in calls.POLLS:
        count = min(args[1], _MOST)
        return [fd for fd, _, _ in _POLLFD.iter_unpack(_memory(proc, pid, args[0], count * 8)) if fd >= 0]
    if name in calls.SELECTS:
        return _selected(proc, pid, min(args[0] & 0x7FFFFFFF, 1024), args[1:4])
    if name in calls.EPOLLS:
        info = procfs.read(f"{proc}/{pid}/fdinfo/{args[0] & 0x7FFFFFFF}", limit=1 << 16)
        return [int(fd) for fd in _TFD.findall(info)]
    return []


def _memory(proc: str, pid: int, address: int, size: int) -> bytes:
    if size <= 0 or not address:
        return b""
    fd = os.open(f"{proc}/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
    try:
        raw = os.pread(fd, size, address)
    finally:
        os.close(fd)
    return raw[: len(raw) // 8 * 8]


def _selected(proc: str, pid: int, count: int, sets: Sequence[int]) -> list[int]:
    found: set[int] = set()
    for address in sets:
        bits = int.from_bytes(_memory(proc, pid, address, (count + 63) // 64 * 8), "little")
        found.update(fd for fd in range(count) if bits >> fd & 1)
    return sorted(found)


def _file(proc: str, pid: int, fd: int) -> WaitedFile:
    try:
        name = decode(os.readlink(os.fsencode(f"{proc}/{pid}/fd/{fd}")))
    except OSError:
        return WaitedFile(fd, "other")
    if name.startswith("socket:["):
        return _socket(proc, pid, fd, name)
    if name.startswith("pipe:["):
        return WaitedFile(fd, "pipe", name)
    if name.startswith(("/dev/pts/", "/dev/tty", "/dev/console")):
        return WaitedFile(fd, "terminal", name)
    if not name.startswith("/") or name.startswith("/dev/"):
        return WaitedFile(fd, "other", name)
    try:
        mode = os.stat(f"{proc}/{pid}/fd/{fd}").st_mode
    except OSError:
        return WaitedFile(fd, "file", name)
    return WaitedFile(fd, "pipe" if stat.S_ISFIFO(mode) else "file", name)


def _socket(proc: str, pid: int, fd: int, name: str) -> WaitedFile:
    if proc != "/proc":  # the pids of another /proc are not ours
        return WaitedFile(fd, "socket", name)
    import socket  # late: most looks need none of this

    try:
        process = os.pidfd_open(pid)
        try:
            copy = pidfd_getfd(process, fd)
        finally:
            os.close(process)
    except OSError:
        return WaitedFile(fd, "socket", name)
    with socket.socket(fileno=copy) as ours:
        if ours.family == socket.AF_UNIX:
            return WaitedFile(fd, "listen" if _listens(ours) else "unix", name)
        if ours.family not in (socket.AF_INET, socket.AF_INET6):
            return WaitedFile(fd, "other", name)
        if ours.type != socket.SOCK_STREAM:
            return WaitedFile(fd, "udp", name)
        return _tcp(ours, fd, name)


def _listens(ours: object) -> bool:
    import socket

    assert isinstance(ours, socket.socket)  # noqa: S101 - for the checker: the type is imported late
    return bool(ours.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _tcp(ours: object, fd: int, name: str) -> WaitedFile:
    import socket

    assert isinstance(ours, socket.socket)  # noqa: S101 - for the checker: the type is imported late
    port: int = ours.getsockname()[1]
    if _listens(ours):
        return WaitedFile(fd, "listen", name, local_port=port)
    try:
        host, peer_port = ours.getpeername()[:2]
    except OSError:  # not (yet) connected
        return WaitedFile(fd, "tcp", name, local_port=port)
    host = host.removeprefix("::ffff:")
    info = ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    silent = struct.unpack_from("=I", info, _TCP_INFO_RECEIVED)[0] if len(info) >= 56 else None
    shown = f"[{host}]:{peer_port}" if ":" in host else f"{host}:{peer_port}"
    return WaitedFile(fd, "tcp", name, peer=shown, local_port=port, silent_ms=silent)


def with_holders(proc: str, found: WaitedFile, pids: Sequence[int]) -> WaitedFile:
    """The same with who among `pids` has the other end of a pipe open, or the same pipe. Never raises."""
    from pgusher.model.values import replace

    if found.kind != "pipe" or not found.name:
        return found
    return replace(found, holders=tuple(pid for pid in pids if found.name in _open_names(proc, pid)))


def _open_names(proc: str, pid: int) -> frozenset[str]:
    names: set[str] = set()
    try:
        for fd in os.listdir(f"{proc}/{pid}/fd")[:4096]:
            try:
                names.add(os.readlink(f"{proc}/{pid}/fd/{fd}"))
            except OSError:
                continue
    except OSError:
        return frozenset()
    return frozenset(names)


def lock_holders(proc: str, pid: int, fd: int) -> tuple[int, ...]:
    """The processes that hold the lock that `pid` waits for on a file: /proc/locks (proc_locks(5)). Never raises."""
    try:
        inode = os.stat(f"{proc}/{pid}/fd/{fd}").st_ino
        lines = procfs.read(f"{proc}/locks", limit=1 << 20).decode("ascii", "replace").splitlines()
    except OSError:
        return ()
    found = []
    for line in lines:
        words = line.split()
        # "1: FLOCK  ADVISORY  WRITE 812 08:01:4711 0 EOF"; one that waits has "->" behind its number
        if len(words) >= 6 and words[1] != "->" and words[5].rpartition(":")[2] == str(inode) and words[4].isdigit():
            found.append(int(words[4]))
    return tuple(one for one in dict.fromkeys(found) if one != pid)
