"""A program that does not close its pool ends when it is over, on every version of Python that is here.

How long it takes is measured in bench/; here it must be less than the 20 s that psycopg_pool itself takes on 3.13.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import psycopg
import pytest

from pgusher.demo.server import EmbeddedServer

SOURCES = Path(__file__).resolve().parents[3] / "src"


def interpreters() -> list[str]:
    """This one, and those beside it that are new enough."""
    found = {f"{sys.version_info.major}.{sys.version_info.minor}": sys.executable}
    for path in sorted(Path(sys.base_prefix).parent.glob("3.1*/bin/python3")):
        match = re.match(r"3\.(\d+)", path.parts[-3])
        if match and int(match[1]) >= 11:
            found.setdefault(f"3.{match[1]}", str(path))
    return sorted(found.values())


SYNC = """
import sys; sys.path[:0] = {path!r}
import pgusher
pool = pgusher.Pool({dsn!r}, min_size=3, open=True)
pool.wait()
with pool.connection() as conn:
    print(conn.execute("select 1").fetchone())
{more}
"""
ASYNC = """
import sys; sys.path[:0] = {path!r}
import asyncio, pgusher
async def main():
    global pool
    pool = pgusher.AsyncPool({dsn!r}, min_size=3, open=False)
    await pool.open(wait=True)
    async with pool.connection() as conn:
        cursor = await conn.execute("select 1")
        print(await cursor.fetchone())
asyncio.run(main())
{more}
"""
AT_EXIT = """
import sys; sys.path[:0] = {path!r}
import atexit, pgusher
def last_words():
    with pool.connection(timeout=10) as conn, pool.connection(timeout=10) as other:
        print(conn.execute("select 1").fetchone())
atexit.register(last_words)  # before the pool's own: it is called after it
pool = pgusher.Pool({dsn!r}, min_size={least}, max_size=2, open=True)
"""
ENDINGS = {
    "falls off the end": "",
    "with a loan": "conn = pool.getconn()",
    "sys.exit": "sys.exit(0)",
    "an exception": "raise SystemExit(0)",
    "in a function": "del pool",
}


PATH = [str(SOURCES), sysconfig.get_path("purelib")]


def python_runs(python: str, source: str) -> subprocess.CompletedProcess[str]:
    """A program on one of the interpreters."""
    # The driver's own wheel for each version is not here: the Python implementation needs none, only a libpq.
    environment = {**os.environ, **({} if python == sys.executable else {"PSYCOPG_IMPL": "python"})}
    done = subprocess.run(
        [python, "-c", source], capture_output=True, text=True, timeout=60, check=False, env=environment
    )
    if "libpq library not found" in done.stderr:
        pytest.skip(f"no libpq for {python}")
    return done


@pytest.mark.parametrize("python", interpreters())
@pytest.mark.parametrize("least", [0, 2])
def test_a_function_at_exit_may_still_borrow(server: EmbeddedServer, python: str, least: int) -> None:
    done = python_runs(python, AT_EXIT.format(path=PATH, dsn=server.dsn(), least=least))
    assert (done.returncode, done.stdout, done.stderr) == (0, "(1,)\n", "")


@pytest.mark.parametrize("python", interpreters())
@pytest.mark.parametrize("ending", list(ENDINGS))
@pytest.mark.parametrize("program", [SYNC, ASYNC], ids=["sync", "async"])
def test_a_script_ends(server: EmbeddedServer, python: str, ending: str, program: str) -> None:
    if program is ASYNC and ending == "with a loan":
        pytest.skip("a loan is taken in a loop, which is over")
    began = time.monotonic()
    done = python_runs(python, program.format(path=PATH, dsn=server.dsn(), more=ENDINGS[ending]))
    took = time.monotonic() - began
    assert (done.returncode, done.stdout, done.stderr) == (0, "(1,)\n", "")
    assert took < 15
    deadline = time.monotonic() + 5
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        while True:
            row = admin.execute(
                "select count(*) from pg_stat_activity"
                " where backend_type = 'client backend' and pid <> pg_backend_pid()"
            ).fetchone()
            if row == (0,) or time.monotonic() > deadline:
                break
    assert row == (0,)
