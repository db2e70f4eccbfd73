"""What holders have of their sessions, and the order they come in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pgusher.attribute import Attributor, attribute
from pgusher.attribute.quick import quick_chain, quick_link
from pgusher.model.evidence import Certainty
from pgusher.model.holder import Chain, ChainEnd, Link, LinkKind
from pgusher.model.sockets import Sight
from tests.attribute.builders import PTS3, World, only


def test_most_slots_first_then_by_name() -> None:
    world = World()
    for name, count in (("b", 2), ("a", 2), ("c", 5), ("d", 0)):
        process = world.process("python", f"/srv/{name}.py")
        for _ in range(count):
            world.holds(process)
        if not count:
            world.holds(process, backend_type="walsender")
    snapshot = attribute(world.facts())
    assert [(h.name, len(h.sessions)) for h in snapshot.holders] == [
        ("script/c.py", 5), ("script/a.py", 2), ("script/b.py", 2), ("script/d.py", 0),
    ]  # fmt: skip
    assert sum(len(h.sessions) for h in snapshot.holders) == snapshot.taken == 9


def test_sessions_are_listed_oldest_first() -> None:
    world = World()
    process = world.process("python", "/srv/a.py")
    sessions = [world.holds(process, began=began) for began in (300, 100, 200)]
    world.sessions[1] = replace(sessions[1], backend_start=None)
    holder = only(attribute(world.facts()).holders)
    assert holder.sessions == (sessions[2].pid, sessions[0].pid, sessions[1].pid)
    assert holder.since == sessions[2].backend_start


def test_a_holder_is_as_certain_as_its_weakest_chain() -> None:
    world = World()
    unit = "/system.slice/a.service"
    process = world.process("python", "/srv/a.py", cgroup=unit)
    world.holds(process, kernel=True)
    assert only(attribute(world.facts()).holders).certainty is Certainty.PROVEN
    session = world.holds(process, kernel=True)
    world.sessions[1] = replace(session, client=replace(session.client, port=1))
    snapshot = attribute(world.facts())
    assert only(snapshot.holders).certainty is Certainty.LIKELY
    assert [chain.certainty for chain in snapshot.chains] == [Certainty.PROVEN, Certainty.LIKELY]


def test_the_program_is_that_of_most_sessions() -> None:
    world = World()
    cgroup = "/system.slice/shop.service"
    web = world.process("/v/bin/python", "/v/bin/gunicorn", "shop:app", cgroup=cgroup)
    worker = world.process("/v/bin/python", "/v/bin/celery", "-A", "shop", "worker", cgroup=cgroup)
    world.holds(worker)
    for _ in range(3):
        world.holds(web)
    holder = only(attribute(world.facts()).holders)
    assert (holder.program, holder.limit is not None and "--workers" in holder.limit) == ("gunicorn", True)


@pytest.mark.parametrize(
    ("argv", "limit"),
    [
        (("python", "a.py"), "max_size"),
        (("node", "a.js"), "max of its pg Pool"),
        (("java", "-jar", "a.jar"), "maximumPoolSize"),
        (("dotnet", "a.dll"), "Maximum Pool Size"),
        (("ruby", "a.rb"), "database.yml"),
        (("php", "a.php"), "processes"),
        (("/opt/orders-go",), None),
    ],
)
def test_what_limits_a_program_that_is_in_no_table(argv: tuple[str, ...], limit: str | None) -> None:
    world = World()
    world.holds(world.process(*argv))
    holder = only(attribute(world.facts()).holders)
    assert holder.program is None
    assert (limit in (holder.limit or "")) if limit else holder.limit is None


def test_a_long_list_of_pids_is_cut_and_counted() -> None:
    world = World()
    for _ in range(60):
        world.holds(world.process("/opt/orders-go"))
    holder = only(attribute(world.facts()).holders)
    assert len(holder.processes) == 60
    assert (holder.stop or "").endswith(" ... (60 in all)")


def test_titles_stay_short() -> None:
    world = World()
    world.holds(world.process("python", "x" * 10_000))
    world.holds(world.process("python", "/srv/" + "y" * 10_000, *["word" * 100] * 100))
    snapshot = attribute(world.facts())
    assert all(len(h.title) <= 300 and len(h.name) <= 80 for h in snapshot.holders)
    assert all(len(link.subject) <= 320 for chain in snapshot.chains for link in chain.links)


def test_a_label_is_what_a_person_calls_it() -> None:
    world = World()
    world.holds(world.process("python", "/srv/a.py"))
    world.holds(sight=Sight.REMOTE, host="10.0.0.7")
    labels = {"script/a.py": "the monthly report", "10.0.0.7": "web-2", "other": "x"}
    titles = {h.name: h.title for h in attribute(world.facts(), labels=labels).holders}
    assert titles["script/a.py"] == "the monthly report: script /srv/a.py (root)"
    assert titles["remote/10.0.0.7"] == "web-2: host 10.0.0.7"
    assert Attributor(labels).attribute(world.facts()).holders == attribute(world.facts(), labels=labels).holders


def test_a_terminal_lists_a_few_of_its_programs() -> None:
    world = World()
    shell = world.process("-bash", comm="bash", uid=1000, tty=PTS3)
    for name in ("a", "b", "c", "d", "e"):
        world.holds(world.process(f"/opt/{name}", parent=shell, uid=1000, tty=PTS3))
    assert only(attribute(world.facts()).holders).title == "terminal pts/3 of bob: a, b, c, d ..."


def test_what_is_made_quickly_is_the_same() -> None:
    slow = Link(LinkKind.SOCKET, "a", Certainty.LIKELY, "b", 5)
    quick = quick_link(LinkKind.SOCKET, "a", Certainty.LIKELY, "b", 5)
    assert (quick, hash(quick), repr(quick), type(quick)) == (slow, hash(slow), repr(slow), Link)
    chain = Chain(1, 2, ChainEnd.GONE, "gone", (slow,), ("x",))
    made = quick_chain(1, 2, ChainEnd.GONE, "gone", (quick,), ("x",))
    assert (made, hash(made), repr(made), type(made)) == (chain, hash(chain), repr(chain), Chain)
    with pytest.raises(AttributeError):
        made.holder = "other"  # type: ignore[misc]
