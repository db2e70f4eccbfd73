"""Through a real PgBouncer: told as a pooler, guarded in each transaction, its refusals not taken for the server's."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator

import psycopg
import pytest

from pgusher.collect.discover import find_servers
from pgusher.collect.postgres import Target
from pgusher.demo.server import EmbeddedServer
from pgusher.model.server import Rung
from tests.bed.bed import Bed
from tests.collect.postgres.common import look, source

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no pgbouncer on this machine (apt install pgbouncer)")


@pytest.fixture(params=["session", "transaction", "drops options"])
def pooler(request: pytest.FixtureRequest, server: EmbeddedServer) -> Iterator[str]:
    """The connection string of a PgBouncer in front of the server that lets three clients in."""
    assert PROGRAM is not None
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ignored = "options" if request.param == "drops options" else ""
    with tempfile.TemporaryDirectory(prefix="pgusher-bouncer-") as directory:
        os.chmod(directory, 0o777)  # noqa: S103  # it is another user, and makes its socket there
        path = os.path.join(directory, "ini")
        with open(path, "w", encoding="ascii") as file:
            file.write(
                f"[databases]\npostgres = host=127.0.0.1 port={server.port} user=postgres\n[pgbouncer]\n"
                f"listen_addr=127.0.0.1\nlisten_port={port}\nunix_socket_dir={directory}\nauth_type=any\n"
                f"pool_mode={'session' if request.param == 'session' else 'transaction'}\nmax_client_conn=3\n"
                f"default_pool_size=2\nignore_startup_parameters={ignored}\n"
            )
        drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
        process = subprocess.Popen([*drop, PROGRAM, path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 30
            while not os.path.exists(os.path.join(directory, f".s.PGSQL.{port}")):
                assert process.poll() is None
                assert time.monotonic() < deadline
            yield f"host={directory} port={port} user=postgres dbname=postgres"
        finally:
            process.send_signal(signal.SIGQUIT)
            process.wait(30)


def test_the_server_behind_it_is_seen_and_the_pooler_told(pooler: str, bed: Bed) -> None:
    for words in (pooler, f"{pooler} host=127.0.0.1"):
        with bed.holder("idle"), source(words) as postgres:
            first, second = postgres.sample(), postgres.sample()
        for facts in (first, second):
            assert facts.view.pooler
            assert sum(session.own for session in facts.sessions) == 1
            assert (facts.server.port, facts.server.postmaster_pid) == (bed.server.port, bed.server.postmaster_pid)
            assert len(facts.sessions) >= 3
        assert [facts.view.rung for facts in (first, second)] == [Rung.ORDINARY, Rung.HELD]
        assert first.view.attempts[-1].outcome == "connected"


def test_nothing_of_ours_is_left_in_its_sessions(pooler: str, bed: Bed) -> None:
    """What is set for our transaction ends with it: the next client on that session has its own settings."""
    look(pooler)
    with psycopg.connect(pooler, autocommit=True) as connection:
        for name, value in (("statement_timeout", "0"), ("search_path", '"$user", public'), ("lock_timeout", "0")):
            assert connection.execute(f"show {name}".encode()).fetchone() == (value,)
        assert connection.execute("show transaction_read_only").fetchone() == ("off",)


def test_its_own_limit_is_not_the_server_s(pooler: str, bed: Bed) -> None:
    clients = [psycopg.connect(pooler) for _ in range(3)]
    try:
        facts = look(Target(conninfo=pooler, allow_reserved=False))
    finally:
        for client in clients:
            client.close()
    refused = facts.view.attempts[-1]
    assert (refused.refused_by, refused.ceiling) == ("PgBouncer", None)
    assert "max_client_conn" in refused.outcome
    assert (facts.view.rung, facts.view.refuses, facts.view.refuses_all) == (Rung.NONE, None, False)


def test_its_socket_is_not_taken_for_a_server(pooler: str, bed: Bed) -> None:
    port = int(pooler.split("port=")[1].split(maxsplit=1)[0])
    assert [server for server in find_servers()[0] if server.port == port] == []
