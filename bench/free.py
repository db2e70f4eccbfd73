"""From a really full server to a slot for an ordinary role: plan and apply, from the shell, each a process of its own.

    python bench/free.py [--quick]

Every ordinary slot is taken, 50 of them by sessions that nobody uses any more: once by one process that does not go on
(it is ended), once by sessions alone (they are terminated). What is waited for is told apart from our own time: the
threads are watched for half a second when a process is to be judged, and a pool that may open new sessions for up to
four.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import subprocess

import psycopg

from pgusher.demo.server import EmbeddedServer
from tests.bed.bed import HBA, Bed, prepare

LEAKED, OTHERS = 50, 46  # the 97th is of the bench itself
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _pgusher(words: Sequence[str], state: str) -> tuple[dict[str, object], float, float]:
    """What it says, and its milliseconds by the wall and of CPU."""
    before = os.times()
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "pgusher", "free", *words, "--json"],
        capture_output=True,
        env={**ENVIRONMENT, "PGUSHER_STATE": state},
        check=False,
    )
    took = (time.perf_counter() - began) * 1000
    after = os.times()
    if done.returncode != 0:
        raise RuntimeError(f"exit {done.returncode}: {done.stderr.decode()}{done.stdout.decode()}")
    spent = (after.children_user + after.children_system - before.children_user - before.children_system) * 1000
    return json.loads(done.stdout), took, spent


def _round(bed: Bed, way: str, state: str) -> tuple[float, float, float, float]:
    """Plan, apply, CPU of both, and from the beginning of the plan to a slot of an ordinary role."""
    with ExitStack() as stack:
        leaking = stack.enter_context(bed.holder("idle", sessions=LEAKED))
        stack.enter_context(bed.holder("idle", sessions=OTHERS))
        try:
            psycopg.connect(bed.server.dsn("app")).close()
        except psycopg.OperationalError:
            pass
        else:
            raise RuntimeError("the server is not full")
        port = ["--port", str(bed.server.port)]
        began = time.perf_counter()
        word = [str(leaking.pid)] + ([] if way == "end the process" else ["--idle-for", "1ms"])
        plan, planned, cpu_plan = _pgusher([*word, *port], state)
        names = ",".join({str(step["confirm"]) for step in plan["steps"]})  # type: ignore[attr-defined]
        unsafe = ["--unsafe", "--confirm", names]
        applied, acted, cpu_apply = _pgusher(["--apply", str(plan["id"]), *unsafe, *port], state)
        psycopg.connect(bed.server.dsn("app")).close()
        whole = (time.perf_counter() - began) * 1000
        verdict = applied["verdict"]
        if not verdict["verified"] or verdict["gone"] != LEAKED:  # type: ignore[index]
            raise RuntimeError(str(verdict))
        return planned, acted, cpu_plan + cpu_apply, whole


def main() -> None:
    rounds = 3 if "--quick" in sys.argv else 9
    print(f"a full server of 100 slots, {LEAKED} leaked; milliseconds, medians of {rounds} (worst)")
    print(f"{'':22}{'plan':>16}{'apply + verify':>18}{'CPU of both':>16}{'to a slot':>16}")
    server = EmbeddedServer(18, hba=HBA, max_connections=100)
    with tempfile.TemporaryDirectory() as directory, server:
        prepare(server)
        bed = Bed(server)
        try:
            _ = bed.admin
            for way in ("end the process", "terminate sessions"):
                state = os.path.join(directory, way.replace(" ", "-"))
                found = [_round(bed, way, state) for _ in range(rounds + 1)][1:]  # the first writes the byte code
                cells = [f"{median(column):.0f} ({max(column):.0f})" for column in zip(*found, strict=True)]
                print(f"{way:22}{cells[0]:>16}{cells[1]:>18}{cells[2]:>16}{cells[3]:>16}")
        finally:
            bed.close()


if __name__ == "__main__":
    main()
