"""One network namespace, looked into from its inside (by netlink) or through the files of one of its processes."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from pgusher.collect.sockets import inet, netlink, procnet, route, unix
from pgusher.collect.sockets.inet import Dump, End, Query, States
from pgusher.collect.sockets.route import Place
from pgusher.collect.sockets.unix import UnixEnd


class UnixTable(Protocol):
    """The connected unix sockets of one namespace."""

    def end(self, inode: int) -> UnixEnd | None:
        """The end with this inode."""

    def named(self, part: bytes) -> list[UnixEnd]:
        """The ends whose name has `part` in it."""


class Space(Protocol):
    """What is asked of a namespace. Every method may raise OSError (NetlinkError is one)."""

    netns: int | None
    """The inode of the namespace, where it may be read."""

    def server_ends(self, port: int, known: States) -> Dump:
        """The connected sockets with this local port; those `known` in short."""

    def client_ends(self, port: int) -> list[End]:
        """The connected sockets with this remote port."""

    def exact(self, queries: Sequence[Query], *, info: bool = False) -> list[End | None]:
        """Each of these sockets as it is now, None where there is none."""

    def from_port(self, port: int) -> list[End]:
        """The connected sockets with this local port, which is a client's: anybody may use it."""

    def unix(self, known: unix.Known) -> UnixTable:
        """Its unix sockets; `known` are those that were read before."""

    def addresses(self) -> set[str]:
        """By which addresses others know it."""

    def places(self, hosts: Iterable[str]) -> dict[str, Place]:
        """Where each of these addresses is, as seen from it."""

    def translates(self) -> bool:
        """Whether it may put other addresses in the place of those that its sockets bear."""

    def close(self) -> None:
        """Keep nothing of it open."""


class KernelSpace:
    """A namespace in which our netlink sockets are."""

    def __init__(self, netns: int | None, buffer: bytearray, proc: str) -> None:
        """Opens a socket in the namespace that this thread is in. Raises OSError."""
        self.netns = netns
        self._proc = proc
        self._tracked = _tracked()
        self._diag = netlink.Netlink(netlink.SOCK_DIAG, buffer)
        try:
            self._route = netlink.Netlink(netlink.ROUTE, buffer)
        except BaseException:
            self._diag.close()
            raise

    def server_ends(self, port: int, known: States) -> Dump:
        """The connected sockets with this local port, with what tcp_info tells of them; those `known` in short."""
        return inet.dump(self._diag, port, server=True, info=True, known=known)

    def client_ends(self, port: int) -> list[End]:
        """The connected sockets with this remote port."""
        return inet.dump(self._diag, port, server=False).new

    def from_port(self, port: int) -> list[End]:
        """The connected sockets with this local port."""
        return inet.dump(self._diag, port, server=True).new

    def exact(self, queries: Sequence[Query], *, info: bool = False) -> list[End | None]:
        """Each of these sockets as it is now, None where there is none."""
        return inet.exact(self._diag, queries, info=info)

    def unix(self, known: unix.Known) -> UnixTable:
        """Its unix sockets: from /proc, without peers, when the kernel has no diagnostics for them (unix_diag)."""
        try:
            return unix.dump(self._diag, known)
        except netlink.NetlinkError as error:
            if error.errno not in (errno.ENOENT, errno.EINVAL, errno.EOPNOTSUPP):
                raise
            return ProcUnixTable(procnet.unix(procnet.read(f"{self._proc}/net/unix")))

    def addresses(self) -> set[str]:
        """By which addresses others know it."""
        return route.addresses(self._route)

    def places(self, hosts: Iterable[str]) -> dict[str, Place]:
        """Where each of these addresses is, by the routes of the namespace."""
        return route.places(self._route, hosts)

    def translates(self) -> bool:
        """Whether connections were tracked in it, without which no address is translated."""
        return self._tracked

    def close(self) -> None:
        """Close its sockets: they would keep the namespace alive after its last process."""
        self._diag.close()
        self._route.close()


def _tracked() -> bool:
    """Whether the namespace of this thread tracks connections; its own number of them is in /proc/sys/net."""
    try:
        with open("/proc/sys/net/netfilter/nf_conntrack_count", "rb") as file:
            return file.read(32).strip() != b"0"
    except FileNotFoundError:
        return False
    except OSError:
        return True


class ProcUnixTable:
    """The unix sockets as /proc/net/unix shows them: no peer is told."""

    def __init__(self, ends: Mapping[int, UnixEnd]) -> None:
        self._ends = ends

    def end(self, inode: int) -> UnixEnd | None:
        """The end with this inode."""
        return self._ends.get(inode)

    def named(self, part: bytes) -> list[UnixEnd]:
        """The ends whose name has `part` in it."""
        return [end for end in self._ends.values() if end.name is not None and part in end.name]


def mark_of(directory: str) -> int | None:
    """A number that tells the network namespace of the process at "/proc/PID" from others, readable for everybody.

    Each namespace has its own files below /proc/PID/net, and with them inodes of its own. None when it is not readable.
    """
    try:
        return os.stat(f"{directory}/net/tcp").st_ino
    except OSError:
        return None


class ProcSpace:
    """A namespace seen through /proc/PID/net of a process in it: readable for everybody, with uid and inode."""

    def __init__(self, directory: str, netns: int | None = None) -> None:
        """`directory`: "/proc/PID"."""
        self.netns = netns
        self._directory = directory
        self._tables: list[tuple[int, bytes]] | None = None
        self._addresses: set[str] | None = None

    @property
    def mark(self) -> int | None:
        """As `mark_of`."""
        return mark_of(self._directory)

    def _read(self, name: str) -> bytes:
        return procnet.read(f"{self._directory}/net/{name}")

    def _tcp(self) -> list[tuple[int, bytes]]:
        # Each file is the whole table: read once for all questions of one look.
        if self._tables is None:
            tables = [(int(socket.AF_INET), self._read("tcp"))]
            with contextlib.suppress(FileNotFoundError):  # a kernel without IPv6
                tables.append((int(socket.AF_INET6), self._read("tcp6")))
            self._tables = tables
        return self._tables

    def server_ends(self, port: int, known: States) -> Dump:
        """The connected sockets with this local port; those `known` in short."""
        ends = self.from_port(port)
        kept = [(end.key, end.idle_ms) for end in ends if known.get(end.key) == end.state]
        return Dump([end for end in ends if known.get(end.key) != end.state], kept)

    def client_ends(self, port: int) -> list[End]:
        """The connected sockets with this remote port."""
        return [end for family, raw in self._tcp() for end in procnet.tcp(raw, family, port, server=False)]

    def from_port(self, port: int) -> list[End]:
        """The connected sockets with this local port."""
        return [end for family, raw in self._tcp() for end in procnet.tcp(raw, family, port, server=True)]

    def exact(self, queries: Sequence[Query], *, info: bool = False) -> list[End | None]:
        """Each of these sockets as it is now, None where there is none."""
        del info
        self._tables = None
        found: dict[Query, End] = {}
        for port in {query[1] for query in queries}:
            for end in self.from_port(socket.ntohs(port)):
                found[*inet.query_of(end)[:5], 0] = end
        return [found.get((*query[:5], 0)) for query in queries]

    def unix(self, known: unix.Known) -> UnixTable:
        """Its unix sockets, without their peers."""
        del known
        return ProcUnixTable(procnet.unix(self._read("unix")))

    def addresses(self) -> set[str]:
        """By which addresses others know it."""
        if self._addresses is None:
            try:
                v6 = self._read("if_inet6")
            except FileNotFoundError:
                v6 = b""
            self._addresses = procnet.addresses(self._read("fib_trie"), v6)
        return self._addresses

    def places(self, hosts: Iterable[str]) -> dict[str, Place]:
        """Its own addresses are told; which other one is on a bridge of this host is not to be seen from here."""
        own = self.addresses()
        return {
            host: Place.HERE if host in own or host == "::1" or host.startswith("127.") else Place.AWAY
            for host in hosts
        }

    def translates(self) -> bool:
        """Not to be seen from here: it may."""
        return True

    def close(self) -> None:
        """Nothing is open."""
