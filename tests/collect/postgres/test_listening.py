"""Listening sockets: by netlink and by /proc the same, and no line of /proc/net makes it stumble."""

from __future__ import annotations

import os
import socket

from hypothesis import given, settings
from hypothesis import strategies as st

from pgusher.collect.postgres import listening as module
from pgusher.collect.postgres.listening import in_own_network, listening, parse_tcp, parse_unix
from tests.bed.requirements import needs_ipv6

UNIX = b"""Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 81233 /run/postgresql/.s.PGSQL.5432
0000000000000000: 00000003 00000000 00000000 0001 03 81299 /run/postgresql/.s.PGSQL.5432
0000000000000000: 00000002 00000000 00010000 0001 01 7 @pg/.s.PGSQL.5433
0000000000000000: 00000002 00000000 00010000 0001 01 8 /tmp/a b/.s.PGSQL.1
0000000000000000: 00000002 00000000 00010000 0001 01 9 /tmp/.s.PGSQL.99999
0000000000000000: 00000002 00000000 00010000 0001 01 10 /tmp/.s.PGSQL.5432.lock
0000000000000000: 00000002 00000000 00010000 0002 01 11 /tmp/.s.PGSQL.2
"""
BESIDE_LIBPQ = b"""
0000000000000000: 00000002 00000000 00010000 0001 01 12 example.org/.s.PGSQL.5432
0000000000000000: 00000002 00000000 00010000 0001 01 13 ./.s.PGSQL.5432
0000000000000000: 00000002 00000000 00010000 0001 01 14 /tmp/x,example.org/.s.PGSQL.5432
0000000000000000: 00000002 00000000 00010000 0001 01 15 @x,example.org/.s.PGSQL.5432
"""
TCP = b"""  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000   101        0 83341 1 0000000000000000 100
   1: 0100007F:1538 0100007F:D431 01 00000000:00000000 00:00000000 00000000   101        0 83342 1 0000000000000000 20
"""
TCP6 = (
    TCP.split(b"\n")[0]
    + b"\n   0: 00000000000000000000000001000000:1538 00000000000000000000000000000000:0000 0A"
    + b" 00000000:00000000 00:00000000 00000000   101        0 83340 1\n"
)


def test_lines_of_proc() -> None:
    assert parse_unix(UNIX) == [
        ("/run/postgresql/.s.PGSQL.5432", 5432, 81233),
        ("@pg/.s.PGSQL.5433", 5433, 7),
        ("/tmp/a b/.s.PGSQL.1", 1, 8),
    ]
    assert parse_tcp(TCP) == [("127.0.0.1", 5432, 101, 83341)]
    assert parse_tcp(TCP6) == [("::1", 5432, 101, 83340)]


@settings(max_examples=1000)
@given(st.one_of(st.binary(), st.lists(st.sampled_from((UNIX + TCP + TCP6).split(b" "))).map(b" ".join)))
def test_no_bytes_raise(data: bytes) -> None:
    parse_unix(data)
    parse_tcp(data)


@needs_ipv6
def test_netlink_and_proc_say_the_same(tmp_path: os.PathLike[str]) -> None:
    directory = os.path.join(tmp_path, "é\n")
    os.mkdir(directory)
    path = os.path.join(directory, ".s.PGSQL.7")
    abstract = f"pgusher-test-{os.getpid()}/.s.PGSQL.8"
    with (
        socket.socket(socket.AF_UNIX) as one,
        socket.socket(socket.AF_UNIX) as two,
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.create_server(("::1", 0), family=socket.AF_INET6) as tcp6,
    ):
        one.bind(path)
        two.bind(f"\0{abstract}")
        for each in (one, two):
            each.listen()
        inodes = [os.fstat(each.fileno()).st_ino for each in (one, two, tcp, tcp6)]
        asked, read = module._by_netlink(), listening("/proc/self")
        for told in (asked, read):
            if told is asked:  # /proc cannot tell a newline in a path from the end of a line
                assert (path, 7, inodes[0]) in told.unix
            assert (f"@{abstract}", 8, inodes[1]) in told.unix
            assert ("127.0.0.1", tcp.getsockname()[1], os.geteuid(), inodes[2]) in told.tcp
            assert ("::1", tcp6.getsockname()[1], os.geteuid(), inodes[3]) in told.tcp


def test_without_netlink_proc_is_read(monkeypatch: object) -> None:
    with socket.create_server(("127.0.0.1", 0)) as tcp:
        port = tcp.getsockname()[1]
        assert any(number == port for _, number, *_ in listening(pid=os.getpid()).tcp)
    assert listening("/nonexistent").tcp == []


def test_our_own_network() -> None:
    assert in_own_network(os.getpid())
    assert not in_own_network(0)


def test_a_path_that_libpq_would_take_for_a_host_of_the_network_is_no_server() -> None:
    """Anybody may bind such a path: the password of whoever looks would go to that host."""
    assert parse_unix(BESIDE_LIBPQ) == []
