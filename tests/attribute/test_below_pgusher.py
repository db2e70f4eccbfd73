"""What pgusher itself has started (a guarded job, the demo) is known by what it is: pgusher is nobody's suspect."""

from __future__ import annotations

import pytest

from pgusher.attribute import attribute
from pgusher.model.holder import HolderKind
from tests.attribute.builders import World, only

OURS = [
    ("/usr/bin/python3", "-m", "pgusher.demo.host"),
    ("/usr/bin/python3", "-m", "pgusher", "run", "--", "python", "report.py"),
    ("/opt/venv/bin/python", "/opt/venv/bin/pgusher", "run", "--", "python", "report.py"),
]
OTHERS = [
    ("/usr/bin/python3", "-m", "pgusherry"),
    ("/usr/bin/python3", "/srv/pgusher.py"),
    ("/usr/bin/python3", "/srv/loop.py", "pgusher"),
]


@pytest.mark.parametrize("argv", OURS)
def test_a_script_below_it_is_the_holder(argv: tuple[str, ...]) -> None:
    world = World()
    world.holds(world.process("python", "report.py", cwd="/srv", parent=world.process(*argv)))
    assert only(attribute(world.facts()).holders).name == "script/report.py"


@pytest.mark.parametrize("argv", OTHERS)
def test_a_program_below_another_script_is_that_script_s(argv: tuple[str, ...]) -> None:
    world = World()
    world.holds(world.process("psql", "-f", "x.sql", parent=world.process(*argv)))
    assert only(attribute(world.facts()).holders).name.startswith("script/")


@pytest.mark.parametrize("argv", OURS)
def test_a_program_below_it_is_its_own(argv: tuple[str, ...]) -> None:
    world = World()
    world.holds(world.process("psql", "-f", "x.sql", parent=world.process(*argv)))
    assert only(attribute(world.facts()).holders).name == "psql"


def test_two_scripts_below_it_are_two_holders() -> None:
    world = World()
    host = world.process(*OURS[0])
    for script in ("a.py", "b.py"):
        world.holds(world.process("python", script, cwd="/srv", parent=host))
    assert sorted(holder.name for holder in attribute(world.facts()).holders) == ["script/a.py", "script/b.py"]


def test_one_that_holds_sessions_itself_is_named() -> None:
    world = World()
    world.holds(world.process(*OURS[0]))
    assert only(attribute(world.facts()).holders).name == "script/pgusher.demo.host"


LOOKS = [
    ("/usr/bin/python3", "-m", "pgusher", "--watch", "1"),
    ("/opt/venv/bin/python", "/opt/venv/bin/pgusher", "who"),
    ("python3", "pgusher.pyz", "--no-sql"),
]


@pytest.mark.parametrize("argv", LOOKS)
@pytest.mark.parametrize("parent", [(), ("/usr/sbin/sshd: bob@pts/1",), ("/usr/sbin/cron", "-f")])
def test_another_look_is_shown_as_what_it_is_wherever_it_was_started(
    argv: tuple[str, ...], parent: tuple[str, ...]
) -> None:
    world = World()
    above = world.process(*parent) if parent else None
    world.holds(world.process(*argv, user="bob", uid=1001, parent=above))
    holder = only(attribute(world.facts()).holders)
    assert (holder.name, holder.kind, holder.program) == ("pgusher/bob", HolderKind.OWN, "pgusher")
    assert holder.title == "another look with pgusher (bob)"


def test_what_a_guard_runs_is_not_pgusher() -> None:
    world = World()
    world.holds(world.process("python", "report.py", cwd="/srv", parent=world.process(*OURS[1])))
    assert only(attribute(world.facts()).holders).program is None
