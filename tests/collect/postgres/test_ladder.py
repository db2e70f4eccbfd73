"""A server that refuses others still gives an answer: by a reserved slot, or by its process titles."""

from __future__ import annotations

import os
from contextlib import ExitStack

import psycopg
import pytest

from pgusher.collect.postgres import PostgresFacts, Target
from pgusher.collect.postgres.probe import ask
from pgusher.demo.server import EmbeddedServer
from pgusher.model.evidence import Certainty
from pgusher.model.server import Ceiling, Rung
from pgusher.model.session import SeenBy
from tests.bed.bed import APP, MONITOR, RESERVE, Bed, prepare
from tests.bed.requirements import each_version, needs_root
from tests.collect.postgres.common import NOBODY, Clock, as_nobody, assert_address, by_pid, found, look, source

pytestmark = each_version
SERVER_SETTINGS = {"max_connections": 12, "superuser_reserved_connections": 3}


def assert_titles_are_true(facts: PostgresFacts, bed: Bed, unfinished: int = 0) -> None:
    """Every session that the server shows its superuser is there, with user, database, address and state."""
    assert facts.view.rung is Rung.TITLES
    sessions = by_pid(facts)
    rows = bed.sessions()
    for row in rows:
        if row["state"] == "starting":  # from 18 on
            continue
        session = sessions.pop(row["pid"])
        assert (session.user, session.database, session.state) == (row["usename"], row["datname"], row["state"])
        assert_address(session, row)
        assert (session.backend_start, session.seen_by) == (None, SeenBy.TITLE)
        assert session.started_about is not None
        # The process is forked, and only then the server looks at the clock.
        assert -20_000 <= row["start_micros"] - session.started_about < 5_000_000
    own = sessions.pop(bed.admin.info.backend_pid)
    assert (own.application_name, own.client.port) == (None, _port(bed))
    assert [s.state for s in sessions.values()] == ["authenticating"] * unfinished
    assert any("process titles do not hold them" in gap.why for gap in facts.gaps)


def _port(bed: Bed) -> int:
    port = bed.admin.execute("select pg_catalog.inet_client_port()").fetchone()
    assert port is not None
    return int(port[0])


class TestFullByOrdinarySlots:
    @pytest.fixture(autouse=True)
    def full(self, bed: Bed) -> None:
        bed.fill(APP)

    def test_the_server_s_own_user_gets_a_reserved_slot(self, bed: Bed) -> None:
        with source(bed.dsn()) as postgres:
            first, second = postgres.sample(), postgres.sample()
            rows = bed.sessions()
        assert [facts.view.rung for facts in (first, second)] == [Rung.RESERVED, Rung.HELD]
        refused, *_, connected = first.view.attempts  # a server that runs as another user has no role of that name
        assert (refused.sqlstate, refused.refused_by, refused.ceiling) == ("53300", "postgres", Ceiling.RESERVED)
        assert connected.outcome == "connected"
        assert first.view.refuses == refused.outcome
        assert second.view.refuses == refused.outcome
        assert (first.view.superuser, first.view.refuses_all) == (True, False)
        assert {row["pid"] for row in rows} < set(by_pid(first))
        assert first.ceilings is not None
        assert sum(s.takes_slot for s in first.sessions) > first.ceilings.ordinary

    def test_a_superuser_s_own_slot_is_told_to_be_a_reserved_one(self, bed: Bed) -> None:
        facts = look(bed.server.dsn())
        assert (facts.view.rung, len(facts.view.attempts)) == (Rung.RESERVED, 1)

    def test_with_no_words_at_all_a_found_server_is_seen(self, bed: Bed) -> None:
        facts = look(Target(server=found(bed.server)))
        assert facts.view.rung is Rung.RESERVED
        assert facts.server.host is None

    def test_who_may_not_take_a_reserved_slot_reads_titles(self, bed: Bed) -> None:
        facts = look(Target(conninfo=bed.dsn(), allow_reserved=False))
        assert_titles_are_true(facts, bed)
        (refused,) = facts.view.attempts
        assert (facts.view.refuses, facts.view.refuses_all) == (refused.outcome, False)

    def test_nobody_reads_titles(self, bed: Bed) -> None:
        with as_nobody():
            facts = look(Target(conninfo=bed.dsn(), allow_reserved=os.geteuid() == NOBODY))
        assert_titles_are_true(facts, bed)

    def test_the_probe_does_not_take_it_for_completely_full(self, bed: Bed) -> None:
        path = os.path.join(bed.server.socket_dir, f".s.PGSQL.{bed.server.port}")
        assert not ask(path, APP, "app", 30.0, lambda: 0.0).full

    def test_when_there_is_room_again_it_is_not_told_as_refusing(self, bed: Bed, clock: Clock) -> None:
        with source(Target(conninfo=bed.dsn(), allow_reserved=False), clock=clock) as postgres:
            assert postgres.sample().view.rung is Rung.TITLES
            bed.admin.execute(
                "select pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity where usename = 'app'"
            )
            # It forks a process for each refusal, so it is not asked again at once.
            again = postgres.sample()
            assert (again.view.rung, again.view.refuses is None) == (Rung.TITLES, False)
            clock.now += 6
            facts = postgres.sample()
        assert (facts.view.rung, facts.view.refuses) == (Rung.ORDINARY, None)


class TestFullByAllSlots:
    @pytest.fixture(autouse=True)
    def full(self, bed: Bed) -> None:
        _ = bed.admin
        bed.fill("postgres", "postgres")

    @pytest.mark.parametrize("words", [True, False])
    def test_titles_are_left_and_it_is_told_that_all_are_refused(self, bed: Bed, words: bool) -> None:
        facts = look(bed.dsn() if words else Target(server=found(bed.server)))
        assert_titles_are_true(facts, bed)
        assert facts.view.refuses_all
        assert facts.view.refuses == facts.view.attempts[0].outcome
        # One try is enough to know that nobody gets in.
        assert [(a.sqlstate, a.ceiling) for a in facts.view.attempts] == [("53300", Ceiling.ALL)]
        assert sum(session.takes_slot for session in facts.sessions) == 12

    def test_the_ceilings_are_in_its_files(self, bed: Bed) -> None:
        ceilings = look(bed.dsn()).ceilings
        assert ceilings is not None
        assert (ceilings.max_connections, ceilings.superuser_reserved, ceilings.ordinary) == (12, 3, 9)
        assert ceilings.certainty is Certainty.LIKELY
        assert "pg_control" in ceilings.source

    @needs_root
    def test_nobody_sees_as_much_but_the_ceilings(self, bed: Bed) -> None:
        with as_nobody():
            facts = look(bed.dsn())
            unasked = look(Target(server=found(bed.server)))
        for one in (facts, unasked):
            assert_titles_are_true(one, bed)
            assert one.view.refuses_all
            assert one.ceilings is None
            assert any("postgresql.conf" in gap.what and gap.why == "permission denied" for gap in one.gaps)

    def test_the_probe_knows(self, bed: Bed) -> None:
        path = os.path.join(bed.server.socket_dir, f".s.PGSQL.{bed.server.port}")
        for address in (path, ("127.0.0.1", bed.server.port)):
            assert ask(address, "no such role", "x", 30.0, lambda: 0.0).full

    def test_idle_time_is_an_estimate_that_never_says_too_much(self, bed: Bed) -> None:
        facts = look(bed.dsn())
        told = {session.pid: session.idle_ms_estimate for session in facts.sessions}
        rows = bed.admin.execute(
            "select pid, extract(epoch from clock_timestamp() - state_change)::float8 * 1000"
            " from pg_catalog.pg_stat_activity where backend_type = 'client backend' and state = 'idle'"
        ).fetchall()
        assert len(rows) == 11
        for pid, idle in rows:
            estimate = told[pid]
            assert estimate is not None
            # 20 ms: a tick of the kernel's clock, and the moment between the two looks.
            assert 0 <= estimate <= idle + 20


class TestLimits:
    def test_of_a_role(self, bed: Bed) -> None:
        with bed.role_limit(APP, 1), bed.holder("idle"):
            titles = look(Target(conninfo=bed.dsn(), allow_reserved=False))
            facts = look(bed.dsn())
        for one in (titles, facts):
            refused = one.view.attempts[0]
            assert (refused.sqlstate, refused.ceiling) == ("53300", Ceiling.ROLE)
            # The server refuses this role alone.
            assert (one.view.refuses, one.view.refuses_all) == (None, False)
        assert titles.view.rung is Rung.TITLES
        assert facts.view.rung is Rung.ORDINARY or facts.view.rung is Rung.RESERVED
        assert facts.ceilings is not None
        assert [(limit.name, limit.limit, limit.used) for limit in facts.ceilings.roles] == [(APP, 1, 1)]

    def test_of_a_database(self, bed: Bed) -> None:
        with bed.database_limit("app", 0):
            facts = look(bed.dsn())
        refused = facts.view.attempts[0]
        assert (refused.sqlstate, refused.ceiling) == ("53300", Ceiling.DATABASE)
        assert facts.view.refuses is None
        assert facts.ceilings is not None
        assert [(limit.name, limit.limit) for limit in facts.ceilings.databases] == [("app", 0)]


def test_full_by_sockets_that_never_finish_their_login(bed: Bed) -> None:
    """They hold slots that pg_stat_activity does not show before 18, and lock out the superuser too."""
    _ = bed.admin
    with bed.unfinished(11) as holder:
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(bed.server.dsn())
        facts = look(bed.dsn())
        assert_titles_are_true(facts, bed, unfinished=11)
        assert facts.view.refuses_all
        assert {s.client.port for s in facts.sessions if s.state == "authenticating"} == {
            s.port for s in holder.truth.sessions
        }


def test_a_reserved_slot_of_a_role_s_own(bed: Bed) -> None:
    if bed.server.major < 16:
        pytest.skip("there is no pg_use_reserved_connections before 16")
    with EmbeddedServer(bed.server.major, max_connections=8, reserved_connections=2) as server:
        prepare(server)
        with ExitStack() as stack:
            for _ in range(3):
                stack.enter_context(psycopg.connect(server.dsn(APP, "app")))
            facts = look(Target(conninfo=server.dsn(RESERVE), allow_reserved=False))
    assert (facts.view.rung, facts.view.superuser) == (Rung.RESERVED, False)


@pytest.mark.parametrize(
    ("words", "sqlstate"),
    [({"user": "no_such_role"}, "28000"), ({"dbname": "no_such_database"}, "3D000"), ({"user": "slow"}, None)],
)
def test_who_is_not_let_in_reads_titles(bed: Bed, words: dict[str, str], sqlstate: str | None) -> None:
    with bed.holder("idle", sessions=2):
        facts = look(f"{bed.dsn(**words)} password=wrong" if "slow" in words.values() else bed.dsn(**words))
        assert_titles_are_true(facts, bed)
    (attempt,) = facts.view.attempts
    assert attempt.sqlstate == (sqlstate or "28P01")
    assert attempt.refused_by == "postgres"
    assert "wrong" not in repr(facts)


def test_without_sql_nothing_is_asked(bed: Bed) -> None:
    with bed.holder("idle", sessions=2):
        facts = look(Target(server=found(bed.server), sql=False))
        assert_titles_are_true(facts, bed)
    assert facts.view.attempts == ()


def test_titles_that_are_not_kept_up(bed: Bed) -> None:
    bed.admin.execute("alter system set update_process_title = off")
    bed.admin.execute("select pg_catalog.pg_reload_conf()")
    try:
        with psycopg.connect(bed.dsn()), psycopg.connect(bed.dsn()):
            facts = look(Target(server=found(bed.server), sql=False))
            rows = bed.sessions()
    finally:
        bed.admin.execute("alter system reset update_process_title")
        bed.admin.execute("select pg_catalog.pg_reload_conf()")
    sessions = by_pid(facts)
    assert all((sessions[row["pid"]].user, sessions[row["pid"]].state) == (APP, None) for row in rows)
    (gap,) = [gap for gap in facts.gaps if gap.why == "update_process_title is off"]
    assert gap.what == f"the state of 2 of {len(sessions)} sessions"


def test_a_monitor_that_is_not_let_in_by_its_own_limit(bed: Bed) -> None:
    with bed.role_limit(MONITOR, 0):
        facts = look(Target(conninfo=bed.dsn(MONITOR, "postgres"), allow_reserved=False))
    assert facts.view.attempts[0].ceiling is Ceiling.ROLE
