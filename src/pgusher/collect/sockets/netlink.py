"""Netlink: messages, and a socket that asks the kernel and reads its answers.

Formats: netlink(7), linux/netlink.h. Everything that cannot be what the kernel sends is a `NetlinkError`, and nothing
else is ever raised: a reader that is given garbage stops, and says so.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from typing import Protocol

SOCK_DIAG = 4
ROUTE = 0
_AF_NETLINK = 16  # not in the socket module of every system this is imported on

REQUEST = 0x1
DUMP = 0x300
_INTERRUPTED = 0x10
_NOOP, _ERROR, _DONE, _OVERRUN = 1, 2, 3, 4

HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_INT = struct.Struct("=i")
_TYPE_MASK = 0x3FFF  # the two bits above say "nested" and "network byte order"

BUFFER = 1 << 17
"""The kernel sends at most 32 KiB at once in a dump (net/netlink/af_netlink.c)."""
_TIMEOUT = struct.pack("@ll", 5, 0)  # a kernel that does not answer must not hang us: seconds, microseconds


class NetlinkError(OSError):
    """The kernel refused a request, or what came back is no netlink (EBADMSG)."""


def failure(code: int, what: str = "") -> NetlinkError:
    """The error of that number, in the system's words."""
    return NetlinkError(code, what or os.strerror(code))


def request(kind: int, body: bytes, *, flags: int = REQUEST, sequence: int = 0) -> bytes:
    """One whole message."""
    return HEADER.pack(HEADER.size + len(body), kind, flags, sequence, 0) + body


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    return _ATTRIBUTE.pack(4 + len(payload), kind) + payload + b"\0" * (-len(payload) % 4)


def attributes(data: bytes | bytearray | memoryview, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(type, start, end) of each attribute's payload between two places. Raises NetlinkError for a torn one."""
    while start + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, start)
        if length < 4 or start + length > end:
            raise failure(errno.EBADMSG, f"attribute of {length} bytes at {start} of {end}")
        yield kind & _TYPE_MASK, start + 4, start + length
        start += (length + 3) & ~3


class Reader(Protocol):
    """What takes the datagrams of one answer."""

    done: bool
    interrupted: bool

    def feed(self, data: bytearray, size: int) -> None:
        """Take one datagram. Raises NetlinkError."""


class Answer:
    """Takes the datagrams of one answer: control messages here, the others in `take`."""

    def __init__(self, replies: int = 0) -> None:
        """`replies`: how many single answers are awaited; 0 for a dump, which ends with a message of its own."""
        self.done = False
        self.interrupted = False
        """The tables changed under the dump: an entry may be missing or come twice."""
        self._left = replies

    def feed(self, data: bytearray, size: int) -> None:
        """Take one datagram. Raises NetlinkError."""
        start = 0
        while start < size and not self.done:
            length, kind, flags, sequence = self.head(data, start, size)
            if kind < 16:
                self.control(kind, data, start, length, sequence)
            else:
                self.take(kind, data, start, start + length, sequence)
                self.replied()
            if flags & _INTERRUPTED:
                self.interrupted = True
            start += (length + 3) & ~3

    def take(self, kind: int, data: bytearray, start: int, end: int, sequence: int) -> None:
        """One message that is no control message: its header starts at `start`."""
        raise NotImplementedError

    def refused(self, code: int, sequence: int) -> None:
        """The kernel's error number for a request. Raises it, unless a class knows better."""
        del sequence
        raise failure(code)

    @staticmethod
    def head(data: bytes | bytearray | memoryview, start: int, size: int) -> tuple[int, int, int, int]:
        """Length, type, flags and sequence number of the message at `start`. Raises NetlinkError."""
        if start + HEADER.size > size:
            raise failure(errno.EBADMSG, f"{size - start} bytes where a message must start")
        length, kind, flags, sequence, _ = HEADER.unpack_from(data, start)
        if length < HEADER.size or start + length > size:
            raise failure(errno.EBADMSG, f"message of {length} bytes at {start} of {size}")
        return length, kind, flags, sequence

    def control(self, kind: int, data: bytes | bytearray, start: int, length: int, sequence: int) -> None:
        """End, error or overrun. Raises NetlinkError."""
        code = -_INT.unpack_from(data, start + 16)[0] if length >= 20 else 0
        if kind == _OVERRUN:
            raise failure(errno.ENOBUFS)
        if kind == _DONE:
            self.done = True
            if code > 0:
                raise failure(code)
        elif kind == _ERROR:
            if length < 20:
                raise failure(errno.EBADMSG, "error message without a number")
            if code:
                self.refused(code, sequence)
                self.replied()

    def replied(self) -> None:
        """One of the awaited single answers has come."""
        if self._left:
            self._left -= 1
            self.done = self._left == 0


class Netlink:
    """One netlink socket. It stays in the network namespace in which it was made. Not for several threads."""

    def __init__(self, protocol: int, buffer: bytearray) -> None:
        """Opens the socket. `buffer` may be shared with others of the same thread. Raises OSError."""
        self._buffer = buffer
        self._socket = socket.socket(_AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEOUT)

    def ask(self, message: bytes, reader: Reader) -> None:
        """Send one or more requests and feed the whole answer to `reader`. Raises NetlinkError.

        After an error the rest of the answer is still on its way: close this and make a new one.
        """
        buffer = self._buffer
        try:
            self._socket.send(message)
            while not reader.done:
                size = self._socket.recv_into(buffer, len(buffer), socket.MSG_TRUNC)
                if size > len(buffer):
                    raise failure(errno.EMSGSIZE, f"datagram of {size} bytes")
                if size == 0:
                    raise failure(errno.EBADMSG, "empty datagram")
                reader.feed(buffer, size)
        except NetlinkError:
            raise
        except BlockingIOError as error:
            raise failure(errno.ETIMEDOUT) from error
        except OSError as error:
            raise NetlinkError(error.errno or errno.EIO, error.strerror or str(error)) from error

    def close(self) -> None:
        """Close the socket; may be called again."""
        self._socket.close()
