"""The incident on a small server: more may be taken than there is; a plan makes it fit; then nobody is refused.

The stand-in for Grafana is a pool with a limit in a file, and called a stand-in.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg

from pgusher.demo.server import EmbeddedServer

SERVER_SETTINGS = {"max_connections": 30}
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

LOAD = """
import sys, threading
import psycopg

dsn, limit, asked = sys.argv[1], int(open(sys.argv[2]).read()), int(sys.argv[3])
gate, held, lock, refused = threading.Semaphore(limit), threading.Barrier(min(limit, asked) + 1), threading.Lock(), []

def panel():
    with gate:
        with lock:
            connection = idle.pop() if idle else None
        try:
            if connection is None:
                connection = psycopg.connect(dsn, autocommit=True)
            connection.execute("select 1")
            together()
            with lock:
                idle.append(connection)
        except psycopg.OperationalError as error:
            with lock:
                refused.append(str(error))
            together()

def together():
    # The first that come in are held together, so that all of a limit is taken at once; later ones pass.
    with lock:
        global left
        mine, left = left > 0, left - 1
    if mine:
        held.wait()
        go.wait()

left, go, idle = min(limit, asked), threading.Event(), []
threads = [threading.Thread(target=panel) for _ in range(asked)]
for thread in threads:
    thread.start()
held.wait()
print("full", flush=True)
sys.stdin.readline()
go.set()
for thread in threads:
    thread.join()
print(len(refused), flush=True)
"""


class Load:
    """One program: as many sessions as its limit allows are open at once, of those that its callers ask for."""

    def __init__(self, script: Path, dsn: str, limit: Path, asked: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(script), dsn, str(limit), str(asked)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def full(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "full\n"

    def refused(self) -> int:
        assert self._process.stdout is not None
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def run(loads: list[Load], between: Any = None) -> int:
    """All at once; what `between` does while they are full; how many of their callers were refused."""
    try:
        for load in loads:
            load.full()
        if between is not None:
            between()
        return sum(load.refused() for load in loads)
    finally:
        for load in loads:
            load.close()


def test_from_too_much_to_not_one_refusal(server: EmbeddedServer, tmp_path: Path) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        for role in ("grafana_stand_in", "api"):
            admin.execute(f"create role {role} login".encode())
    scripts = {role: tmp_path / f"{role}.py" for role in ("grafana_stand_in", "api")}
    for script in scripts.values():
        script.write_text(LOAD)
    limits = {role: tmp_path / f"{role}.limit" for role in ("grafana_stand_in", "api")}
    limits["grafana_stand_in"].write_text("30")
    limits["api"].write_text("10")
    config = tmp_path / "pgusher.toml"
    config.write_text(
        '[budget.dashboards]\ntotal = 30\nrole = "grafana_stand_in"\n[budget.api]\ntotal = 20\nrole = "api"\n'
    )
    environment = {**os.environ, "PYTHONPATH": os.path.join(ROOT, "src"), "PGUSHER_STATE": str(tmp_path / "state")}

    def pgusher(*words: str) -> tuple[int, Any]:
        command = [sys.executable, "-m", "pgusher", *words, "--json", "--port", str(server.port), "--timeout", "20"]
        if words[0] == "budget":
            command += ["--config", str(config)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, cwd="/")
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    def loads() -> list[Load]:
        grafana = Load(
            scripts["grafana_stand_in"], server.dsn("grafana_stand_in", "postgres"), limits["grafana_stand_in"], 60
        )
        apis = [Load(scripts["api"], server.dsn("api", "postgres"), limits["api"], 40) for _ in range(2)]
        return [grafana, *apis]

    told: dict[str, Any] = {}

    def look() -> None:
        code, data = pgusher("budget")
        (sheet,) = data["budgets"]
        assert (code, sheet["may_take"], sheet["ordinary"], sheet["fits"]) == (1, 50, 27, False), sheet
        code, data = pgusher("budget", "plan")
        assert (code, data["proposals"][0]["fits"]) == (0, True), data
        told["limits"] = {one["role"]: one["limit"] for one in data["proposals"][0]["limits"]}
        assert sum(told["limits"].values()) <= 25
        code, told["plan"] = pgusher("budget", "apply")
        assert code == 0

    assert run(loads(), look) > 0
    plan = told["plan"]
    assert [step["lever"] for step in plan["steps"]] == ["limit", "limit"]
    unsafe = ",".join(step["confirm"] for step in plan["steps"] if step["safety"] == "unsafe")
    code, applied = pgusher("free", "--apply", plan["id"], *(("--unsafe", "--confirm", unsafe) if unsafe else ()))
    assert (code, applied["verdict"]["verified"]) == (0, True), applied
    with psycopg.connect(server.dsn()) as admin:
        rows = admin.execute("select rolname, rolconnlimit from pg_roles where rolconnlimit >= 0").fetchall()
    assert dict(rows) == told["limits"]
    # What pgusher cannot change itself is done by hand, as it said; the same load then.
    limits["grafana_stand_in"].write_text(str(told["limits"]["grafana_stand_in"]))
    limits["api"].write_text(str(told["limits"]["api"] // 2))
    code, data = pgusher("budget")
    assert (code, data["budgets"][0]["fits"]) == (0, True), data
    assert run(loads()) == 0
