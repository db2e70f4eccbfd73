"""TCP sockets as this kernel tells them, against what their owners know."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from pgusher.collect.sockets import inet, netlink, procnet
from tests.bed.requirements import needs_ipv6


def dump(kernel: netlink.Netlink, port: int, **how: Any) -> list[inet.End]:
    """As for somebody who knows nothing yet."""
    return inet.dump(kernel, port, **how).new


Connections = list[tuple[socket.socket, socket.socket]]


@pytest.fixture
def kernel() -> Iterator[netlink.Netlink]:
    made = netlink.Netlink(netlink.SOCK_DIAG, bytearray(netlink.BUFFER))
    yield made
    made.close()


@pytest.fixture
def connections() -> Iterator[Connections]:
    """(client, server) of v4, of more than one datagram holds."""
    made: Connections = []
    with socket.create_server(("127.0.0.1", 0), backlog=400) as listener:
        for _ in range(200):
            client = socket.create_connection(listener.getsockname())
            made.append((client, listener.accept()[0]))
        yield made
    for pair in made:
        for sock in pair:
            sock.close()


def port_of(connections: Connections) -> int:
    return int(connections[0][1].getsockname()[1])


def inode(sock: socket.socket) -> int:
    return os.fstat(sock.fileno()).st_ino


def test_all_of_a_port_from_both_sides(kernel: netlink.Netlink, connections: Connections) -> None:
    port = port_of(connections)
    for server in (True, False):
        ends = dump(kernel, port, server=server, info=True)
        assert {end.inode for end in ends} == {inode(pair[server]) for pair in connections}
        assert len(ends) == 200
        assert all(end.state == inet.ESTABLISHED and end.cookie and end.uid == os.geteuid() for end in ends)
        assert all(end.idle_ms is not None and end.acked is not None and end.received is not None for end in ends)


def test_what_is_known_and_unchanged_comes_in_short(kernel: netlink.Netlink, connections: Connections) -> None:
    port = port_of(connections)
    ends = dump(kernel, port, server=True, info=True)
    states = {end.key: end.state for end in ends}
    again = inet.dump(kernel, port, server=True, info=True, known=states)
    assert again.new == []
    idle = {end.key: end.idle_ms for end in ends}
    assert {key for key, _ in again.kept} == set(idle)
    assert all(now is not None and now >= (idle[key] or 0) for key, now in again.kept)
    # One is unknown, one closes its side, one vanishes.
    del states[ends[5].key]
    by_inode = {inode(server): (client, server) for client, server in connections}
    by_inode[ends[7].inode][0].shutdown(socket.SHUT_WR)
    for sock in by_inode[ends[9].inode]:
        sock.close()
    again = inet.dump(kernel, port, server=True, info=True, known=states)
    assert {(end.key, end.state) for end in again.new} == {
        (ends[5].key, inet.ESTABLISHED),
        (ends[7].key, inet.CLOSE_WAIT),
    }
    assert {key for key, _ in again.kept} == set(idle) - {ends[n].key for n in (5, 7, 9)}


def test_each_alone_and_each_other_end(kernel: netlink.Netlink, connections: Connections) -> None:
    ends = dump(kernel, port_of(connections), server=True)
    by_inode = {inode(server): inode(client) for client, server in connections}
    own = inet.exact(kernel, [inet.query_of(end) for end in ends])
    assert [end.inode if end else None for end in own] == [end.inode for end in ends]
    peers = inet.exact(kernel, [inet.query_of_peer(end) for end in ends], info=True)
    assert [peer.inode if peer else None for peer in peers] == [by_inode[end.inode] for end in ends]


def test_what_does_not_exist_is_none_and_the_others_are_found(
    kernel: netlink.Netlink, connections: Connections
) -> None:
    ends = dump(kernel, port_of(connections), server=True)[:3]
    queries = [inet.query_of_peer(end) for end in ends]
    nobody = (*queries[1][:1], socket.htons(1), *queries[1][2:])
    found = inet.exact(kernel, [queries[0], nobody, queries[2]])
    assert [end is None for end in found] == [False, True, False]


def test_a_listener_and_a_time_wait_are_no_connection(kernel: netlink.Netlink) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        server = listener.accept()[0]
        (end,) = dump(kernel, port, server=True)
        client.close()  # first: its end waits
        server.close()
        assert inet.exact(kernel, [inet.query_of(end), inet.query_of_peer(end)]) == [None, None]


@needs_ipv6
def test_mapped_addresses_are_written_as_v4_and_found_as_such(kernel: netlink.Netlink) -> None:
    hosts = inet.Hosts()
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
        port = listener.getsockname()[1]
        for to, family in (("127.0.0.1", socket.AF_INET), ("::ffff:127.0.0.1", socket.AF_INET6)):
            with socket.socket(family) as client:
                client.connect((to, port))
                with listener.accept()[0] as server:
                    (end,) = [e for e in dump(kernel, port, server=True) if e.inode == inode(server)]
                    assert hosts.client(end) == ("127.0.0.1", client.getsockname()[1])
                    (peer,) = inet.exact(kernel, [inet.query_of_peer(end)])
                    assert peer is not None
                    assert peer.inode == inode(client)


def test_addresses_as_text() -> None:
    assert inet.address_text(socket.AF_INET, bytes([10, 0, 0, 1]) + bytes(12)) == "10.0.0.1"
    assert inet.address_text(socket.AF_INET6, bytes(10) + b"\xff\xff" + bytes([10, 0, 0, 1])) == "10.0.0.1"
    # The same bytes as v6: an address that merely begins like the v4 one.
    assert inet.address_text(socket.AF_INET6, bytes([10, 0, 0, 1]) + bytes(12)) == "a00:1::"


def test_counters_of_both_ends_fit(kernel: netlink.Netlink, connections: Connections) -> None:
    """What pairing across namespaces rests on: a SYN counts as one byte, on the client's side."""
    client, server = connections[0]
    client.sendall(b"x" * 1000)
    assert len(server.recv(1000, socket.MSG_WAITALL)) == 1000
    server.sendall(b"y" * 300)
    assert len(client.recv(300, socket.MSG_WAITALL)) == 300
    end = next(e for e in dump(kernel, port_of(connections), server=True, info=True) if e.inode == inode(server))
    (peer,) = inet.exact(kernel, [inet.query_of_peer(end)], info=True)
    assert peer is not None
    assert (end.received, peer.received) == (1000, 300)
    assert peer.acked in (1, 1001)  # the acknowledgement may be on its way
    assert end.acked in (0, 300)


def test_proc_shows_the_same(kernel: netlink.Netlink, connections: Connections) -> None:
    port = port_of(connections)
    raw = procnet.read("/proc/self/net/tcp")
    for server in (True, False):
        by_netlink = {
            (e.sport, e.dport, e.src, e.dst, e.state, e.uid, e.inode) for e in dump(kernel, port, server=server)
        }
        by_proc = procnet.tcp(raw, socket.AF_INET, port, server=server)
        assert {(e.sport, e.dport, e.src, e.dst, e.state, e.uid, e.inode) for e in by_proc} == by_netlink
