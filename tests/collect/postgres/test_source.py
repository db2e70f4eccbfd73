"""A sample by SQL is the truth, on every version, for every role, and takes one slot."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Any

import psycopg
import pytest
from psycopg import sql

from pgusher.collect.postgres import Target
from pgusher.demo.server import EmbeddedServer
from pgusher.model.server import Rung
from pgusher.model.session import SeenBy
from tests.bed.bed import APP, MONITOR, REPORTS, Bed
from tests.bed.requirements import each_version
from tests.collect.postgres.common import Clock, assert_address, by_pid, found, look, source

pytestmark = each_version

STATES = ["never", "idle", "idle_in_transaction", "aborted", "active", "lock"]
S = "s3cr3tW0rd"


def micros(value: Any) -> int | None:
    return None if value is None else round(value.timestamp() * 1_000_000)


def test_a_sample_is_what_the_server_shows_its_superuser(bed: Bed) -> None:
    with bed.holder(STATES), bed.holder("idle", dsn=bed.dsn(REPORTS, "reports", host=bed.server.socket_dir)):
        facts = look(bed.dsn(MONITOR, "postgres"))
        sessions = by_pid(facts)
        rows = [row for row in bed.sessions() if row["application_name"] != "pgusher"]
    assert len(rows) == len(STATES) + 2
    assert {row["state"] for row in rows} >= {"idle", "active", "idle in transaction", "idle in transaction (aborted)"}
    for row in rows:
        session = sessions.pop(row["pid"])
        assert session.backend_start == row["start_micros"]
        assert (session.user, session.database) == (row["usename"], row["datname"])
        assert (session.application_name, session.state) == (row["application_name"], row["state"])
        assert (session.wait_event_type, session.wait_event) == (row["wait_event_type"], row["wait_event"])
        assert session.blocked_by == tuple(row["blocked_by"])
        assert session.state_change == micros(row["state_change"])
        assert session.query_start == micros(row["query_start"])
        assert session.xact_start == micros(row["xact_start"])
        assert (session.query is None) == (row["query"] == "")
        assert (session.superuser, session.own, session.seen_by) == (False, False, SeenBy.ACTIVITY)
        assert_address(session, row)
    # What is left: our own, and the test's own.
    assert sorted(s.application_name or "" for s in sessions.values()) == ["pgusher", "test bed"]
    (own,) = [s for s in sessions.values() if s.own]
    assert own.pid == facts.view.own_pid
    assert any(session.blocked_by for session in facts.sessions)


def test_the_view_the_server_and_the_ceilings(bed: Bed) -> None:
    with (
        bed.role_limit(APP, 7),
        bed.database_limit("reports", 0),
        bed.holder("idle", sessions=2),
        source(bed.dsn(MONITOR, "postgres")) as postgres,
    ):
        first, second = postgres.sample(), postgres.sample()
        started = bed.admin.execute("select pg_catalog.pg_postmaster_start_time()").fetchone()
    assert [facts.view.rung for facts in (first, second)] == [Rung.ORDINARY, Rung.HELD]
    view = first.view
    assert (view.role, view.superuser, view.sees_all) == (MONITOR, False, True)
    assert (view.refuses, view.refuses_all, view.pooler) == (None, False, False)
    assert [attempt.outcome for attempt in view.attempts] == ["connected"]
    assert not first.gaps
    ceilings = first.ceilings
    assert ceilings is not None
    assert (ceilings.max_connections, ceilings.superuser_reserved, ceilings.reserved) == (40, 3, 0)
    assert [(limit.name, limit.limit, limit.used) for limit in ceilings.roles] == [(APP, 7, 2)]
    assert [(limit.name, limit.limit, limit.used) for limit in ceilings.databases] == [("reports", 0, 0)]
    server = first.server
    assert (server.version, server.local, server.in_recovery) == (bed.server.version, True, False)
    assert server.version_num is not None
    assert server.version_num // 10000 == bed.server.major
    assert started is not None
    assert server.started == micros(started[0])
    assert (server.postmaster_pid, server.port) == (bed.server.postmaster_pid, bed.server.port)
    settings = {setting.name: setting for setting in first.settings}
    assert settings["max_connections"].value == "40"
    assert settings["authentication_timeout"].unit == "s"
    assert ("idle_session_timeout" in settings) == (bed.server.major >= 14)
    assert ("transaction_timeout" in settings) == (bed.server.major >= 17)
    # What we set for our own session is not told as the server's.
    assert settings["idle_in_transaction_session_timeout"].value == "0"
    assert not {"statement_timeout", "lock_timeout", "search_path"} & set(settings)
    assert second.settings == first.settings


def test_a_reserved_ceiling(bed: Bed) -> None:
    if bed.server.major < 16:
        pytest.skip("there is no reserved_connections before 16")
    with EmbeddedServer(bed.server.major, reserved_connections=2, superuser_reserved_connections=1) as server:
        ceilings = look(server.dsn()).ceilings
    assert ceilings is not None
    assert (ceilings.superuser_reserved, ceilings.reserved, ceilings.ordinary) == (1, 2, 97)


def test_our_session_can_do_no_harm(bed: Bed) -> None:
    with source(bed.dsn(MONITOR, "postgres")) as postgres:
        postgres.sample()
        assert postgres._held is not None
        connection = postgres._held.connection
        names = ("transaction_read_only", "search_path", "statement_timeout", "lock_timeout", "application_name")
        words = ", ".join(f"pg_catalog.current_setting('{name}')" for name in names)
        ((line,),) = connection.run(f"copy (select {words}) to stdout", time.monotonic() + 10)
    assert line.split(b"\t") == [b"on", b"", b"30s", b"1s", b"pgusher"]


def test_another_role_s_sessions_are_told_as_a_gap_with_its_exact_remedy(bed: Bed) -> None:
    bed.admin.execute('create role "Odd ""One" login')
    try:
        with bed.holder("idle", dsn=bed.dsn(REPORTS, "reports")) as holder:
            before = look(bed.dsn('Odd "One', "postgres"))
            (gap,) = before.gaps
            assert gap.opens == 'GRANT pg_monitor TO "Odd ""One"'
            assert before.view.sees_all is False
            assert gap.count >= 1
            session = by_pid(before)[holder.truth.sessions[0].backend_pid]
            assert (session.backend_start, session.query, session.state_change) == (None, None, None)
            # What the process titles show to everybody is not missed.
            assert (session.state, session.user, session.database) == ("idle", REPORTS, "reports")
            assert session.client.port == holder.truth.sessions[0].port
            assert session.start_ticks
            bed.admin.execute(gap.opens.encode())
            after = look(bed.dsn('Odd "One', "postgres"))
            assert not after.gaps
            assert by_pid(after)[session.pid].query is not None
    finally:
        bed.admin.execute('drop role "Odd ""One"')


def test_from_afar_the_hidden_stays_hidden(bed: Bed, tmp_path: Any) -> None:
    """On another host there are no process titles; an empty /proc stands in for it."""
    with bed.holder("idle", dsn=bed.dsn(REPORTS, "reports")) as holder:
        facts = look(bed.dsn(APP, "app"), proc=str(tmp_path))
    session = by_pid(facts)[holder.truth.sessions[0].backend_pid]
    assert (session.state, str(session.client), session.takes_slot) == (None, "unknown address", True)
    (gap,) = facts.gaps
    assert gap.what == f"state, address, query and times of {gap.count} sessions of other roles"
    assert not facts.server.local


@pytest.mark.parametrize("local", [True, False])
def test_sessions_that_have_not_finished_their_login_are_seen(bed: Bed, tmp_path: Any, local: bool) -> None:
    with bed.unfinished(3) as holder:
        more = {} if local else {"proc": str(tmp_path)}
        facts = look(bed.dsn(MONITOR, "postgres"), **more)
    sessions = [session for session in facts.sessions if session.state == "authenticating"]
    assert len(sessions) == 3
    assert all(session.takes_slot for session in sessions)
    if local:
        # Their addresses: from pg_stat_activity in 18, from their titles before.
        assert {s.client.port for s in sessions} == {s.port for s in holder.truth.sessions}
        if bed.server.major < 18:
            assert {(s.user, s.database) for s in sessions} == {("slow", "postgres")}


def test_hostile_names(bed: Bed) -> None:
    name, application = 'a "b" [local] idle\\N', "x\x1b[31m\ty\\N password=" + S
    identifier = sql.Identifier(name)
    bed.admin.execute(
        sql.SQL("create role {0} login; create database {0}").format(identifier).as_string().split(";")[0].encode()
    )
    bed.admin.execute(sql.SQL("create database {}").format(identifier))
    try:
        dsn = bed.dsn(name, name, application_name=application)
        with psycopg.connect(dsn) as connection:
            facts = look(bed.dsn(MONITOR, "postgres"))
            session = by_pid(facts)[connection.info.backend_pid]
            titled = by_pid(look(Target(server=found(bed.server), sql=False)))[session.pid]
    finally:
        bed.admin.execute(sql.SQL("drop database {} with (force)").format(identifier))
        bed.admin.execute(sql.SQL("drop role {}").format(identifier))
    assert (session.user, session.database) == (name, name)
    assert session.application_name is not None
    assert S not in session.application_name
    # The server itself replaces control characters; the tab and the backslash come through COPY.
    assert session.application_name.endswith("y\\N password=***")
    # A title in which those names stand is not guessed at.
    assert (titled.user, titled.database, titled.state) == (None, None, "idle")
    assert str(titled.client) == str(session.client)


def test_planted_secrets_appear_nowhere(bed: Bed) -> None:
    statements = [
        f"select '{S}'",
        f"select 1 -- password={S}",
        f"select $${S}$$",
        f"select E'\\'{S}' /* postgresql://u:{S}@h/d */",
        "select '" + "x" * 2000 + S + "'",
    ]
    with psycopg.connect(bed.dsn(application_name=f"token={S}"), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())
            facts = look(f"{bed.dsn(MONITOR, 'postgres')} password='{S}'")
            session = by_pid(facts)[connection.info.backend_pid]
            assert session.query is not None
            assert session.query.startswith("select")
            assert S not in repr(facts)
        wrong = look(f"{bed.dsn('nobody_here', 'postgres')} password='{S}'")
        assert S not in repr(wrong)
        assert S not in repr(look(f"postgresql://u:{S}@[broken"))
        assert S not in repr(look(f"host=x password=a {S}"))


def test_never_more_than_one_slot(bed: Bed) -> None:
    twice, stop = list[set[int]](), threading.Event()
    with psycopg.connect(bed.server.dsn(), autocommit=True) as observer:

        def ours() -> set[int]:
            rows = observer.execute("select pid from pg_catalog.pg_stat_activity where application_name = 'pgusher'")
            return {pid for (pid,) in rows.fetchall()}

        def observe() -> None:
            while not stop.is_set():
                seen = ours()
                # The view is read entry by entry: one that ends and one that begins may be in it together.
                if len(seen) > 1 and len(seen & ours()) > 1:
                    twice.append(seen)

        thread = threading.Thread(target=observe)
        thread.start()
        try:
            with source(bed.dsn(MONITOR, "postgres")) as postgres:
                for number in range(50):
                    facts = postgres.sample()
                    assert sum(s.application_name == "pgusher" for s in facts.sessions) == 1
                    if number % 10 == 9:
                        postgres.close()
                        _until_gone(bed)
        finally:
            stop.set()
            thread.join(30)
    assert not twice


def _until_gone(bed: Bed) -> None:
    deadline = time.monotonic() + 30
    while any(row["application_name"] == "pgusher" for row in bed.sessions()):
        assert time.monotonic() < deadline


def test_after_the_server_ended_our_session_there_is_another(bed: Bed) -> None:
    with source(bed.dsn(MONITOR, "postgres")) as postgres:
        first = postgres.sample()
        bed.admin.execute("select pg_catalog.pg_terminate_backend(%s)", (first.view.own_pid,))
        _until_gone(bed)
        second = postgres.sample()
    assert second.view.rung is Rung.ORDINARY
    assert second.view.own_pid != first.view.own_pid
    # What happened is told.
    assert len(second.view.attempts) == 2
    assert second.view.attempts[0].target.endswith("(held)")


def test_a_server_that_stands_still_is_not_waited_for_beyond_the_deadline(bed: Bed) -> None:
    with source(bed.dsn(MONITOR, "postgres"), timeout=60.0) as postgres:
        own = postgres.sample().view.own_pid
        assert own is not None
        postgres._timeout = 0.3
        try:
            # Its own process and the postmaster, so that not even a cancel is answered.
            for pid in (own, bed.server.postmaster_pid):
                os.kill(pid, signal.SIGSTOP)
            facts = postgres.sample()
        finally:
            for pid in (own, bed.server.postmaster_pid):
                os.kill(pid, signal.SIGCONT)
        assert facts.view.attempts[-1].outcome == "no answer before the deadline"
        assert facts.view.rung is Rung.TITLES
        assert own in by_pid(facts)
        postgres._timeout = 60.0
        # The first session ends, or is waited for in vain on a busy machine: never are there two.
        while (facts := postgres.sample()).view.rung is Rung.TITLES:
            assert facts.view.attempts[-1].outcome == "the last session has not ended yet"
        assert facts.view.rung is Rung.ORDINARY


def test_no_second_slot_is_taken_while_the_first_is_not_given_back(bed: Bed) -> None:
    clock = Clock()
    with source(bed.dsn(MONITOR, "postgres"), timeout=60.0, clock=lambda: clock.now + time.monotonic()) as postgres:
        own = postgres.sample().view.own_pid
        assert own is not None
        try:
            os.kill(own, signal.SIGSTOP)
            postgres._timeout = 0.3
            postgres.sample()
            postgres._timeout = 60.0
            facts = postgres.sample()
            assert facts.view.rung is Rung.TITLES
            assert facts.view.attempts[-1].outcome == "the last session has not ended yet"
            assert [row["pid"] for row in bed.sessions() if row["application_name"] == "pgusher"] == [own]
            # A link that is dead would be waited for in vain.
            clock.now += 60
            assert postgres.sample().view.rung is Rung.ORDINARY
        finally:
            os.kill(own, signal.SIGCONT)
