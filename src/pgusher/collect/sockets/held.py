"""The sockets to PostgreSQL servers that certain processes have open: from the client's side, and cheaply.

`SocketSource` goes from a server to all its clients; here a few processes are known, and neither the server nor a right
to look at its processes is needed. A TCP socket counts when its other end has a port that is a server's, a unix socket
when the other end bears the path of one. A pooler that looks like a server counts as one.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Collection, Iterable, Mapping

from pgusher.collect.sockets import inet, unix
from pgusher.collect.sockets.netlink import BUFFER, SOCK_DIAG, Netlink, NetlinkError
from pgusher.collect.sockets.scan import FdScanner
from pgusher.model.address import Transport
from pgusher.model.text import decode
from pgusher.model.values import dataclass

_USUAL = frozenset({5432})
_PATH = re.compile(rb"\.s\.PGSQL\.\d{1,5}\Z")
_PORT_OF_URI = re.compile(r"postgres(?:ql)?://[^/?\s]*:(\d{1,5})(?=[/?\s,]|$)")
_PORT_WORD = re.compile(r"(?:^|\s)port\s*=\s*'?(\d{1,5})")


@dataclass(frozen=True, slots=True)
class HeldSocket:
    """One end of a connection to a server, and a process that has it open."""

    pid: int
    fd: int
    inode: int
    transport: Transport
    server: str
    """Where it leads: "10.0.0.5:5432", "/run/postgresql/.s.PGSQL.5432"."""
    client: tuple[str, int] | None = None
    """Its own address and port, as the server sees it where nothing translates it; None for a unix socket."""


def ports_of(environ: Mapping[str, str], *texts: str | None) -> set[int]:
    """The ports that connection strings and the environment of libpq name."""
    found = {int(environ["PGPORT"])} if environ.get("PGPORT", "").isdecimal() else set[int]()
    for text in (*environ.values(), *(text for text in texts if text)):
        if "://" in text:
            found.update(map(int, _PORT_OF_URI.findall(text)))
    for words in filter(None, texts):
        found.update(map(int, _PORT_WORD.findall(words)))
    return {port for port in found if 0 < port < 65536}


def held_sockets(pids: Iterable[int], ports: Collection[int], proc: str = "/proc") -> list[HeldSocket]:
    """The sockets of these processes to servers on these ports, the usual one, or on a unix socket.

    What may not be read is left out, and so is what is in another network namespace. Raises nothing.
    """
    scanner = FdScanner(proc)
    owners: dict[int, list[tuple[int, int]]] = {}
    for pid in pids:
        try:
            for fd, inode in scanner.sockets(pid):
                owners.setdefault(inode, []).append((pid, fd))
        except OSError:
            continue
    if not owners:
        return []
    try:
        kernel = Netlink(SOCK_DIAG, bytearray(BUFFER))
    except OSError:
        return []
    try:
        found = _tcp(kernel, owners, {*ports, *_USUAL})
        left = {inode: who for inode, who in owners.items() if inode not in {one.inode for one in found}}
        return found + (_unix(kernel, left) if left else [])
    except NetlinkError:
        return []
    finally:
        kernel.close()


def _tcp(kernel: Netlink, owners: Mapping[int, list[tuple[int, int]]], ports: set[int]) -> list[HeldSocket]:
    hosts = inet.Hosts()
    found = []
    for port in sorted(ports):
        for end in inet.dump(kernel, port, server=False).new:
            for pid, fd in owners.get(end.inode, ()):
                place = hosts[end.family, end.dst]
                server = f"[{place}]:{port}" if ":" in place else f"{place}:{port}"
                own = hosts[end.family, end.src], socket.ntohs(end.sport)
                found.append(HeldSocket(pid, fd, end.inode, Transport.TCP, server, own))
    return found


def _unix(kernel: Netlink, owners: Mapping[int, list[tuple[int, int]]]) -> list[HeldSocket]:
    table = unix.dump(kernel)
    found = []
    for inode, who in owners.items():
        end = table.end(inode)
        other = table.end(end.peer) if end is not None and end.peer else None
        if other is not None and other.name is not None and _PATH.search(other.name):
            path = decode(b"@" + other.name[1:] if other.name.startswith(b"\0") else other.name)
            found += [HeldSocket(pid, fd, inode, Transport.UNIX, path) for pid, fd in who]
    return found
