"""Jobs that hold sessions, in every shape and at every ending: no process and no session is left."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psycopg

from pgusher.demo.server import EmbeddedServer
from tests.guard.shapes import Bench, until

SERVER_SETTINGS = {"max_connections": 100}
JOB = """
import os, signal, socket, struct, sys, time
shape, ending, path = sys.argv[1:]
def connect():
    # By hand: the import of a driver, seventy times, would be most of what this test costs.
    found = socket.socket(socket.AF_UNIX)
    found.connect(path)
    words = f"user\\0postgres\\0database\\0postgres\\0application_name\\0{os.environ['PGAPPNAME']}\\0\\0".encode()
    found.sendall(struct.pack(">II", len(words) + 8, 196608) + words)
    answer = b""
    while not answer.endswith(b"Z\\0\\0\\0\\5I"):
        answer += found.recv(4096) or sys.exit(f"refused: {answer}")
    return found
def hold(deaf):
    if deaf:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
    session = connect()
    ready.write("1")
    ready.close()
    time.sleep(300)
def child(deaf, daemon=False):
    if os.fork() == 0:
        if daemon:
            os.setsid()
            if os.fork():
                os._exit(0)
        hold(deaf)
waiting, ready = map(os.fdopen, os.pipe(), "rw")
if shape in ("child", "ignoring-child", "daemon"):
    child(shape != "child", shape == "daemon")
elif ending in ("done", "failed"):
    child(shape == "ignoring")
if ending in ("done", "failed"):
    waiting.read(1)
    sys.exit(0 if ending == "done" else 5)
hold(shape == "ignoring")
"""
SHAPES = ("sleeping", "ignoring", "child", "ignoring-child", "daemon")
SIGNALS = {"TERM": signal.SIGTERM, "INT": signal.SIGINT, "HUP": signal.SIGHUP, "KILL": signal.SIGKILL}
CODES = {"limit": 124, "done": 0, "failed": 5, "TERM": 143, "INT": 130, "HUP": 129, "KILL": -9}


def test_no_session_is_left(server: EmbeddedServer, tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    path = f"{server.socket_dir}/.s.PGSQL.{server.port}"
    cells: dict[str, subprocess.Popen[bytes]] = {}
    try:
        with psycopg.connect(server.dsn(), autocommit=True) as watch:

            def named() -> set[str]:
                found = watch.execute(
                    "select application_name from pg_stat_activity where backend_type = %s", ["client backend"]
                )
                return {name for (name,) in found} & cells.keys()

            for shape in SHAPES:
                for ending in CODES:
                    name = f"pg.{shape}.{ending}"
                    options = ["--grace", "1s", *(["--timeout", "5s"] if ending == "limit" else [])]
                    argv = [sys.executable, "-c", JOB, shape, ending, path]
                    cells[name] = bench.start(
                        name, argv, *options, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                    )
            told = {name for name in cells if name.rpartition(".")[2] in SIGNALS}
            until(lambda: told <= named(), 90)
            for name in told:
                cells[name].send_signal(SIGNALS[name.rpartition(".")[2]])
            codes = {name: guard.wait(90) for name, guard in cells.items()}
            assert codes == {name: CODES[name.rpartition(".")[2]] for name in cells}
            killed = {name for name in cells if name.endswith(".KILL")}
            assert (cells.keys() - killed) & bench.all().keys() == set()
            until(lambda: not named() - killed, 5)
            # What a killed guard has left is found and ended by the next run: every bit of it.
            assert killed & bench.all().keys() >= {"pg.ignoring.KILL", "pg.daemon.KILL"}
            next_runs = [bench.start(name, ["true"], "--overlap", "replace", "--grace", "1s") for name in killed]
            assert [guard.wait(60) for guard in next_runs] == [0] * len(killed)
            assert killed & bench.all().keys() == set()
            until(lambda: not named(), 5)
    finally:
        bench.close()
