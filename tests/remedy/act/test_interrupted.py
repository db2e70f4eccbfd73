"""Ctrl-C while acting: for each step it is told how far it came, and a second run does what is left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgusher.model.findings import Safety
from pgusher.model.plan import Lever, Plan, Step
from pgusher.remedy.act import Context, InterruptedActError, Log, act
from tests.bed.bed import Bed
from tests.remedy.act.victims import Victims, connection, plan_of, victim_sessions


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    found = Log(str(tmp_path / "free.jsonl"))
    yield found
    found.close()


def interrupted(plan: Plan, context: Context) -> list[tuple[str, str]]:
    with pytest.raises(InterruptedActError) as caught:
        act(plan, plan.steps, context)
    return [(one.kind.value, one.text) for one in caught.value.outcomes]


@pytest.mark.parametrize("stage", ["begun", "intended", "stopped", "recorded", "signalled", "waiting"])
def test_processes(stage: str, log: Log) -> None:
    with Victims() as victims:
        first, second = victims.start("wait"), victims.start("wait")
        steps = [
            Step(number, Lever.END_PROCESS, "", Safety.SAFE, process=victims.identity(one))
            for number, one in enumerate((first, second), 1)
        ]
        plan = plan_of(None, steps)

        def tell(now: str, step: Step | None) -> None:
            if now == stage and (step is None or step.number == 1):
                raise KeyboardInterrupt

        told = interrupted(plan, Context(log, tell=tell))
        ended = f"process {first.pid} was signalled: interrupted before it was seen to end"
        runs_on = "process {} runs on: interrupted before it was signalled"
        assert told[0] == {
            "begun": ("skipped", "not begun: interrupted before"),
            "intended": ("skipped", runs_on.format(first.pid)),
            "stopped": ("skipped", runs_on.format(first.pid)),
            "recorded": ("failed", "interrupted in the midst of it: whether it was done is not known"),
        }.get(stage, ("failed", ended))
        if stage == "waiting":
            assert told[1] == ("failed", ended.replace(str(first.pid), str(second.pid)))
        else:
            assert told[1][0] == "skipped"
            assert second.poll() is None
        again = act(plan, plan.steps, Context(log))
        assert {one.kind.value for one in again} <= {"done", "gone"}
        assert [first.wait(5), second.wait(5)] == [-15, -15]


@pytest.mark.parametrize("stage", ["intended", "signalled"])
def test_sessions(stage: str, bed: Bed, log: Log) -> None:
    with victim_sessions(bed, 2) as victims, connection(bed) as sql:
        plan = plan_of(bed, [victims.step(number, Lever.TERMINATE) for number in range(2)])

        def tell(now: str, step: Step | None) -> None:
            if now == stage and step is not None and step.number == 1:
                raise KeyboardInterrupt

        told = interrupted(plan, Context(log, sql, tell=tell))
        # One statement is about all of them: what of it was done is told of none that was not seen to be.
        assert {kind for kind, _ in told} <= {"failed", "skipped"}
        assert (
            told[0][1] == f"session {victims.identity(0).pid} was signalled: interrupted before it was seen to end"
        ) is (stage == "signalled")
        with connection(bed) as other:
            again = act(plan, plan.steps, Context(log, other))
        assert {one.kind.value for one in again} <= {"done", "gone"}
        assert victims.alive() == [False, False]


def test_what_was_settled_before_is_told_and_written(log: Log) -> None:
    with Victims() as victims:
        gone, process = victims.start("wait"), victims.start("wait")
        steps = [
            Step(number, Lever.END_PROCESS, "", Safety.SAFE, process=victims.identity(one))
            for number, one in enumerate((gone, process), 1)
        ]
        gone.kill()
        gone.wait()

        def tell(now: str, step: Step | None) -> None:
            if now == "signalled":
                raise KeyboardInterrupt

        told = interrupted(plan_of(None, steps), Context(log, tell=tell))
        assert told[0] == ("gone", f"process {gone.pid} is gone already")
    lines = [json.loads(line) for line in Path(log.path).read_text().splitlines()]
    assert [(line["step"], line["outcome"]) for line in lines if line["kind"] == "outcome"] == [(1, "gone")]
