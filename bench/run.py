"""Who leaves what behind: `pgusher run` beside other wrappers, over job shapes and endings; and what it costs.

    python bench/run.py [--quick] [WRAPPER ...]        chronic is in Debian's moreutils, runalarm in its cronutils

Each cell is the number of processes that still run two seconds after the wrapper has ended (the grace is one second).
The wrapper is signalled, or ends the job at its limit where it has one. All that is left is ended at the end.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.guard.shapes import PYTHON, SHAPES

MARK = "PGUSHER_BENCH_RUN"
PGUSHER = [sys.executable, "-m", "pgusher", "run", "--grace", "1s", "--timeout", "4s", "--name", "bench"]
WRAPPERS: dict[str, list[str]] = {
    "pgusher run": [*PGUSHER, "--"],
    "pgusher run --isolate": [*PGUSHER, "--isolate", "--"],
    "timeout -k 1 4": ["timeout", "-k", "1", "4"],
    "flock": ["flock", "-n", "{directory}/lock"],
    "chronic": ["chronic"],
    "runalarm -t 4": ["runalarm", "-t", "4"],
    "runlock": ["runlock", "-f", "{directory}/lock"],
    "systemd-run --scope": ["systemd-run", "--scope", "--quiet", "-p", "RuntimeMaxSec=4"],
    "nothing": ["sh", "-c", '"$@"; exit $?', "sh"],
}
ENDINGS = {"TERM": signal.SIGTERM, "INT": signal.SIGINT, "HUP": signal.SIGHUP, "KILL": signal.SIGKILL, "limit": None}
LIMITED = ("pgusher", "timeout", "runalarm", "systemd-run")


def _left(mark: str) -> list[int]:
    found = []
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                if f"{MARK}={mark}".encode() in Path(f"/proc/{name}/environ").read_bytes().split(b"\0"):
                    found.append(int(name))
            except OSError:
                continue
    return found


def _cell(wrapper: list[str], argvs: list[list[str]], ending: str, number: str) -> int:
    """Processes left of all shapes, run at once."""
    with tempfile.TemporaryDirectory() as directory:
        started = []
        for at, argv in enumerate(argvs):
            place = f"{directory}/{at}"
            os.mkdir(place)
            environ = {**os.environ, MARK: number, "PGUSHER_STATE": place}
            words = (
                [word.format(directory=place) for word in wrapper] if wrapper[0] in ("flock", "runlock") else wrapper
            )
            started.append(
                subprocess.Popen(
                    [*words, *argv], env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0
                )
            )
        time.sleep(2)
        wanted = ENDINGS[ending]
        for one in started:
            if wanted is not None:
                one.send_signal(wanted)
        deadline = time.monotonic() + 6
        for one in started:
            try:
                one.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                continue  # it ignores the signal: all that it runs counts
        time.sleep(2)
        left = _left(number)
        for pid in left:  # ours: they carry the mark of this cell
            with suppress(ProcessLookupError):  # it went with another one
                os.kill(pid, signal.SIGKILL)
        for one in started:
            one.wait()
    return len(left)


def _costs(seconds: int) -> None:
    """Wall of a run that does nothing; processor time and memory of a guard that waits."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    took = []
    for _ in range(11):
        began = time.perf_counter()
        subprocess.run([*PGUSHER, "--", "true"], env=environ, check=True)
        took.append((time.perf_counter() - began) * 1000)
    bare = []
    for _ in range(11):
        began = time.perf_counter()
        subprocess.run(["true"], env=environ, check=True)
        bare.append((time.perf_counter() - began) * 1000)
    print(
        f"\n`pgusher run -- true`: {median(took[1:]):.0f} ms of wall, `true` {median(bare[1:]):.0f} ms (medians of 10)"
    )
    words = [*PGUSHER[:-4], "--timeout", "1h", "--name", "wait", "--", "sleep", str(seconds)]
    with subprocess.Popen(words, env=environ) as guard:
        time.sleep(3)  # its start is not its waiting
        before = _cpu(guard.pid)
        time.sleep(seconds - 5)
        used = (_cpu(guard.pid) - before) / (seconds - 5)
        peak = next(x for x in Path(f"/proc/{guard.pid}/status").read_text().splitlines() if x.startswith("VmHWM"))
    print(
        f"while it waits: {used:.3%} of a processor over {seconds - 5} s, {int(peak.split()[1]) / 1024:.0f} MB at most"
    )


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/schedstat").read_text().split()
    return int(fields[0]) / 1e9


def main() -> None:
    """Print the table, and what a run costs."""
    quick = "--quick" in sys.argv
    wanted = [word for word in sys.argv[1:] if not word.startswith("-")]
    shapes = [["sh", "-c", text] for text in SHAPES.values()] + [[sys.executable, "-c", t] for t in PYTHON.values()]
    print(f"processes left of {len(shapes)} jobs (5 shapes, shell and Python)\n")
    print("| wrapper |", " | ".join(ENDINGS), "|\n| --- |", " | ".join("---" for _ in ENDINGS), "|")
    for name, wrapper in WRAPPERS.items():
        if wanted and name not in wanted:
            continue
        if shutil.which(wrapper[0]) is None:
            print(f"| {name} | not installed |")
            continue
        if (
            wrapper[0] == "systemd-run"
            and subprocess.run([*wrapper, "true"], capture_output=True, check=False).returncode
        ):
            print(f"| {name} | does not work here: no systemd runs |")
            continue
        cells = []
        for ending in ENDINGS:
            if quick and ending not in ("TERM", "KILL"):
                cells.append("not asked")
                continue
            if ending == "limit" and not name.startswith(LIMITED):
                cells.append("has none")
                continue
            cells.append(str(_cell(wrapper, shapes, ending, f"{os.getpid()}-{name}-{ending}")))
        print(f"| {name} |", " | ".join(cells), "|", flush=True)
    _costs(20 if quick else 65)


if __name__ == "__main__":
    main()
