"""What the guard notices while a job runs: threads that died in its children, and whether anything is done at all."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guard.shapes import Bench

# The time after a death is cut short: nothing else is changed.
SOON = """
import sys
from pgusher.guard import life
from pgusher.surfaces.cli.main import main
life._AFTER_A_DEATH = 0.5
sys.exit(main(sys.argv[1:]))
"""
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", '''
import threading
t = threading.Thread(target=lambda: 1 / 0, name="importer")
t.start(); t.join()
'''])
time.sleep(300)  # waits for what the child will never send
"""
TALK = """
import socket, threading, time
a = socket.create_server(("127.0.0.1", 0))
b = socket.create_connection(a.getsockname())
c, _ = a.accept()
for _ in range(40):
    b.send(b"x")
    c.recv(1)
    time.sleep(0.1)
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    bench = Bench(tmp_path_factory.mktemp("state"))
    yield bench
    bench.close()


def test_a_thread_that_died_in_a_child_ends_the_run_though_the_parent_waits(bench: Bench) -> None:
    options = ["run", "--name", "parent", "--grace", "1s", "--"]
    done = subprocess.run(
        [sys.executable, "-c", SOON, *options, sys.executable, "-c", PARENT],
        env=bench.environ, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    told = done.stderr.decode()
    assert "job parent has failed: a thread of it died" in told
    assert "thread importer of pid" in told
    assert "ZeroDivisionError" in told
    assert bench.of("parent") == []


def test_traffic_of_sockets_is_no_idleness(bench: Bench, tmp_path: Path) -> None:
    script = tmp_path / "talk.py"
    script.write_text(TALK)
    code, _, err = bench.run("talk", [sys.executable, str(script)], "--idle-timeout", "2s", "--idle-kill")
    assert (code, err) == (0, "")


def test_python_that_cannot_be_watched_is_told_when_it_did_not_end_well(bench: Bench) -> None:
    code, _, err = bench.run("blind", [sys.executable, "-I", "-c", "raise SystemExit(3)"])
    assert code == 3
    assert "its threads were not watched" in err
    assert bench.run("blind", [sys.executable, "-I", "-c", "pass"]) == (0, "", "")
    assert "not watched" in bench.run("blind", [sys.executable, "-I", "-c", "pass"], "--verbose")[2]
    assert "not watched" not in bench.run("blind", ["sh", "-c", "exit 3"])[2]
