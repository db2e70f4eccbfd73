"""A server that is full to the last slot, so that nobody can ask it anything: its backends are ended all the same."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import suppress
from typing import Any

import psycopg
import pytest

from pgusher.collect.postgres.backends import read_backends, sessions_of
from pgusher.demo.server import EmbeddedServer
from pgusher.model.findings import Safety
from pgusher.model.plan import Lever, Plan, Reach, ServerIdentity, SessionIdentity, Slots, Step
from pgusher.remedy.act import Context, Log, act
from tests.bed.requirements import needs_root
from tests.conftest import NewServer
from tests.remedy.act.victims import process_identity


def full(server: EmbeddedServer) -> list[psycopg.Connection[Any]]:
    """Every slot is taken: those of ordinary roles, then the reserved ones."""
    made = []
    for user in ("app", "postgres"):
        with suppress(psycopg.OperationalError):
            while True:
                made.append(psycopg.connect(server.dsn(user, "app"), autocommit=True))
    with pytest.raises(psycopg.OperationalError, match="too many clients already"):
        psycopg.connect(server.dsn("postgres"))
    return made


def plan_without_sql(server: EmbeddedServer) -> Plan:
    """As a plan is made by process titles alone."""
    backends, _ = read_backends(server.postmaster_pid)
    sessions, _ = sessions_of(backends, 0)
    steps = [
        Step(number, Lever.END_BACKEND, "end", Safety.SAFE, sessions=(SessionIdentity(
            one.pid, None, one.state, None, one.user, one.database, one.start_ticks),))
        for number, one in enumerate(sessions, 1)
    ]  # fmt: skip
    postmaster = process_identity(server.postmaster_pid)
    where = ServerIdentity(server.port, local=True, postmaster=postmaster)
    made_at = time.time_ns() // 1000 + 60_000_000
    return Plan("full", made_at, made_at + 1, os.getuid(), where, Reach(sql=False), Slots(1, 2, 3, 4), tuple(steps))


def test_its_backends_are_ended_without_sql(new_server: NewServer, tmp_path: Any) -> None:
    server = new_server(18, max_connections=9)
    connections = full(server)
    try:
        plan = plan_without_sql(server)
        outcomes = act(plan, plan.steps, Context(Log(str(tmp_path / "log"))))
        kinds = {step.sessions[0].user: one.kind.value for step, one in zip(plan.steps, outcomes, strict=True)}
        assert kinds == {"app": "done", "postgres": "refused"}
        # The postmaster and everybody else did not notice; an ordinary role gets in.
        with psycopg.connect(server.dsn("app", "app")) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
        assert connections[-1].execute("select 1").fetchone() == (1,)
        assert "was terminated by signal" not in server.log()
    finally:
        for one in connections:
            one.close()


@needs_root
def test_by_the_user_of_the_server_and_by_no_other(new_server: NewServer) -> None:
    server = new_server(18, max_connections=9)
    connections = full(server)
    try:
        plan = plan_without_sql(server)
        ordinary = [step for step in plan.steps if step.sessions[0].user == "app"]
        assert as_user(12345, plan, ordinary[:2]) == ["refused"] * 2
        assert as_user(server.account.uid, plan, ordinary) == ["done"] * len(ordinary)
        with psycopg.connect(server.dsn("app", "app")) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
    finally:
        for one in connections:
            one.close()


def as_user(uid: int, plan: Plan, steps: list[Step]) -> list[str]:
    """What another user's pgusher does with these steps."""
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        os.chmod(directory, 0o777)  # noqa: S103 - for that user's log
        told, telling = os.pipe()
        child = os.fork()
        if child == 0:  # the interpreter's files may be closed to that user: what is needed is loaded already
            try:
                os.setgroups([])
                os.setuid(uid)
                outcomes = act(plan, steps, Context(Log(f"{directory}/log")))
                os.write(telling, " ".join(one.kind.value for one in outcomes).encode())
            finally:
                os._exit(0)
        os.close(telling)
        os.waitpid(child, 0)
        with os.fdopen(told) as file:
            return file.read().split()
