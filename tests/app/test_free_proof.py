"""Who is asked to take a slot as the last proof: an ordinary role, also where nothing but titles was seen."""

from __future__ import annotations

from pgusher.app.free_proof import candidates
from pgusher.model.values import replace
from tests.remedy.planning import PSQL, STUCK, look, plan


def test_the_role_whose_sessions_were_ended_is_asked_first() -> None:
    text = STUCK + PSQL
    assert candidates(plan(text), look(text)[0])[0] == ("app", "app")


def test_a_superuser_takes_no_ordinary_slot() -> None:
    before = look(STUCK)[0]
    facts = before.facts
    bosses = tuple(replace(session, superuser=True) for session in facts.sessions)
    assert candidates(plan(STUCK), replace(before, facts=replace(facts, sessions=bosses))) == []


def test_where_titles_alone_were_seen_the_server_is_asked_about_all_but_its_own_user() -> None:
    before = look(STUCK)[0]
    facts = before.facts
    titled = [replace(session, superuser=None) for session in facts.sessions]
    titled += [replace(titled[0], pid=70, user="postgres"), replace(titled[0], pid=71, user="dba")]
    server = replace(facts.server, os_user="dba")
    seen = replace(before, facts=replace(facts, sessions=tuple(titled), server=server))
    assert candidates(plan(STUCK), seen) == [("app", "app")]
