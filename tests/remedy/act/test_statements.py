"""What is put into the statements that act, and what follows from their answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.model.findings import Safety
from pgusher.model.plan import Lever, OutcomeKind, RoleSetting, SessionIdentity, Step
from pgusher.remedy.act import roles, statements
from pgusher.remedy.act.result import Result
from pgusher.remedy.act.sessions import judge, target
from pgusher.remedy.act.statements import Found, Target

IDLE = SessionIdentity(4711, 1_000, "idle", 2_000, "app", "shop")
SQL = "idle'; drop table x; --"


def step(lever: Lever = Lever.TERMINATE, safety: Safety = Safety.SAFE) -> Step:
    return Step(1, lever, "", safety)


@pytest.mark.parametrize(
    ("session", "lever", "safety", "exact"),
    [
        (IDLE, Lever.TERMINATE, Safety.SAFE, True),
        (IDLE, Lever.TERMINATE, Safety.UNSAFE, True),  # what it would lose now was not agreed to
        (SessionIdentity(1, 1, "idle in transaction", 2), Lever.TERMINATE, Safety.UNSAFE, True),
        (SessionIdentity(1, 1, "active", 2), Lever.TERMINATE, Safety.UNSAFE, False),  # its work was agreed to be lost
        (SessionIdentity(1, 1, "active", 2), Lever.TERMINATE, Safety.SAFE, True),
        (SessionIdentity(1, 1, "active", 2), Lever.CANCEL, Safety.UNSAFE, True),  # this statement, and no later one
        (SessionIdentity(1, 1, "disabled", 2), Lever.TERMINATE, Safety.UNSAFE, False),
        (SessionIdentity(1, 1, None, None), Lever.TERMINATE, Safety.UNSAFE, False),
    ],
)
def test_what_must_be_the_same(session: SessionIdentity, lever: Lever, safety: Safety, exact: bool) -> None:
    made = target(1, session, step(lever, safety))
    assert isinstance(made, Target)
    assert made.exact is exact


@pytest.mark.parametrize(
    ("session", "lever", "safety"),
    [
        (SessionIdentity(1, None, "idle", 2), Lever.TERMINATE, Safety.UNSAFE),
        (SessionIdentity(1, 1, "disabled", 2), Lever.TERMINATE, Safety.SAFE),
        (SessionIdentity(1, 1, None, None), Lever.TERMINATE, Safety.SAFE),
        (SessionIdentity(1, 1, "idle", None), Lever.TERMINATE, Safety.SAFE),
        (SessionIdentity(1, 1, SQL, 2), Lever.TERMINATE, Safety.SAFE),
        (SessionIdentity(1, 1, None, None), Lever.CANCEL, Safety.UNSAFE),
    ],
)
def test_what_was_not_seen_is_refused(session: SessionIdentity, lever: Lever, safety: Safety) -> None:
    made = target(1, session, step(lever, safety))
    assert isinstance(made, Result)
    assert made.kind is OutcomeKind.REFUSED


def test_a_state_that_no_server_tells_never_gets_into_a_statement() -> None:
    made = target(1, SessionIdentity(1, 1, SQL, 2), step(safety=Safety.UNSAFE))
    assert isinstance(made, Target)
    assert "drop table" not in statements.terminate([made], 5)
    with pytest.raises(ValueError, match="drop table"):
        statements.terminate([Target(1, SessionIdentity(1, 1, SQL, 2), exact=True)], 5)


@pytest.mark.parametrize(
    ("verdict", "kind"),
    [
        ("same", None), ("gone", "gone"), ("other", "gone"), ("restarted", "gone"), ("changed", "refused"),
        ("superuser", "refused"), ("own", "refused"), ("kind", "refused"), ("hidden", "refused"),
        ("denied", "refused"), ("something new", "refused"),
    ],
)  # fmt: skip
def test_only_what_is_the_same_may_be_ended(verdict: str, kind: str | None) -> None:
    found = judge(Found(1, verdict, None, "active", 3_000, 1_000, "app", "client backend"), Target(1, IDLE, exact=True))
    assert (None if found is None else found.kind.value) == kind


@given(st.text(max_size=30))
def test_a_name_or_value_stays_within_its_quotes(word: str) -> None:
    quoted = roles.identifier(word)
    assert quoted[1:-1].replace('""', "").count('"') == 0
    assert quoted[1:-1].replace('""', '"') == word
    value = roles.literal(word)
    assert value.startswith(" E'")
    inner = value[3:-1].replace("\\\\", "").replace("''", "")
    assert "'" not in inner
    assert "\\" not in inner


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (RoleSetting("app", "CONNECTION LIMIT", "-1", "many"), "a connection limit is a number"),
        (RoleSetting("app", "CONNECTION LIMIT", "-1", "-2"), "a connection limit is a number"),
        (RoleSetting("app", "CONNECTION LIMIT", "-1", None), "a connection limit is a number"),
        (RoleSetting("app", "CONNECTION LIMIT", "-1", "1; drop role x"), "a connection limit is a number"),
        (RoleSetting("app", "superuser", None, "on"), "parameter superuser is not one that pgusher changes"),
        (RoleSetting("app", "search_path", None, "x"), "not one that pgusher changes"),
        (RoleSetting("", "statement_timeout", None, "1s"), "names no role"),
        (RoleSetting("a\0b", "statement_timeout", None, "1s"), "names no role"),
    ],
)
def test_only_known_settings_are_changed(setting: RoleSetting, said: str) -> None:
    class Nobody:
        def run(self, sql: str, deadline: float) -> list[list[bytes]]:
            raise AssertionError(sql, deadline)

    from pgusher.remedy.act.sessions import Server

    made = Step(1, Lever.TIMEOUTS, "", Safety.SAFE, settings=(setting,))
    result = roles.change(Server(Nobody(), None, lambda: 0.0), made)
    assert result.kind is OutcomeKind.REFUSED
    assert said in result.text
