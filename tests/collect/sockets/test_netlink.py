"""Whatever the kernel, or something that stands in for it, sends: an end, a NetlinkError, never anything else."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgusher.collect.sockets import inet, netlink, route, unix

READERS: dict[str, Callable[[], netlink.Reader]] = {
    "tcp dump": inet.Ends,
    "tcp exact": lambda: inet.Exact([(2, 1, 2, bytes(16), bytes(16), 0)] * 3, inet._Layouts()),
    "unix dump": unix.UnixEnds,
    "addresses": route._Addresses,
    "route": route._Route,
    "links": route._Links,
}
every_reader = pytest.mark.parametrize("reader", READERS.values(), ids=list(READERS))

headers = st.builds(
    lambda length, kind, flags, sequence, rest: struct.pack("=IHHII", length, kind, flags, sequence, 0) + rest,
    st.one_of(st.integers(0, 200), st.sampled_from([0, 15, 16, 17, 88, 0x7FFFFFFF, 0xFFFFFFFF])),
    st.sampled_from([0, 1, 2, 3, 4, 16, 18, 20, 24, 65535]),
    st.sampled_from([0, 2, 0x10, 0xFFFF]),
    st.integers(0, 4),
    st.binary(max_size=300),
)


def feed(reader: netlink.Reader, *datagrams: bytes) -> None:
    """As `Netlink.ask` does; all but a NetlinkError is a failure of the test."""
    try:
        for datagram in datagrams:
            if not reader.done:
                reader.feed(bytearray(datagram), len(datagram))
    except netlink.NetlinkError as error:
        assert error.errno is not None  # noqa: PT017 - raising is not required, only what it is if it does


@every_reader
@given(data=st.lists(st.binary(max_size=600), max_size=3))
def test_random_bytes(reader: Callable[[], netlink.Reader], data: list[bytes]) -> None:
    feed(reader(), *data)


@every_reader
@given(data=st.lists(st.lists(headers, max_size=6).map(b"".join), max_size=3))
def test_headers_that_lie(reader: Callable[[], netlink.Reader], data: list[bytes]) -> None:
    feed(reader(), *data)


def real(message: bytes, protocol: int = netlink.SOCK_DIAG) -> list[bytes]:
    """What this kernel answers."""
    parts: list[bytes] = []

    class Recorder(netlink.Answer):
        def feed(self, data: bytearray, size: int) -> None:
            parts.append(bytes(data[:size]))
            super().feed(data, size)

        def take(self, kind: int, data: bytearray, start: int, end: int, sequence: int) -> None:
            pass

    kernel = netlink.Netlink(protocol, bytearray(netlink.BUFFER))
    try:
        kernel.ask(message, Recorder())
    finally:
        kernel.close()
    return parts


@pytest.fixture(scope="module")
def recorded() -> dict[str, list[bytes]]:
    """Real answers, to be broken."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(4)]
        served = [listener.accept()[0] for _ in clients]
        left, right = socket.socketpair()
        dump = netlink.REQUEST | netlink.DUMP
        answers = {
            "tcp dump": real(inet.dump_request(port, server=True, info=True)),
            "unix dump": real(unix.dump_request()),
            "addresses": real(netlink.request(22, route._ADDRESS.pack(0, 0, 0, 0, 0), flags=dump), netlink.ROUTE),
            "links": real(netlink.request(18, route._LINK.pack(0, 0, 0, 0, 0), flags=dump), netlink.ROUTE),
        }
        for sock in (*clients, *served, left, right):
            sock.close()
    return answers


@pytest.mark.parametrize("name", ["tcp dump", "unix dump", "addresses", "links"])
@settings(max_examples=400)
@given(draw=st.data())
def test_real_answers_cut_and_changed(recorded: dict[str, list[bytes]], name: str, draw: st.DataObject) -> None:
    parts = [bytearray(part) for part in recorded[name]]
    for _ in range(draw.draw(st.integers(0, 4))):
        part = draw.draw(st.sampled_from(parts))
        if part:
            part[draw.draw(st.integers(0, len(part) - 1))] = draw.draw(st.integers(0, 255))
    last = draw.draw(st.sampled_from(parts))
    del last[draw.draw(st.integers(0, len(last))) :]
    feed(READERS[name](), *map(bytes, parts))


@given(raw=st.binary(max_size=200), start=st.integers(0, 210), end=st.integers(0, 200))
def test_attributes_end_and_stay_within(raw: bytes, start: int, end: int) -> None:
    end = min(end, len(raw))
    try:
        for _, first, last in netlink.attributes(raw, start, end):
            assert start + 4 <= first <= last <= end
    except netlink.NetlinkError as error:
        assert error.errno == errno.EBADMSG  # noqa: PT017 - raising is not required, only what it is if it does


@given(payloads=st.lists(st.tuples(st.integers(0, 0x3FFF), st.binary(max_size=30)), max_size=8))
def test_attributes_come_back_as_they_were_made(payloads: list[tuple[int, bytes]]) -> None:
    raw = b"".join(netlink.attribute(kind, payload) for kind, payload in payloads)
    assert [(kind, raw[a:b]) for kind, a, b in netlink.attributes(raw, 0, len(raw))] == payloads


def test_an_error_of_the_kernel_has_its_number() -> None:
    message = netlink.HEADER.pack(36, 2, 0, 0, 0) + struct.pack("=i", -errno.EPERM) + bytes(16)
    with pytest.raises(netlink.NetlinkError) as caught:
        inet.Ends().feed(bytearray(message), len(message))
    assert caught.value.errno == errno.EPERM


def test_an_error_behind_the_end_of_a_dump_is_told() -> None:
    message = netlink.HEADER.pack(20, 3, 0, 0, 0) + struct.pack("=i", -errno.ENOENT)
    with pytest.raises(netlink.NetlinkError) as caught:
        inet.Ends().feed(bytearray(message), len(message))
    assert caught.value.errno == errno.ENOENT


def test_an_overrun_is_told() -> None:
    message = netlink.HEADER.pack(16, 4, 0, 0, 0)
    with pytest.raises(netlink.NetlinkError) as caught:
        unix.UnixEnds().feed(bytearray(message), len(message))
    assert caught.value.errno == errno.ENOBUFS


def test_an_interrupted_dump_is_marked() -> None:
    ends = inet.Ends()
    body = bytes(72)
    message = netlink.HEADER.pack(88, 18, 0x10, 0, 0) + body + netlink.HEADER.pack(20, 3, 0, 0, 0) + bytes(4)
    ends.feed(bytearray(message), len(message))
    assert (ends.done, ends.interrupted, len(ends.ends)) == (True, True, 1)


class Scripted(netlink.Netlink):
    """A kernel that answers what the test says."""

    def __init__(self, *answers: bytes) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        super().__init__(netlink.SOCK_DIAG, bytearray(4096))
        self._socket.close()
        self._socket = ours
        for answer in answers:
            theirs.send(answer)
        self.theirs = theirs

    def close(self) -> None:
        super().close()
        self.theirs.close()


END = netlink.HEADER.pack(20, 3, 0, 0, 0) + bytes(4)


def test_a_dump_that_was_interrupted_is_asked_for_again() -> None:
    torn = netlink.HEADER.pack(88, 18, 0x10, 0, 0) + bytes(72) + END
    whole = (netlink.HEADER.pack(88, 18, 0, 0, 0) + bytes(72)) * 2 + END
    kernel = Scripted(torn, whole)
    assert len(inet.dump(kernel, 0, server=True).new) == 2
    kernel.close()


def test_a_datagram_that_did_not_fit_is_told() -> None:
    kernel = Scripted(bytes(5000))
    with pytest.raises(netlink.NetlinkError) as caught:
        kernel.ask(b"x", inet.Ends())
    assert caught.value.errno == errno.EMSGSIZE
    kernel.close()


def test_a_kernel_that_hangs_up_is_told() -> None:
    kernel = Scripted()
    kernel.theirs.close()
    with pytest.raises(netlink.NetlinkError):
        kernel.ask(b"x", inet.Ends())
    kernel.close()


def test_a_kernel_without_the_old_message_is_asked_for_each_family() -> None:
    refusal = netlink.HEADER.pack(36, 2, 0, 0, 0) + struct.pack("=i", -errno.EINVAL) + bytes(16)
    v4 = netlink.HEADER.pack(88, 20, 0, 0, 0) + bytes(72) + END
    v6 = (netlink.HEADER.pack(88, 20, 0, 0, 0) + bytes(72)) * 2 + END
    kernel = Scripted(refusal, v4, v6)
    assert len(inet.dump(kernel, 0, server=True).new) == 3
    kernel.close()


@given(where=st.integers(0, 3), count=st.integers(1, 40), draw=st.data())
@settings(max_examples=60)
def test_messages_of_many_shapes_are_read_as_one_by_one(where: int, count: int, draw: st.DataObject) -> None:
    """Most messages of a dump are alike and are unpacked by the hundred: that must give what a slow reader gives."""
    shapes = st.lists(st.sampled_from(["info", "short info", "cgroup", "shutdown", "odd"]), unique=True, max_size=4)
    some = draw.draw(st.lists(shapes, min_size=1, max_size=4))
    messages, expected = [], []
    for number in range(count):
        shape = some[draw.draw(st.integers(0, len(some) - 1))]
        message, end = _message(number, shape)
        messages.append(message)
        expected.append(end)
    ends = inet.Ends()
    cut = min(where * 7, count)
    for part in (messages[:cut], messages[cut:]):
        data = bytearray(b"".join(part))
        ends.feed(data, len(data))
    ends.feed(bytearray(END), len(END))
    assert ends.ends == expected


def _message(number: int, shape: list[str]) -> tuple[bytes, inet.End]:
    src, dst = bytes([number]) * 16, bytes([255 - number]) * 16
    body = struct.pack("=BBBB", 2, 1, 0, 0) + struct.pack("=HH", number, number + 1) + src + dst
    body += struct.pack("=IQ", 7, number + 1000) + bytes(12) + struct.pack("=II", number + 5, number + 6)
    idle = acked = received = cgroup = None
    for name in shape:
        if name == "info":
            idle, acked, received = number + 1, number + 2, number + 3
            info = bytes(52) + struct.pack("=I", idle) + bytes(64) + struct.pack("=QQ", acked, received) + bytes(96)
            body += netlink.attribute(2, info)
        elif name == "short info":  # an older kernel: the counters are not there yet
            body += netlink.attribute(2, bytes(104)) if "info" not in shape else b""
        elif name == "cgroup":
            cgroup = number + 4
            body += netlink.attribute(21, struct.pack("=Q", cgroup))
        elif name == "shutdown":
            body += netlink.attribute(8, b"\0")
        else:
            body += netlink.attribute(99, bytes(number % 5))
    end = inet.End(
        2, 1, number, number + 1, src, dst, 7, number + 1000, number + 5, number + 6, idle, acked, received, cgroup
    )
    return netlink.HEADER.pack(16 + len(body), 20, 2, 0, 0) + body, end
