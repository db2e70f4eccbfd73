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
_HEAD = struct.Struct("=IHH8x I IQ").unpack_from  # struct nlmsghdr, struct unix_diag_msg: 32 bytes
(_CONNECTED_STREAM,) = struct.unpack("=I", bytes((_AF_UNIX, _STREAM, _ESTABLISHED, 0)))  # udiag_family, _type, _state
_ATTRIBUTE = struct.Struct("=HH").unpack_from
_NUMBER = struct.Struct("=I").unpack_from
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

    def feed(self, data: bytearray, size: int) -> None:
        """Take one datagram. Raises NetlinkError."""
        at, found, whole = 0, self._found, bytes(data[:size])
        while at < size and not self.done:
            if at + 32 > size:  # too short for a socket: it can only be the end
                super().feed(data[at:], size - at)
                return
            length, kind, flags, what, inode, cookie = _HEAD(whole, at)
            if kind < 16:
                super().feed(data[at:], size - at)
                return
            if length < 32 or at + length > size:
                raise netlink.failure(errno.EBADMSG, f"unix socket of {length} bytes at {at} of {size}")
            if flags & 0x10:
                self.interrupted = True
            if what == _CONNECTED_STREAM and inode:
                found[inode] = cookie, whole[at + 32 : at + length]
            at += (length + 3) & ~3

    def take(self, kind: int, data: bytearray, start: int, end: int, sequence: int) -> None:
        """A message behind a control message: there is none in a dump. Raises NetlinkError."""
        del data, sequence
        raise netlink.failure(errno.EBADMSG, f"message {kind} of {end - start} bytes where the end must be")

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
    """Raises NetlinkError. Not by `netlink.attributes`: a generator would take twice the time, thousands of times."""
    name: bytes | None = None
    file = uid = None
    peer, at, end = 0, 0, len(raw)
    while at + 4 <= end:
        length, kind = _ATTRIBUTE(raw, at)
        if length < 4 or at + length > end:
            raise netlink.failure(errno.EBADMSG, f"attribute of {length} bytes at {at} of {end}")
        if kind == _NAME:
            name = raw[at + 4 : at + length]
            # A path may come with its final zero; of an abstract name every zero is a part.
            if not name.startswith(b"\0"):
                name = name.rstrip(b"\0")
        elif length >= 8:
            if kind == _PEER:
                (peer,) = _NUMBER(raw, at + 4)
            elif kind == _UID:
                (uid,) = _NUMBER(raw, at + 4)
            elif kind == _VFS:
                (file,) = _NUMBER(raw, at + 4)
        at += (length + 3) & ~3
    return UnixEnd(inode, cookie, name, file, peer, uid)


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
