"""Servers of this host are found without being told of any: those that are there, and nothing else."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from pgusher.collect.discover import describe, find_servers
from pgusher.collect.postgres import Target
from pgusher.collect.postgres.postmaster import children, read_postmaster
from pgusher.demo.server import EmbeddedServer
from pgusher.model.address import UNIX
from pgusher.model.server import Rung, Server
from tests.bed.requirements import each_version, needs_root
from tests.collect.postgres.common import as_nobody, look
from tests.conftest import NewServer


def find(port: int, *, thorough: bool = False) -> list[Server]:
    return [server for server in find_servers(thorough=thorough)[0] if server.port == port]


def assert_is(server: Server, truth: EmbeddedServer) -> None:
    assert (server.port, server.postmaster_pid, server.local) == (truth.port, truth.postmaster_pid, True)
    assert server.socket_paths == (f"{truth.socket_dir}/.s.PGSQL.{truth.port}",)
    assert set(server.listens) == set(truth.addresses)
    assert (server.os_user, server.os_uid) == (truth.os_user, truth.account.uid)
    assert server.data_directory == truth.data_dir
    assert server.started is not None
    assert abs(server.started / 1_000_000 - time.time()) < 3600


@each_version
def test_a_server_is_found_whole(server: EmbeddedServer) -> None:
    (found,) = find(server.port)
    assert_is(found, server)
    assert (found.version, found.version_num) == (str(server.major), server.major * 10000)
    assert find(server.port, thorough=True) == [found]
    assert look(Target(server=found)).server.version == server.version


@needs_root
def test_nobody_finds_it_too(server: EmbeddedServer) -> None:
    with as_nobody():
        for thorough in (False, True):
            (found,) = find(server.port, thorough=thorough)
            assert_is(found, server)


def test_several_servers_are_told_apart(new_server: NewServer) -> None:
    servers = [new_server(18), new_server(18), new_server(15)]
    for server in servers:
        (found,) = find(server.port)
        assert_is(found, server)
    if os.geteuid() == 0:
        with as_nobody():
            # All of one user, and their files are closed: the kernel says who listens.
            for server in servers:
                (found,) = find(server.port)
                assert_is(found, server)


def test_a_server_without_a_socket_file_that_is_left(new_server: NewServer) -> None:
    """Somebody has cleaned /tmp: the socket listens on, but neither it nor its lock file is there."""
    server = new_server(18)
    path = f"{server.socket_dir}/.s.PGSQL.{server.port}"
    for name in (path, f"{path}.lock"):
        os.unlink(name)
    (found,) = find(server.port)
    assert (found.postmaster_pid, found.socket_paths) == (server.postmaster_pid, (path,))


def test_a_server_that_listens_on_tcp_alone(new_server: NewServer) -> None:
    server = new_server(18, unix_socket_directories="")
    (found,) = find(server.port, thorough=True)
    assert (found.postmaster_pid, found.socket_paths) == (server.postmaster_pid, ())
    assert set(found.listens) == set(server.addresses)


def test_an_abstract_socket() -> None:
    name = f"@pgusher-discover-{os.getpid()}"
    with EmbeddedServer(18, socket_directories=[name]) as server:
        (found,) = find(server.port)
        assert set(found.socket_paths) == {f"{d}/.s.PGSQL.{server.port}" for d in (server.socket_dir, name)}
        assert found.postmaster_pid == server.postmaster_pid


class TestLiars:
    """Sockets and files that look like a server's."""

    @contextmanager
    def socket(self, directory: str, port: int, lock: str | None = None) -> Iterator[None]:
        path = os.path.join(directory, f".s.PGSQL.{port}")
        with socket.socket(socket.AF_UNIX) as liar:
            liar.bind(path)
            liar.listen()
            if lock is not None:
                with open(f"{path}.lock", "w", encoding="utf-8") as file:
                    file.write(lock)
            yield

    @pytest.mark.parametrize("lock", [None, "", "x", "1\n", "-5\n", "9" * 30, "0", "٣"])
    def test_a_socket_of_another_program(self, tmp_path: str, lock: str | None) -> None:
        with self.socket(str(tmp_path), 5999, lock):
            # A pooler's, most likely: PgBouncer names its socket so.
            assert find(5999) == []
            assert find_servers()[1] == ()

    @needs_root
    def test_a_socket_that_nobody_may_connect_to(self, tmp_path: str) -> None:
        os.chmod(tmp_path, 0o755)  # noqa: S103  # pytest's directories are closed to nobody
        with self.socket(str(tmp_path), 5996), as_nobody():
            (found,) = find(5996)
            gaps = find_servers()[1]
        # It listens where a server would; whether it is one nobody can say.
        assert (found.postmaster_pid, found.os_user, found.version) == (None, None, None)
        assert [gap.what for gap in gaps] == [f"which process serves {tmp_path}/.s.PGSQL.5996"]

    def test_a_lock_file_that_names_another_server(self, tmp_path: str, server: EmbeddedServer) -> None:
        with self.socket(str(tmp_path), 5998, f"{server.postmaster_pid}\n"):
            found = find(5998)
        if os.geteuid() == 0:
            assert [one.postmaster_pid for one in found] == [None]

    @needs_root
    def test_nobody_is_not_led_to_another_s_server_by_a_lock_file(self, server: EmbeddedServer) -> None:
        with tempfile.TemporaryDirectory() as open_to_all:  # pytest's own directories are closed to nobody
            os.chmod(open_to_all, 0o755)  # noqa: S103  # as /tmp itself
            with self.socket(open_to_all, 5995, f"{server.postmaster_pid}\n"):
                os.chmod(os.path.join(open_to_all, ".s.PGSQL.5995"), 0o777)  # noqa: S103  # as a server's
                with as_nobody():
                    # Which sockets the server has open nobody may see: the kernel tells who listens.
                    assert find(5995) == []

    def test_a_lock_file_that_is_a_pipe_is_not_waited_for(self, tmp_path: str) -> None:
        os.mkfifo(os.path.join(tmp_path, ".s.PGSQL.5997.lock"))
        with self.socket(str(tmp_path), 5997):
            assert find(5997) == []


@needs_root
@pytest.mark.parametrize("spaces", [["-n"], ["-n", "-p", "-f"]])
def test_a_server_in_namespaces_of_its_own(spaces: list[str]) -> None:
    """As in a container: its sockets are not in our tables, its pids are other ones to itself."""
    with EmbeddedServer(18, max_connections=10) as server:
        server.halt()
        account = server.account
        words = ["unshare", *spaces, "setpriv", f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups"]
        program = os.path.join(server.bin_dir, "postgres")
        with open(server.log_path, "ab") as log:
            process = subprocess.Popen([*words, program, "-D", server.data_dir, "-h", ""], stdout=log, stderr=log)
        try:
            deadline, found = time.monotonic() + 60, list[Server]()
            while not (found := find(server.port, thorough=True)) or not _ready(server):
                assert process.poll() is None, server.log()
                assert time.monotonic() < deadline
            (one,) = found
            assert (one.os_uid, one.listens) == (account.uid, ())
            assert one.socket_paths == (f"{server.socket_dir}/.s.PGSQL.{server.port}",)
            assert one.data_directory == server.data_dir
            assert one.postmaster_pid in {process.pid, *children(process.pid)}
            # Its own user is let in over the socket, which is a file that we can reach.
            facts = look(Target(server=one))
            assert facts.view.rung is Rung.ORDINARY
            assert (facts.server.local, facts.server.postmaster_pid) == (True, one.postmaster_pid)
            assert any(session.pid == facts.view.own_pid for session in facts.sessions)
            # It knows its processes by other pids than we do; what their titles show is not mixed up for that.
            with psycopg.connect(server.dsn(host=server.socket_dir), autocommit=True) as other:
                other.execute("create role plain login")
                hidden = look(server.dsn("plain", host=server.socket_dir))
                (session,) = [s for s in hidden.sessions if s.pid == other.info.backend_pid]
            assert (session.state, session.user, session.client) == ("idle", "postgres", UNIX)
            assert (session.pid < 1000) == ("-p" in spaces)
            titles = look(Target(server=one, sql=False))
            assert titles.view.rung is Rung.TITLES
            assert titles.ceilings is not None
            assert titles.ceilings.max_connections == 10
        finally:
            # unshare -f waits for its child, and passes no signal on.
            postmaster = children(process.pid) if "-f" in spaces else [process.pid]
            for pid in postmaster or [process.pid]:
                os.kill(pid, signal.SIGINT)
            process.wait(60)


def _ready(server: EmbeddedServer) -> bool:
    with open(os.path.join(server.data_dir, "postmaster.pid"), encoding="utf-8") as file:
        return "ready" in file.read()


def test_describe_is_what_find_finds(server: EmbeddedServer) -> None:
    postmaster = read_postmaster(server.postmaster_pid)
    assert postmaster is not None
    assert [describe(postmaster, server.port)] == find(server.port)


def test_a_backend_is_no_postmaster(server: EmbeddedServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port)):
        deadline = time.monotonic() + 30
        fresh = None
        # A child that was not told yet who is there has its postmaster's name and command line.
        while fresh is None and time.monotonic() < deadline:
            for pid in children(server.postmaster_pid):
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    if not file.read().startswith(b"postgres:"):
                        fresh = pid
        assert fresh is not None
        assert read_postmaster(fresh) is None
    assert read_postmaster(os.getpid()) is None
    assert read_postmaster(0) is None


def test_nothing_at_all_to_be_read(tmp_path: str) -> None:
    assert find_servers(str(tmp_path), thorough=True) == ((), ())
