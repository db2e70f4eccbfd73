"""Programs of the tests: each runs in a process of its own, as a user's would."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import psycopg
import pytest

from pgusher.demo.server import EmbeddedServer

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]


def environment(**more: str) -> dict[str, str]:
    """That of a user's program, which finds pgusher in this tree."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**kept, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{HERE}", **more}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def get(port: int, path: str, timeout: float = 30.0) -> str:
    with urlopen(f"http://127.0.0.1:{port}{path}", timeout=timeout) as answer:  # our own server
        text: str = answer.read().decode()
        return text


Serve = Callable[..., int]


@pytest.fixture
def serve(dsn: str) -> Iterator[Serve]:
    """Start a web server on a free port, wait until it answers, and end it with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*argv: str, alive: str = "/alive", cwd: Path = HERE, **more: str) -> int:
        port = free_port()
        words = [word.replace("PORT", str(port)) for word in argv]
        process = subprocess.Popen(
            [sys.executable, "-m", *words], env=environment(PGUSHER_ORDERS_DSN=dsn, **more), cwd=cwd
        )
        started.append(process)
        deadline = time.monotonic() + 60
        while True:
            assert process.poll() is None, f"{argv[0]} ended with {process.returncode}"
            try:
                get(port, alive)
            except (URLError, ConnectionError):
                assert time.monotonic() < deadline, f"{argv[0]} does not answer"
                time.sleep(0.05)
            else:
                return port

    yield start
    for process in started:
        process.terminate()
        process.wait(30)


@pytest.fixture
def dsn(server: EmbeddedServer, request: pytest.FixtureRequest) -> str:
    """A string without a name: what the sessions are called is for the programs to say."""
    return server.dsn(user="app", dbname="app")


@pytest.fixture
def sessions(server: EmbeddedServer) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """The sessions of the role `app`."""
    with psycopg.connect(server.dsn(), autocommit=True, row_factory=psycopg.rows.dict_row) as admin:
        yield lambda: admin.execute(
            "select pid, application_name, state from pg_stat_activity where usename = 'app' order by pid"
        ).fetchall()
