"""Look after look: what is kept changes nothing but the time it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pgusher.attribute import Attributor, attribute
from pgusher.model.address import ClientAddress, Transport
from pgusher.model.facts import Facts
from pgusher.model.jobs import Unit
from pgusher.model.sockets import FdHolder, Sight
from tests.attribute.builders import PTS3, World


def host() -> World:
    """A host with a bit of everything."""
    world = World()
    world.line("python sync.py", line=1)
    world.line("python other.py", line=2)
    world.holds(world.cron_run("python sync.py", "python", "sync.py"))
    run = world.cron_run("python sync.py", "python", "sync.py")
    world.holds(run)
    world.holds(world.process("python", "helper.py", sid=run.sid, cgroup="/"))
    master = world.process("/v/bin/python", "/v/bin/gunicorn", "orders:app", uid=33)
    for _ in range(2):
        world.holds(world.process(*master.argv, parent=master, uid=33), app="psql")
    world.holds(world.process("python", "/srv/a.py", cgroup="/system.slice/a.service"), unix=True)
    shell = world.process("-bash", comm="bash", uid=1000, tty=PTS3)
    world.holds(world.process("psql", parent=shell, uid=1000, tty=PTS3))
    world.holds(sight=Sight.REMOTE, host="10.0.0.7", app="web")
    world.holds(sight=Sight.UID, uid=33)
    world.holds(sight=Sight.GONE)
    world.holds(4711)
    world.alone()
    return world


def a_second_later(facts: Facts) -> Facts:
    return replace(
        facts,
        taken_at=facts.taken_at + 1_000_000,
        sessions=tuple(replace(s, state="active", query="select") for s in facts.sessions),
        sockets=tuple(replace(s, active_at=7) for s in facts.sockets),
        processes=tuple(replace(p) for p in facts.processes),
    )


def other_statements(facts: Facts) -> Facts:
    """As a watch sees it that has not asked for the sockets again."""
    return replace(facts, sessions=tuple(replace(s, state="active", query="select 2") for s in facts.sessions))


def one_session_less(facts: Facts) -> Facts:
    return replace(facts, sessions=facts.sessions[1:])


def another_session_with_an_old_pid(facts: Facts) -> Facts:
    first = replace(facts.sessions[0], backend_start=1)
    return replace(facts, sessions=(first, *facts.sessions[1:]))


def another_process_with_an_old_pid(facts: Facts) -> Facts:
    pid = facts.sockets[0].holders[0].pid
    return replace(
        facts,
        processes=tuple(
            replace(p, argv=("python", "/srv/new.py"), ppid=1, cgroup="/x") if p.pid == pid else p
            for p in facts.processes
        ),
    )


def another_parent(facts: Facts) -> Facts:
    return replace(facts, processes=tuple(replace(p, ppid=1) for p in facts.processes))


def the_socket_moved(facts: Facts) -> Facts:
    other = facts.sockets[-2].holders or facts.sockets[3].holders
    return replace(facts, sockets=(replace(facts.sockets[0], holders=other), *facts.sockets[1:]))


def the_missing_process_was_read(facts: Facts) -> Facts:
    extra = replace(facts.processes[-1], pid=4711, argv=("python", "late.py"), ppid=1, tty=0, cgroup="/y")
    return replace(facts, processes=(*facts.processes, extra))


def the_missing_process_of_a_shared_socket_was_read(facts: Facts) -> Facts:
    sockets = (replace(facts.sockets[0], holders=(*facts.sockets[0].holders, FdHolder(4711, 3))), *facts.sockets[1:])
    return the_missing_process_was_read(replace(facts, sockets=sockets))


def a_crontab_was_written(facts: Facts) -> Facts:
    return replace(facts, cron=(replace(facts.cron[0], line=77), *facts.cron[1:]))


def the_run_that_an_orphan_was_tied_to_ended(facts: Facts) -> Facts:
    gone = {p.pid for p in facts.processes if p.argv[:2] == ("/bin/sh", "-c") or p.argv == ("python", "sync.py")}
    return replace(facts, processes=tuple(p for p in facts.processes if p.pid not in gone))


def a_unit_got_a_timer(facts: Facts) -> Facts:
    return replace(facts, units=(Unit("a.service", timers=("a.timer",), cgroup="/system.slice/a.service"),))


def another_name_was_set(facts: Facts) -> Facts:
    return replace(facts, sessions=tuple(replace(s, application_name="DBeaver") for s in facts.sessions))


def another_address(facts: Facts) -> Facts:
    client = ClientAddress(Transport.TCP, "127.0.0.1", 9)
    return replace(facts, sessions=(replace(facts.sessions[0], client=client), *facts.sessions[1:]))


def nothing_is_left(facts: Facts) -> Facts:
    return replace(facts, sessions=(), sockets=(), processes=(), cron=())


def the_server_moved(facts: Facts) -> Facts:
    return replace(facts, server=replace(facts.server, local=False))


def pgusher_is_one_of_them(facts: Facts) -> Facts:
    return replace(facts, host=replace(facts.host, pid=facts.sockets[0].holders[0].pid))


def another_slot_kind(facts: Facts) -> Facts:
    return replace(facts, sessions=tuple(replace(s, backend_type="walsender") for s in facts.sessions))


CHANGES = (
    a_second_later, one_session_less, another_session_with_an_old_pid, another_process_with_an_old_pid, another_parent,
    the_socket_moved, the_missing_process_was_read, the_missing_process_of_a_shared_socket_was_read,
    a_crontab_was_written, the_run_that_an_orphan_was_tied_to_ended, a_unit_got_a_timer, another_name_was_set,
    another_address, nothing_is_left, the_server_moved, pgusher_is_one_of_them, another_slot_kind,
)  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_after_a_change_it_concludes_what_it_would_have_from_the_start(change: Callable[[Facts], Facts]) -> None:
    facts = host().facts()
    attributor = Attributor()
    later = other_statements(change(facts))
    for seen in (facts, change(facts), later, facts, a_second_later(facts), change(a_second_later(facts)), facts):
        assert attributor.attribute(seen) == attribute(seen)


@pytest.mark.parametrize("first", CHANGES)
@pytest.mark.parametrize("second", CHANGES)
def test_two_changes_in_a_row(first: Callable[[Facts], Facts], second: Callable[[Facts], Facts]) -> None:
    facts = host().facts()
    attributor = Attributor()
    attributor.attribute(facts)
    try:
        changed = second(first(facts))
    except IndexError:
        return  # the second change has nothing left to change
    for seen in (first(facts), changed, facts):
        assert attributor.attribute(seen) == attribute(seen)


@pytest.mark.parametrize("later", [a_second_later, other_statements])
def test_what_did_not_change_is_the_same_object(later: Callable[[Facts], Facts]) -> None:
    facts = host().facts()
    attributor = Attributor()
    before = attributor.attribute(facts)
    after = attributor.attribute(later(facts))
    assert all(one is other for one, other in zip(before.chains, after.chains, strict=True))
    assert after.holders is before.holders
    assert after.facts is not before.facts


def test_a_snapshot_that_was_given_does_not_change() -> None:
    facts = host().facts()
    attributor = Attributor()
    before = attributor.attribute(facts)
    kept = repr(before)
    attributor.attribute(another_parent(facts))
    assert repr(before) == kept
