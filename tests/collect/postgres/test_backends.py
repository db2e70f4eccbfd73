"""What the titles of a real server's processes show, and the idle time that the kernel tells of them."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack

import psycopg
from psycopg import sql

from pgusher.collect.boot import boot_time
from pgusher.collect.postgres import Target
from pgusher.collect.postgres.backends import idle_estimates, read_backends, sessions_of
from pgusher.collect.postgres.titles import TitleKind
from pgusher.demo.server import EmbeddedServer
from pgusher.model.server import Rung
from tests.bed.bed import Bed
from tests.bed.requirements import each_version
from tests.collect.postgres.common import by_pid, found, look

KINDS = {"client backend": TitleKind.CLIENT, "walsender": TitleKind.WALSENDER}


@each_version
class TestTitles:
    def test_every_process_of_the_server_is_of_the_kind_that_it_says(self, bed: Bed) -> None:
        with bed.holder(["idle", "active", "lock", "idle_in_transaction", "aborted"]):
            backends, cluster = read_backends(bed.server.postmaster_pid)
            rows = bed.admin.execute("select pid, backend_type, usename, datname from pg_stat_activity").fetchall()
        assert cluster == ""
        titles = {backend.pid: backend.title for backend in backends}
        for pid, kind, user, database in rows:
            title = titles[pid]
            assert title is not None
            assert title.kind is KINDS.get(kind, TitleKind.OTHER)
            if title.kind is TitleKind.CLIENT:
                assert (title.user, title.database) == (user, database)
        # What pg_stat_activity does not list is no session: before 15 the statistics collector, the logger.
        others = set(titles) - {pid for pid, *_ in rows}
        assert all(titles[pid] is None or titles[pid].kind is TitleKind.OTHER for pid in others)  # type: ignore[union-attr]

    def test_who_waits_for_a_lock(self, bed: Bed) -> None:
        with bed.holder("lock") as holder:
            (waiter,) = [s for s in holder.truth.sessions if s.waits_for]
            facts = look(Target(server=found(bed.server), sql=False))
            deadline = time.monotonic() + 30
            while by_pid(facts)[waiter.backend_pid].wait_event_type is None and time.monotonic() < deadline:
                facts = look(Target(server=found(bed.server), sql=False))
        session = by_pid(facts)[waiter.backend_pid]
        assert (session.state, session.wait_event_type) == ("active", "Lock")

    def test_a_cluster_s_name_and_names_that_look_like_one(self, bed: Bed) -> None:
        name = "main: prod"
        with EmbeddedServer(bed.server.major, cluster_name=name, max_connections=10) as server:
            with psycopg.connect(server.dsn(), autocommit=True) as admin:
                admin.execute(sql.SQL("create role {} login").format(sql.Identifier(f"{name}: bob")))
                with psycopg.connect(server.dsn(f"{name}: bob")) as connection:
                    facts = look(Target(server=found(server), sql=False))
                    pid, admin_pid = connection.info.backend_pid, admin.info.backend_pid
            sessions = by_pid(facts)
        assert facts.server.cluster_name == name
        assert (sessions[admin_pid].user, sessions[admin_pid].database) == ("postgres", "postgres")
        assert (sessions[pid].user, sessions[pid].database) == (None, None)

    def test_a_title_that_the_server_had_no_room_for(self, bed: Bed) -> None:
        """It writes titles over its own command line and environment: a short one cuts them."""
        names = ["u" * 63, "d" * 63]
        with psycopg.connect(bed.server.dsn(), autocommit=True) as admin:
            admin.execute(f"create role {names[0]} login")
            admin.execute(f"create database {names[1]}")
            with psycopg.connect(bed.server.dsn(*names)) as connection:
                facts = look(Target(server=found(bed.server), sql=False))
                row = next(row for row in bed.sessions() if row["pid"] == connection.info.backend_pid)
            admin.execute(f"drop database {names[1]} with (force)")
            admin.execute(f"drop role {names[0]}")
        session = by_pid(facts)[row["pid"]]
        # Whole, or told to be unknown: never a part of it taken for the whole.
        assert session.user in {None, names[0]}
        assert session.database in {None, names[1]}
        assert session.client.port in {None, row["client_port"]}
        assert session.takes_slot


def test_a_walsender_takes_no_slot(bed: Bed) -> None:
    with ExitStack() as stack:
        for words in ("replication=true", "replication=database"):
            stack.enter_context(psycopg.connect(f"{bed.server.dsn()} {words}", autocommit=True))
        facts = look(bed.server.dsn())
        kinds = {s.pid: s.backend_type for s in facts.sessions if s.backend_type == "walsender"}
        titled = by_pid(look(Target(server=found(bed.server), sql=False)))
    assert len(kinds) == 2
    for pid in kinds:
        assert not titled[pid].takes_slot
        # It is idle: then its title may as well be that of a role called "walsender".
        assert titled[pid].user is None


def test_idle_time_grows_with_the_truth_and_never_above_it(bed: Bed) -> None:
    with bed.holder("idle", sessions=5), bed.holder("active"):
        time.sleep(1.2)  # the one thing measured here is time that passes
        backends, _ = read_backends(bed.server.postmaster_pid)
        estimates = idle_estimates(backends)
        rows = bed.admin.execute(
            "select pid, state, extract(epoch from clock_timestamp() - state_change)::float8 * 1000"
            " from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"
        ).fetchall()
    assert len(rows) == 6
    for pid, state, true in rows:
        if state == "active":
            assert pid not in estimates  # a query's age is not idle time
        else:
            assert estimates[pid] <= true + 20
            # Between commands a server process does not run; the rest is time taken from a virtual machine.
            assert estimates[pid] >= 0.5 * true


def test_a_kernel_that_does_not_tell(bed: Bed, tmp_path: os.PathLike[str]) -> None:
    before = os.sched_getaffinity(0)
    backends, _ = read_backends(bed.server.postmaster_pid)
    assert idle_estimates(backends, str(tmp_path)) == {}
    assert os.sched_getaffinity(0) == before
    sessions, _ = sessions_of(backends, boot_time())
    assert all(session.idle_ms_estimate is None for session in sessions)


def test_processes_that_vanish(tmp_path: str) -> None:
    """/proc says that there are children, and then not one of them can be read."""
    task = os.path.join(tmp_path, "7", "task", "7")
    os.makedirs(task)
    with open(os.path.join(task, "children"), "w", encoding="ascii") as file:
        file.write("8 9 10 ")
    for pid, stat in (("8", "torn"), ("9", "9 (postgres) S 1 " + "0 " * 40), ("10", "")):
        os.makedirs(os.path.join(tmp_path, pid))
        with open(os.path.join(tmp_path, pid, "stat"), "w", encoding="ascii") as file:
            file.write(stat)
        if pid != "10":
            with open(os.path.join(tmp_path, pid, "cmdline"), "w", encoding="ascii") as file:
                file.write("postgres: bob orders [local] idle\0\0")
    # The second is another's child by now: its pid was taken anew.
    assert read_backends(7, tmp_path) == ([], None)


def test_no_such_postmaster() -> None:
    assert read_backends(2**22 + 1) == ([], None)
    assert look(Target(sql=False, host="/nonexistent")).view.rung is Rung.NONE
