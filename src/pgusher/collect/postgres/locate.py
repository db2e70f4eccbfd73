"""Whether a server runs on this host, and which of its postmasters it is. Only then its processes can be joined."""

from __future__ import annotations

import os
import socket
import struct

from pgusher.collect.boot import boot_time
from pgusher.collect.postgres.connect import Connection, Peer
from pgusher.collect.postgres.listening import in_own_network
from pgusher.collect.postgres.postmaster import Postmaster, parent_of, read_postmaster, ticks_to_micros
from pgusher.collect.postgres.rows import Self
from pgusher.model.server import Server

_SLOW_START = 120_000_000
"""A postmaster notes its start after it has got its shared memory; with huge pages that may take a while."""
_CLOCK = 2_000_000


def by_connection(connection: Connection, own: Self, proc: str = "/proc") -> Server | None:
    """The local server that a session is on; None when it is not on this host, or in another PID namespace.

    The session's own process is the proof: the child of a postmaster that started when the server says it did, or of
    the very process that listens on the unix socket.
    """
    parent = parent_of(own.pid, proc)
    postmaster = read_postmaster(parent, proc) if parent else None
    if postmaster is None:
        return None
    if postmaster.pid != listener(connection.fileno):
        early = own.started - ticks_to_micros(postmaster.start_ticks, boot_time(proc))
        if not -_CLOCK <= early <= _SLOW_START:
            return None
    from pgusher.collect.discover import describe  # late: it stands above this package

    return describe(postmaster, own.port, proc)


def listener(fd: int) -> int | None:
    """The process that listens on the other end of a unix socket, by the kernel; None for TCP or another namespace."""
    try:
        with socket.socket(fileno=os.dup(fd)) as connection:
            if connection.family != socket.AF_UNIX:
                return None
            raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    except OSError:
        return None
    pid = int(struct.unpack("3i", raw)[0])
    return pid or None


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
