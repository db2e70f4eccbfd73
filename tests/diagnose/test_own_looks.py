"""Looks with pgusher that somebody else has running are accused by no rule, whatever they do."""

from __future__ import annotations

from pgusher.attribute import attribute
from pgusher.diagnose import engine
from pgusher.diagnose.case import Case
from pgusher.model.values import replace
from tests.attribute.builders import World


def test_a_crowd_of_looks_on_a_full_server_is_nobody_s_fault() -> None:
    world = World()
    looks = world.process("python", "-m", "pgusher", "--watch", "1", user="bob", uid=1001)
    other = world.process("python", "report.py", cwd="/srv", user="eve", uid=1002)
    for _ in range(30):
        world.holds(looks)
    world.holds(other)
    facts = world.facts()
    seen = attribute(replace(facts, server=replace(facts.server, local=True)))
    assert [(h.name, len(h.sessions)) for h in seen.holders] == [("pgusher/bob", 30), ("script/report.py", 1)]
    sessions, holders = Case(seen).need("sessions"), Case(seen).need("holders")
    assert isinstance(sessions, tuple)
    assert isinstance(holders, tuple)
    assert len(sessions) == 1
    assert [held.name for held in holders] == ["script/report.py"]
    accused = {finding.holder for finding in engine.diagnose(seen).findings}
    assert not accused & {"pgusher/bob"}
