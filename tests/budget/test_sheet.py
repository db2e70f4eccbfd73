"""What a holder may take is found where something tells, is unknown where nothing does, and is added up rightly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.budget.found import Past
from pgusher.budget.sheet import files, sheet
from pgusher.budget.workers import stated
from pgusher.model.budget import Amount, Claim, Declared
from pgusher.model.evidence import Certainty
from pgusher.model.grafana import DataSource, Figure, Grafana, Limits, Place, Seen
from pgusher.model.holder import HolderKind
from pgusher.model.poolers import Pooler, PoolerDatabase, PoolerUser
from pgusher.model.server import Ceilings, Limit
from pgusher.model.values import replace
from tests.attribute.builders import World
from tests.budget.sheets import claim, gunicorn, pool, snapshot


def test_the_pools_of_a_program_are_added_up_over_its_processes() -> None:
    world = World()
    _, (one, other) = gunicorn(world)
    found = sheet(snapshot(world, [pool(one), pool(other, most_lent=5)]))
    web = claim(found, "orders-api")
    assert (web.holds, web.may.value, web.each, web.processes) == (2, 20, 10, 2)
    assert web.may.source == "2 processes x 10 (max_size, by their ledgers)"
    assert web.may.certainty is Certainty.PROVEN
    assert web.peak is not None
    assert web.busiest is not None
    assert (web.peak.value, web.busiest.value, web.busiest.certainty) == (6, 7, Certainty.LIKELY)
    assert (found.total, found.over, found.fits) == (20, -77, True)


def test_workers_that_hold_nothing_now_count_too() -> None:
    world = World()
    _, (one, other) = gunicorn(world, said=8)
    web = claim(sheet(snapshot(world, [pool(one), pool(other)])), "orders-api")
    assert web.may.value == 80
    assert web.may.source.startswith("8 workers x 10 (--workers of process ")


def test_a_budget_stands_above_the_pools_and_is_counted_once() -> None:
    world = World()
    _, (one, other) = gunicorn(world)
    web = claim(sheet(snapshot(world, [pool(one, 10, "web", 15), pool(other, 10, "web", 15)])), "orders-api")
    assert (web.may.value, web.budget) == (15, "web")
    assert "without it 20" in web.may.source


def test_two_holders_that_share_a_budget_are_kept_to_it_together() -> None:
    world = World()
    _, workers = gunicorn(world, 2)
    script = world.process("python3", "/srv/report.py", uid=33, cgroup="/system.slice/report.service")
    world.holds(script)
    pools = [pool(worker, 10, "web", 15) for worker in (*workers, script)]
    found = sheet(snapshot(world, pools))
    assert [one.counted for one in found.claims] == [15, 10]
    assert [(cap.name, cap.limit, cap.saves) for cap in found.caps] == [("budget web", 15, 10)]
    assert found.total == 15


@pytest.mark.parametrize(("uid", "limit"), [(33, 25), (34, 50)])
def test_two_below_their_budget_are_kept_to_its_total_that_each_user_has_for_itself(uid: int, limit: int) -> None:
    world = World()
    _, workers = gunicorn(world, 2)
    script = world.process("python3", "/srv/report.py", uid=uid, cgroup="/system.slice/report.service")
    world.holds(script)
    sized = [*((worker, 10) for worker in workers), (script, 15)]
    found = sheet(snapshot(world, [pool(process, size, "web", 25) for process, size in sized]))
    assert sorted(one.may.value or 0 for one in found.claims) == [15, 20]
    assert found.total == min(35, limit)
    assert [(cap.name, cap.limit) for cap in found.caps] == ([("budget web", 25)] if limit < 35 else [])


def test_what_a_program_takes_beside_its_budget_is_not_kept_by_it() -> None:
    world = World()
    _, workers = gunicorn(world, 2)
    script = world.process("python3", "/srv/report.py", uid=33, cgroup="/system.slice/report.service")
    world.holds(script)
    pools = [*(pool(worker, 10, "web", 15) for worker in workers), pool(script, 10, "web", 15), pool(script, 30)]
    found = sheet(snapshot(world, pools))
    assert claim(found, "report").budget == ""
    assert found.total == 15 + 40


def test_what_nothing_tells_is_unknown_and_never_guessed() -> None:
    world = World()
    gunicorn(world, 4, sessions=3)
    found = sheet(snapshot(world))
    web = claim(found, "orders-api")
    assert (web.may.value, web.may.endless, web.processes) == (None, False, 4)
    assert web.may.source.startswith("4 workers (--workers of process ")
    assert web.may.source.endswith("and the size of their pools is not told")
    assert (found.total, found.fits) == (12, None)
    assert [one.holder for one in found.unknown] == [web.holder]


def test_one_process_without_a_ledger_leaves_it_unknown() -> None:
    world = World()
    _, (one, _) = gunicorn(world, said=2)
    assert claim(sheet(snapshot(world, [pool(one)])), "orders-api").may.value is None


def test_what_is_declared_fills_what_is_not_known() -> None:
    world = World()
    gunicorn(world, 2, sessions=3)
    declared = Declared("orders-api", 40, 2, place="pgusher.toml: budget.orders-api")
    found = sheet(snapshot(world), [declared, Declared("nightly", 5)])
    web = claim(found, "orders-api")
    assert (web.may.value, web.may.certainty) == (40, Certainty.LIKELY)
    assert web.may.source == "declared: pgusher.toml: budget.orders-api: total = 40 over 2 hosts"
    nightly = claim(found, "nightly")
    assert (nightly.holds, nightly.may.value) == (0, 5)
    assert found.total == 45


@pytest.mark.parametrize(
    "declared", [Declared("x", 7, holder="unit/orders-api"), Declared("x", 7, role="web"), Declared("orders-api", 7)]
)
def test_a_declaration_means_a_holder_by_its_name_its_role_or_its_budget(declared: Declared) -> None:
    world = World()
    gunicorn(world, user="web")
    assert claim(sheet(snapshot(world), [declared]), "orders-api").may.value == 7


def test_a_declaration_below_what_is_found_is_told_and_does_not_hide_it() -> None:
    world = World()
    _, (one, other) = gunicorn(world)
    found = sheet(snapshot(world, [pool(one), pool(other)]), [Declared("orders-api", 5, place="p")])
    web = claim(found, "orders-api")
    assert web.may.value == 20
    assert web.notes == ("p declares 5, and it may take 20.",)


def test_a_role_limit_caps_who_logs_in_by_it_alone() -> None:
    world = World()
    gunicorn(world, 2, sessions=2, user="web")
    found = sheet(snapshot(world, roles=[Limit("web", 6, 4)]))
    web = claim(found, "orders-api")
    assert web.may.value == 6
    assert web.may.source.startswith("CONNECTION LIMIT 6 of role web; without it unknown: 2 workers")
    assert (found.total, found.fits, found.unknown) == (6, True, ())


def test_a_limit_over_several_holders_bounds_their_sum_also_where_they_are_unknown() -> None:
    world = World()
    for name in ("a", "b"):
        world.holds(world.process("python3", f"/srv/{name}.py", cgroup=f"/system.slice/{name}.service"), user="web")
    found = sheet(snapshot(world, roles=[Limit("web", 30, 2)]))
    assert [(cap.name, cap.saves) for cap in found.caps] == [("role web", -28)]
    assert (found.total, found.unknown, found.fits) == (30, (), True)


def grafana(pids: tuple[int, ...], most: int | None, port: int = 5432, host: str = "127.0.0.1") -> Grafana:
    figure = Figure(most, "default of 9.5 on", True)
    limits = Limits(figure, figure, figure, figure)
    source = DataSource(
        "u", "shop", 1, "postgres", host, port, "shop", "grafana", limits, place=Place("/etc/grafana/p.yaml", 4)
    )
    return Grafana("http://g", "11.0", Seen.FILES, (source,), max(1, len(pids)), processes=pids)


def test_grafana_counts_each_source_in_each_replica_that_leads_here() -> None:
    world = World()
    one = world.process("/usr/sbin/grafana", "server", exe="/usr/sbin/grafana", cgroup="/system.slice/grafana.service")
    world.holds(one, user="grafana")
    both = [grafana((one.pid, 77), 100)]
    found = claim(sheet(snapshot(world, grafana=tuple(both))), "grafana")
    assert found.may.value == 200
    assert found.may.source == "data source shop 100 x 2 replicas (default of 9.5 on)"
    assert [(s.name, s.value, s.place, s.times) for s in found.settings] == [
        ("maxOpenConns", "100", "/etc/grafana/p.yaml:4", 2)
    ]
    for elsewhere in (grafana((one.pid,), 100, port=5433), grafana((one.pid,), 100, host="10.9.9.9")):
        assert claim(sheet(snapshot(world, grafana=(elsewhere,))), "grafana").may.value is None
    endless = sheet(snapshot(world, grafana=(grafana((one.pid,), None),)))
    assert claim(endless, "grafana").may.endless
    assert (endless.total, endless.fits) == (1, False)


def test_a_role_limit_is_not_one_of_a_grafana_that_logs_in_by_another_role_too() -> None:
    world = World()
    one = world.process("/usr/sbin/grafana", "server", exe="/usr/sbin/grafana", cgroup="/system.slice/grafana.service")
    world.holds(one, user="grafana")
    made = grafana((one.pid,), 8)
    other = replace(made.sources[0], uid="v", user="web", database="reports")
    for sources, total in (((made.sources[0],), 5), ((made.sources[0], other), 16)):
        found = sheet(snapshot(world, roles=[Limit("grafana", 5, 1)], grafana=(replace(made, sources=sources),)))
        assert found.total == total


def test_a_limit_below_what_is_held_ends_no_session() -> None:
    world = World()
    for name in ("a", "b"):
        script = world.process("python3", f"/srv/{name}.py", cgroup=f"/system.slice/{name}.service")
        for _ in range(3):
            world.holds(script, user="web")
    assert sheet(snapshot(world, roles=[Limit("web", 2, 6)])).total == 6
    assert sheet(snapshot(world, roles=[Limit("web", 7, 6)])).total == 7


def test_a_cron_job_that_overlaps_has_no_limit_and_a_guarded_one_has() -> None:
    world = World()
    world.line("python3 /srv/report.py")
    for _ in range(3):
        world.holds(world.cron_run("python3 /srv/report.py", "python3", "/srv/report.py"))
    found = sheet(snapshot(world))
    job = claim(found, "cron/report")
    assert job.may.endless
    assert job.may.source.startswith("1 slot a run, 3 runs of it now, one more every 10 minutes")
    assert job.notes == ("As one run at a time it would take 1 slot: pgusher run.",)
    assert found.fits is False

    world = World()
    command = "pgusher run -- python3 /srv/report.py"
    world.line(command)
    world.holds(world.cron_run(command, "python3", "/srv/report.py"))
    job = claim(sheet(snapshot(world), history={"report": Past(4, 1, 9)}), "cron/report")
    assert job.may.value == 4
    assert job.may.source.startswith("4 slots a run (the most of 9 runs in the history), one run at a time")
    assert job.peak is not None
    assert job.peak.value == 4


def test_a_pooler_may_take_its_pools_for_the_pairs_that_were_seen() -> None:
    world = World()
    bouncer = world.process("/usr/sbin/pgbouncer", "/etc/pgbouncer/pgbouncer.ini", exe="/usr/sbin/pgbouncer")
    for user in ("a", "a", "b"):
        world.holds(bouncer, user=user)
    databases = (
        PoolerDatabase("shop", None, 5432, None, line=3),
        PoolerDatabase("fixed", "127.0.0.1", 5432, "x", user="web", pool_size=5, line=4),
        PoolerDatabase("capped", None, 5432, None, most=8, line=5),
        PoolerDatabase("elsewhere", None, 5433, None, pool_size=1000),
    )
    facts = Pooler(bouncer.pid, "/etc/pgbouncer/pgbouncer.ini", databases, 20, 2, size_line=9)
    found = claim(sheet(snapshot(world, poolers=(facts,))), "pgbouncer")
    assert found.may.value == 2 * 22 + 7 + 8
    assert found.may.certainty is Certainty.LIKELY
    assert [one.place.rpartition(":")[2] for one in found.settings] == ["9", "4"]


def _pooled(databases: tuple[PoolerDatabase, ...], users: tuple[PoolerUser, ...], most_user: int = 0) -> Claim:
    """A PgBouncer that has a session of web and one of clerk in each of shop and stock."""
    world = World()
    bouncer = world.process("/usr/sbin/pgbouncer", "/b.ini")
    for database in ("shop", "stock"):
        for user in ("web", "clerk"):
            world.holds(bouncer, user=user, database=database)
    facts = Pooler(bouncer.pid, "/b.ini", databases, 20, 0, 0, most_user, users=users)
    return claim(sheet(snapshot(world, poolers=(facts,))), "pgbouncer")


_BOTH = (PoolerDatabase("shop", None, 5432, None, line=2), PoolerDatabase("stock", None, 5432, None, line=3))


def test_a_limit_of_a_pooler_user_counts_over_all_databases() -> None:
    assert _pooled(_BOTH, ()).may.value == 4 * 20
    limited = _pooled(_BOTH, (PoolerUser("web", most=15, line=9),)).may
    assert (limited.value, limited.certainty) == (15 + 2 * 20, Certainty.LIKELY)
    assert "max_user_connections 15 of web over all of them" in limited.source
    everybody = _pooled(_BOTH, (PoolerUser("clerk", most=5, line=9),), most_user=30)
    assert everybody.may.value == 30 + 5
    capped = (_BOTH[0], PoolerDatabase("stock", None, 5432, None, most=7, line=3))
    assert _pooled(capped, (PoolerUser("web", most=15, line=9),)).may.value == 15 + 20 + 7


def test_a_size_of_a_pooler_user_counts_before_that_of_the_database() -> None:
    found = _pooled(_BOTH, (PoolerUser("web", 3, 1, line=9),))
    assert found.may.value == 2 * 4 + 2 * 20
    assert "web: pool 3 + reserve 1" in found.may.source
    assert "/b.ini:9" in [one.place for one in found.settings]
    forced = (PoolerDatabase("shop", None, 5432, None, user="web", pool_size=9, line=2),)
    raised = _pooled(forced, (PoolerUser("web", 30, line=9),)).may
    assert (raised.value, raised.certainty) == (30, Certainty.PROVEN)


def test_a_forced_user_is_not_held_below_the_limit_that_users_gives_it() -> None:
    forced = (PoolerDatabase("shop", None, 5432, None, user="web", pool_size=9, line=2),)
    assert _pooled(forced, (PoolerUser("web", most=2, line=9),)).may.value == 9
    assert _pooled(forced, (), most_user=2).may.value == 2


def test_those_that_are_one_session_have_what_they_have() -> None:
    world = World()
    world.holds(world.process("-bash", tty=34819, uid=1000), user="bob")
    found = sheet(snapshot(world))
    assert [one.kind for one in found.claims] == [HolderKind.TERMINAL]
    assert found.total == 1


def test_what_ordinary_roles_can_have_is_what_counts() -> None:
    claims = [Claim("a", HolderKind.SERVICE, 0, 0, Amount(98, "x"))]
    for reserved, over in ((0, 1), (2, 3)):
        found = files([], claims, Ceilings(100, 3, reserved), "p")
        assert (found.over, found.fits) == (over, False)
    assert files([], claims, None, "p").fits is None


_LIMITS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 60)), max_size=4)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 50)), max_size=6), _LIMITS, _LIMITS)
def test_the_sum_is_an_upper_bound_of_all_that_limits_let_through(
    holders: list[tuple[int, int, int]], roles: list[tuple[int, int]], databases: list[tuple[int, int]]
) -> None:
    """Whatever division keeps to all limits is not above the sum: here one that takes greedily."""
    claims = [
        Claim(f"h{at}", HolderKind.SERVICE, 0, 0, Amount(most, "x"), roles=(f"r{role}",), databases=(f"d{database}",))
        for at, (role, database, most) in enumerate(holders)
    ]
    by_role, by_database = dict(roles), dict(databases)
    ceilings = Ceilings(
        100, 3, 0,
        tuple(Limit(f"r{n}", most, 0) for n, most in by_role.items()),
        tuple(Limit(f"d{n}", most, 0) for n, most in by_database.items()),
    )  # fmt: skip
    left_role, left_database = dict(by_role), dict(by_database)
    taken = 0
    for role, database, most in sorted(holders, key=lambda one: one[2]):
        can = min(most, left_role.get(role, most), left_database.get(database, most))
        taken += can
        for left, key in ((left_role, role), (left_database, database)):
            if key in left:
                left[key] -= can
    assert taken <= files([], claims, ceilings, "p").total


@pytest.mark.parametrize(
    ("words", "number"),
    [
        (("gunicorn", "-w", "4", "a:b"), 4),
        (("/usr/bin/python3", "/usr/bin/gunicorn", "--workers=8"), 8),
        (("gunicorn", "-w4"), 4),
        (("gunicorn", "-w", "4", "--workers", "6"), 6),
        (("gunicorn", "a:b"), None),
        (("gunicorn", "--workers"), None),
        (("gunicorn", "--workers", "many"), None),
        (("vim", "a", "b", "c", "d", "e", "gunicorn", "-w", "4"), None),
        (("gunicorn: master [orders]",), None),
        ((), None),
    ],
)
def test_the_number_of_workers_is_that_of_the_command_line(words: tuple[str, ...], number: int | None) -> None:
    process = World().process(*words)
    found = stated([process], "gunicorn")
    assert (found and found.number) == number
    assert stated([process], "Grafana") is None


def test_workers_that_run_count_whatever_started_them() -> None:
    """By a configuration file, WEB_CONCURRENCY or a signal; and never fewer than the command line says."""
    process = World().process("gunicorn", "-w", "4", "a:b")
    more, fewer = (stated([process], "gunicorn", {process.pid: number}) for number in (6, 2))
    assert more is not None
    assert fewer is not None
    assert (more.number, more.how) == (6, f"they run below process {process.pid}")
    assert (fewer.number, fewer.how) == (4, f"--workers of process {process.pid}")
    assert stated([process], "Grafana", {process.pid: 6}) is None
