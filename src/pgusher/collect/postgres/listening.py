"""The sockets that PostgreSQL servers may listen on.

In our own network namespace the kernel is asked by netlink for listening sockets alone (sock_diag(7)): reading
/proc/net/tcp walks the table of all connections, 4 ms for an empty one. /proc is read where that fails, and for other
network namespaces.
"""

from __future__ import annotations

import os
import re
import socket
import struct
import sys
from collections.abc import Iterator
from typing import NamedTuple

from pgusher.model.pattern import pattern
from pgusher.model.text import decode

UnixSocket = tuple[str, int, int]
"""Path ("@" first for an abstract one), port, inode."""

# Patterns of /proc, which is seldom read: not compiled before.
# Flags with __SO_ACCEPTCON, type SOCK_STREAM: a socket that listens (source: unix_seq_show in net/unix/af_unix.c).
_UNIX = rb"(?m)^[0-9a-f]+: [0-9A-F]{8} [0-9A-F]{8} 00010000 0001 [0-9A-F]{2} +(\d+) (.+)$"
# State 0A is TCP_LISTEN; then queues, timer, retransmits, uid, timeout, inode (source: proc_net_tcp.rst).
_TCP = pattern(rb"^ *\d+: ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) 0+:0000 0A \S+ \S+ \S+ +(\d+) +\d+ (\d+) ", re.M)
_INODE = rb"(?m)^[0-9a-f]+: \S+ \S+ \S+ \S+ \S+ +(\d+)"
_NAME = r"(?s).*/\.s\.PGSQL\.(\d{1,5})"

_LISTEN = 1 << 10  # TCP_LISTEN, the same number for unix sockets
_SOCK_DIAG_BY_FAMILY, _DUMP, _DONE, _ERROR = 20, 0x301, 3, 2


class Listening(NamedTuple):
    """What one network namespace listens on."""

    unix: list[UnixSocket]
    """Those whose path is that of a PostgreSQL server."""
    tcp: list[tuple[str, int, int, int]]
    """Address, port, uid, inode."""


def listening(proc: str = "/proc", pid: int | None = None) -> Listening:
    """The listening sockets of our network namespace, or of that of a process. What cannot be read is left out."""
    if pid is None and proc == "/proc":
        try:
            return _by_netlink()
        except OSError:
            pass
    net = f"{proc}/net" if pid is None else f"{proc}/{pid}/net"
    return Listening(
        parse_unix(_whole(f"{net}/unix")), parse_tcp(_whole(f"{net}/tcp")) + parse_tcp(_whole(f"{net}/tcp6"))
    )


def in_own_network(pid: int, proc: str = "/proc") -> bool:
    """Whether a process is in our network namespace; without the right to look, whether it sees a socket of ours."""
    try:
        return os.readlink(f"{proc}/{pid}/ns/net") == os.readlink(f"{proc}/self/ns/net")
    except OSError:
        mine, its = (set(re.findall(_INODE, _whole(f"{proc}/{who}/net/unix"))) for who in ("self", pid))
        return bool(mine & its)


def parse_unix(raw: bytes) -> list[UnixSocket]:
    """The listening sockets of PostgreSQL servers in /proc/net/unix."""
    found = ((decode(match[2]), int(match[1])) for match in re.finditer(_UNIX, raw))
    return [(path, port, inode) for path, inode in found if (port := _port(path)) is not None]


def parse_tcp(raw: bytes) -> list[tuple[str, int, int, int]]:
    """The listening sockets in /proc/net/tcp or tcp6."""
    return [(_address(m[1]), int(m[2], 16), int(m[3]), int(m[4])) for m in _TCP.finditer(raw)]


def _port(path: str) -> int | None:
    # libpq takes a directory that is not absolute for a host's name, and a comma for the start of another host: whoever
    # binds "example.org/.s.PGSQL.5432" would be sent our password. No server can be reached at such a path anyway.
    if not path.startswith(("/", "@")) or "," in path:
        return None
    match = re.fullmatch(_NAME, path)
    return int(match[1]) if match and 0 < int(match[1]) <= 0xFFFF else None


def _address(digits: bytes) -> str:
    """The kernel writes each 32-bit word in the byte order of the machine."""
    words = [int(digits[i : i + 8], 16).to_bytes(4, sys.byteorder) for i in range(0, len(digits), 8)]
    return socket.inet_ntop(socket.AF_INET if len(words) == 1 else socket.AF_INET6, b"".join(words))


def _whole(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _by_netlink() -> Listening:
    """Raises OSError where the kernel, or who guards it, does not answer."""
    found = Listening([], [])
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 4) as kernel:  # NETLINK_SOCK_DIAG
        kernel.settimeout(1.0)
        # unix_diag_req: states, inode, UDIAG_SHOW_NAME, no cookie.
        for body in _dump(kernel, struct.pack("=BBHIII8x", socket.AF_UNIX, 0, 0, _LISTEN, 0, 1)):
            kind, inode = struct.unpack_from("=BBBBI", body)[1::3]
            path = _unix_name(body)
            if kind == socket.SOCK_STREAM and path is not None and (port := _port(path)) is not None:
                found.unix.append((path, port, inode))
        for family, size in ((socket.AF_INET, 4), (socket.AF_INET6, 16)):
            # inet_diag_req_v2: TCP, states, no address.
            for body in _dump(kernel, struct.pack("=BBBBI48x", family, 6, 0, 0, _LISTEN)):
                (port,) = struct.unpack_from("!H", body, 4)
                uid, inode = struct.unpack_from("=II", body, 64)
                found.tcp.append((socket.inet_ntop(family, body[8 : 8 + size]), port, uid, inode))
    return found


def _dump(kernel: socket.socket, request: bytes) -> Iterator[bytes]:
    kernel.sendto(struct.pack("=IHHII", 16 + len(request), _SOCK_DIAG_BY_FAMILY, _DUMP, 1, 0) + request, (0, 0))
    while True:
        data = kernel.recv(1 << 17)
        at = 0
        while at + 16 <= len(data):
            length, kind = struct.unpack_from("=IH", data, at)
            if kind == _DONE:
                return
            if kind == _ERROR or length < 16 or at + length > len(data):
                raise OSError("the kernel does not answer sock_diag")
            if length >= 32:
                yield data[at + 16 : at + length]
            at += (length + 3) & ~3


def _unix_name(body: bytes) -> str | None:
    """The attribute UNIX_DIAG_NAME."""
    at = 16
    while at + 4 <= len(body):
        length, kind = struct.unpack_from("=HH", body, at)
        if length < 4:
            return None
        if kind == 0:
            name = body[at + 4 : at + length]
            return decode(b"@" + name[1:] if name[:1] == b"\0" else name.rstrip(b"\0"))
        at += (length + 3) & ~3
    return None
