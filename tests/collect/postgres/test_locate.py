"""Whether a server is on this host is proven, never assumed."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from pgusher.collect.postgres import Target, locate
from pgusher.collect.postgres.connect import Peer
from pgusher.collect.postgres.locate import by_address, by_words, is_own_address
from pgusher.demo.server import EmbeddedServer
from pgusher.model.server import Rung
from tests.bed.bed import MONITOR, Bed
from tests.bed.requirements import needs_ipv6
from tests.collect.postgres.common import found, look


def test_addresses_of_this_host() -> None:
    assert is_own_address("127.0.0.1")
    assert is_own_address("127.9.9.9")
    for own in _addresses():
        assert is_own_address(own)
    for other in ("192.0.2.77", "0.0.0.0", "::", "2001:db8::1", "localhost", "name.invalid", "", "1.2.3", "\0", "::1 "):  # noqa: S104  # looked at, not bound to
        assert not is_own_address(other)


def _addresses() -> list[str]:
    said = subprocess.run(["hostname", "-I"], check=True, capture_output=True, text=True).stdout
    return [word for word in said.split() if not word.startswith("fe80:")]


def test_where_sockets_may_be_bound_to_any_address(tmp_path: str) -> None:
    directory = os.path.join(tmp_path, "sys", "net", "ipv4")
    os.makedirs(directory)
    with open(os.path.join(directory, "ip_nonlocal_bind"), "w", encoding="ascii") as file:
        file.write("1\n")
    assert is_own_address("127.0.0.1", str(tmp_path))
    assert not any(is_own_address(own, str(tmp_path)) for own in _addresses())


@needs_ipv6
def test_the_sixth_version_s_too() -> None:
    assert is_own_address("::1")


def test_a_session_over_any_way_is_on_the_local_server(bed: Bed) -> None:
    for host in (*bed.server.addresses, bed.server.socket_dir, "localhost"):
        facts = look(bed.dsn(MONITOR, "postgres", host=host))
        assert facts.server.postmaster_pid == bed.server.postmaster_pid
        assert (facts.server.host, facts.server.local) == (host, True)
        assert facts.server.socket_paths


def test_a_refusal_over_any_way_leads_to_the_titles_of_the_local_server(bed: Bed) -> None:
    for host in (*bed.server.addresses, bed.server.socket_dir, "localhost"):
        facts = look(bed.dsn("no_such_role", "postgres", host=host))
        assert (facts.view.rung, facts.server.postmaster_pid) == (Rung.TITLES, bed.server.postmaster_pid)


def test_without_sql_words_lead_there_as_well(bed: Bed) -> None:
    server = bed.server
    for target in (
        Target(host=server.socket_dir, port=server.port, sql=False),
        Target(conninfo=f"host=127.0.0.1 port={server.port}", sql=False),
        Target(conninfo=f"postgresql://localhost:{server.port}/x", sql=False),
    ):
        facts = look(target)
        assert (facts.view.rung, facts.server.postmaster_pid) == (Rung.TITLES, server.postmaster_pid)
        assert facts.view.attempts == ()


@pytest.mark.parametrize(
    ("target", "peer"),
    [
        (Target(host="db.example"), Peer("db.example", "db.example", 5432, "", "")),
        (Target(conninfo="nonsense"), None),
        (Target(conninfo="port=1,2 host=a,b"), None),
        (Target(port=5), None),
    ],
)
def test_words_that_lead_nowhere_are_not_guessed_at(target: Target, peer: Peer | None) -> None:
    assert by_words(target, {}) == peer
    assert peer is None or by_address(peer) is None


def test_another_server_on_the_same_port_of_another_address_is_not_it(bed: Bed) -> None:
    """Two servers may have one port, each on an address of its own."""
    with EmbeddedServer(18, port=bed.server.port, addresses=("127.0.0.9",), max_connections=10) as other:
        for server in (bed.server, other):
            host = server.addresses[0]
            facts = look(server.dsn(host=host))
            assert facts.server.postmaster_pid == server.postmaster_pid
            refused = look(server.dsn("no_such_role", host=host))
            assert refused.server.postmaster_pid == server.postmaster_pid


@contextmanager
def answering(fields: bytes) -> Iterator[int]:
    """A stand-in for a pooler: it answers every startup packet with this error. Gives its port."""
    reply = b"E" + (len(fields) + 4).to_bytes(4, "big") + fields
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                with suppress(OSError):
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(1000)
                        connection.sendall(reply)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            ended.set()
            thread.join(30)


FULL = b"SFATAL\0VFATAL\0C53300\0Msorry, too many clients already\0"
PLAIN = "host=127.0.0.1 user=x sslmode=disable gssencmode=disable"


def test_who_only_answers_like_a_server_is_not_one() -> None:
    """It refuses as PostgreSQL does; no postmaster is behind it, so there are no titles to read."""
    with answering(FULL + b"Fproc.c\0L1\0RInitProcess\0\0") as port:
        facts = look(f"{PLAIN} port={port}")
    assert facts.view.rung is Rung.NONE
    assert facts.view.refuses == "sorry, too many clients already"
    assert facts.server.local is False


def test_whether_the_server_behind_a_pooler_is_full_is_asked_of_the_server_itself(bed: Bed) -> None:
    """A pooler says the server's own words when its own limit is reached; the raw question tells the two apart."""
    with answering(FULL + b"\0") as port:
        target = Target(conninfo=f"{PLAIN} port={port}", server=found(bed.server), allow_reserved=False)
        before = look(target)
        _ = bed.admin
        bed.fill("postgres", "postgres")
        after = look(target)
    for facts in (before, after):
        (attempt,) = facts.view.attempts
        assert (attempt.sqlstate, attempt.refused_by, attempt.ceiling) == ("53300", "a pooler", None)
        assert (facts.view.rung, facts.view.refuses) == (Rung.TITLES, None)
    assert (before.view.refuses_all, after.view.refuses_all) == (False, True)


def test_words_without_a_host_lead_to_the_usual_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locate, "_SOCKETS", ("/nonexistent", str(tmp_path)))
    (tmp_path / ".s.PGSQL.5994").touch()
    there = by_words(Target(conninfo="port=5994 user=bob"), {})
    nowhere = by_words(Target(conninfo="port=5993"), {})
    assert there is not None
    assert (there.host, there.port) == (str(tmp_path), 5994)
    assert nowhere is None
