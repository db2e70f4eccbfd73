"""Looks with pgusher are accused by no rule, whatever they do; and what keeps this one out is told as it is."""

from __future__ import annotations

import pytest

from pgusher.attribute import attribute
from pgusher.diagnose import engine
from pgusher.diagnose.case import Case
from pgusher.model.evidence import Gap
from pgusher.model.server import Attempt, Rung
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


@pytest.mark.parametrize(
    ("attempts", "opens"),
    [
        ((), "ask the server by SQL as well (without --no-sql)"),
        ((Attempt("as given", "sorry, too many clients already", "53300"),), "free a slot, or let pgusher use"),
        ((Attempt("as given", "Peer authentication failed", "28000"),), "pgusher -U ROLE, where ROLE may log in"),
    ],
)
def test_what_would_let_it_ask_by_sql_is_what_kept_it_out(attempts: tuple[Attempt, ...], opens: str) -> None:
    facts = World().facts()
    seen = attribute(replace(facts, view=replace(facts.view, rung=Rung.TITLES, attempts=attempts)))
    gap = Case(seen).need("activity")
    assert isinstance(gap, Gap)
    assert gap.opens.startswith(opens)
