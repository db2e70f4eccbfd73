"""pgusher is killed at every step of a run: the log claims nothing that was not so, and a second run finishes."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from pgusher.model.findings import Safety
from pgusher.model.plan import Lever, Plan, RoleSetting, Step
from pgusher.remedy.act import Context, Log, act
from pgusher.remedy.act.pinned import read_stat
from tests.bed.bed import Bed
from tests.remedy.act.victims import Sessions, Victims, connection, plan_of, victim_sessions

STAGES = [
    *["begun", "checked"],
    *["intended", "intended", "signalled", "signalled"],  # two sessions
    *["intended", "stopped", "recorded", "signalled"],  # a tree
    *["intended", "changed", "outcome"],  # a role
    *["waiting", "outcome", "outcome", "outcome", "done"],
]
ROLE = "crashed"


def the_plan(bed: Bed, sessions: Sessions, processes: Victims) -> Plan:
    process = processes.start("stubborn")
    steps = [
        sessions.step(0, Lever.TERMINATE),
        sessions.step(1, Lever.TERMINATE),
        Step(3, Lever.END_PROCESS, "end", Safety.UNSAFE, "its work", process=processes.identity(process)),
        Step(4, Lever.LIMIT, "limit", Safety.SAFE, settings=(RoleSetting(ROLE, "CONNECTION LIMIT", "-1", "7"),)),
    ]
    return plan_of(bed, steps)


def killed_at(point: int, bed: Bed, plan: Plan, path: str) -> list[str]:
    """Act in a process that is killed when it has reached its stage of this number; the stages that it reached."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        count = 0

        def tell(stage: str, _step: Step | None) -> None:
            nonlocal count
            count += 1
            os.write(writing, f"{stage}\n".encode())
            if count == point:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            with connection(bed) as sql:
                act(plan, plan.steps, Context(Log(path), sql, grace=0.02, tell=tell))
        finally:
            os._exit(0)
    os.close(writing)
    status = os.waitpid(child, 0)[1]
    with os.fdopen(reading) as file:
        reached = file.read().split()
    assert os.WIFSIGNALED(status) is (point <= len(STAGES)), reached
    return reached


def entries(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def running(pid: int) -> bool:
    stat = read_stat(pid)
    return stat is not None and stat.state not in "ZX"


@pytest.mark.parametrize("point", range(1, len(STAGES) + 2))
def test_killed_at_each_step(point: int, bed: Bed, tmp_path: Path) -> None:
    path = str(tmp_path / "free.jsonl")
    bed.admin.execute(f"drop role if exists {ROLE}")
    bed.admin.execute(f"create role {ROLE}")
    with victim_sessions(bed, 2) as sessions, Victims() as processes:
        plan = the_plan(bed, sessions, processes)
        reached = killed_at(point, bed, plan, path)
        assert reached == STAGES[:point]
        log = entries(path)
        alive = [*sessions.alive(), any(running(pid) for pid in processes.pids), limit(bed) == -1]
        # Nothing is claimed as done that is not.
        claimed = {line["step"] for line in log if line["kind"] == "outcome" and line["outcome"] == "done"}
        assert all(not alive[step - 1] for step in claimed)
        # Nothing was done that was not meant: whoever is gone has an intent in the log, with the identity.
        meant = {line["step"] for line in log if line["kind"] == "intent"}
        assert {number for number, lives in enumerate(alive, 1) if not lives} <= meant
        assert all(
            "sessions" in line or "process" in line or "settings" in line for line in log if line["kind"] == "intent"
        )
        # A second run finishes the work.
        with connection(bed) as sql:
            again = Log(path)
            outcomes = act(plan, plan.steps, Context(again, sql, grace=0.02))
            again.close()
        assert {one.kind.value for one in outcomes} <= {"done", "gone"}, outcomes
        assert sessions.alive() == [False, False]
        assert [pid for pid in processes.pids if running(pid)] == []
        assert limit(bed) == 7
        assert entries(path)[-1]["kind"] == "end"


def limit(bed: Bed) -> int:
    row = bed.admin.execute("select rolconnlimit from pg_roles where rolname = %s", (ROLE,)).fetchone()
    assert row is not None
    return int(row[0])
