"""The plugin in a pytest of its own: which tests it fails, and with which line."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.client.fits.conftest import ROOT, environment

LEAKING = """
import asyncio, gc, pytest
from pgusher import AsyncDatabase, Database, Pool
DSN = {dsn!r}
kept = []

@pytest.fixture(scope="module")
def wide():
    db = Database(DSN)
    with db.connection():
        yield db

def test_keeps_a_loan():
    kept.append(Database(DSN).pool.getconn())  # line A

def test_gives_it_back(wide):
    with wide.cursor() as cur:
        cur.execute("select 1")

def test_opens_a_pool():
    pool = Pool(DSN, min_size=1)  # line B
    pool.wait()
    kept.append(pool)

def test_opens_one_that_has_no_session_yet():
    kept.append(Pool("host=127.0.0.1 port=1 connect_timeout=1", min_size=1, open=True))  # line D

def test_closes_it():
    with Pool(DSN, min_size=1) as pool:
        pool.wait()

def test_loop_ends_first():
    async def careless():
        await AsyncDatabase(DSN).fetch_one("select 1")  # line C
    asyncio.run(careless())

def test_loop_is_tidy():
    async def tidy():
        db = AsyncDatabase(DSN)
        await db.fetch_one("select 1")
        await db.close()
    asyncio.run(tidy())

@pytest.mark.pgusher_keeps
def test_on_purpose():
    kept.append(Database(DSN).pool.getconn())
"""


def run(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "pgusher.client.pytest_plugin", "-p", "no:cacheprovider"]
    # An installed pgusher would bring the same plugin a second time.
    given = environment(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    run = subprocess.run
    return run([*argv, *words], cwd=directory, env=given, capture_output=True, text=True, check=False, timeout=120)


def test_what_is_left_fails_the_test_that_left_it(dsn: str, tmp_path: Path) -> None:
    source = LEAKING.format(dsn=dsn)
    (tmp_path / "test_leaking.py").write_text(source)
    done = run(tmp_path)
    lines = {
        mark: number for number, line in enumerate(source.splitlines(), 1) for mark in re.findall(r"# line (\w)", line)
    }
    said = dict(re.findall(r"ERROR at teardown of (test_\w+) _+\n(.+?)(?=\n_{5}|\n={5}|\Z)", done.stdout, re.DOTALL))
    early = "test_opens_one_that_has_no_session_yet"
    assert set(said) == {"test_keeps_a_loan", "test_opens_a_pool", early, "test_loop_ends_first"}, done.stdout
    assert re.search(rf"test_leaking.py:{lines['D']} in {early}, was not closed: it is opening", said[early])
    assert f"test_leaking.py:{lines['A']} in test_keeps_a_loan" in said["test_keeps_a_loan"]
    assert f"test_leaking.py:{lines['B']} in test_opens_a_pool" in said["test_opens_a_pool"]
    assert f"test_leaking.py:{lines['C']} in test_loop_ends_first.<locals>.careless" in said["test_loop_ends_first"]
    assert re.search(r"sessions \d+ are left on the server", said["test_opens_a_pool"])
    assert re.search(r"8 passed.* 4 errors", done.stdout)
    assert done.returncode == 1


def test_it_can_be_switched_off_and_a_wrong_word_is_told(dsn: str, tmp_path: Path) -> None:
    (tmp_path / "test_leaking.py").write_text(LEAKING.format(dsn=dsn))
    assert "8 passed" in run(tmp_path, "-o", "pgusher_leaks=off").stdout
    wrong = run(tmp_path, "-o", "pgusher_leaks=perhaps")
    assert "pgusher_leaks is 'fail' or 'off', not 'perhaps'" in wrong.stderr + wrong.stdout
    assert "Traceback" not in wrong.stderr


def test_without_a_pool_it_loads_no_driver(tmp_path: Path) -> None:
    (tmp_path / "test_plain.py").write_text(
        "import sys\ndef test_plain():\n    assert not {'psycopg', 'psycopg_pool'} & set(sys.modules)\n"
    )
    done = run(tmp_path)
    assert "1 passed" in done.stdout, done.stdout


@pytest.mark.parametrize("word", ["pytest11", "pgusher.client.pytest_plugin"])
def test_an_installation_offers_it(word: str) -> None:
    assert word in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
