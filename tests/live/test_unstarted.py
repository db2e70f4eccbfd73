"""Connections that never send a startup packet: in no view of the server, and so many that it forks no more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psycopg
import pytest

from pgusher.app.doctor import checks
from pgusher.app.look import Look
from pgusher.collect.postgres.unstarted import SETTLED
from pgusher.demo.server import EmbeddedServer
from pgusher.diagnose.rules import slots_exhausted
from pgusher.model.address import Transport
from pgusher.model.evidence import Certainty
from pgusher.model.holder import HolderKind, LinkKind
from pgusher.model.server import Rung
from pgusher.model.session import UNSTARTED, SeenBy
from pgusher.model.snapshot import Snapshot
from pgusher.surfaces.render.asjson import state_json
from pgusher.surfaces.render.find import find
from pgusher.surfaces.render.headline import verdict_text
from pgusher.surfaces.render.screen import Screen
from pgusher.surfaces.render.state import state_page
from pgusher.surfaces.render.tally import Status, tally
from pgusher.surfaces.render.who import who_page
from tests.bed import Bed
from tests.bed.requirements import needs_root
from tests.collect.postgres.common import as_nobody
from tests.live.looking import look, looking

pytestmark = pytest.mark.parametrize("server", [18, 15], indirect=True, scope="module")
SERVER_SETTINGS = {"max_connections": 20}

SILENT = """
import socket, sys
host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
kept = []
for _ in range(count):
    if host.startswith("/"):
        kept.append(socket.socket(socket.AF_UNIX))
        kept[-1].connect(f"{host}/.s.PGSQL.{port}")
    else:
        kept.append(socket.create_connection((host, port)))
print("ready", flush=True)
sys.stdin.read()
"""


def untitled(server: EmbeddedServer) -> set[int]:
    """The server's processes that are still a copy of the postmaster."""
    pid = server.postmaster_pid
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        children = [int(word) for word in file.read().split()]
    found = set()
    for child in children:
        try:
            with open(f"/proc/{child}/cmdline", "rb") as file:
                if not file.read().startswith(b"postgres: "):
                    found.add(child)
        except OSError:
            continue
    return found


@contextmanager
def silent(server: EmbeddedServer, count: int, host: str | None = None) -> Iterator[int]:
    """A program (raw.py) with that many connections of which the server has heard nothing; its pid."""
    before = untitled(server)
    path = os.path.join(server.socket_dir, "raw.py")
    with open(path, "w", encoding="utf-8") as file:
        file.write(SILENT)
    argv = [sys.executable, path, host or server.addresses[0], str(server.port), str(count)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        try:
            assert client.stdout is not None
            assert client.stdout.readline() == "ready\n"
            deadline = time.monotonic() + 30
            while len(untitled(server) - before) < count:
                assert time.monotonic() < deadline, "the server has not accepted them all"
                time.sleep(0.01)
            time.sleep(SETTLED + 0.05)
            yield client.pid
        finally:
            client.kill()
            client.wait()
            deadline = time.monotonic() + 30
            while untitled(server) - before:
                assert time.monotonic() < deadline, "the server has not noticed that its client has gone"
                time.sleep(0.01)


def waiting(snapshot: Snapshot) -> list[int]:
    return [s.pid for s in snapshot.facts.sessions if s.backend_type == UNSTARTED]


def page(snapshot: Snapshot) -> str:
    screen = Screen(width=120)
    return screen.page(state_page(screen, (snapshot,)))


def assert_all_lead_to(snapshot: Snapshot, client: int, count: int) -> None:
    pids = waiting(snapshot)
    assert len(pids) == len(set(pids)) == count
    chains = [chain for chain in snapshot.chains if chain.pid in set(pids)]
    for chain in chains:
        named = [link for link in chain.links if link.kind is LinkKind.PROCESS]
        assert [(link.pid, link.certainty) for link in named] == [(client, Certainty.PROVEN)]
    (holder,) = (h for h in snapshot.holders if h.name == chains[0].holder)
    assert (holder.name, holder.sessions, holder.processes) == ("script/raw.py", (), (client,))


@pytest.mark.parametrize("sql", [True, False])
@pytest.mark.parametrize("unix", [True, False])
@needs_root
def test_a_few_are_seen_and_take_no_slot(bed: Bed, server: EmbeddedServer, sql: bool, unix: bool) -> None:
    named = {} if sql else {"dsn": None, "port": server.port, "sql": False}
    with bed.holder("idle", sessions=2), silent(server, 10, server.socket_dir if unix else None) as client:
        pids = untitled(server)
        snapshot = look(server, **named)
    assert set(waiting(snapshot)) == pids
    assert snapshot.facts.view.rung is (Rung.ORDINARY if sql else Rung.TITLES)
    assert_all_lead_to(snapshot, client, 10)
    one = next(s for s in snapshot.facts.sessions if s.backend_type == UNSTARTED)
    assert (one.takes_slot, one.seen_by, one.state) == (False, SeenBy.SOCKET, "authenticating")
    assert one.client.transport is (Transport.UNIX if unix else Transport.TCP)
    assert snapshot.taken == 2 + sql + 1  # the bed's own
    sums = tally(snapshot)
    assert (sums.status, sums.unstarted) == (Status.OK, 10)
    assert "not started: 10 of script/raw.py" in page(snapshot)


@needs_root
def test_so_many_that_everybody_is_refused(bed: Bed, server: EmbeddedServer) -> None:
    with bed.holder("idle", sessions=2), silent(server, 110) as client:
        with pytest.raises(psycopg.OperationalError, match="too many clients already"):
            psycopg.connect(server.dsn())
        with looking(server, dsn=None, port=server.port) as looker:
            seen = looker.look()
    (snapshot,) = seen.snapshots
    assert (snapshot.facts.view.rung, snapshot.facts.view.refuses_all) == (Rung.TITLES, True)
    assert_all_lead_to(snapshot, client, 110)
    sums = tally(snapshot)
    assert sums.status is Status.FULL
    assert verdict_text(sums) == "110 connections that have not started a session keep the server from accepting"
    shown = page(snapshot)
    assert "3 of 17 ordinary slots taken" in shown
    assert "not started: 110 of script/raw.py" in shown
    assert "nobody is connected" not in shown
    assert_surfaces_agree(seen, snapshot)


def assert_surfaces_agree(seen: Look, snapshot: Snapshot) -> None:
    (match,) = find(seen.snapshots, "raw.py").matches
    screen = Screen(width=120)
    assert "110 connections that have not started a session" in screen.page(who_page(screen, [match], "raw.py"))
    facts = {check.name: check.fact for check in checks(seen)}
    assert facts["sessions"] == "3 slots taken, 110 connections have not started a session"
    (told,) = json.loads(json.dumps(state_json(seen.snapshots, (), 0.0)))["servers"]
    assert (told["taken"], told["unstarted"]) == (3, 110)
    assert {h["name"]: h["unstarted"] for h in told["holders"]}["script/raw.py"] == 110
    (finding,) = slots_exhausted.check(snapshot.facts.view, (), snapshot)
    assert finding.message == verdict_text(tally(snapshot))


@needs_root
def test_nobody_sees_no_contradiction(server: EmbeddedServer) -> None:
    with silent(server, 110), as_nobody():
        snapshot = look(server, dsn=None, port=server.port)
    assert len(waiting(snapshot)) == 110
    sums = tally(snapshot)
    assert verdict_text(sums) == "110 connections that have not started a session keep the server from accepting"
    # Whose is whose may not be read; all are held alike.
    (holder,) = snapshot.holders
    assert (holder.kind, holder.certainty) == (HolderKind.HIDDEN, Certainty.LIKELY)
    assert f"not started: 110 of {holder.name}" in page(snapshot)


@needs_root
def test_nobody_tells_them_from_sessions(bed: Bed, server: EmbeddedServer) -> None:
    with bed.holder("idle", sessions=3), silent(server, 4), as_nobody():
        pids = untitled(server)
        snapshot = look(server)
    assert set(waiting(snapshot)) == pids
    assert snapshot.taken == 3 + 1 + 1  # the bed's own, and this look's


@needs_root
def test_those_of_several_are_not_shared_out(server: EmbeddedServer) -> None:
    """Where the server's files may not be read (who started the server may), which program has which is not told."""
    with silent(server, 3), silent(server, 2, server.socket_dir), as_nobody():
        snapshot = look(server)
    chains = [chain for chain in snapshot.chains if chain.pid in set(waiting(snapshot))]
    assert len(chains) == 5
    assert {chain.holder for chain in chains} == {"unknown"}
    assert not any(link.pid for chain in chains for link in chain.links if link.certainty is Certainty.PROVEN)


@needs_root
def test_a_watch_follows_them(server: EmbeddedServer) -> None:
    with looking(server) as looker:
        for count in (0, 5, 0, 2):
            with ExitStack() as stack:
                client = stack.enter_context(silent(server, count)) if count else 0
                (snapshot,) = looker.look().snapshots
                assert len(waiting(snapshot)) == count
                if count:
                    assert_all_lead_to(snapshot, client, count)
