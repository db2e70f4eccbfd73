"""From the shell to the last line: `pgusher` against `psql -c` and `ss -tnp` together, and against pg_activity.

    python bench/command.py [--quick]

Interleaved rounds on one real server, medians. None of the rivals joins the sessions to processes: a person does, by
eye. pg_activity is timed to its first table on a terminal of 200 x 60; it has no other way to show one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.sessions import held
from bench.terminal import Terminal
from pgusher.demo.server import EmbeddedServer

SIZES = ((100, 50), (1_000, 500))
QUERY = "select pid, usename, datname, client_addr, client_port, state, state_change, query from pg_stat_activity"


# As pip leaves it: with byte code. The first run writes it; its time is not taken.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _run(argv: list[str]) -> float:
    began = time.perf_counter()
    done = subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=ENVIRONMENT, check=False)
    took = time.perf_counter() - began
    if done.returncode not in (0, 1):  # 1: pgusher found something
        raise RuntimeError(f"{argv[0]}: exit {done.returncode}: {done.stderr.decode()}")
    return took * 1000


def _psql(server: EmbeddedServer) -> list[str]:
    """The real program: Debian's wrapper of it, in Perl, takes ten times as long to start."""
    return [os.path.join(server.bin_dir, "psql"), server.dsn(), "-X", "-A", "-c", QUERY]


def _by_hand(server: EmbeddedServer) -> float:
    return _run(_psql(server)) + _run(["ss", "-tnp"])


def _pg_activity(server: EmbeddedServer, program: str) -> float:
    """Until the table's heading is on the screen."""
    began = time.perf_counter()
    terminal = Terminal([program, server.dsn(), "--no-inst-info"])
    try:
        terminal.wait_for(b"DATABASE")
        return (time.perf_counter() - began) * 1000
    finally:
        terminal.close()


def main() -> None:
    quick = "--quick" in sys.argv
    rounds = 5 if quick else 15
    pgusher = os.path.join(os.path.dirname(sys.executable), "pgusher")
    activity = shutil.which("pg_activity", path=f"{os.path.dirname(sys.executable)}:{os.environ.get('PATH', '')}")
    print(f"the command, from the shell to its last line; milliseconds, medians of {rounds} interleaved rounds")
    print(f"{'sessions in processes':24}{'tool':26}{'ms':>8}{'tool / pgusher':>16}")
    for sessions, processes in SIZES:
        with held(sessions, processes) as server:
            ours = [pgusher, "--port", str(server.port)]
            tools: dict[str, Callable[[], float]] = {
                "pgusher": lambda argv=ours: _run(argv),  # type: ignore[misc]  # bound now
                "psql -c + ss -tnp": lambda server=server: _by_hand(server),  # type: ignore[misc]
                "psql -c": lambda server=server: _run(_psql(server)),  # type: ignore[misc]
                "ss -tnp": lambda: _run(["ss", "-tnp"]),
            }
            if activity is not None:
                tools["pg_activity"] = lambda server=server: _pg_activity(server, activity)  # type: ignore[misc]
            took: dict[str, list[float]] = {name: [] for name in tools}
            tools["pgusher"]()
            for _ in range(rounds):
                for name, tool in tools.items():
                    took[name].append(tool())
            base = median(took["pgusher"])
            for name, values in took.items():
                print(f"{f'{sessions} in {processes}':24}{name:26}{median(values):8.0f}{median(values) / base:16.2f}")
    if activity is None:
        print("pg_activity is not installed: pip install pg_activity")


if __name__ == "__main__":
    main()
