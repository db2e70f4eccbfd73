"""What one look costs the PostgreSQL server: CPU time of the server process that answers, for pgusher and pg_activity.

    python bench/server_cost.py [--quick] [--version 18]

Of a held connection, N looks each, interleaved in rounds; medians in ms of CPU (/proc/PID/schedstat, in nanoseconds).
pg_activity is asked by its own code for what a refresh of its first screen asks for (server information, activities),
and for what its three screens ask for together, which is what a sample of pgusher has (who waits for whom included).
Its activities leave the idle sessions out.
Then the times of pgusher: a cold connect with its sample, a further sample, and how long a parse takes by itself.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from pgusher.collect.postgres import PostgresSource, Target, rows
from pgusher.demo.server import EmbeddedServer

SIZES = (100, 500, 1_000)


def cpu(pid: int) -> float:
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[0]) / 1e6


def cost(pid: int, look: Callable[[], object]) -> float:
    before = cpu(pid)
    look()
    return cpu(pid) - before


def open_sessions(server: EmbeddedServer, count: int, stack: ExitStack) -> None:
    """Idle sessions, each with a last statement of its own of some 300 characters; a tenth in a transaction."""
    for number in range(count):
        host = server.socket_dir if number % 2 else None
        dsn = server.dsn(host=host, application_name=f"worker {number % 20}")
        connection = stack.enter_context(psycopg.connect(dsn, autocommit=number % 10 != 0))
        columns = "column_name, " * 20
        connection.execute(f"select {number}, {columns} 1 from (values (1)) v(column_name)".encode())  # noqa: S608 - the words are the own ones of the test


def pg_activity(server: EmbeddedServer) -> dict[str, tuple[int, Callable[[], object]]]:
    try:
        from pgactivity.data import Data
    except ImportError:
        print("pg_activity is not installed: pip install pg_activity")
        return {}
    data = Data.pg_connect(host=server.socket_dir, port=server.port)
    pid = data.pg_conn.info.backend_pid

    def first_screen() -> None:
        data.pg_get_server_information()
        data.pg_get_activities()

    def all_screens() -> None:
        first_screen()
        data.pg_get_waiting()
        data.pg_get_blocking()

    return {
        "pg_activity, its query for activities alone": (pid, data.pg_get_activities),
        "pg_activity, a refresh of its first screen": (pid, first_screen),
        "pg_activity, all that a sample has": (pid, all_screens),
    }


def measure(server: EmbeddedServer, sessions: int, rounds: int) -> None:
    target = Target(conninfo=server.dsn(host=server.socket_dir))
    source = PostgresSource(target)
    own = source.sample().view.own_pid
    if own is None:
        raise SystemExit("no session")
    contenders = {"pgusher, a sample": (own, source.sample), **pg_activity(server)}
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for name, (pid, look) in list(contenders.items()) * rounds:
        taken[name].append(cost(pid, look))
    ours = median(taken["pgusher, a sample"])
    print(f"\n{sessions} sessions, PostgreSQL {server.version}: ms of the server's CPU for each look")
    for name, values in taken.items():
        print(f"  {name:48} {median(values):8.2f}   {median(values) / ours:5.1f} x")
    source.close()

    cold, warm = [], []
    for _ in range(rounds):
        source = PostgresSource(target)
        began = time.perf_counter()
        source.sample()
        middle = time.perf_counter()
        source.sample()
        warm.append((time.perf_counter() - middle) * 1000)
        cold.append((middle - began) * 1000)
        source.close()
    print(f"  pgusher: connect and sample {median(cold):.1f} ms, a further sample {median(warm):.1f} ms")


def parse(count: int) -> None:
    """Lines as the server sends them, all different, to sessions: the first time, unchanged, and all changed."""
    query = "select a.id, a.name from accounts a where a.owner = $1 and a.state <> $2 order by a.created desc limit 50"
    line = "{pid}\t1795360691368845\tclient backend\tapp\torders\tweb\t10.0.0.7\t{pid}\tidle\t17953606913688{t:02}"
    line += "\t1795360691368845\t\\N\tClient\tClientRead\t\\N\t" + query
    lines = [line.format(pid=pid, t=10).encode() for pid in range(1, count + 1)]
    changed = [line.format(pid=pid, t=11).encode() for pid in range(1, count + 1)]
    times: dict[str, list[float]] = {"first": [], "unchanged": [], "changed": []}
    for _ in range(7):
        reader = rows.SessionReader()
        for name, given in (("first", lines), ("unchanged", lines), ("changed", changed)):
            began = time.perf_counter()
            reader.read(given, 1, frozenset())
            times[name].append((time.perf_counter() - began) * 1000)
    told = ", ".join(f"{name} {median(values):.1f} ms" for name, values in times.items())
    print(f"\n{count} session rows to values: {told}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="100 sessions only, few rounds")
    parser.add_argument("--version", type=int, default=None, help="major version of the server")
    args = parser.parse_args()
    sizes, rounds = ((100,), 5) if args.quick else (SIZES, 25)
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}, {rounds} rounds")
    for sessions in sizes:
        with EmbeddedServer(args.version, max_connections=1_100) as server, ExitStack() as stack:
            open_sessions(server, sessions, stack)
            measure(server, sessions, rounds)
    parse(10_000)


if __name__ == "__main__":
    main()
