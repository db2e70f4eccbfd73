"""The budget of a real server: programs of our own, a web server's workers, a pooler, and a server that is full."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from pgusher.app.budget import below, sheets
from pgusher.app.config import Config
from pgusher.app.look import Look, Looker
from pgusher.app.request import Request
from pgusher.app.store import read, save
from pgusher.demo.server import EmbeddedServer
from pgusher.model.budget import Claim, Sheet
from tests.bed.bed import APP, Bed
from tests.live.looking import look

SERVER_SETTINGS = {"max_connections": 20}
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

WEB = """
import sys, time
import pgusher

budget = pgusher.Budget("web", 6, directory=sys.argv[2])
db = pgusher.Database(sys.argv[1], budget=budget, max_size=4)
with db.cursor() as one, db.cursor() as two:
    two.execute("select 1")
print("ready", flush=True)
time.sleep(600)
"""


def budget(server: EmbeddedServer, file: Path | None = None, **request: str) -> Sheet:
    looker = Looker(Request(port=server.port, timeout=10.0, **request))  # type: ignore[arg-type]
    try:
        look = looker.look()
    finally:
        looker.close()
    if file is not None:
        save(str(file), look)
        replayed = sheets(read(str(file)), Config(), history=False)
        assert replayed == sheets(look, Config(), history=False)
    return sheets(look, Config(), history=False)[0]


@contextmanager
def programs(*commands: list[str]) -> Iterator[list[int]]:
    environment = {**os.environ, "PYTHONPATH": os.path.join(ROOT, "src")}
    started = [subprocess.Popen(one, stdout=subprocess.PIPE, text=True, env=environment) for one in commands]
    try:
        for one in started:
            assert one.stdout is not None
            assert one.stdout.readline() == "ready\n"
        yield [one.pid for one in started]
    finally:
        for one in started:
            one.kill()
            one.wait()
            assert one.stdout is not None
            one.stdout.close()


def _of(sheet: Sheet, word: str) -> Claim:
    return next(claim for claim in sheet.claims if word in claim.holder)


def test_programs_of_our_own_are_found_with_pool_peak_and_budget(server: EmbeddedServer, tmp_path: Path) -> None:
    script = tmp_path / "orders_web.py"
    script.write_text(WEB)
    command = [sys.executable, str(script), server.dsn(APP), str(tmp_path)]
    with programs(command, command):
        deadline = time.monotonic() + 30
        while True:  # what was lent at most is told within half a second
            found = budget(server, tmp_path / "snapshot.json")
            busiest = _of(found, "orders_web").busiest
            if (busiest is not None and busiest.value == 4) or time.monotonic() > deadline:
                break
    web = _of(found, "orders_web")
    assert (web.may.value, web.budget, web.each, web.processes) == (6, "web", 4, 2), web
    assert web.peak is not None
    assert web.busiest is not None
    assert (web.peak.value, web.busiest.value) == (4, 4)
    assert web.roles == (APP,)
    assert found.ceilings is not None
    assert found.ceilings.ordinary == 17


def test_limits_of_roles_are_caps_and_a_full_server_has_a_budget_too(bed: Bed) -> None:
    server = bed.server
    _limit(server, 17)
    try:
        with bed.holder("idle", sessions=17):
            full = budget(server)
    finally:
        _limit(server, -1)
    holder = next(claim for claim in full.claims if claim.holds == 17)
    assert (holder.may.value, holder.peak) == (17, None)
    assert holder.may.source.startswith(f"CONNECTION LIMIT 17 of role {APP}; without it unknown: ")
    assert (full.total, full.fits) == (17, True)


def _limit(server: EmbeddedServer, most: int) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute(f"alter role {APP} connection limit {most}".encode())


def test_who_may_see_little_gets_a_budget_with_its_gaps(bed: Bed) -> None:
    with bed.holder("idle", sessions=2):
        found = budget(bed.server, user=APP)
    assert found.ceilings is not None
    assert sum(claim.holds for claim in found.claims) >= 3


PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@pytest.mark.skipif(PGBOUNCER is None, reason="no pgbouncer on this machine (apt install pgbouncer)")
@pytest.mark.parametrize(
    ("forced", "users", "most"),
    [
        (f" user={APP}", "", 3),
        (f" user={APP}", f"[users]\n{APP} = max_user_connections=2\n", 3),  # not of the one that is forced
        ("", f"[users]\n{APP} = max_user_connections=2\n", 2),
        # Over two databases: it is the user's limit, not one of each pool.
        (" \ntemplate1 = host=127.0.0.1 port={port}", f"[users]\n{APP} = max_user_connections=3\n", 3),
    ],
)
def test_a_real_pgbouncer_opens_what_its_file_was_read_to_allow(
    server: EmbeddedServer, tmp_path: Path, forced: str, users: str, most: int
) -> None:
    """The reading is held against the program: more clients than the pool has get no further session."""
    assert PGBOUNCER is not None
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    os.chmod(tmp_path, 0o777)  # noqa: S103 - it is another user, and makes its socket there
    for parent in tmp_path.parents:
        if os.stat(parent).st_uid == os.geteuid() and not os.stat(parent).st_mode & 1:
            os.chmod(parent, 0o755)  # noqa: S103 - it has to reach its file
    several = "template1" in forced
    forced = forced.format(port=server.port)
    (tmp_path / "b.ini").write_text(
        f"[databases]\npostgres = host=127.0.0.1 port={server.port}{forced} pool_size=3\n[pgbouncer]\n"
        f"listen_port={port}\nunix_socket_dir={tmp_path}\nauth_type=trust\nauth_file={tmp_path}/users\npool_mode=transaction\nmax_client_conn=20\n{users}"
    )
    (tmp_path / "users").write_text(f'"{APP}" ""\n')
    dsn = f"host={tmp_path} port={port} user={APP} dbname=postgres"
    drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    process = subprocess.Popen(
        [*drop, PGBOUNCER, str(tmp_path / "b.ini")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    clients: list[psycopg.Connection[tuple[object, ...]]] = []
    try:
        deadline = time.monotonic() + 30
        while not (tmp_path / f".s.PGSQL.{port}").exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        for number in range(most):
            client = psycopg.connect(f"{dsn} dbname=template1" if several and number else dsn)
            client.execute("select 1")
            clients.append(client)
        # One more waits: it gets a session when another's transaction ends.
        late = threading.Thread(target=_ask, args=(dsn,))
        late.start()
        late.join(0.7)
        assert late.is_alive()
        found = budget(server)
        clients.pop().close()
        late.join(30)
        assert not late.is_alive()
    finally:
        for client in clients:
            client.close()
        process.terminate()
        process.wait(30)
    pooler = _of(found, "pgbouncer")
    assert (pooler.holds, pooler.may.value) == (most, most)
    if several:
        assert pooler.may.source.startswith(f"max_user_connections 3 of {APP} over all of them")
        return
    seen = f"max_user_connections 2 ({tmp_path}/b.ini:11) x 1 pair of user and database seen"
    assert pooler.may.source == f"postgres {most} ({'pool 3' if forced else seen})"
    assert pooler.settings[0].place == f"{tmp_path}/b.ini:2"


def _ask(dsn: str) -> None:
    with psycopg.connect(dsn) as client:
        client.execute("select 1")


@pytest.mark.parametrize("kind", ["gunicorn:sync", "uvicorn"])
def test_the_workers_of_a_web_server_are_counted_whatever_says_their_number(bed: Bed, kind: str) -> None:
    with bed.web(kind, workers=3, sessions=1) as holder:
        claims = sheets(Look((look(bed.server),), 1.0, ()), Config())[0].claims
        (claim,) = (one for one in claims if "workers" in one.may.source)
        assert below(holder.pid, "/proc") == 3
    assert "3 workers" in claim.may.source
    assert claim.may.value is None  # the size of their pools is not told
