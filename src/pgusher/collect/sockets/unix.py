"""Unix sockets as the kernel's unix_diag tells them.

Formats: sock_diag(7), linux/unix_diag.h. A socket that was accepted bears the path of its listener, and the kernel
gives the inode of its peer, also of one in another network namespace: 0 when the peer is closed.
"""

from __future__ import annotations

import errno
import struct
from typing import NamedTuple

from pgusher.collect.sockets import netlink

_BY_FAMILY = 20
_AF_UNIX = 1
_STREAM = 1
_ESTABLISHED = 1
_SHOW_NAME, _SHOW_VFS, _SHOW_PEER, _SHOW_UID = 1, 2, 4, 64
_NAME, _VFS, _PEER, _UID = 0, 1, 2, 7
_MESSAGE = struct.Struct("=IHH8x BBBx IQ")  # struct nlmsghdr, struct unix_diag_msg
_ANY_COOKIE = b"\xff" * 8


class UnixEnd(NamedTuple):
    """One end of a connection over a unix socket."""

    inode: int
    cookie: int
    name: bytes | None = None
    """The path without its final zero; an abstract name starts with one; None for a client that is not bound."""
    file: int | None = None
    """Inode of the socket file (the lower 32 bits), when it has one."""
    peer: int | None = 0
    """Inode of the other end; 0 when it is closed; None when it was not told."""
    uid: int | None = None
    """Who made the socket; from 5.3 on."""


def dump_request() -> bytes:
    """All connected unix sockets of the namespace."""
    show = _SHOW_NAME | _SHOW_VFS | _SHOW_PEER | _SHOW_UID
    body = struct.pack("=BBHIII", _AF_UNIX, 0, 0, 1 << _ESTABLISHED, 0, show) + _ANY_COOKIE
    return netlink.request(_BY_FAMILY, body, flags=netlink.REQUEST | netlink.DUMP)


def bytes_of(path: str) -> bytes:
    """A path as the kernel writes it; "@name" is an abstract one."""
    raw = path.encode("utf-8", "surrogateescape")
    return b"\0" + raw[1:] if raw.startswith(b"@") else raw


Known = dict[int, tuple[int, bytes, UnixEnd]]
"""Ends that were read before: cookie, attributes and value by inode."""


class UnixEnds(netlink.Answer):
    """Reads the answer to a dump. Messages are taken whole, and looked into only when asked for and not known."""

    def __init__(self, known: Known | None = None) -> None:
        """`known` is from an earlier dump; what is read now is put into it, what is gone is taken out by `prune`."""
        super().__init__()
        self._found: dict[int, tuple[int, bytes]] = {}
        self._known: Known = {} if known is None else known

    def take(self, kind: int, data: bytearray, start: int, end: int, sequence: int) -> None:
        """One socket. Raises NetlinkError."""
        del kind, sequence
        if end - start < _MESSAGE.size:
            raise netlink.failure(errno.EBADMSG, f"unix socket of {end - start} bytes")
        _, _, _, family, type_, state, inode, cookie = _MESSAGE.unpack_from(data, start)
        if family == _AF_UNIX and type_ == _STREAM and state == _ESTABLISHED and inode:
            self._found[inode] = cookie, bytes(data[start + _MESSAGE.size : end])

    def end(self, inode: int) -> UnixEnd | None:
        """The end with this inode. Raises NetlinkError when what the kernel sent is torn."""
        found = self._found.get(inode)
        return None if found is None else self._read(inode, *found)

    def named(self, part: bytes) -> list[UnixEnd]:
        """The ends whose name has `part` in it. Raises NetlinkError."""
        ends = [self._read(inode, cookie, raw) for inode, (cookie, raw) in self._found.items() if part in raw]
        return [end for end in ends if end.name is not None and part in end.name]

    def _read(self, inode: int, cookie: int, raw: bytes) -> UnixEnd:
        known = self._known.get(inode)
        if known is not None and known[0] == cookie and known[1] == raw:
            return known[2]
        end = _read(inode, cookie, raw)
        self._known[inode] = cookie, raw, end
        return end

    def prune(self) -> None:
        """Forget the known ends that are gone."""
        for inode in self._known.keys() - self._found.keys():
            del self._known[inode]


def _read(inode: int, cookie: int, raw: bytes) -> UnixEnd:
    name: bytes | None = None
    file = uid = None
    peer = 0
    for kind, start, end in netlink.attributes(raw, 0, len(raw)):
        if kind == _NAME:
            name = raw[start:end]
            # A path may come with its final zero; of an abstract name every zero is a part.
            name = name if name.startswith(b"\0") else name.rstrip(b"\0")
        elif kind in (_VFS, _PEER, _UID) and end - start >= 4:
            number = int.from_bytes(raw[start : start + 4], "little" if _LITTLE else "big")
            if kind == _VFS:
                file = number
            elif kind == _PEER:
                peer = number
            else:
                uid = number
    return UnixEnd(inode, cookie, name, file, peer, uid)


_LITTLE = struct.pack("=H", 1) == b"\1\0"


def dump(kernel: netlink.Netlink, known: Known | None = None) -> UnixEnds:
    """All connected unix sockets of the namespace; `known` saves reading them again. Raises NetlinkError."""
    answer = UnixEnds(known)
    for _ in range(3):
        answer = UnixEnds(known)
        kernel.ask(dump_request(), answer)
        if not answer.interrupted:
            break
    answer.prune()
    return answer
