"""The addresses of this host's own interfaces, from the kernel: rtnetlink, else /proc/net.

Only those of the network namespace that pgusher runs in. Formats: rtnetlink(7), linux/if_addr.h.
"""

from __future__ import annotations

import socket
import struct

from pgusher.collect import procfs

_HEADER = struct.Struct("=IHHII")
_ADDRESS = struct.Struct("=BBBBI")
_ATTRIBUTE = struct.Struct("=HH")
_DONE, _ERROR = 3, 2  # NLMSG_DONE, NLMSG_ERROR
_NEW, _GET = 20, 22  # RTM_NEWADDR, RTM_GETADDR
_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_ANY, _LOCAL = 1, 2  # IFA_ADDRESS, IFA_LOCAL


def own_addresses(proc: str = "/proc") -> tuple[str, ...]:
    """All of them, numeric, loopback included, without prefix length or zone. Empty when the kernel does not tell."""
    found = _from_netlink() if proc == "/proc" else set()
    if not found:
        found = parse_fib_trie(_read(f"{proc}/net/fib_trie")) | parse_if_inet6(_read(f"{proc}/net/if_inet6"))
    return tuple(sorted(found))


def parse_messages(raw: bytes) -> tuple[set[str], bool]:
    """The addresses in one answer to RTM_GETADDR, and whether it was the last one."""
    found: set[str] = set()
    at = 0
    while at + _HEADER.size <= len(raw):
        length, kind, _, _, _ = _HEADER.unpack_from(raw, at)
        if length < _HEADER.size or kind in (_DONE, _ERROR):
            return found, True
        if kind == _NEW:
            address = _parse_address(raw[at + _HEADER.size : at + length])
            if address:
                found.add(address)
        at += (length + 3) & ~3
    return found, not raw


def _parse_address(body: bytes) -> str | None:
    if len(body) < _ADDRESS.size:
        return None
    family = _ADDRESS.unpack_from(body)[0]
    attributes: dict[int, bytes] = {}
    at = _ADDRESS.size
    while at + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, at)
        if length < _ATTRIBUTE.size:
            break
        attributes[kind] = body[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3
    # On a point-to-point link IFA_ADDRESS is the other end.
    return _numeric(family, attributes.get(_LOCAL, attributes.get(_ANY, b"")))


def _numeric(family: int, packed: bytes) -> str | None:
    try:
        return socket.inet_ntop(family, packed)
    except (ValueError, OSError):
        return None


def parse_fib_trie(raw: bytes) -> set[str]:
    """The IPv4 addresses of /proc/net/fib_trie: those with a line "/32 host LOCAL" below them."""
    found: set[str] = set()
    last = b""
    for line in raw.split(b"\n"):
        words = line.split()
        if words[:1] == [b"|--"] and len(words) == 2:
            last = words[1]
        elif words[:3] == [b"/32", b"host", b"LOCAL"]:
            try:
                found.add(socket.inet_ntoa(socket.inet_aton(last.decode("ascii"))))
            except (OSError, ValueError):
                continue
    return found


def parse_if_inet6(raw: bytes) -> set[str]:
    """The addresses of /proc/net/if_inet6: 32 hexadecimal digits at the start of each line."""
    found: set[str] = set()
    for line in raw.split(b"\n"):
        try:
            address = _numeric(socket.AF_INET6, bytes.fromhex(line[:32].decode("ascii")))
        except ValueError:
            continue
        if address:
            found.add(address)
    return found


def _from_netlink() -> set[str]:
    found: set[str] = set()
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as sock:
            sock.settimeout(1.0)  # the kernel answers at once; a sandbox that only pretends to may never
            sock.send(_HEADER.pack(_HEADER.size + _ADDRESS.size, _GET, _DUMP, 1, 0) + _ADDRESS.pack(0, 0, 0, 0, 0))
            for _ in range(10_000):
                addresses, last = parse_messages(sock.recv(1 << 16))
                found |= addresses
                if last:
                    break
    except OSError:
        return set()
    return found


def _read(path: str) -> bytes:
    try:
        return procfs.read(path, limit=1 << 20)
    except OSError:
        return b""
