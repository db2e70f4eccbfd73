"""The programs of the incident, each run for itself: what makes them hang is what their text says, and nothing else."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgusher.demo import record, world
from pgusher.demo.account import own_account
from pgusher.demo.cache import place
from pgusher.demo.keep import Keeper
from pgusher.demo.parts import read_notes, switches
from pgusher.demo.people import Person
from pgusher.demo.server import EmbeddedServer
from tests.demo.actors import DIRECTORY, load
from tests.demo.test_server import eventually

HANGS = {
    "version_history": ("ValueError: invalid literal for int() with base 10: '4b'", "worker-mes"),
    "stock_report": ("ZeroDivisionError", "load"),
    "price_import": ("ValueError: could not convert string to float: '12,00'", None),
}


class Shop:
    """A furnished server, and the environment in which the programs find it."""

    def __init__(self, server: EmbeddedServer, directory: Path) -> None:
        self.server = server
        self.truth = directory / "truth"
        self.truth.mkdir()
        self.log = directory / "log"
        self.pgpass, self.passwords = world.write_passwords(str(directory))
        self.version, self.slots = world.furnish(server, self.passwords)

    def environment(self, role: str) -> dict[str, str]:
        """Of a program that logs in as this role."""
        login = world.credentials(role, self.server.port, self.pgpass, host=self.server.addresses[0])
        return {"PATH": os.environ["PATH"], "PGUSHER_DEMO_TRUTH": str(self.truth), **login}

    def start(self, script: str) -> subprocess.Popen[bytes]:
        """Start one of the programs, with its output in `log`."""
        argv = [sys.executable, "-B", f"{script}.py"]
        with self.log.open("wb") as log:
            return subprocess.Popen(
                argv, cwd=DIRECTORY, env=self.environment(world.JOBS), stdout=log, stderr=subprocess.STDOUT
            )

    def sql(self, database: str, statement: str) -> list[tuple[Any, ...]]:
        """One statement as the superuser, over the unix socket."""
        words = f"host='{self.server.socket_dir}' port={self.server.port} user=postgres dbname={database}"
        with psycopg.connect(words, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    # As the demo does it: every user may pass, since the server's account reads the files that say who may come in.
    with Keeper(directory_in=place(own_account(), execute=False), mode=record.MODE) as keeper:
        described = EmbeddedServer(auth="password", max_connections=40)
        described.settings.update(world.write_access(keeper.directory, described.os_user))
        with described as server:
            yield Shop(server, Path(keeper.directory))


class TestAccess:
    def test_a_role_gets_in_by_its_password(self, shop: Shop) -> None:
        words = f"host=127.0.0.1 port={shop.server.port} dbname=shop user=jobs password={shop.passwords['jobs']}"
        psycopg.connect(words).close()

    @pytest.mark.parametrize("user", ["jobs", "postgres"])
    @pytest.mark.parametrize("password", ["", "password='wrong'"])
    def test_nobody_gets_in_without(self, shop: Shop, user: str, password: str) -> None:
        words = f"host=127.0.0.1 port={shop.server.port} dbname=shop user={user} passfile=/dev/null {password}"
        with pytest.raises(psycopg.OperationalError, match=r"password|authentication"):
            psycopg.connect(words)

    def test_the_passwords_are_ours_alone(self, shop: Shop) -> None:
        assert os.stat(shop.pgpass).st_mode & 0o077 == 0
        assert len(set(shop.passwords.values())) == len(world.ROLES)

    def test_the_slots_are_what_ordinary_roles_can_take(self, shop: Shop) -> None:
        assert shop.slots == 37
        assert shop.version == shop.server.version


@pytest.mark.parametrize("script", HANGS)
def test_a_script_hangs_with_a_session_in_each_database(shop: Shop, script: str) -> None:
    process = shop.start(script)
    try:
        deadline = time.monotonic() + 60
        error, thread = HANGS[script]
        while error not in (log := shop.log.read_text()) or not notes_of(shop, process.pid):
            assert time.monotonic() < deadline, log
            assert process.poll() is None, log
            time.sleep(0.02)
        before = -1
        while before != (before := switches(process.pid)):
            assert time.monotonic() < deadline, "main does not stand still"
            time.sleep(0.2)
        assert "Traceback" in log
        assert thread is None or thread in log
        held = shop.sql("shop", "select pid, datname from pg_stat_activity where usename = 'jobs'")
        assert sorted(notes_of(shop, process.pid)) == sorted(pid for pid, _ in held)
        assert sorted(name for _, name in held) == sorted(world.DATABASES)
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    wait_until_free(shop)


@pytest.mark.parametrize(
    ("script", "cure", "undo"),
    [
        (
            "version_history",
            "update product set version = '4' where id = 3",
            "update product set version = '4b' where id = 3",
        ),
        (
            "stock_report",
            "update stock set boxes = 1 where product = 3",
            "update stock set boxes = 0 where product = 3",
        ),
    ],
)
def test_without_what_it_stumbles_over_a_script_ends(shop: Shop, script: str, cure: str, undo: str) -> None:
    shop.sql("mes", cure)
    try:
        process = shop.start(script)
        assert process.wait(60) == 0, shop.log.read_text()
        assert re.search("written$", shop.log.read_text().strip())
    finally:
        shop.sql("mes", undo)
    wait_until_free(shop)


def test_a_person_at_psql_tells_the_session_by_the_prompt(shop: Shop) -> None:
    psql = os.path.join(shop.server.bin_dir, "psql")
    idle = Person(psql, "anna", "report", shop.environment("anna"), ["select 1;"])
    busy = Person(
        psql, "ben", "shop", shop.environment("ben"), ["begin;", "update product set price = 8 where id = 4;"]
    )
    try:
        deadline = time.monotonic() + 60
        while idle.session is None or busy.session is None:
            assert time.monotonic() < deadline, idle.screen + busy.screen
            time.sleep(0.02)
        states = dict(
            shop.sql(
                "shop", "select pid, state from pg_stat_activity where usename in ('anna', 'ben') order by usename"
            )
        )
        assert states == {idle.session: "idle", busy.session: "idle in transaction"}
        assert (idle.in_transaction, busy.in_transaction) == (False, True)
    finally:
        for person in (idle, busy):
            person.leave()


def notes_of(shop: Shop, pid: int) -> tuple[int, ...]:
    """The sessions that a process has noted, once there is one in each database."""
    found = [note.sessions for note in read_notes(str(shop.truth)) if note.pid == pid]
    return found[0] if found and len(found[0]) == len(world.DATABASES) else ()


def wait_until_free(shop: Shop) -> None:
    """Until the server has noticed that the client is gone."""
    assert eventually(lambda: not shop.sql("shop", "select 1 from pg_stat_activity where usename = 'jobs'"))


class TestTruth:
    def test_a_note_is_whole_or_not_there(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PGUSHER_DEMO_TRUTH", str(tmp_path))
        truth = load("truth").Truth("part")
        truth.note(sessions=[1, 2], refused=3)
        (tmp_path / "part-1.new").write_text("{")
        (note,) = read_notes(str(tmp_path))
        assert (note.part, note.pid, note.sessions, note.facts["refused"]) == ("part", os.getpid(), (1, 2), 3)
        assert read_notes(str(tmp_path), "another") == []

    def test_nothing_is_noted_outside_of_a_staging(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("PGUSHER_DEMO_TRUTH", raising=False)
        monkeypatch.chdir(tmp_path)
        load("truth").Truth("part").note(sessions=[1])
        assert list(tmp_path.iterdir()) == []


def test_no_actor_is_imported_by_the_rest() -> None:
    assert json.dumps(sorted(name for name in sys.modules if name.startswith("pgusher.demo.actors"))) == "[]"
