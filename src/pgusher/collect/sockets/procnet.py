"""The socket tables of /proc/PID/net: for kernels without socket diagnostics, and namespaces that may not be entered.

Formats: proc_pid_net(5). These files show the namespace of that process to everybody, whoever owns it
(fs/proc/proc_net.c), with uid and inode of each socket; cookies, cgroups, idle times and unix peers they do not tell.
"""

from __future__ import annotations

import socket
import struct

from pgusher.collect.sockets.inet import CONNECTED, End
from pgusher.collect.sockets.unix import UnixEnd

_LIMIT = 64 << 20
"""The most bytes that are read of one table: 400,000 sockets."""
_CONNECTED_UNIX = b"03"  # SS_CONNECTED
_STREAM = b"0001"


def read(path: str) -> bytes:
    """The file, up to a limit. Raises OSError."""
    with open(path, "rb", buffering=1 << 18) as file:
        return file.read(_LIMIT)


def tcp(raw: bytes, family: int, port: int, *, server: bool) -> list[End]:
    """The connected sockets with this local (`server`) or remote port. Lines that make no sense are left out."""
    mark = b":%04X " % port
    wanted = socket.htons(port)
    found = []
    for line in raw.split(b"\n"):
        if mark not in line:
            continue
        end = _end(line, family)
        if end is not None and (end.sport if server else end.dport) == wanted:
            found.append(end)
    return found


def _end(line: bytes, family: int) -> End | None:
    fields = line.split(None, 10)
    if len(fields) < 10:
        return None
    try:
        src, sport = _address(fields[1], family)
        dst, dport = _address(fields[2], family)
        state, uid, inode = int(fields[3], 16), int(fields[7]), int(fields[9])
    except (ValueError, struct.error):
        return None
    if not 0 < state < 16 or not 1 << state & CONNECTED or not 0 <= uid < 1 << 32 or not 0 <= inode < 1 << 64:
        return None
    return End(family, state, sport, dport, src, dst, 0, 0, uid, inode)


def _address(field: bytes, family: int) -> tuple[bytes, int]:
    """Address and port in network byte order. The kernel prints each word of the address as its own machine has it."""
    text, _, port = field.partition(b":")
    words = 1 if family == socket.AF_INET else 4
    if len(text) != 8 * words or len(port) != 4:
        raise ValueError(field)
    raw = struct.pack(f"={words}I", *(int(text[at : at + 8], 16) for at in range(0, 8 * words, 8)))
    return raw.ljust(16, b"\0"), socket.htons(int(port, 16))


def unix(raw: bytes) -> dict[int, UnixEnd]:
    """The connected stream sockets by their inode; who their peer is, is not told."""
    found = {}
    for line in raw.split(b"\n"):
        fields = line.split(None, 7)
        if len(fields) < 7 or fields[4] != _STREAM or fields[5] != _CONNECTED_UNIX or not fields[6].isdigit():
            continue
        name = fields[7] if len(fields) > 7 else None
        if name is not None and name.startswith(b"@"):
            name = b"\0" + name[1:]
        inode = int(fields[6])
        if inode:
            found[inode] = UnixEnd(inode, 0, name, None, None, None)
    return found


def addresses(fib_trie: bytes, if_inet6: bytes) -> set[str]:
    """The addresses by which others know the namespace: without loopback and link-local ones."""
    found: set[str] = set()
    last = b""
    for line in fib_trie.split(b"\n"):
        fields = line.split()
        if len(fields) >= 2 and fields[0] == b"|--":
            last = fields[1]
        elif line.strip() == b"/32 host LOCAL" and not last.startswith(b"127."):
            _add(found, last)
    for line in if_inet6.split(b"\n"):
        fields = line.split()
        # address, interface's index, prefix length, scope (0 is global), flags, name
        if len(fields) >= 4 and len(fields[0]) == 32 and fields[3] == b"00":
            _add(found, b":".join(fields[0][at : at + 4] for at in range(0, 32, 4)))
    return found


def _add(found: set[str], text: bytes) -> None:
    try:
        host = text.decode("ascii")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        found.add(socket.inet_ntop(family, socket.inet_pton(family, host)))
    except (ValueError, OSError):
        return
