"""What watching all day costs beside others: one server with 500 sessions, each tool by itself, then the server full.

    python bench/serve.py [--quick]

pgusher serve looks every two seconds and is scraped every two; so is postgres_exporter (Debian's), and pg_activity
refreshes every two. CPU of the tool, memory of its own, CPU of the server's processes that answer it (all of them: it
opens a new one for each scrape, if it does), its slots, and what it says when no ordinary slot is left.
Then the page: how soon it is there for 1,000 sessions, and 100,000 looks in memory.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil

from bench.sessions import held, login
from bench.terminal import Terminal
from pgusher.demo.server import EmbeddedServer

SESSIONS, PROCESSES = 500, 100
EVERY = 2.0


class Serve:
    """pgusher serve, scraped."""

    name = "pgusher serve"
    application = "pgusher"

    def __init__(self, server: EmbeddedServer, state: str) -> None:
        command = [sys.executable, "-m", "pgusher", "serve", "--port", str(server.port), "--listen", "0"]
        environment = {**os.environ, "PGUSHER_STATE": state}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self.process = subprocess.Popen(
            [*command, "--every", str(EVERY)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.base, _, token = (self.process.stdout or sys.stdin).readline().strip().partition("?token=")
        self.headers = {"Authorization": f"Bearer {token}"}
        self.pid = self.process.pid

    def get(self, path: str) -> bytes:
        request = urllib.request.Request(self.base + path, headers=self.headers)  # noqa: S310 - our own
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - our own
            return bytes(answer.read())

    def tick(self) -> str:
        text = self.get("metrics").decode()
        up = next((line for line in text.splitlines() if line.startswith("pgusher_up")), "no series")
        named = sum(line.startswith("pgusher_holder_slots") for line in text.splitlines())
        return f"{up.rpartition(' ')[2]} up, {len(text.splitlines())} lines, {named} holders"

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(30)


class Exporter:
    """postgres_exporter, scraped."""

    name = "postgres_exporter 0.11"
    application = "postgres_exporter"

    def __init__(self, server: EmbeddedServer, role: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        address = server.addresses[0]
        words = f"host={address} port={server.port} user={role} dbname=postgres sslmode=disable"
        environment = {**os.environ, "DATA_SOURCE_NAME": f"{words} application_name={self.application}"}
        self.process = subprocess.Popen(
            ["prometheus-postgres-exporter", f"--web.listen-address=127.0.0.1:{port}"],
            env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.pid, self.url = self.process.pid, f"http://127.0.0.1:{port}/metrics"
        time.sleep(1)

    def tick(self) -> str:
        with urllib.request.urlopen(self.url, timeout=60) as answer:  # noqa: S310 - our own
            text = answer.read().decode()
        up = next((line for line in text.splitlines() if line.startswith("pg_up")), "pg_up -")
        series = sum(not line.startswith("#") for line in text.splitlines())
        return f"{up.rpartition(' ')[2]} up, {series} series, 0 holders"

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(30)


class Activity:
    """pg_activity on a terminal that nobody reads."""

    name = "pg_activity"
    application = "pg_activity"

    def __init__(self, program: str, server: EmbeddedServer, role: str) -> None:
        dsn = f"host={server.addresses[0]} port={server.port} user={role} dbname=postgres"
        self.terminal = Terminal([program, dsn, "--refresh", str(int(EVERY))])
        self.pid = self.terminal.pid

    def tick(self) -> str:
        self.terminal.idle(0.1)
        try:
            alive = psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            alive = False
        return "a screen of sessions, 0 holders" if alive else "ended"

    def close(self) -> None:
        self.terminal.close()


def server_cpu(server: EmbeddedServer) -> float:
    """CPU seconds of the server's processes, those included that have ended meanwhile."""
    postmaster = psutil.Process(server.postmaster_pid)
    own = postmaster.cpu_times()
    total = own.user + own.system + own.children_user + own.children_system
    for child in postmaster.children():
        try:
            times = child.cpu_times()
            total += times.user + times.system
        except psutil.NoSuchProcess:
            continue
    return total


def measured(server: EmbeddedServer, tool: Any, seconds: float) -> tuple[float, float, float, int]:
    process = psutil.Process(tool.pid)
    for _ in range(3):
        tool.tick()
        time.sleep(1)
    before, answering, began, most = process.cpu_times(), server_cpu(server), time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        tool.tick()
        most = max(most, slots(server, tool.application))
        time.sleep(EVERY)
    after, took = process.cpu_times(), time.perf_counter() - began
    cpu = (after.user + after.system - before.user - before.system) / took * 100
    return cpu, process.memory_full_info().uss / 1e6, (server_cpu(server) - answering) / took * 100, most


def slots(server: EmbeddedServer, application: str) -> int:
    query = "select count(*) from pg_stat_activity where application_name = :'name'"
    psql = [os.path.join(server.bin_dir, "psql"), server.dsn(), "-XAt", "-v", f"name={application}"]
    said = subprocess.run(psql, input=query, capture_output=True, text=True, check=True)
    return int(said.stdout)


def filled(server: EmbeddedServer) -> list[socket.socket]:
    """Takes all slots that an ordinary role can have."""
    kept = []
    while True:
        try:
            kept.append(login(server.addresses[0], server.port, "app"))
        except OSError:
            return kept


def main() -> None:
    seconds = 20.0 if "--quick" in sys.argv else 60.0
    here = f"{os.path.dirname(sys.executable)}:{os.environ.get('PATH', '')}"
    activity, exporter = shutil.which("pg_activity", path=here), shutil.which("prometheus-postgres-exporter")
    print(f"every {EVERY:g} s at {SESSIONS} sessions in {PROCESSES} processes, over {seconds:.0f} s each")
    print(f"{'tool':26}{'% of a core':>12}{'own MB':>9}{'server %':>10}{'slots':>7}  when it is full")
    with held(SESSIONS, PROCESSES) as server, tempfile.TemporaryDirectory() as state:
        psql = [os.path.join(server.bin_dir, "psql"), server.dsn(), "-Xq", "-c"]
        subprocess.run([*psql, "create role app login; grant pg_monitor to app"], check=True)
        idle = server_cpu(server)
        time.sleep(5)
        rest = (server_cpu(server) - idle) / 5 * 100
        tools: list[Callable[[], Any]] = [lambda: Serve(server, state)]
        if exporter is not None:
            tools.append(lambda: Exporter(server, "app"))
        if activity is not None:
            tools.append(lambda: Activity(activity, server, "app"))
        for make in tools:
            tool = make()
            try:
                cpu, memory, answering, most = measured(server, tool, seconds)
            finally:
                tool.close()
            kept = filled(server)
            tool = make()
            try:
                time.sleep(EVERY)
                said = tool.tick()
            except OSError as error:
                said = str(error)
            finally:
                tool.close()
                for one in kept:
                    one.close()
            print(f"{tool.name:26}{cpu:12.2f}{memory:9.1f}{max(0.0, answering - rest):10.2f}{most:7}  {said}")
    for name, found in (("pg_activity", activity), ("prometheus-postgres-exporter", exporter)):
        if found is None:
            print(f"{name} is not installed")
    with held(1000, 200) as server, tempfile.TemporaryDirectory() as state:
        tool = Serve(server, state)
        try:
            tool.get("")
            times = []
            for _ in range(10):
                began = time.perf_counter()
                size = len(tool.get(""))
                times.append(time.perf_counter() - began)
            print(f"the page of 1,000 sessions: {sorted(times)[5] * 1000:.0f} ms, {size / 1000:.0f} kB")
        finally:
            tool.close()


if __name__ == "__main__":
    main()
