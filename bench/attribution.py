"""From sessions to processes: `ss`, `lsof`, psutil and ours, side by side in one run, medians and ratios.

    python bench/attribution.py [--quick] [CASE ...]

Cases: S M X L L1 unix namespaces. The listener is a stand-in that accepts and says nothing, no PostgreSQL, with one
process for each session (L1: one for all); the sockets and the processes are real, and every answer is compared with
what the clients themselves told. Needs root for the namespaces, and to read other users' descriptors.
"""

from __future__ import annotations

import contextlib
import gc
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "src")]
# ruff: noqa: E402  # the tree need not be installed

from bench.population import Spec, Town, Truth, population
from pgusher.collect.sockets import SocketFacts, SocketSource, parallel
from pgusher.collect.sockets.unixes import UnixSessions
from pgusher.model.server import Server

CASES = {
    "S": Spec(100, 50),
    "M": Spec(1000, 500),
    "X": Spec(100, 5, 2000),
    "L": Spec(10_000, 2000),
    "L1": Spec(10_000, 2000, backends=False),
    "unix": Spec(100, 50, transport="unix", lively=True),
    "namespaces": Spec(1200, 100, namespaces=100),
}
QUICK = ("S", "M", "unix")


@dataclass
class Timing:
    """Milliseconds of several rounds, by the clock and of CPU (our children's too)."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    @property
    def ms(self) -> float:
        return statistics.median(self.wall)

    @property
    def cpu_ms(self) -> float:
        return statistics.median(self.cpu)


def cpu_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def clock(timing: Timing, work: Callable[[], object]) -> object:
    cpu, began = cpu_seconds(), time.perf_counter()
    result = work()
    timing.wall.append((time.perf_counter() - began) * 1000)
    timing.cpu.append((cpu_seconds() - cpu) * 1000)
    return result


def server(truth: Truth) -> Server:
    return Server(
        truth.port,
        local=True,
        postmaster_pid=truth.server,
        socket_paths=(truth.path,) if truth.path else (),
    )


def cold(truth: Truth, *, full: bool = True) -> SocketFacts:
    source = SocketSource()
    try:
        return source.look(server(truth), truth.backends, full=full)
    finally:
        source.close()


def mistakes(truth: Truth, facts: SocketFacts) -> tuple[int, int]:
    """How many clients were not led to their process, and how many were led to another one."""
    found = {str(s.inode) if truth.path else f"{s.host}:{s.port}": {h.pid for h in s.holders} for s in facts.sockets}
    missing = sum(not found.get(key) for key in truth.holders)
    wrong = sum(bool(pids - {truth.holders.get(key)}) for key, pids in found.items())
    return missing, wrong


def rivals(truth: Truth) -> dict[str, Callable[[], object]]:
    def run(*words: str) -> Callable[[], object]:
        return lambda: subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)

    found: dict[str, Callable[[], object]] = {}
    if truth.path:
        found["ss -xp"] = run("ss", "-xp")
    else:
        found["ss -tnp"] = run("ss", "-tnp")
    if shutil.which("lsof"):
        kind = ["-U"] if truth.path else [f"-iTCP:{truth.port}"]
        found["lsof"] = run("lsof", "-nP", *kind)
    with contextlib.suppress(ImportError):
        import psutil

        found["psutil"] = lambda: psutil.net_connections("unix" if truth.path else "tcp")
    return found


def added(truth: Truth, rounds: int) -> Timing:
    """What the unix sockets add to a full pass, which reads the descriptors of all processes in any case."""
    source = SocketSource()
    timing = Timing()
    try:
        source.look(server(truth), truth.backends)
        memory = next(iter(source._memories.values()))  # noqa: SLF001  # a part of a pass is measured
        home = source._spaces.own()  # noqa: SLF001 - it has the shape of the real one

        def work() -> None:
            sessions = UnixSessions()
            sessions.read(server(truth), home.unix({}), home.netns)
            for inode in sessions.pairs:
                sessions.show(inode, memory.owners.holders, memory.backend_of(inode), None)

        for _ in range(max(10, rounds)):
            clock(timing, work)
    finally:
        source.close()
    return timing


class Report:
    """Prints a line for each measurement, with its ratio to the first rival and to what was set out to be reached."""

    def __init__(self, base: Timing, name: str) -> None:
        self._base = base
        self._name = name
        self.missed: list[str] = []

    def line(self, what: str, timing: Timing, goal: float = 0.0, note: str = "") -> None:
        ratio = self._base.ms / timing.ms
        told = f"{what:<34} {timing.ms:>9.2f} ms {timing.cpu_ms:>9.2f} ms CPU"
        if timing is not self._base:
            told += f"   1/{ratio:.1f} of {self._name}" if ratio >= 1 else f"   {1 / ratio:.1f} x {self._name}"
        if goal:
            reached = ratio >= goal
            told += f"   goal 1/{goal:.0f}: {'reached' if reached else 'MISSED'}"
            if not reached:
                self.missed.append(what)
        print(told + (f"   {note}" if note else ""), flush=True)


def measure(name: str, spec: Spec, rounds: int) -> list[str]:
    with population(spec) as town:
        return measured(name, spec, rounds, town)


def measured(name: str, spec: Spec, rounds: int, town: Town) -> list[str]:
    truth = town.truth
    others = rivals(truth) if not spec.namespaces else {"ss -tnp (its own namespace)": rivals(truth)["ss -tnp"]}
    timings = {key: Timing() for key in others}
    ours, alone, quick = Timing(), Timing(), Timing()
    facts = cold(truth)
    for number in range(rounds):
        gc.collect()
        for key, work in others.items():
            # The slow ones are not what is compared with: a few rounds are enough.
            if number < 3 or key.startswith("ss"):
                clock(timings[key], work)
        facts = clock(ours, lambda: cold(truth))  # type: ignore[assignment]
        clock(quick, lambda: cold(truth, full=False))
        ways = parallel.ways
        parallel.ways = lambda: 1
        clock(alone, lambda: cold(truth))
        parallel.ways = ways
    base = next(iter(timings))
    report = Report(timings[base], base)
    shape = f"{spec.sessions} sessions, {spec.namespaces or spec.clients} clients, {spec.others} bystanders"
    print(f"\n{name}: {shape}, {len(truth.backends)} server processes, {len(os.listdir('/proc'))} entries in /proc")
    for key, timing in timings.items():
        report.line(key, timing)
    missing, wrong = mistakes(truth, facts)
    note = f"missing {missing}, wrong {wrong}"
    goal = 0.0 if spec.namespaces or truth.path else 3.0
    report.line("full pass, cold", ours, goal, note)
    report.line("full pass, cold, without fork", alone)
    report.line("first tick, cold (one holder each)", quick)
    if truth.path:
        report.line("what they add to a full pass", added(truth, rounds), 10.0, "their dump, pairing and showing")
    if spec.namespaces:
        reached = ours.ms < 150
        print(f"{'':<34} goal under 150 ms: {'reached' if reached else 'MISSED'}")
        if not reached:
            report.missed.append("namespaces")
    warm(report, truth, rounds)
    if missing or wrong:
        report.missed.append(f"truth ({note})")
    return [f"{name}: {what}" for what in report.missed]


def warm(report: Report, truth: Truth, rounds: int) -> None:
    source = SocketSource()
    try:
        source.look(server(truth), truth.backends)
        source.look(server(truth), truth.backends, full=False)
        timing = Timing()
        for _ in range(max(20, rounds * 5)):
            facts = clock(timing, lambda: source.look(server(truth), truth.backends, full=False))
        missing, wrong = mistakes(truth, facts)  # type: ignore[arg-type]
        goal = 50.0 if len(truth.holders) == 1000 else 0.0
        report.line("tick, nothing new", timing, goal, f"missing {missing}, wrong {wrong}")
    finally:
        source.close()


def churn(rounds: int) -> list[str]:
    """Each tick sees ten reconnects and five clients with two sessions each that are new processes."""
    spec = Spec(1000, 500, lively=True)
    reconnect, replace = 10, 5
    with population(spec) as town:
        timings = {key: Timing() for key in ("ss -tnp",)}
        timing = Timing()
        source = SocketSource()
        missing = wrong = 0
        try:
            source.look(server(town.truth), town.truth.backends)
            for _ in range(max(20, rounds * 2)):
                truth = town.churn(reconnect, replace)
                clock(timings["ss -tnp"], rivals(truth)["ss -tnp"])
                facts = clock(timing, lambda: source.look(server(town.truth), town.truth.backends, full=False))
                found = mistakes(truth, facts)  # type: ignore[arg-type]
                missing, wrong = missing + found[0], wrong + found[1]
        finally:
            source.close()
        report = Report(timings["ss -tnp"], "ss -tnp")
        print(f"\nchurn: as M; before each tick {reconnect} reconnects and {replace} clients replaced by new processes")
        report.line("ss -tnp", timings["ss -tnp"])
        report.line("tick with churn", timing, 20.0, f"missing {missing}, wrong {wrong}")
        if missing or wrong:
            report.missed.append("truth")
    return [f"churn: {what}" for what in report.missed]


def main() -> int:
    quick = "--quick" in sys.argv
    wanted = [word for word in sys.argv[1:] if not word.startswith("-")] or (list(QUICK) if quick else list(CASES))
    rounds = 3 if quick else 9
    print(
        f"{platform.release()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}"  # noqa: E501 - one literal
    )
    print("stand-in for the server: a listener that accepts (no PostgreSQL); sockets and processes are real")
    missed: list[str] = []
    for name in wanted:
        if name == "churn":
            continue
        spec = CASES[name]
        if spec.namespaces and os.geteuid() != 0:
            print(f"\n{name}: left out, only root can make network namespaces")
            continue
        missed += measure(name, spec, rounds if spec.sessions < 10_000 else min(rounds, 5))
    if "churn" in wanted or len(wanted) > 2:
        missed += churn(rounds)
    print("\n" + ("missed: " + "; ".join(missed) if missed else "every goal was reached"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
