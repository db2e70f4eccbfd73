"""The bed says the truth: against the server's own view, and against /proc."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from pgusher.demo.server import EmbeddedServer
from tests.bed import Bed, Holder, each_version, needs_ipv6, needs_root
from tests.bed.bed import APP, MONITOR, REPORTS, RESERVE, SIGNALLER
from tests.bed.checks import agrees_with_proc, agrees_with_server, gone, has_no_process
from tests.bed.holder import ROOT
from tests.bed.network import Network

SERVER_SETTINGS = {"max_connections": 30}

V4_MAPPED = "::ffff:127.0.0.1"


def check(bed: Bed, holder: Holder) -> None:
    agrees_with_server(bed, holder.truth)
    agrees_with_proc(holder.truth)


@each_version
class TestEachVersion:
    @pytest.mark.parametrize("state", ["never", "idle", "idle_in_transaction", "aborted", "active", "lock"])
    def test_each_state_is_as_told(self, bed: Bed, state: str) -> None:
        with bed.holder(state, sessions=2) as holder:
            check(bed, holder)

    def test_roles_see_what_they_may(self, bed: Bed) -> None:
        with bed.holder("idle") as holder:
            backend = holder.truth.sessions[0].backend_pid
            seen = {}
            for role in (APP, REPORTS, MONITOR, SIGNALLER):
                with psycopg.connect(bed.dsn(role, "postgres")) as connection:
                    seen[role] = connection.execute(
                        "select state from pg_stat_activity where pid = %s", (backend,)
                    ).fetchone()
        assert seen == {APP: ("idle",), REPORTS: (None,), MONITOR: ("idle",), SIGNALLER: ("idle",)}

    def test_sockets_that_never_finish_take_slots_that_are_not_shown(self, bed: Bed, server: EmbeddedServer) -> None:
        _ = bed.admin
        with bed.unfinished(5) as holder:
            agrees_with_proc(holder.truth)
            backends = bed.unauthenticated()
            assert sorted(holder.truth.backends) == sorted(backends)
            assert len(backends) == 5
            shown = {row["pid"]: row["state"] for row in bed.sessions()}
            assert shown == (dict.fromkeys(backends, "starting") if server.major >= 18 else {})
            rows = bed.admin.execute("select distinct pid from pg_locks where pid <> pg_backend_pid()").fetchall()
            assert {pid for (pid,) in rows} >= set(backends)


class TestWays:
    def test_tcp_v4(self, bed: Bed) -> None:
        with bed.holder(sessions=3, dsn=bed.dsn(host="127.0.0.1")) as holder:
            assert {session.family for session in holder.truth.sessions} == {"inet"}
            check(bed, holder)

    @needs_ipv6
    def test_tcp_v6(self, bed: Bed) -> None:
        with bed.holder(sessions=3, dsn=bed.dsn(host="::1")) as holder:
            assert {session.address for session in holder.truth.sessions} == {"::1"}
            check(bed, holder)

    @needs_ipv6
    def test_v4_mapped(self, bed: Bed) -> None:
        with bed.holder(sessions=3, dsn=bed.dsn(host=V4_MAPPED)) as holder:
            assert {(s.family, s.address) for s in holder.truth.sessions} == {("inet6", V4_MAPPED)}
            check(bed, holder)

    def test_unix(self, bed: Bed, server: EmbeddedServer) -> None:
        with bed.holder(sessions=3, dsn=bed.dsn(host=server.socket_dir)) as holder:
            assert {s.path for s in holder.truth.sessions} == {f"{server.socket_dir}/.s.PGSQL.{server.port}"}
            check(bed, holder)

    def test_abstract_unix(self, new_server: object) -> None:
        name = f"@pgusher-bed-{os.getpid()}"
        server = new_server(socket_directories=[name])  # type: ignore[operator]
        bed = Bed(server)
        try:
            with bed.holder(sessions=2, dsn=bed.dsn(host=name)) as holder:
                assert {s.path for s in holder.truth.sessions} == {f"{name}/.s.PGSQL.{server.port}"}
                check(bed, holder)
        finally:
            bed.close()


class TestProcesses:
    def test_children_that_inherit_a_socket(self, bed: Bed) -> None:
        with bed.holder("idle", sessions=2, share=2) as holder:
            assert all(session.pids == holder.truth.pids for session in holder.truth.sessions)
            assert len(holder.truth.pids) == 3
            check(bed, holder)

    def test_children_that_keep_what_the_parent_has_closed(self, bed: Bed) -> None:
        with bed.holder("idle", sessions=2, share=2, extra=["--forsake"]) as holder:
            assert all(session.pids == holder.truth.pids - {holder.pid} for session in holder.truth.sessions)
            check(bed, holder)

    def test_workers_of_one_service(self, bed: Bed) -> None:
        with bed.holder(["idle", "active:1"], sessions=2, workers=3) as holder:
            assert len(holder.truth.processes) == 4
            assert len(holder.truth.sessions) == 9
            check(bed, holder)

    def test_many_sessions_in_one_process(self, bed: Bed) -> None:
        with bed.holder("never", sessions=24) as holder:
            check(bed, holder)

    def test_high_descriptors(self, bed: Bed) -> None:
        with bed.holder("idle", sessions=2, extra=["--first-fd", "900"]) as holder:
            assert all(fd >= 900 for session in holder.truth.sessions for _, fd in session.holders)
            check(bed, holder)

    @needs_root
    @pytest.mark.parametrize("option", ["--user", "--user-after"])
    def test_another_user(self, bed: Bed, option: str) -> None:
        with bed.holder("idle", sessions=2, extra=[option, "nobody"]) as holder:
            assert {process.uid for process in holder.truth.processes} == {65534}
            check(bed, holder)

    @needs_root
    @pytest.mark.parametrize("options", [[], ["--mount-proc"]])
    def test_pid_namespace(self, bed: Bed, options: list[str]) -> None:
        plain = bed.holder("idle", sessions=2)
        plain.argv = ["/usr/bin/unshare", "-p", "-f", *options, *plain.argv]
        with plain as holder:
            (process,) = holder.truth.processes
            assert process.inner_pid == 1
            assert process.pid > 1
            assert process.pidns != os.stat("/proc/self/ns/pid").st_ino
            check(bed, holder)

    @needs_root
    def test_network_namespace(self, new_server: object) -> None:
        with Network() as network:
            server = new_server(addresses=["127.0.0.1", network.host_address])  # type: ignore[operator]
            bed = Bed(server)
            holder = bed.holder("idle", sessions=3, dsn=bed.dsn(host=network.host_address))
            holder.argv = network.inside(holder.argv)
            with holder:
                assert {session.address for session in holder.truth.sessions} == {network.address}
                assert {process.netns for process in holder.truth.processes} == {network.inode}
                check(bed, holder)
            bed.close()
            device = network.device
        assert not os.path.exists(f"/sys/class/net/{device}")

    def test_client_that_dies_and_leaves_its_backend(self, bed: Bed, server: EmbeddedServer) -> None:
        for host in ("127.0.0.1", server.socket_dir):
            with bed.holder("active", sessions=2, dsn=bed.dsn(host=host)) as holder:
                check(bed, holder)
                assert holder.kill() == -signal.SIGKILL
                agrees_with_server(bed, holder.truth)  # their query does not notice
                has_no_process(holder.truth)

    def test_hostile_names_and_words(self, bed: Bed) -> None:
        words = ["\x1b[31mred\x07", "x" * 10_000, os.fsdecode(b"\xff\xfe not UTF-8"), "--password=hunter2"]
        dsn = bed.dsn(application_name="\x1b[2Japp\nname")
        with bed.holder("idle", dsn=dsn, words=words, extra=["--sql", "select 'sw0rdfish'"]) as holder:
            check(bed, holder)
            raw = Path(f"/proc/{holder.pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
            assert raw[-4:] == [os.fsencode(word) for word in words]
            (row,) = bed.sessions()
            assert row["query"] == "select 'sw0rdfish'"


class TestFull:
    def test_ordinary_slots(self, bed: Bed) -> None:
        holder = bed.fill()
        assert "reserved" in holder.truth.refusal
        assert len(holder.truth.sessions) == 30 - 3 - 1  # one is the bed's own, and it took an ordinary slot
        check(bed, holder)
        with psycopg.connect(bed.dsn("postgres")):
            pass

    def test_every_slot(self, bed: Bed) -> None:
        ordinary, rest = bed.fill(), bed.fill("postgres")
        assert "too many clients already" in rest.truth.refusal
        assert len(rest.truth.sessions) == 3
        check(bed, ordinary)
        check(bed, rest)
        with pytest.raises(psycopg.OperationalError, match="too many clients already"):
            psycopg.connect(bed.dsn("postgres"))

    def test_every_slot_by_sockets_that_never_finish(self, bed: Bed, server: EmbeddedServer) -> None:
        _ = bed.admin
        with bed.unfinished(40) as first:
            assert len(first.truth.sessions) == 29
            assert "C53300" in first.truth.refusal
            agrees_with_proc(first.truth)
            with pytest.raises(psycopg.OperationalError, match="too many clients already"):
                psycopg.connect(bed.dsn("postgres"))
        with bed.unfinished(3, host=server.socket_dir) as holder:
            assert {session.family for session in holder.truth.sessions} == {"unix"}
            agrees_with_proc(holder.truth)

    def test_role_limit(self, bed: Bed) -> None:
        with bed.role_limit(APP, 2):
            holder = bed.fill()
            assert len(holder.truth.sessions) == 2
            assert f'too many connections for role "{APP}"' in holder.truth.refusal
        with psycopg.connect(bed.dsn()):
            pass

    def test_role_switched_off(self, bed: Bed) -> None:
        with bed.role_limit(REPORTS, 0), pytest.raises(psycopg.OperationalError, match="too many connections for role"):
            psycopg.connect(bed.dsn(REPORTS))

    def test_database_limit(self, bed: Bed) -> None:
        with bed.database_limit("reports", 3):
            holder = bed.fill(dbname="reports")
            assert len(holder.truth.sessions) == 3
            assert 'too many connections for database "reports"' in holder.truth.refusal

    def test_reserved_connections(self, new_server: object) -> None:
        server = new_server(18, max_connections=12, reserved_connections=4)  # type: ignore[operator]
        bed = Bed(server)
        try:
            ordinary = bed.fill()
            assert len(ordinary.truth.sessions) == 12 - 3 - 4 - 1
            reserve = bed.fill(RESERVE)
            assert len(reserve.truth.sessions) == 4
            check(bed, reserve)
        finally:
            bed.close()


class TestWebServers:
    @pytest.mark.parametrize("kind", ["sync", "gthread", "asgi", "uvicorn.workers.UvicornWorker"])
    def test_gunicorn(self, bed: Bed, kind: str) -> None:
        from gunicorn.workers import SUPPORTED_WORKERS  # type: ignore[import-untyped]

        if kind not in SUPPORTED_WORKERS and ("." not in kind or not importlib.util.find_spec(kind.rpartition(".")[0])):
            pytest.skip(f"the gunicorn or uvicorn installed here has no worker {kind}")
        with bed.web(f"gunicorn:{kind}", workers=2, sessions=2) as holder:
            check(bed, holder)
            assert holder.pid not in holder.truth.pids

    def test_uvicorn(self, bed: Bed) -> None:
        with bed.web("uvicorn", workers=2, sessions=2) as holder:
            check(bed, holder)
            assert holder.pid not in holder.truth.pids


class TestHangs:
    @pytest.mark.parametrize("name", ["queue_join_no_task_done", "lock_not_released", "event_never_set"])
    def test_script_that_hangs(self, bed: Bed, name: str) -> None:
        with bed.hang(name, sessions=4) as holder:
            check(bed, holder)
            assert holder.keeper.running()


def test_nothing_is_left_when_the_tests_are_killed() -> None:
    """As when a test run gets SIGKILL: server, holders, their children, their directories, all go."""
    runner = subprocess.Popen(
        [sys.executable, str(Path(__file__).parent / "doomed.py")],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT}/src"},
    )
    assert runner.stdout is not None
    pids, directories, (child,) = (runner.stdout.readline().split() for _ in range(3))
    assert len(pids) > 10
    assert all(os.path.exists(f"/proc/{int(pid)}") for pid in pids)
    os.kill(runner.pid, signal.SIGKILL)
    runner.wait(30)
    runner.stdout.close()
    try:
        gone([int(pid) for pid in pids])
        assert not [path for path in directories if os.path.exists(path)]
    finally:
        os.kill(int(child), signal.SIGKILL)  # what the tests themselves fork is theirs to end
