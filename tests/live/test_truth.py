"""Every session leads to the processes that really hold it: all of them, and no others."""

from __future__ import annotations

import os

import pytest

from pgusher.demo.server import EmbeddedServer
from pgusher.model.holder import ChainEnd, HolderKind
from pgusher.model.server import Rung
from tests.bed import Bed, each_version, needs_ipv6, needs_root
from tests.bed.checks import agrees_with_server
from tests.bed.network import Network
from tests.live.looking import chain_of, look, looking, processes_of, wrong_links

SERVER_SETTINGS = {"max_connections": 60}
STATES = ["never", "idle", "idle_in_transaction", "aborted", "active", "lock"]


@each_version
class TestEachVersion:
    def test_every_state_on_every_way(self, bed: Bed, server: EmbeddedServer) -> None:
        hosts = [*server.addresses, server.socket_dir]
        holders = [bed.holder(STATES, dsn=bed.dsn(host=host)).start() for host in hosts]
        for holder in holders:
            agrees_with_server(bed, holder.truth)
        snapshot = look(server)
        assert snapshot.facts.view.rung is Rung.ORDINARY
        assert [wrong_links(snapshot, holder.truth) for holder in holders] == [[]] * len(hosts)
        assert snapshot.taken == 7 * len(hosts) + 2  # the bed's own, and pgusher's

    def test_without_sql(self, bed: Bed, server: EmbeddedServer) -> None:
        holders = [
            bed.holder(STATES, dsn=bed.dsn(host=host)).start() for host in (*server.addresses, server.socket_dir)
        ]
        for holder in holders:
            agrees_with_server(bed, holder.truth)
        snapshot = look(server, dsn=None, port=server.port, sql=False)
        assert snapshot.facts.view.rung is Rung.TITLES
        assert [wrong_links(snapshot, holder.truth, by_sql=False) for holder in holders] == [[]] * len(holders)


class TestWays:
    @needs_ipv6
    def test_v4_mapped(self, bed: Bed, server: EmbeddedServer) -> None:
        with bed.holder(sessions=3, dsn=bed.dsn(host="::ffff:127.0.0.1")) as holder:
            assert wrong_links(look(server), holder.truth) == []

    def test_abstract_unix(self, new_server: object) -> None:
        name = f"@pgusher-live-{os.getpid()}"
        server = new_server(socket_directories=[name])  # type: ignore[operator]  # a fixture's callable
        bed = Bed(server)
        try:
            with bed.holder(sessions=2, dsn=bed.dsn(host=name)) as holder:
                assert wrong_links(look(server), holder.truth) == []
        finally:
            bed.close()

    def test_a_server_found_by_itself(self, bed: Bed, server: EmbeddedServer) -> None:
        with bed.holder("idle", sessions=3) as holder:
            snapshot = look(server, dsn=None, port=server.port)
            assert snapshot.facts.server.postmaster_pid == server.postmaster_pid
            assert wrong_links(snapshot, holder.truth) == []


class TestProcesses:
    def test_children_that_share_a_socket_are_all_named(self, bed: Bed, server: EmbeddedServer) -> None:
        for host in (server.addresses[0], server.socket_dir):
            with bed.holder("idle", sessions=2, share=2, dsn=bed.dsn(host=host)) as holder:
                snapshot = look(server)
                assert wrong_links(snapshot, holder.truth) == []
                assert all(chain_of(snapshot, s.backend_pid).conflicts for s in holder.truth.sessions)

    def test_children_that_keep_what_the_parent_has_closed(self, bed: Bed, server: EmbeddedServer) -> None:
        for host in (server.addresses[0], server.socket_dir):
            with bed.holder("idle", sessions=2, share=2, extra=["--forsake"], dsn=bed.dsn(host=host)) as holder:
                assert wrong_links(look(server), holder.truth) == []

    def test_workers_are_one_holder(self, bed: Bed, server: EmbeddedServer) -> None:
        with bed.holder(["idle", "active:1"], sessions=2, workers=3) as holder:
            agrees_with_server(bed, holder.truth)
            snapshot = look(server)
            assert wrong_links(snapshot, holder.truth) == []
            (name,) = {chain_of(snapshot, s.backend_pid).holder for s in holder.truth.sessions}
            found = snapshot.holder(name)
            assert found is not None
            assert set(found.processes) == holder.truth.pids - {holder.pid}
            assert len(found.sessions) == 9

    def test_high_descriptors(self, bed: Bed, server: EmbeddedServer) -> None:
        with bed.holder("idle", sessions=2, extra=["--first-fd", "900"]) as holder:
            assert wrong_links(look(server), holder.truth) == []

    @needs_root
    @pytest.mark.parametrize("option", ["--user", "--user-after"])
    def test_another_user(self, bed: Bed, server: EmbeddedServer, option: str) -> None:
        with bed.holder("idle", sessions=2, extra=[option, "nobody"]) as holder:
            assert wrong_links(look(server), holder.truth) == []

    @needs_root
    def test_pid_namespace(self, bed: Bed, server: EmbeddedServer) -> None:
        plain = bed.holder("idle", sessions=2)
        plain.argv = ["/usr/bin/unshare", "-p", "-f", "--mount-proc", *plain.argv]
        with plain as holder:
            assert wrong_links(look(server), holder.truth) == []

    @needs_root
    def test_network_namespace(self, new_server: object) -> None:
        with Network() as network:
            server = new_server(addresses=["127.0.0.1", network.host_address])  # type: ignore[operator]  # a fixture
            bed = Bed(server)
            holder = bed.holder("idle", sessions=3, dsn=bed.dsn(host=network.host_address))
            holder.argv = network.inside(holder.argv)
            with holder:
                assert wrong_links(look(server), holder.truth) == []
            bed.close()

    def test_a_client_that_is_gone_is_not_blamed_on_another(self, bed: Bed, server: EmbeddedServer) -> None:
        for host in (server.addresses[0], server.socket_dir):
            with bed.holder("active", sessions=2, dsn=bed.dsn(host=host)) as holder:
                agrees_with_server(bed, holder.truth)
                holder.kill()
                with bed.holder("idle", sessions=2, dsn=bed.dsn(host=host)) as living:
                    snapshot = look(server)
                    ends = {chain_of(snapshot, s.backend_pid).end for s in holder.truth.sessions}
                    assert ends == {ChainEnd.GONE}
                    assert wrong_links(snapshot, living.truth) == []


class TestFull:
    @pytest.mark.parametrize("sql", [True, False])
    def test_ordinary_slots_are_gone(self, bed: Bed, server: EmbeddedServer, sql: bool) -> None:
        holder = bed.fill()
        named = {"dsn": server.dsn("app", "app")} if sql else {"dsn": None, "port": server.port, "sql": False}
        snapshot = look(server, **named)
        view = snapshot.facts.view
        assert wrong_links(snapshot, holder.truth, by_sql=view.rung is not Rung.TITLES) == []
        ceilings = snapshot.facts.ceilings
        if ceilings is not None:  # without SQL they come from the server's files, which not everybody may read
            assert snapshot.taken - int(view.rung is Rung.RESERVED) >= ceilings.ordinary

    def test_every_slot_is_gone(self, bed: Bed, server: EmbeddedServer) -> None:
        holders = [bed.fill(), bed.fill("postgres")]
        snapshot = look(server, dsn=None, port=server.port)
        assert snapshot.facts.view.rung is Rung.TITLES
        assert snapshot.facts.view.refuses_all
        assert [wrong_links(snapshot, holder.truth, by_sql=False) for holder in holders] == [[], []]

    def test_sockets_that_never_finish_are_seen(self, bed: Bed, server: EmbeddedServer) -> None:
        _ = bed.admin
        with bed.unfinished(5) as holder:
            backends = bed.unauthenticated()
            snapshot = look(server)
            hidden = {s.pid for s in snapshot.facts.sessions if s.state == "authenticating"}
            assert hidden == set(backends)
            assert set().union(*(processes_of(chain_of(snapshot, pid)) for pid in hidden)) == holder.truth.pids

    def test_pgusher_takes_one_slot_and_says_so(self, bed: Bed, server: EmbeddedServer) -> None:
        with looking(server) as looker:
            for _ in range(3):
                (snapshot,) = looker.look().snapshots
                own = [row for row in bed.sessions() if row["application_name"] == "pgusher"]
                assert len(own) == 1
                (holder,) = (one for one in snapshot.holders if one.kind is HolderKind.OWN)
                assert own[0]["pid"] in holder.sessions  # with the bed's own, as this process is pgusher here
                assert snapshot.facts.view.own_pid == own[0]["pid"]


def test_watching_sees_what_comes_and_goes(bed: Bed, server: EmbeddedServer) -> None:
    gone: set[int] = set()
    with looking(server) as looker:
        looker.look()
        for count in (1, 4, 2):
            with bed.holder("idle", sessions=count) as holder:
                for _ in range(2):
                    (snapshot,) = looker.look().snapshots
                    assert wrong_links(snapshot, holder.truth) == []
                gone |= holder.truth.pids
        (snapshot,) = looker.look().snapshots
        assert not {pid for chain in snapshot.chains for pid in processes_of(chain)} & gone
