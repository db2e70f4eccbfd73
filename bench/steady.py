"""What a watch costs: one look a second at a server with 500 sessions; our CPU, our memory, our slots.

    python bench/steady.py [--quick]

Beside it pg_activity, at its own least interval of half a second and at one second, on a terminal nobody reads.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil

from bench.sessions import held
from bench.terminal import Terminal
from pgusher.demo.server import EmbeddedServer

SESSIONS, PROCESSES = 500, 100


def _slots(server: EmbeddedServer, name: str) -> int:
    query = "select count(*) from pg_stat_activity where application_name = :'name'"
    psql = [os.path.join(server.bin_dir, "psql"), server.dsn(), "-XAt", "-v", f"name={name}"]
    said = subprocess.run(psql, input=query, capture_output=True, text=True, check=True)
    return int(said.stdout)


def _watch(server: EmbeddedServer, argv: list[str], name: str, seconds: float) -> tuple[float, float, int]:
    """Percent of a core, MB of memory of its own and the most slots, after a moment to start."""
    terminal = Terminal(argv)
    try:
        process = psutil.Process(terminal.pid)
        terminal.idle(5)
        before, began, most = process.cpu_times(), time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            most = max(most, _slots(server, name))
            terminal.idle(2)
        after, took = process.cpu_times(), time.perf_counter() - began
        cpu = (after.user + after.system - before.user - before.system) / took * 100
        return cpu, process.memory_full_info().uss / 1e6, most
    finally:
        terminal.close()


def main() -> None:
    seconds = 20.0 if "--quick" in sys.argv else 60.0
    here = os.path.dirname(sys.executable)
    activity = shutil.which("pg_activity", path=f"{here}:{os.environ.get('PATH', '')}")
    print(f"one look a second at {SESSIONS} sessions in {PROCESSES} processes, over {seconds:.0f} s each")
    print(f"{'tool':28}{'% of a core':>12}{'own MB':>10}{'slots':>8}")
    with held(SESSIONS, PROCESSES) as server:
        watch = [os.path.join(here, "pgusher"), "--port", str(server.port), "--watch", "1"]
        tools = {"pgusher --watch 1": (watch, "pgusher")}
        if activity is not None:
            argv = [activity, server.dsn(), "--refresh", "1"]
            tools["pg_activity --refresh 1"] = (argv, "pg_activity")
        for name, (argv, application) in tools.items():
            cpu, memory, slots = _watch(server, argv, application, seconds)
            print(f"{name:28}{cpu:12.2f}{memory:10.1f}{slots:8}")
    if activity is None:
        print("pg_activity is not installed: pip install pg_activity")


if __name__ == "__main__":
    main()
