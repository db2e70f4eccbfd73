"""Pids that are used again on purpose, in a pid namespace of its own: `python -m tests.remedy.act.reuse KIND ROUNDS`.

In each round a victim is planned for, ends by itself, and an innocent gets its pid: by /proc/sys/kernel/ns_last_pid,
after which the kernel gives the next number to whoever is forked next. In every second round that happens before the
plan is applied, in the others in the midst of it, after the last look. Then naive code is let loose on the innocent.
It prints one JSON object: rounds, innocents that pgusher ended, innocents that naive code ended.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg

from pgusher.demo.server import EmbeddedServer
from pgusher.model.findings import Safety
from pgusher.model.plan import Lever, OutcomeKind, Plan, Step
from pgusher.model.values import replace
from pgusher.remedy.act import Context, Log, act
from pgusher.remedy.act.pinned import read_stat
from tests.bed.bed import HBA, Bed, prepare
from tests.remedy.act.victims import Sessions, connection, plan_of, process_identity

BATCH = 25
LAST_PID = "/proc/sys/kernel/ns_last_pid"


def aim(pid: int) -> None:
    """Whoever is forked next gets this pid."""
    with open(LAST_PID, "w", encoding="ascii") as file:
        file.write(str(pid - 1))


def settled(plan: Plan) -> Plan:
    """As a plan is made: what it was made for had run for a while."""
    time.sleep(0.15)
    return replace(plan, made_at=time.time_ns() // 1000)


class Tally:
    """What came of the rounds."""

    def __init__(self) -> None:
        self.rounds = self.hit = self.naive = 0
        self.outcomes: dict[str, int] = {}

    def count(self, kind: OutcomeKind, *, hit: bool, naive: bool) -> None:
        self.rounds += 1
        self.hit += hit
        self.naive += naive
        self.outcomes[kind.value] = self.outcomes.get(kind.value, 0) + 1

    def __str__(self) -> str:
        return json.dumps({"rounds": self.rounds, "hit": self.hit, "naive": self.naive, "outcomes": self.outcomes})


def sleeper() -> int:
    """A child that leads a session of its own, as a job's first process does."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.write(writing, b"1")
        while True:
            time.sleep(3600)
    os.read(reading, 1)
    os.close(reading)
    os.close(writing)
    return pid


def end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def ends(pid: int, seconds: float = 5.0) -> bool:
    """Whether a child ends within that time."""
    held = os.pidfd_open(pid)
    try:
        import select

        return bool(select.select([held], [], [], seconds)[0])
    finally:
        os.close(held)


def reused(victim: int) -> int:
    """The victim ends, and an innocent has its pid."""
    end(victim)
    for _ in range(100):
        aim(victim)
        innocent = sleeper()
        if innocent == victim:
            return innocent
        end(innocent)
    raise AssertionError(f"pid {victim} could not be had again")


def processes(rounds: int, log: Log) -> Tally:
    """Client processes."""
    tally = Tally()
    while tally.rounds < rounds:
        victims = [sleeper() for _ in range(min(BATCH, rounds - tally.rounds))]
        steps = [
            Step(number, Lever.END_PROCESS, "", Safety.UNSAFE, process=process_identity(pid))
            for number, pid in enumerate(victims, 1)
        ]
        plan = settled(plan_of(None, steps))
        for number, victim in enumerate(victims):

            def midway(stage: str, _step: Step | None, victim: int = victim) -> None:
                if stage == "recorded":
                    reused(victim)

            if number % 2:
                (outcome,) = act(plan, [steps[number]], Context(log, grace=0.0, tell=midway))
            else:
                reused(victim)
                (outcome,) = act(plan, [steps[number]], Context(log, grace=0.0))
            hit = ends(victim, 0.0) or state(victim) not in "SR"
            os.kill(victim, signal.SIGTERM)  # as naive code does
            tally.count(outcome.kind, hit=hit, naive=not hit and ends(victim))
            end(victim)
    return tally


def state(pid: int) -> str:
    stat = read_stat(pid)
    return "X" if stat is None else stat.state


def backends(rounds: int, log: Log, bed: Bed, lever: Lever) -> Tally:
    """Server processes: by SQL, or by their pidfds."""
    tally = Tally()
    last = "intended" if lever is Lever.TERMINATE else "held"
    with connection(bed) as sql:
        for sessions, plan in batches(rounds, bed, lever):
            for number, step in enumerate(plan.steps):
                innocent: list[psycopg.Connection[Any]] = []

                def reuse(
                    victim: psycopg.Connection[Any] = sessions.connections[number],
                    into: list[psycopg.Connection[Any]] = innocent,
                ) -> None:
                    into.append(reconnected(bed, victim))

                def midway(stage: str, _step: Step | None, reuse: Callable[[], None] = reuse) -> None:
                    if stage == last:
                        reuse()

                context = Context(log, sql if lever is Lever.TERMINATE else None, grace=0.0)
                if number % 2:
                    context = replace(context, tell=midway)
                else:
                    reuse()
                (outcome,) = act(plan, [step], context)
                hit = not lives(innocent[0])
                bed.admin.execute("select pg_terminate_backend(%s)", (step.sessions[0].pid,))  # as naive code does
                tally.count(outcome.kind, hit=hit, naive=not hit and not lives(innocent[0], patience=5.0))
                innocent[0].close()
    return tally


def batches(rounds: int, bed: Bed, lever: Lever) -> Iterator[tuple[Sessions, Plan]]:
    """Sessions with a plan for them, some at a time."""
    while rounds > 0:
        made = [connect(bed) for _ in range(min(BATCH, rounds))]
        rounds -= len(made)
        time.sleep(0.05)
        sessions = Sessions(bed, made)
        terminate = lever is Lever.TERMINATE
        steps = [sessions.step(n, lever) if terminate else sessions.blind_step(n) for n in range(len(made))]
        yield sessions, settled(plan_of(bed, steps))
        for one in made:
            one.close()


def connect(bed: Bed) -> psycopg.Connection[Any]:
    made = psycopg.connect(bed.server.dsn("app", "app"), autocommit=True)
    made.execute("select 1")
    return made


def reconnected(bed: Bed, victim: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """The victim's session ends, and an innocent one has its pid."""
    pid = victim.info.backend_pid
    victim.close()
    while read_stat(pid) is not None:  # until the postmaster has taken note
        time.sleep(0.0005)
    for _ in range(100):
        aim(pid)
        innocent = connect(bed)
        if innocent.info.backend_pid == pid:
            return innocent
        innocent.close()
    raise AssertionError(f"pid {pid} could not be had again")


def lives(session: psycopg.Connection[Any], patience: float = 0.0) -> bool:
    """Whether it answers; with `patience`, still after so many seconds."""
    deadline = time.monotonic() + patience
    while True:
        try:
            session.execute("select 1")
        except psycopg.Error:
            return False
        if time.monotonic() >= deadline:
            return True
        time.sleep(0.001)


def main() -> None:
    kind, rounds = sys.argv[1], int(sys.argv[2])
    with tempfile.TemporaryDirectory() as directory:
        log = Log(os.path.join(directory, "free.jsonl"))
        if kind == "processes":
            sys.stdout.write(f"{processes(rounds, log)}\n")
            return
        lever = {"sessions": Lever.TERMINATE, "backends": Lever.END_BACKEND}[kind]
        with EmbeddedServer(hba=HBA, max_connections=100) as server:
            prepare(server)
            bed = Bed(server)
            sys.stdout.write(f"{backends(rounds, log, bed, lever)}\n")
            bed.close()


if __name__ == "__main__":
    main()
