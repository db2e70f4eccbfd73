"""What acting costs, and how long the moment is in which it could hit another.

    python bench/act.py [--quick]

The moment: from the server's copy of who has a pid to the signal, for fifty sessions at a time, on each version found.
Then the time of `act` itself, log on the disk included, for fifty idle sessions and for a process with fifty children;
and how long a program with pgusher's Database takes to give back what is idle.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from pgusher.collect.postgres.rows import fields
from pgusher.demo.server import EmbeddedServer, binaries
from pgusher.model.findings import Safety
from pgusher.model.plan import Lever, OutcomeKind, Step
from pgusher.remedy.act import Context, Log, act, statements
from pgusher.remedy.act.statements import Target
from tests.bed.bed import HBA, Bed, prepare
from tests.remedy.act.victims import connection, plan_of, process_identity, victim_sessions

SESSIONS = 50
FAMILY = """
import os, time
for _ in range(50):
    if os.fork() == 0:
        time.sleep(3600)
print("ready", flush=True)
time.sleep(3600)
"""


def must(holds: bool) -> None:
    """A figure of something that did not work is none."""
    if not holds:
        raise SystemExit("it did not do what is measured")


def told(name: str, values: Sequence[float], digits: int = 1) -> None:
    ordered = sorted(values)
    p99 = ordered[int(0.99 * (len(ordered) - 1))]
    print(f"{name:62}{median(values):9.{digits}f}{p99:9.{digits}f}{ordered[-1]:9.{digits}f}", flush=True)


def moment(bed: Bed) -> list[float]:
    """Milliseconds from the copy to the signal, of each of fifty sessions."""
    with victim_sessions(bed, SESSIONS) as victims, connection(bed) as sql:
        targets = [Target(number, victims.identity(number), exact=True) for number in range(SESSIONS)]
        statement = statements.terminate(targets, None)
        measured = statement.replace(
            "as cleared offset", "as cleared, pg_catalog.clock_timestamp() as t offset"
        ).replace("w.verdict, case", "extract(epoch from pg_catalog.clock_timestamp() - f.t) * 1000, case")
        must(measured != statement)
        rows = [fields(line) for line in sql.run(measured, time.monotonic() + 30)[0]]
        must(all(row[2] == "t" for row in rows))
        return [float(row[1] or "") for row in rows]


def sessions(bed: Bed, log: Log) -> float:
    with victim_sessions(bed, SESSIONS) as victims, connection(bed) as sql:
        plan = plan_of(bed, [victims.step(number, Lever.TERMINATE) for number in range(SESSIONS)])
        began = time.perf_counter()
        outcomes = act(plan, plan.steps, Context(log, sql))
        took = time.perf_counter() - began
        must(all(one.kind is OutcomeKind.DONE for one in outcomes))
        return took * 1000


def family(log: Log) -> float:
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", FAMILY], stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        if process.stdout is not None:
            process.stdout.readline()
        step = Step(1, Lever.END_PROCESS, "", Safety.UNSAFE, process=process_identity(process.pid))
        plan = plan_of(None, [step])
        began = time.perf_counter()
        (outcome,) = act(plan, [step], Context(log))
        took = time.perf_counter() - began
        must(outcome.kind is OutcomeKind.DONE)
        return took * 1000


def drained(bed: Bed) -> float:
    from tests.client.test_drain import ask, program

    with program(bed.server, "idle") as (process, _):
        began = time.perf_counter()
        result = ask(process.pid)
        took = time.perf_counter() - began
        must(result.kind is OutcomeKind.DONE)
        return took * 1000


def main() -> None:
    rounds = 3 if "--quick" in sys.argv else 10
    print(f"{'ms':62}{'median':>9}{'p99':>9}{'max':>9}")
    with tempfile.TemporaryDirectory(dir=os.path.expanduser("~")) as directory:
        log = Log(os.path.join(directory, "free.jsonl"))
        for major in binaries():
            with EmbeddedServer(major, hba=HBA, max_connections=SESSIONS + 20) as server:
                prepare(server)
                bed = Bed(server)
                values = [value for _ in range(rounds) for value in moment(bed)]
                told(f"PostgreSQL {major}: from the copy to the signal, {len(values)} sessions", values, 3)
                if major == next(iter(binaries())):
                    told(f"act: {SESSIONS} idle sessions ended", [sessions(bed, log) for _ in range(rounds)])
                    told("drain: asked, five sessions closed, answered", [drained(bed) for _ in range(rounds)])
                bed.close()
        told("act: a process with 50 children ended", [family(log) for _ in range(rounds)])


if __name__ == "__main__":
    main()
