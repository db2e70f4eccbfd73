"""A run as a whole: what holds on every version of the server alike."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pgusher.collect.postgres.connect import BrokenError, Connection, QueryError
from pgusher.model.findings import Safety
from pgusher.model.plan import Lever, OutcomeKind, Step
from pgusher.model.values import replace
from pgusher.remedy.act import Context, Log, act
from pgusher.remedy.act.pinned import read_stat
from tests.bed.bed import Bed
from tests.remedy.act.victims import Victims, connection, plan_of, victim_sessions


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = Log(str(tmp_path / "log" / "free.jsonl"))
    yield log
    log.close()


def lines(log: Log, kind: str) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, Path(log.path).read_text().splitlines()) if line["kind"] == kind]


def test_a_server_that_vanishes_is_told_for_each_step(bed: Bed, log: Log) -> None:
    with victim_sessions(bed, 2) as victims, connection(bed) as sql:
        plan = plan_of(bed, [victims.step(number, Lever.TERMINATE) for number in range(2)])
        bed.admin.execute("select pg_terminate_backend(%s)", (sql.backend_pid,))
        outcomes = act(plan, plan.steps, Context(log, sql))
        assert [one.kind for one in outcomes] == ["failed", "failed"]
        assert "the server could not be asked" in outcomes[0].text
        assert [one.kind for one in act(plan, plan.steps, Context(log))] == ["failed", "failed"]
        assert victims.alive() == [True, True]
    assert lines(log, "intent") == []


def test_a_process_that_holds_sessions_is_left_alone_when_one_of_them_woke_up(bed: Bed, log: Log) -> None:
    with victim_sessions(bed, 2) as victims, connection(bed) as sql, Victims() as processes:
        process = processes.start("wait")
        sessions = tuple(victims.identity(number) for number in range(2))
        step = Step(
            1,
            Lever.END_PROCESS,
            "end",
            Safety.UNSAFE,
            "its work",
            sessions=sessions,
            process=processes.identity(process),
        )
        plan = plan_of(bed, [step])
        victims.connections[1].execute("select 1")
        assert act(plan, plan.steps, Context(log, sql))[0].kind is OutcomeKind.REFUSED
        assert process.poll() is None
        # That the other one has ended meanwhile says nothing against it.
        victims.connections[0].close()
        victims.forget(1)
        step = Step(1, Lever.END_PROCESS, "end", Safety.UNSAFE, "its work",
                    sessions=(sessions[0], victims.identity(1)), process=step.process)  # fmt: skip
        assert act(plan_of(bed, [step]), [step], Context(log, sql))[0].kind is OutcomeKind.DONE
        assert process.wait(5) == -signal.SIGTERM


def test_steps_of_one_number_are_a_broken_plan(bed: Bed, log: Log) -> None:
    with victim_sessions(bed, 1) as victims:
        step = victims.step(0, Lever.TERMINATE)
        with pytest.raises(ValueError, match="number"):
            act(plan_of(bed, [step]), [step, step], Context(log))
    assert Path(log.path).read_text() == ""


def test_the_answer_of_fifty_sessions_comes_in_one_wait(bed: Bed, log: Log) -> None:
    with victim_sessions(bed, 25) as victims, connection(bed) as sql:
        plan = plan_of(bed, [victims.step(number, Lever.TERMINATE) for number in range(25)])
        asked: list[str] = []

        class Counting:
            def run(self, statement: str, deadline: float) -> list[list[bytes]]:
                asked.append(statement)
                return sql.run(statement, deadline)

        outcomes = act(plan, plan.steps, Context(log, Counting()))
        assert {one.kind for one in outcomes} == {OutcomeKind.DONE}
        # One to look, one to act; and, as their processes are of this host, none to wait.
        assert sum("pg_terminate_backend" in one for one in asked) == 1
        assert len(asked) == 2


class Faulty:
    """A connection on which something goes wrong with the statement that acts, after the server has done it."""

    def __init__(self, sql: Connection, error: Exception) -> None:
        self._sql = sql
        self._error: Exception | None = error

    def run(self, statement: str, deadline: float) -> list[list[bytes]]:
        rows = self._sql.run(statement, deadline)
        if "pg_terminate_backend" in statement and self._error is not None:
            error, self._error = self._error, None
            raise error
        return rows


def test_an_answer_that_is_lost_is_not_taken_for_one(bed: Bed, log: Log) -> None:
    with victim_sessions(bed, 2) as victims, connection(bed) as sql:
        plan = plan_of(bed, [victims.step(number, Lever.TERMINATE) for number in range(2)])
        outcomes = act(plan, plan.steps, Context(log, Faulty(sql, BrokenError("no answer before the deadline"))))
        assert [one.kind for one in outcomes] == ["failed", "failed"]
        assert "the connection ended before the server answered" in outcomes[0].text
        assert "may have been signalled" in outcomes[0].hint
        # A second run tells what became of them.
        assert [one.kind for one in act(plan, plan.steps, Context(log, sql))] == ["gone", "gone"]
    assert [line["outcome"] for line in lines(log, "outcome")] == ["failed", "failed", "gone", "gone"]


def test_an_error_in_the_midst_of_many_is_told_of_the_one_that_it_is_about(bed: Bed, log: Log) -> None:
    """A right that is taken away meanwhile ends the whole statement, in which others have been signalled already."""
    with victim_sessions(bed, 3) as victims, connection(bed) as sql:
        plan = plan_of(bed, [victims.step(number, Lever.TERMINATE) for number in range(3)])
        outcomes = act(plan, plan.steps, Context(log, Faulty(sql, QueryError("permission denied", "42501"))))
        assert {one.kind.value for one in outcomes} <= {"done", "gone"}
        assert victims.alive() == [False] * 3


def test_a_session_that_does_not_end_is_told_and_gets_no_kill(bed: Bed, log: Log) -> None:
    with victim_sessions(bed, 2) as victims, connection(bed) as sql:
        seen = [victims.identity(number) for number in range(2)]
        # The second one as on another host, where its process cannot be watched.
        steps = [
            Step(1, Lever.TERMINATE, "", Safety.SAFE, sessions=(seen[0],)),
            Step(2, Lever.TERMINATE, "", Safety.SAFE, sessions=(replace(seen[1], start_ticks=None),)),
        ]
        for one in seen:
            os.kill(one.pid, signal.SIGSTOP)
        try:
            outcomes = act(plan_of(bed, steps), steps, Context(log, sql, ends_within=0.05))
            assert [one.kind for one in outcomes] == ["failed", "failed"]
            for one, outcome in zip(seen, outcomes, strict=True):
                assert outcome.text == f"session {one.pid} (app) was signalled, and is still there after 0.05 s"
                assert outcome.seen_after == "it is still there"
                held = one is seen[0]
                assert (outcome.hint == f"it is stopped: it ends when it goes on: kill -CONT {one.pid}") is held
                assert read_stat(one.pid) is not None
        finally:
            for one in seen:
                os.kill(one.pid, signal.SIGCONT)
