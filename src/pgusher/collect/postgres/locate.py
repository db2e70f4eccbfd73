"""Whether a server runs on this host, and which of its postmasters it is. Only then its processes can be joined."""

from __future__ import annotations

import os
import socket
import struct

from pgusher.collect import procfs
from pgusher.collect.boot import boot_time
from pgusher.collect.postgres.connect import Connection, Peer
from pgusher.collect.postgres.listening import in_own_network
from pgusher.collect.postgres.postmaster import (
    Postmaster,
    children,
    inner_pid,
    parent_of,
    read_postmaster,
    ticks_to_micros,
)
from pgusher.collect.postgres.rows import Self
from pgusher.collect.postgres.titles import parse_title
from pgusher.model.server import Server
from pgusher.model.text import decode

_SLOW_START = 20_000_000
"""Microseconds: a postmaster notes its start after it has got its shared memory, which takes a while."""
_CLOCK = 2_000_000
"""Microseconds by which somebody may have set the clock since."""


def by_connection(connection: Connection, own: Self, proc: str = "/proc") -> Server | None:
    """The local server that a session is on; None when it is not on this host, or when that cannot be told.

    The proof is the session's own process: its title has our end of the connection, or its parent is the process that
    listens on the other end. In a container the server knows it by another pid than we do.
    """
    listens, port = _ends(connection.fileno)
    parent = parent_of(own.pid, proc)
    postmaster = read_postmaster(parent, proc) if parent else None
    if postmaster is not None:
        pooled = connection.backend_pid != own.pid
        if parent == listens or _titled(own.pid, port, proc) or (pooled and _started(postmaster, own, proc)):
            return _describe(postmaster, own.port, proc)
    postmaster = read_postmaster(listens, proc) if listens else None
    if postmaster is not None:
        return _describe(postmaster, own.port, proc) if _has_child(postmaster, own.pid, proc) else None
    return _by_inner_pid(own, proc) if is_own_address(connection.peer.hostaddr) else None


def _titled(pid: int, port: int | None, proc: str) -> bool:
    """Whether a process is the one that the server gave to a connection from this port of ours."""
    try:
        title = parse_title(decode(procfs.read(f"{proc}/{pid}/cmdline").rstrip(b"\0")))
    except OSError:
        return False
    return title is not None and port is not None and title.client.port == port


def _by_inner_pid(own: Self, proc: str) -> Server | None:
    """The server in a container that an address of this host leads to, if there is one alone that it can be."""
    from pgusher.collect.discover import find_servers

    fitting = []
    for server in find_servers(proc, thorough=True)[0]:
        postmaster = read_postmaster(server.postmaster_pid, proc) if server.postmaster_pid else None
        if postmaster is not None and _started(postmaster, own, proc) and _has_child(postmaster, own.pid, proc):
            fitting.append(server)
    return fitting[0] if len(fitting) == 1 else None


def _has_child(postmaster: Postmaster, pid: int, proc: str) -> bool:
    return any(pid in {child, inner_pid(child, proc)} for child in children(postmaster.pid, proc))


def _started(postmaster: Postmaster, own: Self, proc: str) -> bool:
    """Whether a postmaster started when the server says it did."""
    early = own.started - ticks_to_micros(postmaster.start_ticks, boot_time(proc))
    return -_CLOCK <= early <= _SLOW_START


def _describe(postmaster: Postmaster, port: int, proc: str) -> Server:
    from pgusher.collect.discover import describe  # late: it stands above this package

    return describe(postmaster, port, proc)


def _ends(fd: int) -> tuple[int | None, int | None]:
    """Of a unix socket the process that listens on the other end, by the kernel; of TCP our own port."""
    try:
        with socket.socket(fileno=os.dup(fd)) as connection:
            if connection.family != socket.AF_UNIX:
                return None, int(connection.getsockname()[1])
            raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    except OSError:
        return None, None
    return int(struct.unpack("3i", raw)[0]) or None, None


def by_address(peer: Peer, proc: str = "/proc") -> Server | None:
    """The local server at an address that let nobody in; None when none, or more than one, is there."""
    from pgusher.collect.discover import find_servers

    servers = [s for s in find_servers(proc)[0] if s.port == peer.port]
    if peer.host.startswith(("/", "@")):
        path = os.path.join(peer.host, f".s.PGSQL.{peer.port}")
        found = [s for s in servers if any(_same(path, one) for one in s.socket_paths)]
    else:
        address = peer.hostaddr or peer.host
        if not is_own_address(address):
            return None
        wildcard = "::" if ":" in address else "0.0.0.0"  # noqa: S104  # what is listened on, not what we listen on
        found = [s for s in servers if {address, wildcard, "::"} & set(s.listens) and _here(s, proc)]
    return found[0] if len(found) == 1 else None


def is_own_address(address: str) -> bool:
    """Whether packets to a numeric address stay on this host: then the kernel takes it as their source, too."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))  # nothing is sent
            return bool(probe.getsockname()[0] == address)
    except (OSError, UnicodeError):
        return False


def _here(server: Server, proc: str) -> bool:
    return server.postmaster_pid is not None and in_own_network(server.postmaster_pid, proc)


def _same(path: str, other: str) -> bool:
    if path.startswith("@") or other.startswith("@"):
        return path == other
    return os.path.realpath(path) == os.path.realpath(other)


def alive(server: Server, proc: str = "/proc") -> Postmaster | None:
    """The postmaster of a server that was found earlier, if it is still the same process."""
    if server.postmaster_pid is None:
        return None
    postmaster = read_postmaster(server.postmaster_pid, proc)
    if postmaster is None or server.started is None:
        return postmaster
    early = server.started - ticks_to_micros(postmaster.start_ticks, boot_time(proc))
    return postmaster if -_CLOCK <= early <= _SLOW_START else None
