"""`pgusher who` names the thread and the line that have borrowed a session, from the ledger of a real process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pgusher.demo.server import EmbeddedServer
from pgusher.model.evidence import Certainty
from pgusher.model.holder import LinkKind
from pgusher.surfaces.render.find import find
from pgusher.surfaces.render.screen import Screen
from pgusher.surfaces.render.who import who_page
from tests.bed.holder import ROOT
from tests.live.looking import chain_of, look

# It keeps the book itself, so that this is about the ledger alone, whatever the pools above it do.
PROGRAM = """
import sys, threading, time
import psycopg
from pgusher.client.ledger import own_ledger

def session(slot):
    made = psycopg.connect(sys.argv[1], autocommit=True)
    own_ledger().opened(slot, made.info.backend_pid, time.time())
    return made

def borrow():
    own_ledger().lent(0, threading.get_ident(), threading.get_native_id(), "", "/srv/shop/orders.py", 42)
    barrier.wait()
    time.sleep(600)

sessions = [session(0), session(1)]
barrier = threading.Barrier(2)
threading.Thread(target=borrow, name="worker-3", daemon=True).start()
barrier.wait()
print(*(one.info.backend_pid for one in sessions), flush=True)
time.sleep(600)
"""


def test_who_names_the_thread_and_the_line_as_proven(server: EmbeddedServer) -> None:
    environment = {**os.environ, "PYTHONPATH": os.path.join(ROOT, "src")}
    command = [sys.executable, "-c", PROGRAM, server.dsn("app", "app")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as started:
        assert started.stdout is not None
        try:
            lent, idle = map(int, started.stdout.readline().split())
            snapshot = look(server)
        finally:
            started.kill()
    (link,) = (link for link in chain_of(snapshot, lent).links if link.kind is LinkKind.LOAN)
    assert (link.subject, link.certainty) == ("thread worker-3 at /srv/shop/orders.py:42", Certainty.PROVEN)
    assert link.pid == started.pid
    (link,) = (link for link in chain_of(snapshot, idle).links if link.kind is LinkKind.LOAN)
    assert (link.subject, link.certainty) == ("idle in its pool, lent to nobody", Certainty.PROVEN)
    screen = Screen()
    page = screen.page(who_page(screen, find((snapshot,), str(lent)).matches, str(lent)))
    assert "thread worker-3 at /srv/shop/orders.py:42" in page


SCRIPT = """
import sys, threading, time
import pgusher

db = pgusher.Database(sys.argv[1])

def borrow():
    with db.cursor() as cur:
        print(cur.execute("select pg_backend_pid() as pid").fetchone()["pid"], flush=True)
        time.sleep(600)

threading.Thread(target=borrow, name="worker-3").start()
"""


def test_a_program_with_our_database_needs_to_do_nothing_for_it(server: EmbeddedServer, tmp_path: Path) -> None:
    script = tmp_path / "version_history.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": os.path.join(ROOT, "src")}
    command = [sys.executable, str(script), server.dsn("app", "app")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as started:
        assert started.stdout is not None
        try:
            backend = int(started.stdout.readline())
            snapshot = look(server)
        finally:
            started.kill()
    (link,) = (link for link in chain_of(snapshot, backend).links if link.kind is LinkKind.LOAN)
    line = SCRIPT[: SCRIPT.index("with db.cursor()")].count("\n") + 1
    assert (link.subject, link.certainty) == (f"thread worker-3 at {script}:{line}", Certainty.PROVEN)
    # The process that runs these tests looks too, and may have pools of other tests.
    (pool,) = (pool for pool in snapshot.facts.own_pools if pool.process == started.pid)
    assert (pool.max_size, pool.budget) == (10, "")
    assert pool.name.startswith("app@")
    assert (pool.size, pool.most) == (1, 1)


BOTH = """
import sys, time
import pgusher

held = []
for dsn, size in zip(sys.argv[1:], (3, 7)):
    db = pgusher.Database(dsn, max_size=size)
    loan = db.connection()
    loan.__enter__()
    held.append((db, loan))
print("ready", flush=True)
time.sleep(600)
"""


def test_a_process_with_pools_on_two_servers_has_on_each_the_one_that_leads_there(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    script = tmp_path / "both.py"
    script.write_text(BOTH)
    environment = {**os.environ, "PYTHONPATH": os.path.join(ROOT, "src")}
    with EmbeddedServer(max_connections=20) as other:
        dsns = [server.dsn("app", "app"), other.dsn()]
        with subprocess.Popen([sys.executable, str(script), *dsns], stdout=subprocess.PIPE, env=environment) as started:
            assert started.stdout is not None
            try:
                assert started.stdout.readline() == b"ready\n"
                found = [look(one).facts.own_pools for one in (server, other)]
            finally:
                started.kill()
    for pools, one, size in zip(found, (server, other), (3, 7), strict=True):
        (pool,) = (pool for pool in pools if pool.process == started.pid)
        assert (pool.max_size, pool.port) == (size, one.port)
        assert pool.address
