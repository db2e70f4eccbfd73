"""`pgusher why` with 20 processes that hang, from the shell to its last line, against its goal of 3 s.

    python bench/why.py [--quick]

Each process is a Python of its own with ten further threads that wait for work, and holds two sessions; main waits in
`queue.join()` for a worker that has ended. Also told: how long py-spy read each of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.command import ENVIRONMENT
from pgusher.demo.server import EmbeddedServer

GOAL = 3.0
PROCESSES, THREADS = 20, 10
ROOT = Path(__file__).resolve().parents[1]
JOB = """
import queue, sys, threading
sys.path[:0] = [{root!r}, {root!r} + "/src"]
from bench.sessions import login

todo = queue.Queue()
held = [login({address!r}, {port}) for _ in range(2)]


def worker():
    todo.get()
    sys.exit()


def idle(nothing):
    nothing.get()


def main():
    for number in range({threads}):
        name = f"pool-1-worker-{{number}}"  # as psycopg_pool's own threads, which wait for work
        threading.Thread(target=idle, args=(queue.Queue(),), name=name, daemon=True).start()
    threading.Thread(target=worker).start()
    todo.put(1)
    print("ready", flush=True)
    todo.join()


main()
"""


def main() -> None:
    rounds = 3 if "--quick" in sys.argv else 7
    pgusher = os.path.join(os.path.dirname(sys.executable), "pgusher")
    with tempfile.TemporaryDirectory() as directory, EmbeddedServer(max_connections=100, autovacuum=False) as server:
        job = Path(directory) / "job.py"
        job.write_text(JOB.format(root=str(ROOT), address=server.addresses[0], port=server.port, threads=THREADS))
        jobs = [subprocess.Popen([sys.executable, str(job)], stdout=subprocess.PIPE) for _ in range(PROCESSES)]
        try:
            for one in jobs:
                if one.stdout is None or one.stdout.readline() != b"ready\n":
                    raise RuntimeError("a job did not start")
            saved = str(Path(directory) / "why.json")
            argv = [pgusher, "why", "--port", str(server.port), "--json", "--save", saved]
            took, findings = [], {}
            for number in range(rounds + 1):
                began = time.perf_counter()
                done = subprocess.run(argv, capture_output=True, env=ENVIRONMENT, check=False)
                if number:  # the first one writes the byte code
                    took.append(time.perf_counter() - began)
                if done.returncode not in (0, 1):
                    raise RuntimeError(done.stderr.decode())
                (server_found,) = json.loads(done.stdout)["servers"]
                findings = {one["id"]: one for one in server_found["findings"]}
            stacks = json.loads(Path(saved).read_text())["servers"][0].get("stacks", [])
        finally:
            for one in jobs:
                one.kill()
            for one in jobs:
                one.wait()
                if one.stdout is not None:
                    one.stdout.close()
    cost = sorted(one.get("cost_ms", 0.0) for one in stacks)
    named = [one for one in findings.values() if one["stack"] is not None]
    lines = {f"{os.path.basename(one['file'] or '?')}:{one['line']}" for one in named}
    print(
        f"pgusher why, {PROCESSES} processes of {THREADS + 1} threads; {rounds} rounds, load {os.getloadavg()[0]:.1f}"
    )
    print(f"  median {median(took):.2f} s, slowest {max(took):.2f} s; the goal is {GOAL:.0f} s")
    spent = f"{median(cost or [0]):.0f} ms for one, {max(cost or [0]):.0f} at most"
    print(f"  stacks of {len(stacks)} processes; py-spy took {spent}")
    print(
        f"  lines named: {', '.join(sorted(lines)) or 'none'}; {sum(len(one['processes']) for one in named)} processes"
    )
    if median(took) > GOAL:
        sys.exit("missed")


if __name__ == "__main__":
    main()
