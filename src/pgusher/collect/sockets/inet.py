"""TCP sockets as the kernel's inet_diag tells them.

Formats: sock_diag(7), linux/inet_diag.h, linux/tcp.h (struct tcp_info). Needs no privilege: every socket of the
namespace is shown with its uid, its inode and, from 5.9 on, its cgroup.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from pgusher.collect.sockets import netlink

ESTABLISHED, SYN_SENT, SYN_RECV, FIN_WAIT1, FIN_WAIT2, TIME_WAIT, CLOSE, CLOSE_WAIT, LAST_ACK, LISTEN, CLOSING = range(
    1, 12
)
STATE_NAMES = {
    ESTABLISHED: "established",
    SYN_SENT: "syn-sent",
    SYN_RECV: "syn-recv",
    FIN_WAIT1: "fin-wait-1",
    FIN_WAIT2: "fin-wait-2",
    TIME_WAIT: "time-wait",
    CLOSE: "close",
    CLOSE_WAIT: "close-wait",
    LAST_ACK: "last-ack",
    LISTEN: "listen",
    CLOSING: "closing",
}
CONNECTED = sum(1 << state for state in (ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, LAST_ACK, CLOSING))
"""The states in which a process may have a session's socket open. Not TIME_WAIT: that is a port's memory of one."""

_BOTH_FAMILIES = 18  # TCPDIAG_GETSOCK: the old message, that walks v4 and v6 at once
_ONE_FAMILY = 20  # SOCK_DIAG_BY_FAMILY
_INFO, _CGROUP_ID = 2, 21  # INET_DIAG_INFO, INET_DIAG_CGROUP_ID
_WANT_INFO = 1 << (_INFO - 1)
_TCP = 6
_ANY_COOKIE = b"\xff" * 8
_LINK_LOCAL = b"\xfe\x80"
_MAPPED = b"\0" * 10 + b"\xff\xff"
_BATCH = 64  # requests at once: their answers must fit into the receive buffer

# struct nlmsghdr and struct inet_diag_msg; left out: timer, retransmits, expiry and the two queues
_HEAD = "IHH8x BBxx HH16s16sIQ 12x II"
_MESSAGE = struct.Struct("=" + _HEAD)
_FIELDS = 13  # of _HEAD
_SHORT_HEAD = "IHH8x xBxx 40x Q 12x 8x"
_SHORT_FIELDS = 5
# Of struct tcp_info: last_data_recv, bytes_acked and bytes_received (4.2 and later; 136 bytes with them).
_TCP_INFO = "52xI64xQQ"
_SHORT_TCP_INFO = "52xI80x"
_TCP_INFO_SIZE = 136


class End(NamedTuple):
    """One end of a connection. Ports and addresses are as in the message: in network byte order, v4 in 4 of 16."""

    family: int
    state: int
    sport: int
    dport: int
    src: bytes
    dst: bytes
    interface: int
    cookie: int
    uid: int
    inode: int
    """0 when no process has it open: not yet accepted, or closed."""
    idle_ms: int | None = None
    """Milliseconds since data was received, when asked for."""
    acked: int | None = None
    """Bytes that the other end has acknowledged, when asked for."""
    received: int | None = None
    cgroup_id: int | None = None

    @property
    def key(self) -> int:
        """What tells it from every other end: the kernel's number, or the inode where there is none."""
        return self.cookie or self.inode


Query = tuple[int, int, int, bytes, bytes, int]
"""Which one socket: family, sport, dport, src, dst, interface; as in the message, v4-mapped addresses as v4."""


class Hosts(dict[tuple[int, bytes], str]):
    """Addresses as text, each made once: an IPv4-mapped one is written as IPv4, as PostgreSQL writes it."""

    def __missing__(self, key: tuple[int, bytes]) -> str:
        family, raw = key
        if len(self) > 100_000:  # addresses of a network that scans us must not fill the memory
            self.clear()
        text = self[key] = address_text(family, raw)
        return text

    def client(self, end: End) -> tuple[str, int]:
        """The client's address and port, from the server's end."""
        return self[end.family, end.dst], socket.ntohs(end.dport)


def address_text(family: int, raw: bytes) -> str:
    """An address in 16 bytes of a message as text."""
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, raw[:4])
    if raw.startswith(_MAPPED):
        return socket.inet_ntop(socket.AF_INET, raw[12:16])
    return socket.inet_ntop(socket.AF_INET6, raw[:16])


def dump_request(port: int, *, server: bool, info: bool = False, family: int = 0, states: int = CONNECTED) -> bytes:
    """All sockets with this local (`server`) or remote port; `family` 0 for v4 and v6 in one walk of the table."""
    ports = (port, 0) if server else (0, port)
    which = struct.pack(">HH", *ports) + b"\0" * 36 + _ANY_COOKIE
    more = _WANT_INFO if info else 0
    flags = netlink.REQUEST | netlink.DUMP
    if family:
        body = struct.pack("=BBBBI", family, _TCP, more, 0, states) + which
        return netlink.request(_ONE_FAMILY, body, flags=flags)
    body = struct.pack("=BBBB", 0, 0, 0, more) + which + struct.pack("=II", states, 0)
    return netlink.request(_BOTH_FAMILIES, body, flags=flags)


def query_of(end: End) -> Query:
    """The query that finds this very end again."""
    if end.family == socket.AF_INET6 and end.dst.startswith(_MAPPED):
        return socket.AF_INET, end.sport, end.dport, _as_v4(end.src), _as_v4(end.dst), end.interface
    return end.family, end.sport, end.dport, end.src, end.dst, end.interface


def query_of_peer(end: End) -> Query:
    """The query that finds the other end."""
    family, sport, dport, src, dst, interface = query_of(end)
    # A link-local address is one only together with its interface; any other socket is bound to one of its own.
    return family, dport, sport, dst, src, interface if src.startswith(_LINK_LOCAL) and family != socket.AF_INET else 0


def _as_v4(raw: bytes) -> bytes:
    return raw[12:16] + b"\0" * 12


def exact_requests(queries: Sequence[Query], *, info: bool = False) -> bytes:
    """One request for each query in one datagram, numbered from 0."""
    more = _WANT_INFO if info else 0
    head = struct.pack("=BBBBI", 0, _TCP, more, 0, 0)[1:]
    ports, number_of = struct.Struct("=HH").pack, struct.Struct("=I").pack
    return b"".join(
        netlink.request(
            _ONE_FAMILY,
            bytes((family,)) + head + ports(sport, dport) + src + dst + number_of(interface) + _ANY_COOKIE,
            sequence=number,
        )
        for number, (family, sport, dport, src, dst, interface) in enumerate(queries)
    )


class _Layout:
    """How messages of one length are laid out. Most of a dump are alike, so they are unpacked by the hundred."""

    __slots__ = ("_lacks", "expected", "heads", "pick", "short", "short_heads", "short_pick", "struct")

    def __init__(self, data: bytes | bytearray, start: int, length: int, kind: int, flags: int) -> None:
        """From the message at `start`. Raises NetlinkError for a torn attribute."""
        parts, fields = [_HEAD], _FIELDS
        # Of ends that are known nothing is taken but state, cookie and idle time.
        short, short_fields = [_SHORT_HEAD], _SHORT_FIELDS
        expected, heads, short_heads = [length, kind, flags], [0, 1, 2], [0, 1, 2]
        places: dict[int, int] = {}
        short_idle: int | None = None
        at = _MESSAGE.size
        for attribute, begin, end in netlink.attributes(data, start + _MESSAGE.size, start + length):
            # The attribute's own header is a field too: a message is of this layout only when these are the same.
            expected.append(struct.unpack_from("=I", data, begin - 4)[0])
            heads.append(fields)
            short_heads.append(short_fields)
            head = f"{begin - 4 - start - at}xI"
            at, fields, short_fields = begin - start, fields + 1, short_fields + 1
            if attribute == _INFO and end - begin >= _TCP_INFO_SIZE:
                parts.append(head + _TCP_INFO)
                short.append(head + _SHORT_TCP_INFO)
                places[10], places[11], places[12], short_idle = fields, fields + 1, fields + 2, short_fields
                at, fields, short_fields = at + _TCP_INFO_SIZE, fields + 3, short_fields + 1
            elif attribute == _CGROUP_ID and end - begin == 8:
                parts.append(head + "Q")
                short.append(head + "8x")
                places[13] = fields
                at, fields = at + 8, fields + 1
            else:
                parts.append(head)
                short.append(head)
        rest = f"{((length + 3) & ~3) - at}x"
        self.struct = struct.Struct("=" + "".join(parts) + rest)
        self.short = struct.Struct("=" + "".join(short) + rest)
        self.expected = tuple(expected)
        self.heads: Callable[[tuple[Any, ...]], tuple[Any, ...]] = itemgetter(*heads)
        self.short_heads: Callable[[tuple[Any, ...]], tuple[Any, ...]] = itemgetter(*short_heads)
        self.short_pick = None if short_idle is None else itemgetter(3, 4, short_idle)
        # What the message lacks is taken from a None that is put behind its fields.
        self._lacks = len(places) < 4
        self.pick: Callable[[tuple[Any, ...]], tuple[Any, ...]] = itemgetter(
            *range(3, 13), *(places.get(place, fields) for place in range(10, 14))
        )

    def matches(self, fields: tuple[Any, ...]) -> bool:
        """Whether a message that was unpacked with it is of this layout."""
        return self.heads(fields) == self.expected

    def ends(self, run: Iterable[tuple[Any, ...]]) -> Iterable[End]:
        """The values of unpacked messages."""
        if self._lacks:
            run = ((*fields, None) for fields in run)
        return map(End._make, map(self.pick, run))


class _Layouts(dict[int, _Layout]):
    """The last layout seen of each length."""

    def of(self, data: bytes | bytearray, start: int, length: int, kind: int, flags: int) -> _Layout:
        """That of the message at `start`. Raises NetlinkError for a torn attribute."""
        layout = self.get(length)
        if layout is None or not layout.matches(layout.struct.unpack_from(data, start)):
            layout = self[length] = _Layout(data, start, length, kind, flags)
        return layout


States = Mapping[int, int]
"""The state of ends by their key: what is in it and has not changed need not be read again."""


class Dump(NamedTuple):
    """The ends at one port."""

    new: list[End]
    kept: list[tuple[int, int | None]]
    """Key and idle time of those that were known, and are in the state in which they were."""


class Ends(netlink.Answer):
    """Reads the answer to a dump."""

    def __init__(self, known: States | None = None) -> None:
        """`known`: of these only key and idle time are taken, as long as they are in the same state."""
        super().__init__()
        self.ends: list[End] = []
        self.kept: list[tuple[int, int | None]] = []
        self._known = known
        self._layouts = _Layouts()
        self._most = 1

    def feed(self, data: bytearray, size: int) -> None:
        """Take one datagram. Raises NetlinkError."""
        start, view = 0, memoryview(data)
        while start < size and not self.done:
            length, kind, flags, sequence = self.head(data, start, size)
            step = (length + 3) & ~3
            if kind < 16:
                self.control(kind, data, start, length, sequence)
                start += step
                continue
            if length < _MESSAGE.size:
                raise netlink.failure(errno.EBADMSG, f"socket of {length} bytes")
            self.interrupted = self.interrupted or bool(flags & 0x10)
            if start + step > size:  # the last one, of a length that is not padded
                raise netlink.failure(errno.EBADMSG, f"message of {length} bytes at {start} of {size}")
            start += step * self._run(data, view[start:size], start, length, kind, flags)

    def _run(self, data: bytearray, rest: memoryview, start: int, length: int, kind: int, flags: int) -> int:
        """Take as many messages from `start` on as are laid out as the first; returns their number."""
        layout = self._layouts.of(data, start, length, kind, flags)
        size = layout.struct.size
        # Not the whole rest at once: where no two are alike, each message would unpack all that come after it.
        count = min(len(rest) // size, self._most)
        rest = rest[: count * size]
        if self._known and layout.short_pick is not None and self._in_short(rest, layout, count):
            self._most = min(self._most * 2, 4096)
            return count
        run = list(layout.struct.iter_unpack(rest))
        heads = list(map(layout.heads, run))
        if heads.count(layout.expected) == count:
            self._most = min(self._most * 2, 4096)
        else:
            count = next(place for place, head in enumerate(heads) if head != layout.expected)
            del run[count:]
            self._most = max(1, count)
        if not self._known:
            self.ends.extend(layout.ends(run))
            return count
        for end in layout.ends(run):
            if self._known.get(end.key) == end.state:
                self.kept.append((end.key, end.idle_ms))
            else:
                self.ends.append(end)
        return count

    def _in_short(self, rest: memoryview, layout: _Layout, count: int) -> bool:
        """Take these messages when all are of this layout: the known ends in short, the others whole."""
        run = list(layout.short.iter_unpack(rest))
        if list(map(layout.short_heads, run)).count(layout.expected) != count or layout.short_pick is None:
            return False
        get = (self._known or {}).get
        marks = list(map(layout.short_pick, run))
        kept = [(cookie, idle) for state, cookie, idle in marks if get(cookie) == state]
        self.kept += kept
        if len(kept) != count:
            size, unpack = layout.struct.size, layout.struct.unpack_from
            new = (place for place, (state, cookie, _) in enumerate(marks) if get(cookie) != state)
            self.ends.extend(layout.ends([unpack(rest, place * size) for place in new]))
        return True


class Exact(netlink.Answer):
    """Reads the answers to `exact_requests`."""

    def __init__(self, queries: Sequence[Query], layouts: _Layouts) -> None:
        super().__init__(len(queries))
        self._queries = queries
        self._layouts = layouts
        self.ends: list[End | None] = [None] * len(queries)
        """In the order of the queries; None for a socket that does not exist."""

    def take(self, kind: int, data: bytearray, start: int, end: int, sequence: int) -> None:
        """One socket. Raises NetlinkError."""
        if end - start < _MESSAGE.size or sequence >= len(self._queries):
            raise netlink.failure(errno.EBADMSG, f"answer {sequence} of {end - start} bytes")
        # Of the exact length: the last message of a datagram need not be padded.
        padded = bytes(data[start:end]) + b"\0" * (-(end - start) % 4)
        layout = self._layouts.of(padded, 0, end - start, kind, 0)
        found = next(iter(layout.ends([layout.struct.unpack(padded)])))
        # Where no connection matches the kernel gives a listener; and a TIME_WAIT is the port's memory of another one.
        if query_of(found)[:5] == self._queries[sequence][:5] and 1 << found.state & CONNECTED:
            self.ends[sequence] = found

    def refused(self, code: int, sequence: int) -> None:
        """ENOENT: there is no such socket. Raises NetlinkError for all else."""
        if code != errno.ENOENT:
            super().refused(code, sequence)


def dump(kernel: netlink.Netlink, port: int, *, server: bool, info: bool = False, known: States | None = None) -> Dump:
    """All connected sockets with this local (`server`) or remote port. Raises NetlinkError."""
    wanted = socket.htons(port)
    answer = Ends()
    for _ in range(3):  # interrupted by changes: anew, and the last one counts (what is missing is asked for exactly)
        answer = Ends(known)
        try:
            kernel.ask(dump_request(port, server=server, info=info), answer)
        except netlink.NetlinkError as error:
            # A kernel without the old message: once for each family.
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
                raise
            answer = Ends(known)
            for family in (socket.AF_INET, socket.AF_INET6):
                answer.done = False
                kernel.ask(dump_request(port, server=server, info=info, family=family), answer)
        if not answer.interrupted:
            break
    if server:
        return Dump([end for end in answer.ends if end.sport == wanted], answer.kept)
    return Dump([end for end in answer.ends if end.dport == wanted], answer.kept)


def exact(kernel: netlink.Netlink, queries: Sequence[Query], *, info: bool = False) -> list[End | None]:
    """Each of these sockets, or None where there is none; ten microseconds each. Raises NetlinkError."""
    found: list[End | None] = []
    layouts = _Layouts()
    for start in range(0, len(queries), _BATCH):
        batch = queries[start : start + _BATCH]
        answer = Exact(batch, layouts)
        kernel.ask(exact_requests(batch, info=info), answer)
        found += answer.ends
    return found
