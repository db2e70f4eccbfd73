"""Acting, against real servers and real processes: on each version of the server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgusher.model.findings import Safety
from pgusher.model.plan import Lever, OutcomeKind, RoleSetting, Step
from pgusher.remedy.act import Context, Log, act
from tests.bed.bed import Bed
from tests.bed.requirements import each_version
from tests.remedy.act.victims import connection, plan_of, victim_sessions

pytestmark = each_version


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = Log(str(tmp_path / "log" / "free.jsonl"))
    yield log
    log.close()


def lines(log: Log, kind: str) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, Path(log.path).read_text().splitlines()) if line["kind"] == kind]


def test_idle_sessions_are_ended_and_one_that_woke_up_is_spared(bed: Bed, log: Log) -> None:
    with victim_sessions(bed, 4) as victims, connection(bed) as sql:
        plan = plan_of(bed, [victims.step(number, Lever.TERMINATE) for number in range(4)])
        victims.connections[2].execute("select 1")
        outcomes = act(plan, plan.steps, Context(log, sql))
        assert [one.kind for one in outcomes] == ["done", "done", "refused", "done"]
        assert "has changed: it was idle since " in outcomes[2].text
        assert victims.alive() == [False, False, True, False]
        # A second run finds nothing left to do, and spares the same one.
        outcomes = act(plan, plan.steps, Context(log, sql))
        assert [one.kind for one in outcomes] == ["gone", "gone", "refused", "gone"]
        assert victims.alive() == [False, False, True, False]
    assert [line["step"] for line in lines(log, "intent")] == [1, 2, 4]
    assert [line["outcome"] for line in lines(log, "outcome")[:4]] == ["refused", "done", "done", "done"]


def test_a_statement_is_cancelled_and_the_session_stays(bed: Bed, log: Log) -> None:
    with victim_sessions(bed, 2) as victims, connection(bed) as sql:
        with victims.busy(0), victims.busy(1):
            plan = plan_of(bed, [victims.step(number, Lever.CANCEL, Safety.UNSAFE) for number in (0, 1)])
            step = plan.steps[1]
            later = Step(2, Lever.CANCEL, "", Safety.UNSAFE, sessions=(victims.shifted(step.sessions[0]),))
            outcomes = act(plan, [plan.steps[0], later], Context(log, sql))
            # The same session at another statement than the one that was meant is left alone.
            assert [one.kind for one in outcomes] == ["done", "refused"], outcomes
            assert isinstance(victims.error(0), psycopg.errors.QueryCanceled)
            victims.connections[1].cancel()
        assert victims.alive() == [True, True]


def test_what_may_not_be_ended_is_refused_with_the_role_to_grant(bed: Bed, log: Log) -> None:
    with victim_sessions(bed, 1) as victims, victim_sessions(bed, 1, user="postgres", dbname="postgres") as masters:
        plan = plan_of(bed, [victims.step(0, Lever.TERMINATE), masters.step(0, Lever.TERMINATE, number=2)])
        for user, said in (
            ("monitor", "another role's (role app), which role monitor may not end"),
            ("reports", "another role's, of which role reports sees too little"),
        ):
            with connection(bed, user) as sql:
                outcomes = act(plan, plan.steps, Context(log, sql))
            assert [one.kind for one in outcomes] == ["refused", "refused"]
            assert said in outcomes[0].text
            assert outcomes[0].hint.startswith("GRANT ")
            assert outcomes[0].hint.endswith(f"pg_signal_backend TO {user}")
        with connection(bed, "signaller") as sql:
            outcomes = act(plan, plan.steps, Context(log, sql))
        assert [one.kind for one in outcomes] == ["done", "refused"]
        assert "superuser" in outcomes[1].text
        # Not even by another superuser.
        with connection(bed) as sql:
            assert act(plan, plan.steps, Context(log, sql))[1].kind is OutcomeKind.REFUSED
        assert masters.alive() == [True]


def test_settings_of_roles_are_changed_when_they_still_are_what_the_plan_showed(bed: Bed, log: Log) -> None:
    role = 'odd "name\\'
    bed.admin.execute('create role "odd ""name\\"')
    try:
        limit = RoleSetting(role, "CONNECTION LIMIT", "-1", "7")
        timeouts = (
            RoleSetting(role, "statement_timeout", None, "5min"),
            RoleSetting(role, "tcp_user_timeout", None, "9s"),
        )
        steps = [
            Step(1, Lever.LIMIT, "limit", Safety.SAFE, settings=(limit,)),
            Step(2, Lever.TIMEOUTS, "timeouts", Safety.SAFE, settings=timeouts),
        ]
        plan = plan_of(bed, steps)
        with connection(bed) as sql:
            assert [one.kind for one in act(plan, steps, Context(log, sql))] == ["done", "done"]
            assert [one.kind for one in act(plan, steps, Context(log, sql))] == ["gone", "gone"]
            bed.admin.execute('alter role "odd ""name\\" connection limit 3')
            bed.admin.execute('alter role "odd ""name\\" reset tcp_user_timeout')
            # Of one of two that has changed, neither is touched.
            other = (
                RoleSetting(role, "statement_timeout", "5min", "1min"),
                RoleSetting(role, "tcp_user_timeout", "9s", "8s"),
            )
            steps[1] = Step(2, Lever.TIMEOUTS, "timeouts", Safety.SAFE, settings=other)
            outcomes = act(plan, steps, Context(log, sql))
            assert [one.kind for one in outcomes] == ["refused", "refused"]
            assert "it was CONNECTION LIMIT -1, it is CONNECTION LIMIT 3" in outcomes[0].text
            assert "tcp_user_timeout not set" in outcomes[1].text
        with connection(bed, "monitor") as sql:
            undo = [
                Step(1, Lever.LIMIT, "limit", Safety.SAFE, settings=(RoleSetting(role, "CONNECTION LIMIT", "3", "4"),))
            ]
            refused = act(plan, undo, Context(log, sql))[0]
            assert (refused.kind, "may not change role" in refused.text) == ("refused", True)
        row = bed.admin.execute("select rolconnlimit, rolconfig from pg_roles where rolname = %s", (role,)).fetchone()
        assert row == (3, ["statement_timeout=5min"])
    finally:
        bed.admin.execute('drop role "odd ""name\\"')


def test_without_sql_backends_are_ended_by_their_processes(bed: Bed, log: Log) -> None:
    with victim_sessions(bed, 3) as victims, victim_sessions(bed, 1, user="postgres") as masters:
        steps = [victims.blind_step(number) for number in range(3)] + [masters.blind_step(0, number=4)]
        plan = plan_of(bed, steps)
        with victims.busy(1):
            outcomes = act(plan, steps, Context(log))
            assert [one.kind for one in outcomes] == ["done", "refused", "done", "refused"], outcomes
            assert outcomes[1].text.endswith("it was idle, it is active")
            victims.connections[1].cancel()
        assert victims.alive() == [False, True, False]
        assert masters.alive() == [True]
