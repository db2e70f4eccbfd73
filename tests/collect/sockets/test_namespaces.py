"""Clients and servers in network namespaces of their own, joined by veth pairs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from pgusher.collect.sockets import SocketSource
from pgusher.collect.sockets.route import Place
from pgusher.collect.sockets.spaces import Spaces
from pgusher.model.sockets import FdHolder, Sight
from tests.bed.requirements import needs_root
from tests.collect.sockets.stage import Actor, Postmaster, of, pids

pytestmark = [
    needs_root,
    pytest.mark.skipif(not shutil.which("ip"), reason="needs ip (iproute2) to make interfaces"),
]

_numbers = count()


@pytest.fixture
def source() -> Iterator[SocketSource]:
    made = SocketSource()
    yield made
    made.close()


def join(one: int, two: int, subnet: str) -> tuple[str, str]:
    """A veth pair between the namespaces of two processes; their addresses are .1 and .2 of the subnet."""
    name = f"pgt{os.getpid() % 100000}x{next(_numbers)}"
    ip = shutil.which("ip") or "ip"
    a, b = f"{name}a", f"{name}b"
    run(ip, "link", "add", a, "netns", str(one), "type", "veth", "peer", "name", b, "netns", str(two))
    for pid, device, last in ((one, a, 1), (two, b, 2)):
        enter = ["nsenter", "-t", str(pid), "-n", ip]
        run(*enter, "address", "add", f"{subnet}.{last}/30", "dev", device)
        run(*enter, "link", "set", device, "up")
        run(*enter, "link", "set", "lo", "up")
    return f"{subnet}.1", f"{subnet}.2"


def run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout


def devices(pid: int) -> list[str]:
    """The veths that `join` made in the namespace of a process."""
    lines = run("nsenter", "-t", str(pid), "-n", "ip", "-o", "link").splitlines()
    names = [line.split(": ")[1].partition("@")[0] for line in lines]
    return [name for name in names if name.startswith("pgt")]


def cut(pid: int) -> None:
    """Take the links of a namespace down; its addresses stay. What is sent is lost."""
    for name in devices(pid):
        run("nsenter", "-t", str(pid), "-n", "ip", "link", "set", name, "down")


def listening(postmaster: Postmaster, address: str) -> None:
    """Listen now: the address did not exist before."""
    postmaster.address = address
    postmaster.do(f"tcp = keep(socket.socket()); tcp.bind(({address!r}, {postmaster.port})); tcp.listen(64)")


def namespace(pid: int) -> int:
    return os.stat(f"/proc/{pid}/ns/net").st_ino


def test_server_and_client_in_namespaces_of_their_own(source: SocketSource) -> None:
    with Postmaster("", netns="new") as postmaster, Actor(netns="new") as client:
        server_address, client_address = join(postmaster.pid, client.pid, "198.18.0")
        listening(postmaster, server_address)
        session = postmaster.session(client)
        for full in (True, False, True):
            facts = source.look(postmaster.server(), [session.backend], full=full)
            found = of(facts.sockets, session)
            assert (found.host, found.sight) == (client_address, Sight.EXACT)
            assert found.holders == (FdHolder(client.pid, session.fd),)
            assert found.netns == namespace(client.pid) != namespace(postmaster.pid)
            assert facts.gaps == ()


def test_server_in_a_namespace_and_a_client_beside_it(source: SocketSource) -> None:
    with Postmaster("", netns="new") as postmaster:
        postmaster.do("os.system('ip link set lo up')")
        listening(postmaster, "127.0.0.1")
        with Actor(netns=postmaster.pid) as client:
            session = postmaster.session(client)
            found = of(source.look(postmaster.server(), [session.backend]).sockets, session)
            assert (found.sight, pids(found), found.netns) == (Sight.EXACT, {client.pid}, namespace(client.pid))


def test_server_at_home_and_clients_in_twenty_namespaces(source: SocketSource) -> None:
    clients = []
    with Postmaster("0.0.0.0") as postmaster:  # noqa: S104 - on purpose
        try:
            sessions = []
            for number in range(20):
                client = Actor(netns="new")
                clients.append(client)
                server_address, _ = join(os.getpid(), client.pid, f"198.18.{number + 1}")
                sessions += [postmaster.session(client, server_address) for _ in range(2)]
            backends = [session.backend for session in sessions]
            for full in (False, True, False):
                facts = source.look(postmaster.server(), backends, full=full)
                assert len(facts.sockets) == 40
                assert all(of(facts.sockets, s).holders == (FdHolder(s.client, s.fd),) for s in sessions)
        finally:
            for client in clients:
                client.close()


def test_the_loopback_of_another_namespace_is_another_network(source: SocketSource) -> None:
    """The same addresses and ports, in a namespace with a server of its own: nothing is mixed up."""
    with Postmaster("127.0.0.1") as home, Postmaster("", netns="new") as away:
        away.do("os.system('ip link set lo up')")
        away.port = home.port
        listening(away, "127.0.0.1")
        with Actor() as here, Actor(netns=away.pid) as there:
            first = home.session(here)
            bind = f"{{s}}.setsockopt(1, 2, 1); {{s}}.bind(('127.0.0.1', {first.port}))"
            second = away.session(there, prepare=bind)
            assert first.port == second.port
            backends = [first.backend, second.backend]
            for full in (True, False):
                assert pids(of(source.look(home.server(), backends, full=full).sockets, first)) == {here.pid}
                assert pids(of(source.look(away.server(), backends, full=full).sockets, second)) == {there.pid}
            # The client at home closes. The one of the other namespace must not take its place.
            here.do(f"{first.name}.close()")
            found = of(source.look(home.server(), backends).sockets, first)
            assert (found.sight, found.holders) == (Sight.GONE, ())


def test_two_copies_of_one_network(source: SocketSource) -> None:
    """As two compose projects with the same subnet: equal addresses and ports, four namespaces."""
    with (
        Postmaster("", netns="new") as one,
        Postmaster("", netns="new") as two,
        Actor(netns="new") as first,
        Actor(netns="new") as second,
    ):
        sessions = []
        for postmaster, client in ((one, first), (two, second)):
            server_address, client_address = join(postmaster.pid, client.pid, "198.18.0")
            listening(postmaster, server_address)
            bind = f"{{s}}.bind(({client_address!r}, 41000))"
            sessions.append(postmaster.session(client, prepare=bind))
        # What was said on them differs, and so do the counters; then it is quiet for a while.
        first.do(f"{sessions[0].name}.send(b'x' * 100)")
        second.do(f"{sessions[1].name}.send(b'x' * 900)")
        second.do("time.sleep(1.2)")
        for postmaster, session in ((one, sessions[0]), (two, sessions[1])):
            found = of(source.look(postmaster.server(), [session.backend]).sockets, session)
            assert (found.sight, pids(found)) == (Sight.EXACT, {session.client})
        # One client vanishes behind a dead link: the other's must not be taken for it.
        cut(one.pid)
        first.do(f"{sessions[0].name}.setsockopt(1, 13, struct.pack('ii', 1, 0)); {sessions[0].name}.close()")
        found = of(source.look(one.server(), [sessions[0].backend]).sockets, sessions[0])
        assert found.holders == ()
        assert found.sight in (Sight.GONE, Sight.OTHER_NAMESPACE, Sight.REMOTE)


def test_a_client_that_vanished_behind_a_dead_link_is_gone(source: SocketSource) -> None:
    with Postmaster("", netns="new") as postmaster, Actor(netns="new") as client:
        server_address, _ = join(postmaster.pid, client.pid, "198.18.0")
        listening(postmaster, server_address)
        session = postmaster.session(client)
        assert of(source.look(postmaster.server(), [session.backend]).sockets, session).sight is Sight.EXACT
        # The client's interface keeps its address; its socket is closed without a word (linger 0).
        cut(postmaster.pid)
        client.do(f"{session.name}.setsockopt(1, 13, struct.pack('ii', 1, 0)); {session.name}.close()")
        found = of(source.look(postmaster.server(), [session.backend]).sockets, session)
        assert (found.sight, found.holders, found.tcp_state) == (Sight.GONE, (), "established")


def test_a_client_whose_namespace_is_gone_is_nowhere(source: SocketSource) -> None:
    with Postmaster("", netns="new") as postmaster:
        with Actor(netns="new") as client:
            server_address, _ = join(postmaster.pid, client.pid, "198.18.0")
            listening(postmaster, server_address)
            session = postmaster.session(client)
            cut(postmaster.pid)
        found = of(source.look(postmaster.server(), [session.backend]).sockets, session)
        assert found.holders == ()
        assert found.sight in (Sight.GONE, Sight.REMOTE)


def test_a_unix_socket_reaches_across_namespaces(source: SocketSource, tmp_path: Path) -> None:
    """A path is not of a network namespace: a container may have the directory mounted."""
    os.chmod(tmp_path, 0o755)  # noqa: S103 - other users of the test go through it
    with Postmaster("") as postmaster, Actor(netns="new") as client:
        postmaster.listen_unix(str(tmp_path))
        session = postmaster.session(client, "unix")
        for full in (False, True):
            found = of(source.look(postmaster.server(), [session.backend], full=full).sockets, session)
            assert (found.sight, pids(found), found.inode) == (Sight.EXACT, {client.pid}, session.inode)


def test_two_servers_with_one_unix_path(source: SocketSource, tmp_path: Path) -> None:
    """In two mount namespaces: the same network, the same path, two files."""
    private = (
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "assert libc.unshare(0x00020000) == 0\n"
        "assert libc.mount(None, b'/', None, (1 << 14) | (1 << 18), None) == 0\n"
        f"assert libc.mount(b'tmpfs', {os.fsencode(tmp_path)!r}, b'tmpfs', 0, None) == 0"
    )
    with Postmaster("") as one, Postmaster("") as two:
        for postmaster in (one, two):
            postmaster.do(private)
            postmaster.path = f"{tmp_path}/.s.PGSQL.5432"
            postmaster.do(f"unix = keep(socket.socket(socket.AF_UNIX)); unix.bind({postmaster.path!r}); unix.listen(9)")
        with Actor() as first, Actor() as second:
            first.do(f"os.chdir('/proc/{one.pid}/root{tmp_path}')")
            second.do(f"os.chdir('/proc/{two.pid}/root{tmp_path}')")
            sessions = []
            for postmaster, client in ((one, first), (two, second)):
                client.do("s = keep(socket.socket(socket.AF_UNIX)); s.connect('.s.PGSQL.5432')")
                pid, _, _ = postmaster.accept("unix", client.pid)
                sessions.append(pid)
            for postmaster, client, backend in ((one, first, sessions[0]), (two, second, sessions[1])):
                found = source.look(postmaster.server(), sessions).sockets
                # Either backend could be asked for; each is led to its own client.
                by_backend = {s.backend_pid: pids(s) for s in found}
                assert by_backend[backend] == {client.pid}


def test_entered_namespaces_are_left_again(source: SocketSource) -> None:
    """An open netlink socket would keep the namespace of a container alive after its end."""
    with Postmaster("", netns="new") as postmaster, Actor(netns="new") as client:
        server_address, _ = join(postmaster.pid, client.pid, "198.18.0")
        listening(postmaster, server_address)
        session = postmaster.session(client)
        own = namespace(os.getpid())
        for full in (True, False):  # from the first tick on the holders are watched
            source.look(postmaster.server(), [session.backend], full=full)
        before = len(os.listdir("/proc/self/fd"))
        for full in (True, False):
            source.look(postmaster.server(), [session.backend], full=full)
            assert len(os.listdir("/proc/self/fd")) == before
        assert source._spaces._open == {}
        assert namespace(os.getpid()) == own


def test_places_by_the_routes_of_a_namespace() -> None:
    with Actor(netns="new") as one, Actor(netns="new") as two:
        join(one.pid, two.pid, "198.18.0")
        spaces = Spaces()
        spaces.own()
        space = spaces.of(one.pid)
        try:
            assert space.addresses() == {"198.18.0.1"}
            found = space.places(["198.18.0.1", "198.18.0.2", "127.0.0.5", "192.0.2.77", "2001:db8::1"])
            assert found == {
                "198.18.0.1": Place.HERE,
                "198.18.0.2": Place.NEAR,
                "127.0.0.5": Place.HERE,
                "192.0.2.77": Place.AWAY,
                "2001:db8::1": Place.AWAY,
            }
        finally:
            spaces.close()


def test_a_bridge_is_near_as_long_as_it_has_nothing_but_veths() -> None:
    with Actor(netns="new") as one, Actor(netns="new") as two:
        join(one.pid, two.pid, "198.18.0")
        inside = ["nsenter", "-t", str(one.pid), "-n", "ip"]
        run(*inside, "link", "add", "br0", "type", "bridge")
        run(*inside, "address", "add", "198.18.9.1/24", "dev", "br0")
        run(*inside, "link", "set", "br0", "up")
        run(*inside, "link", "set", devices(one.pid)[0], "master", "br0")
        spaces = Spaces()
        spaces.own()
        try:
            assert spaces.of(one.pid).places(["198.18.9.2"]) == {"198.18.9.2": Place.NEAR}
            # A tap leads to a virtual machine, which is another host.
            run(*inside, "tuntap", "add", "tap0", "mode", "tap")
            run(*inside, "link", "set", "tap0", "master", "br0")
            assert spaces.of(one.pid).places(["198.18.9.2"]) == {"198.18.9.2": Place.AWAY}
        finally:
            spaces.close()
