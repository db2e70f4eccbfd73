"""Whether a server runs on this host, and which of its postmasters it is. Only then its processes can be joined."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Mapping

from pgusher.collect import procfs
from pgusher.collect.boot import boot_time
from pgusher.collect.postgres.connect import Connection, Peer
from pgusher.collect.postgres.libpq import LibpqMissingError, load
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
from pgusher.collect.postgres.target import Target
from pgusher.model.server import Server
from pgusher.model.text import decode

_SLOW_START = 20_000_000
"""Microseconds: a postmaster notes its start after it has got its shared memory, which takes a while."""
_SOCKETS = ("/var/run/postgresql", "/tmp")  # noqa: S108  # where servers have their sockets; nothing is written there
_CLOCK = 2_000_000
"""Microseconds by which somebody may have set the clock since."""


def by_connection(connection: Connection, own: Self, proc: str = "/proc") -> Server | None:
    """The local server that a session is on; None when it is not on this host, or when that cannot be told.

    The proof is the session's own process: its title has our end of the connection, or its parent is the process that
    listens on the other end. In a container the server knows it by another pid than we do.
    """
    listens = listener(connection.fileno)
    parent = parent_of(own.pid, proc)
    postmaster = read_postmaster(parent, proc) if parent else None
    if postmaster is not None:
        pooled = connection.backend_pid != own.pid
        if (
            parent == listens
            or _titled(own.pid, _own_port(connection.fileno), proc)
            or (pooled and _started(postmaster, own, proc))
        ):
            return _describe(postmaster, own.port, proc)
    postmaster = read_postmaster(listens, proc) if listens else None
    if postmaster is not None:
        return _describe(postmaster, own.port, proc) if _has_child(postmaster, own.pid, proc) else None
    return _by_inner_pid(own, proc) if is_own_address(connection.peer.hostaddr) else None


def _titled(pid: int, port: int | None, proc: str) -> bool:
    """Whether a process is the one that the server gave to a connection from this port of ours."""
    from pgusher.collect.postgres.titles import parse_title  # late: slow to import

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


def listener(fd: int) -> int | None:
    """The process that listens on the other end of a unix socket, by the kernel; None for TCP or another namespace."""
    try:
        with socket.socket(fileno=os.dup(fd)) as connection:
            if connection.family != socket.AF_UNIX:
                return None
            raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    except OSError:
        return None
    return int(struct.unpack("3i", raw)[0]) or None


def who_listens(path: str) -> int:
    """The pid of who listens on a unix socket, as the kernel tells whoever connects there; 0 when it does not.

    Needed only where nothing else tells. It costs a server a fork; no slot, as nothing is asked.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(0.2)
            connection.connect(f"\0{path[1:]}" if path.startswith("@") else path)
            raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            return int(struct.unpack("3i", raw)[0])
    except (OSError, ValueError):
        return 0


def _own_port(fd: int) -> int | None:
    """Our own port of a TCP connection; None for a unix socket."""
    try:
        with socket.socket(fileno=os.dup(fd)) as connection:
            return None if connection.family == socket.AF_UNIX else int(connection.getsockname()[1])
    except OSError:
        return None


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


def by_words(target: Target, environ: Mapping[str, str]) -> Peer | None:
    """Where the user's words lead, when nothing is connected to: a socket directory or a numeric address, no name.

    Without a host that is one of the usual directories, the first that has a socket for the port.
    """
    words: dict[str, str] = {}
    if target.conninfo is not None:
        try:
            words = load().parse(target.conninfo)
        except (LibpqMissingError, ValueError):
            return None
    host = target.host or words.get("hostaddr") or words.get("host") or environ.get("PGHOST", "")
    port = str(target.port or words.get("port") or environ.get("PGPORT") or 5432)
    if not port.isdigit():
        return None
    if not host:  # libpq takes the directory that it was built with: Debian's, or that of the sources
        there = (place for place in _SOCKETS if os.path.exists(f"{place}/.s.PGSQL.{port}"))
        host = next(there, "")
    if not host:
        return None
    host = {"localhost": "127.0.0.1"}.get(host, host)
    return Peer(host, "" if host.startswith(("/", "@")) else host, int(port), "", "")


def is_own_address(address: str, proc: str = "/proc") -> bool:
    """Whether a numeric address is one of this host's: then, and only then, a socket can be bound to it.

    Where the host lets sockets be bound to others' addresses, too (sysctl ip_nonlocal_bind), none is taken for ours
    but those of the loopback.
    """
    family, version = (socket.AF_INET6, "ipv6") if ":" in address else (socket.AF_INET, "ipv4")
    try:
        socket.inet_pton(family, address)  # a name would be looked up, which may take long
        if address == "::1" or (family == socket.AF_INET and address.startswith("127.")):
            return True
        if procfs.read(f"{proc}/sys/net/{version}/ip_nonlocal_bind").strip() != b"0":
            return False
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
            return address not in {"0.0.0.0", "::"}  # noqa: S104  # nothing is received
    except (OSError, ValueError):
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
