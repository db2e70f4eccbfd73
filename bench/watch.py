"""What the screen of `pgusher watch` costs while it stays open: memory minute by minute, and CPU.

    python bench/watch.py [MINUTES] [--quiet]

It runs on a terminal of its own beside a server with 500 sessions in 100 processes, of which one is closed and another
opened each second, so that no look is like the one before: that is the most that can be kept of looks. With --quiet
none is.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil

from bench.sessions import held, login
from bench.terminal import Terminal

SESSIONS, PROCESSES = 500, 100


def main() -> None:
    quiet = "--quiet" in sys.argv
    rest = [word for word in sys.argv[1:] if word != "--quiet"]
    minutes = float(rest.pop(0)) if rest else 10.0
    with held(SESSIONS, PROCESSES) as server, tempfile.TemporaryDirectory() as state:
        os.environ["PGUSHER_STATE"] = state
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        words = ["-m", "pgusher", "watch", "--port", str(server.port), *rest]
        terminal = Terminal([sys.executable, *words], rows=40, columns=160)
        kept = [login(server.addresses[0], server.port) for _ in range(5)]
        try:
            terminal.wait_for(b"ordinary slots", 60)
            process = psutil.Process(terminal.pid)
            before, began = process.cpu_times(), time.monotonic()
            print(f"{'minute':>7}{'own MB':>9}{'RSS MB':>9}{'% of a core':>13}")
            minute = 0
            while minute < minutes:
                end = began + (minute + 1) * 60
                while time.monotonic() < end:
                    terminal.idle(1.0)
                    if quiet:
                        continue
                    kept.pop(0).close()
                    kept.append(login(server.addresses[0], server.port))
                minute += 1
                after, memory = process.cpu_times(), process.memory_full_info()
                cpu = (after.user + after.system - before.user - before.system) / 60 * 100
                print(f"{minute:7}{memory.uss / 1e6:9.1f}{memory.rss / 1e6:9.1f}{cpu:13.2f}", flush=True)
                before = after
        finally:
            terminal.close()
            for one in kept:
                one.close()


if __name__ == "__main__":
    main()
