"""Who is claimed to be at the other end, when, and when nobody is."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence

import pytest

from pgusher.collect.sockets import inet
from pgusher.collect.sockets.inet import Dump, End, Hosts, Query, States
from pgusher.collect.sockets.pairing import Pair, Pairing, plausible
from pgusher.collect.sockets.route import Place
from pgusher.collect.sockets.space import Space, UnixTable
from pgusher.collect.sockets.spaces import Others
from pgusher.model.sockets import Sight

SERVER = ("10.0.0.1", 5432)


def end(src: tuple[str, int], dst: tuple[str, int], inode: int, state: int = inet.ESTABLISHED, **more: int) -> End:
    """One end; its cookie is its inode."""
    return End(
        socket.AF_INET,
        state,
        socket.htons(src[1]),
        socket.htons(dst[1]),
        socket.inet_aton(src[0]).ljust(16, b"\0"),
        socket.inet_aton(dst[0]).ljust(16, b"\0"),
        0,
        inode,
        1000,
        inode,
        **more,
    )


class World:
    """A namespace in which is what a test puts into it."""

    def __init__(
        self,
        netns: int,
        ends: Iterable[End] = (),
        addresses: Iterable[str] = (),
        places: dict[str, Place] | None = None,
        tracked: bool = False,
    ) -> None:
        self.netns: int | None = netns
        self.ends = list(ends)
        self._addresses = set(addresses)
        self._places = places or {}
        self._tracked = tracked
        self.later: list[End] | None = None
        """What it is from the second question on."""

    def _now(self) -> list[End]:
        now = self.ends
        if self.later is not None:
            self.ends = self.later
        return now

    def from_port(self, port: int) -> list[End]:
        return [e for e in self._now() if e.sport == socket.htons(port)]

    def server_ends(self, port: int, known: States) -> Dump:  # noqa: ARG002 - it has the shape of the real one
        return Dump(self.from_port(port), [])

    def client_ends(self, port: int) -> list[End]:
        return [e for e in self._now() if e.dport == socket.htons(port)]

    def exact(self, queries: Sequence[Query], *, info: bool = False) -> list[End | None]:  # noqa: ARG002 - it has the shape of the real one
        by_query = {inet.query_of(e)[:5]: e for e in self._now()}
        return [by_query.get(query[:5]) for query in queries]

    def unix(self, known: object) -> UnixTable:
        raise NotImplementedError

    def addresses(self) -> set[str]:
        return self._addresses

    def places(self, hosts: Iterable[str]) -> dict[str, Place]:
        return {host: self._places.get(host, Place.AWAY) for host in hosts}

    def translates(self) -> bool:
        return self._tracked

    def close(self) -> None:
        pass


def paired(home: World, *others: World, refused: int = 0, ends: Sequence[End] | None = None) -> list[Pair]:
    """What pairing says of the server's ends at home."""
    spaces: list[Space] = list(others)
    found = Others(spaces, refused, "operation not permitted" if refused else "")
    asked = ends if ends is not None else [e for e in home.ends if e.sport == socket.htons(5432)]
    return Pairing(home, lambda: found, Hosts()).pair(asked, 5432)


def mirror(server: End, inode: int, **more: int) -> End:
    return server._replace(
        sport=server.dport, dport=server.sport, src=server.dst, dst=server.src, inode=inode, cookie=inode, **more
    )


def test_the_mirror_at_home() -> None:
    server = end(SERVER, ("10.0.0.1", 40000), 1)
    client = mirror(server, 2)
    assert paired(World(1, [server, client])) == [Pair(server, client, 1)]


def test_an_end_that_is_already_closed_is_gone() -> None:
    server = end(SERVER, ("10.0.0.1", 40000), 1)
    assert paired(World(1, [server, mirror(server, 0)])) == [Pair(server, None, None, Sight.GONE)]


def test_from_outside_is_remote() -> None:
    server = end(SERVER, ("192.0.2.9", 40000), 1)
    assert paired(World(1, [server]), World(2, addresses=["172.17.0.2"])) == [Pair(server, None, None, Sight.REMOTE)]


def test_half_closed_from_outside_is_gone() -> None:
    server = end(SERVER, ("192.0.2.9", 40000), 1, inet.CLOSE_WAIT)
    assert paired(World(1, [server])) == [Pair(server, None, None, Sight.GONE)]


def test_established_with_no_end_at_an_own_address_is_gone() -> None:
    server = end(SERVER, ("10.0.0.1", 40000), 1)
    home = World(1, [server], places={"10.0.0.1": Place.HERE})
    assert paired(home) == [Pair(server, None, None, Sight.GONE)]


def test_a_session_that_ended_between_the_questions_is_not_told_of() -> None:
    server = end(SERVER, ("10.0.0.1", 40000), 1)
    home = World(1, [server], places={"10.0.0.1": Place.HERE})
    home.later = []
    assert paired(home, ends=[server]) == []


def test_a_session_whose_addresses_another_one_has_by_now_is_not_told_of() -> None:
    server = end(SERVER, ("10.0.0.1", 40000), 1)
    home = World(1, [server], places={"10.0.0.1": Place.HERE})
    home.later = [server._replace(inode=9, cookie=9)]
    assert paired(home, ends=[server]) == []


def test_a_client_that_was_not_in_the_first_answer_is_found_in_the_second() -> None:
    server = end(SERVER, ("10.0.0.1", 40000), 1)
    home = World(1, [server], places={"10.0.0.1": Place.HERE})
    home.later = [server, mirror(server, 2)]
    assert paired(home, ends=[server]) == [Pair(server, mirror(server, 2), 1)]


def test_a_redirected_client_is_not_called_gone() -> None:
    """REDIRECT and DNAT: the client connected to another address or port than the server has."""
    server = end(("127.0.0.1", 5432), ("10.0.0.1", 40000), 1)
    redirected = end(("10.0.0.1", 40000), ("10.0.0.1", 6432), 2)
    home = World(1, [server, redirected], places={"10.0.0.1": Place.HERE})
    assert paired(home) == [Pair(server, None, None, Sight.OTHER_NAMESPACE)]


def test_in_another_namespace() -> None:
    server = end(SERVER, ("172.17.0.2", 40000), 1)
    client = mirror(server, 2)
    container = World(7, [client], addresses=["172.17.0.2"])
    assert paired(World(1, [server]), World(6, addresses=["172.17.0.3"]), container) == [Pair(server, client, 7)]


def test_the_twin_of_a_namespace_that_has_the_servers_address_itself_is_not_taken() -> None:
    """Two copies of one network: the client there speaks to the server there."""
    server = end(SERVER, ("10.0.0.2", 40000), 1)
    twin = World(7, [mirror(server, 2)], addresses=["10.0.0.1", "10.0.0.2"])
    assert paired(World(1, [server]), twin) == [Pair(server, None, None, Sight.REMOTE)]


def test_two_that_could_be_it_and_none_is_claimed() -> None:
    server = end(SERVER, ("10.0.0.2", 40000), 1)
    twins = [World(n, [mirror(server, n)], addresses=["10.0.0.2"]) for n in (7, 8)]
    assert paired(World(1, [server]), *twins) == [Pair(server, None, None, Sight.OTHER_NAMESPACE)]


def test_of_two_the_one_whose_counters_fit() -> None:
    server = end(SERVER, ("10.0.0.2", 40000), 1, idle_ms=5000, acked=500, received=300)
    fits = mirror(server, 7, idle_ms=5000, acked=301, received=500)
    other = mirror(server, 8, idle_ms=5000, acked=901, received=700)
    worlds = [World(e.inode, [e], addresses=["10.0.0.2"]) for e in (fits, other)]
    assert paired(World(1, [server]), *worlds) == [Pair(server, fits, 7)]


def test_only_one_with_that_address_but_its_counters_do_not_fit() -> None:
    server = end(SERVER, ("10.0.0.2", 40000), 1, idle_ms=5000, acked=500, received=300)
    other = mirror(server, 8, idle_ms=5000, acked=901, received=700)
    found = paired(World(1, [server]), World(8, [other], addresses=["10.0.0.2"]))
    assert found[0].client is None


def test_known_address_but_no_end() -> None:
    server = end(SERVER, ("172.17.0.2", 40000), 1)
    home = World(1, [server])
    container = World(7, addresses=["172.17.0.2"])
    assert paired(home, container) == [Pair(server, None, None, Sight.GONE)]
    # Where connections are tracked, that address may stand for another one.
    container = World(7, addresses=["172.17.0.2"], tracked=True)
    assert paired(home, container) == [Pair(server, None, None, Sight.OTHER_NAMESPACE)]


@pytest.mark.parametrize(
    ("place", "refused", "sight"),
    [
        (Place.NEAR, 2, Sight.OTHER_NAMESPACE),
        (Place.NEAR, 0, Sight.REMOTE),  # all were entered: it is a virtual machine, or beyond
        (Place.AWAY, 2, Sight.REMOTE),
    ],
)
def test_what_is_not_in_any_namespace_that_was_entered(place: Place, refused: int, sight: Sight) -> None:
    server = end(SERVER, ("172.17.0.2", 40000), 1)
    home = World(1, [server], places={"172.17.0.2": place})
    assert paired(home, refused=refused) == [Pair(server, None, None, sight)]


def test_the_other_namespaces_are_not_asked_when_all_clients_are_at_home() -> None:
    server = end(SERVER, ("10.0.0.1", 40000), 1)
    home = World(1, [server, mirror(server, 2)])
    Pairing(home, lambda: pytest.fail("asked"), Hosts()).pair([server], 5432)


def test_a_namespace_that_vanishes_is_passed_over() -> None:
    class Vanished(World):
        def addresses(self) -> set[str]:
            raise FileNotFoundError(2, "No such file or directory")

    server = end(SERVER, ("172.17.0.2", 40000), 1)
    client = mirror(server, 2)
    assert paired(World(1, [server]), Vanished(5), World(7, [client], addresses=["172.17.0.2"])) == [
        Pair(server, client, 7)
    ]


def test_two_ends_of_one_address_in_one_dump_and_none_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets bound to different interfaces (VRF) may have the same addresses."""
    from pgusher.collect.sockets import pairing

    monkeypatch.setattr(pairing, "_ASK_EACH", 0)
    server = end(SERVER, ("10.0.0.1", 40000), 1)
    home = World(1, [server, mirror(server, 2), mirror(server, 3)])
    assert paired(home)[0].client is None


def test_counters() -> None:
    server = end(SERVER, ("10.0.0.2", 1), 1, idle_ms=2000, acked=500, received=300)
    client = mirror(server, 2, idle_ms=2000, acked=301, received=500)
    assert plausible(server, client)
    assert plausible(server, client._replace(acked=None))  # not told
    assert not plausible(server, client._replace(received=400))  # the server has more acknowledged than it got
    assert not plausible(server, client._replace(acked=290))
    # Data is on its way: only what cannot be is refused.
    busy = server._replace(idle_ms=3)
    assert plausible(busy, client._replace(received=900, acked=901))
    assert not plausible(busy, client._replace(received=100))
