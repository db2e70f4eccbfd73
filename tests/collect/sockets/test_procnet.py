"""The files of /proc/PID/net: real ones, and thousands that no kernel wrote."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.collect.sockets import inet, netlink, procnet, route, unix
from tests.bed.requirements import needs_ipv6

LINE = b"   0: 0100007F:1538 0200007F:A2C4 01 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0000 20 4 30 10 -1"  # noqa: E501 - one literal


def test_a_line_of_tcp() -> None:
    (end,) = procnet.tcp(LINE, socket.AF_INET, 0x1538, server=True)
    assert inet.Hosts().client(end) == ("127.0.0.2", 0xA2C4)
    assert (end.uid, end.inode, end.state, end.cookie, end.idle_ms) == (1000, 4711, inet.ESTABLISHED, 0, None)
    assert end.key == 4711
    assert procnet.tcp(LINE, socket.AF_INET, 0x1538, server=False) == []
    assert len(procnet.tcp(LINE, socket.AF_INET, 0xA2C4, server=False)) == 1


@pytest.mark.parametrize("state", [b"0A", b"06", b"03", b"00", b"FF", b"0C", b"xx"])
def test_listeners_and_what_is_no_connection_are_left_out(state: bytes) -> None:
    line = LINE.replace(b" 01 ", b" " + state + b" ")
    assert procnet.tcp(line, socket.AF_INET, 0x1538, server=True) == []


def test_a_torn_last_line_costs_only_itself() -> None:
    for end in range(len(LINE)):
        assert len(procnet.tcp(LINE + b"\n" + LINE[:end], socket.AF_INET, 0x1538, server=True)) in (1, 2)


@needs_ipv6
def test_v6_as_the_kernel_writes_it() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("::1", port)) as client, listener.accept()[0]:
            found = procnet.tcp(procnet.read("/proc/self/net/tcp6"), socket.AF_INET6, port, server=False)
            assert [end.inode for end in found] == [os.fstat(client.fileno()).st_ino]
            assert inet.address_text(socket.AF_INET6, found[0].src) == "::1"


def test_unix_sockets_as_netlink_tells_them(tmp_path: Path) -> None:
    path = str(tmp_path / ".s.PGSQL.5432")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(path)
        listener.listen()
        client.connect(path)
        with listener.accept()[0] as server:
            kernel = netlink.Netlink(netlink.SOCK_DIAG, bytearray(netlink.BUFFER))
            table = unix.dump(kernel)
            kernel.close()
            ends = procnet.unix(procnet.read("/proc/self/net/unix"))
            own = os.fstat(server.fileno()).st_ino
            assert table.end(own) is not None
            assert ends[own].name == table.end(own).name == os.fsencode(path)  # type: ignore[union-attr]
            assert ends[own].peer is None  # not told; netlink does
            assert table.end(own).peer == os.fstat(client.fileno()).st_ino  # type: ignore[union-attr]
            assert ends[os.fstat(client.fileno()).st_ino].name is None


def test_addresses_as_the_routing_tables_tell_them() -> None:
    kernel = netlink.Netlink(netlink.ROUTE, bytearray(netlink.BUFFER))
    by_netlink = route.addresses(kernel)
    kernel.close()
    try:
        v6 = procnet.read("/proc/self/net/if_inet6")
    except FileNotFoundError:
        v6 = b""
    assert procnet.addresses(procnet.read("/proc/self/net/fib_trie"), v6) == by_netlink


@given(st.binary(max_size=2000), st.integers(1, 65535), st.booleans())
def test_any_bytes_for_tcp(raw: bytes, port: int, server: bool) -> None:
    for family in (socket.AF_INET, socket.AF_INET6):
        procnet.tcp(raw, family, port, server=server)


tokens = st.sampled_from(
    [
        *LINE.split(),
        b":",
        b"0100007F:1538",
        b"-1",
        b"99999999999999999999",
        b"\xff",
        b"|--",
        b"/32 host LOCAL",
        b"\n",
        b"@x",
    ]
)


@given(st.lists(tokens, max_size=60).map(b" ".join))
def test_lines_of_wrong_words(raw: bytes) -> None:
    for family in (socket.AF_INET, socket.AF_INET6):
        procnet.tcp(raw, family, 0x1538, server=True)
    procnet.unix(raw)
    for address in procnet.addresses(raw, raw):
        socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


@given(st.binary(max_size=2000))
def test_any_bytes_for_the_others(raw: bytes) -> None:
    procnet.unix(raw)
    procnet.addresses(raw, raw)
