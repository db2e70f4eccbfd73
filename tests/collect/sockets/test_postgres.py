"""Against real servers and real holders, who told the truth: every link is found, and no other one is claimed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from pgusher.collect.sockets import SocketFacts, SocketSource
from pgusher.demo.server import EmbeddedServer
from pgusher.model.address import Transport
from pgusher.model.server import Server
from pgusher.model.sockets import ClientSocket, Sight
from tests.bed import Bed, Holder, each_version, needs_ipv6, needs_root
from tests.bed.network import Network

V4_MAPPED = "::ffff:127.0.0.1"


@pytest.fixture
def source() -> Iterator[SocketSource]:
    made = SocketSource()
    yield made
    made.close()


def described(server: EmbeddedServer) -> Server:
    """The server as discovery would describe it."""
    return Server(
        server.port,
        local=True,
        postmaster_pid=server.postmaster_pid,
        socket_paths=(f"{server.socket_dir}/.s.PGSQL.{server.port}",),
        listens=server.addresses,
        os_uid=os.stat(server.data_dir).st_uid,
    )


def looks(source: SocketSource, bed: Bed) -> Iterator[SocketFacts]:
    """A full look, a tick that knows it, a tick that knows nothing, a full look again."""
    backends = [row["pid"] for row in bed.sessions()]
    fresh = SocketSource()
    for one, full in ((source, True), (source, False), (fresh, False), (source, True)):
        yield one.look(described(bed.server), backends, full=full)
    fresh.close()


def check(source: SocketSource, bed: Bed, holder: Holder, *, sight: Sight | None = None) -> list[ClientSocket]:
    """Exactly the truth, in every look; gives the holder's sockets as they were seen last."""
    own: list[ClientSocket] = []
    for number, facts in enumerate(looks(source, bed)):
        by_backend = {s.backend_pid: s for s in facts.sockets}
        assert len(by_backend) == len(facts.sockets), "a backend was told of twice"
        own = []
        for session in holder.truth.sessions:
            found = by_backend.pop(session.backend_pid)
            own.append(found)
            names = {(h.pid, h.fd) for h in found.holders}
            if number in (0, 3):
                assert names == set(session.holders)
                assert found.sight is (sight or (Sight.SHARED if len(session.pids) > 1 else Sight.EXACT))
            else:  # a tick is content with one holder
                assert names
                assert names <= set(session.holders)
            assert found.inode == session.inode
            if session.family == "unix":
                assert (found.transport, found.host, found.port) == (Transport.UNIX, None, None)
            else:
                assert session.address is not None
                assert (found.host, found.port) == (session.address.removeprefix("::ffff:"), session.port)
        # The bed's own session is ours. Others may come for a moment: whoever looks for servers on this machine.
        ours = by_backend.get(bed.admin.info.backend_pid)
        assert ours is not None
        assert {h.pid for h in ours.holders} == {os.getpid()}
        assert facts.gaps == ()
    return own


@each_version
class TestEachVersion:
    @pytest.mark.parametrize("state", ["never", "idle_in_transaction", "active", "lock"])
    def test_states(self, bed: Bed, source: SocketSource, state: str) -> None:
        with bed.holder(state, sessions=2) as holder:
            check(source, bed, holder)

    def test_unix(self, bed: Bed, server: EmbeddedServer, source: SocketSource) -> None:
        with bed.holder(sessions=3, dsn=bed.dsn(host=server.socket_dir)) as holder:
            check(source, bed, holder)

    def test_sockets_that_never_finish_their_login(
        self, bed: Bed, server: EmbeddedServer, source: SocketSource
    ) -> None:
        """Nothing of the server shows them before 18: their backends are found as the postmaster's children."""
        _ = bed.admin
        with bed.unfinished(5) as holder:
            facts = source.look(described(server), [])
            by_port = {s.port: s for s in facts.sockets}
            for session in holder.truth.sessions:
                found = by_port[session.port]
                assert {(h.pid, h.fd) for h in found.holders} == set(session.holders)
            assert set(bed.unauthenticated()) == {by_port[s.port].backend_pid for s in holder.truth.sessions}


class TestWays:
    @needs_ipv6
    @pytest.mark.parametrize("host", ["::1", V4_MAPPED])
    def test_v6(self, bed: Bed, source: SocketSource, host: str) -> None:
        with bed.holder(sessions=3, dsn=bed.dsn(host=host)) as holder:
            check(source, bed, holder)

    def test_abstract_unix(self, new_server: Callable[..., EmbeddedServer], source: SocketSource) -> None:
        name = f"@pgusher-sockets-{os.getpid()}"
        bed = Bed(new_server(socket_directories=[name]))
        try:
            with bed.holder(sessions=2, dsn=bed.dsn(host=name)) as holder:
                check(source, bed, holder)
        finally:
            bed.close()

    def test_many_sessions_in_one_process(self, bed: Bed, source: SocketSource) -> None:
        with bed.holder("never", sessions=30) as holder:
            check(source, bed, holder)

    def test_high_descriptors(self, bed: Bed, source: SocketSource) -> None:
        with bed.holder("idle", sessions=2, extra=["--first-fd", "900"]) as holder:
            check(source, bed, holder)

    def test_idle_time(self, bed: Bed, source: SocketSource) -> None:
        with bed.holder("idle", sessions=2) as holder:
            for found in check(source, bed, holder):
                assert found.active_at is not None
                assert 0 <= time.time() * 1e6 - found.active_at < 600e6


class TestProcesses:
    def test_children_that_inherit_a_socket(self, bed: Bed, source: SocketSource) -> None:
        with bed.holder("idle", sessions=2, share=2) as holder:
            check(source, bed, holder, sight=Sight.SHARED)

    @pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
    def test_children_that_keep_what_the_parent_has_closed(
        self, bed: Bed, server: EmbeddedServer, source: SocketSource, unix: bool
    ) -> None:
        dsn = bed.dsn(host=server.socket_dir) if unix else bed.dsn()
        with bed.holder("idle", sessions=2, share=2, extra=["--forsake"], dsn=dsn) as holder:
            check(source, bed, holder, sight=Sight.SHARED)

    def test_workers_of_one_service(self, bed: Bed, source: SocketSource) -> None:
        with bed.holder(["idle", "active:1"], sessions=2, workers=3) as holder:
            check(source, bed, holder)

    @needs_root
    @pytest.mark.parametrize("option", ["--user", "--user-after"])
    def test_another_user(self, bed: Bed, source: SocketSource, option: str) -> None:
        with bed.holder("idle", sessions=2, extra=[option, "nobody"]) as holder:
            check(source, bed, holder)

    @needs_root
    def test_a_client_in_a_pid_namespace(self, bed: Bed, source: SocketSource) -> None:
        plain = bed.holder("idle", sessions=2)
        plain.argv = ["/usr/bin/unshare", "-p", "-f", "--mount-proc", *plain.argv]
        with plain as holder:
            check(source, bed, holder)

    @needs_root
    def test_a_client_in_a_network_namespace(
        self, new_server: Callable[..., EmbeddedServer], source: SocketSource
    ) -> None:
        with Network() as network:
            server = new_server(addresses=["127.0.0.1", network.host_address])
            bed = Bed(server)
            holder = bed.holder("idle", sessions=3, dsn=bed.dsn(host=network.host_address))
            holder.argv = network.inside(holder.argv)
            try:
                with holder:
                    assert {found.netns for found in check(source, bed, holder)} == {network.inode}
            finally:
                bed.close()

    def test_a_dead_client_whose_backend_does_not_notice(
        self, bed: Bed, server: EmbeddedServer, source: SocketSource
    ) -> None:
        for host in ("127.0.0.1", server.socket_dir):
            with bed.holder("active", sessions=2, dsn=bed.dsn(host=host)) as holder:
                backends = [row["pid"] for row in bed.sessions()]
                source.look(described(server), backends)
                assert holder.kill() == -signal.SIGKILL
                for full in (False, True):
                    by_backend = {s.backend_pid: s for s in source.look(described(server), backends, full=full).sockets}
                    for session in holder.truth.sessions:
                        found = by_backend[session.backend_pid]
                        assert (found.sight, found.holders, found.inode) == (Sight.GONE, (), 0)


class TestFull:
    def test_a_server_that_refuses_everybody(self, bed: Bed, server: EmbeddedServer, source: SocketSource) -> None:
        """No SQL is to be had: the sockets and the postmaster's children are enough."""
        ordinary, rest = bed.fill(), bed.fill("postgres")
        facts = source.look(described(server), [])
        by_backend = {s.backend_pid: {h.pid for h in s.holders} for s in facts.sockets}
        truth = {**ordinary.truth.backends, **rest.truth.backends}
        assert len(truth) == 40 - 1
        assert {backend: by_backend[backend] for backend in truth} == truth
        assert len(by_backend) == 40  # with the bed's own: there is no slot for anybody else


class TestServers:
    def test_two_servers_of_the_same_host(
        self, bed: Bed, new_server: Callable[..., EmbeddedServer], source: SocketSource
    ) -> None:
        other = Bed(new_server())
        try:
            with bed.holder(sessions=2) as first, other.holder(sessions=3) as second:
                check(source, bed, first)
                check(source, other, second)
        finally:
            other.close()
