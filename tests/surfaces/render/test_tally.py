"""Sums and the verdict that follows from them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.model.facts import Facts
from pgusher.model.process import Host
from pgusher.model.server import Attempt, Ceilings, Limit, Rung, Server, View
from pgusher.model.session import UNSTARTED, Session
from pgusher.model.snapshot import Snapshot
from pgusher.surfaces.render.headline import verdict_text
from pgusher.surfaces.render.tally import Doing, Status, doing, tally

HUNDRED = Ceilings(100)
ORDINARY = View(Rung.ORDINARY)


def server(taken: int, ceilings: Ceilings | None = HUNDRED, view: View = ORDINARY, others: int = 0) -> Snapshot:
    sessions = [Session(pid) for pid in range(taken)]
    sessions += [Session(10_000 + pid, backend_type="walsender") for pid in range(others)]
    return Snapshot(Facts(0, Host("h"), Server(5432), view, ceilings, tuple(sessions)))


@pytest.mark.parametrize(
    ("taken", "ceilings", "ordinary", "reserved", "superuser"),
    [
        (0, Ceilings(100), "0 of 97", "None", "0 of 3"),
        (97, Ceilings(100), "97 of 97", "None", "0 of 3"),
        (98, Ceilings(100), "97 of 97", "None", "1 of 3"),
        (100, Ceilings(100), "97 of 97", "None", "3 of 3"),
        (103, Ceilings(100), "97 of 97", "None", "3 of 3"),
        (92, Ceilings(100, 3, 5), "92 of 92", "0 of 5", "0 of 3"),
        (95, Ceilings(100, 3, 5), "92 of 92", "3 of 5", "0 of 3"),
        (99, Ceilings(100, 3, 5), "92 of 92", "5 of 5", "2 of 3"),
    ],
)
def test_slots_fill_in_the_order_in_which_the_server_keeps_them(
    taken: int, ceilings: Ceilings, ordinary: str, reserved: str, superuser: str
) -> None:
    sums = tally(server(taken, ceilings))
    assert (str(sums.ordinary), str(sums.reserved), str(sums.superuser)) == (ordinary, reserved, superuser)


def test_what_takes_no_slot_is_not_counted() -> None:
    assert tally(server(3, others=5)).taken == 3


FULL_ROLE = Ceilings(100, roles=(Limit("a", 5, 5), Limit("b", 5, 4)), databases=(Limit("c", 10, 9), Limit("d", 10, 8)))


@pytest.mark.parametrize(
    ("taken", "ceilings", "view", "status"),
    [
        (97, Ceilings(100), View(Rung.RESERVED), Status.FULL),
        (96, Ceilings(100), View(Rung.ORDINARY), Status.NEAR),
        (88, Ceilings(100), View(Rung.ORDINARY), Status.NEAR),
        (87, Ceilings(100), View(Rung.ORDINARY), Status.OK),
        (0, Ceilings(100), View(Rung.ORDINARY), Status.OK),
        (40, Ceilings(100), View(Rung.TITLES, refuses_all=True), Status.FULL),
        (40, None, View(Rung.TITLES, refuses_all=True), Status.FULL),
        (95, Ceilings(100), View(Rung.TITLES, refuses="no"), Status.REFUSES),
        (10, FULL_ROLE, View(Rung.ORDINARY), Status.LIMIT),
        (10, FULL_ROLE, View(Rung.ORDINARY, refuses="too many connections for role"), Status.LIMIT),
        (97, FULL_ROLE, View(Rung.ORDINARY), Status.FULL),
        (40, None, View(Rung.TITLES), Status.UNKNOWN),
        (40, Ceilings(100), View(Rung.TITLES), Status.OK),
        (40, Ceilings(100), View(Rung.TITLES, (Attempt("it", "no answer before the deadline"),)), Status.UNKNOWN),
        (98, Ceilings(100), View(Rung.TITLES, (Attempt("it", "no answer before the deadline"),)), Status.FULL),
        (40, Ceilings(100), View(Rung.TITLES, (Attempt("it", "not let in", "28000"),)), Status.OK),
        (0, None, View(Rung.NONE), Status.UNSEEN),
        (1, Ceilings(2, 3), View(Rung.ORDINARY), Status.FULL),
    ],
)
def test_the_verdict(taken: int, ceilings: Ceilings | None, view: View, status: Status) -> None:
    assert tally(server(taken, ceilings, view)).status is status


def test_limits_that_are_reached_or_near() -> None:
    sums = tally(server(10, FULL_ROLE))
    assert [(kind, limit.name) for kind, limit in sums.reached] == [("role", "a")]
    assert [(kind, limit.name) for kind, limit in sums.near] == [("database", "c")]


def test_a_finding_is_what_refuses_somebody() -> None:
    assert {status for status in Status if status.finding} == {Status.FULL, Status.LIMIT, Status.REFUSES}


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("idle", Doing.IDLE),
        ("active", Doing.ACTIVE),
        ("fastpath function call", Doing.ACTIVE),
        ("idle in transaction", Doing.TRANSACTION),
        ("idle in transaction (aborted)", Doing.TRANSACTION),
        ("authenticating", Doing.OTHER),
        ("disabled", Doing.OTHER),
        (None, Doing.OTHER),
    ],
)
def test_states_are_four(state: str | None, expected: Doing) -> None:
    assert doing(Session(1, state=state)) is expected


@given(st.integers(0, 300), st.integers(1, 200), st.integers(0, 20), st.integers(0, 20))
def test_counts_never_exceed_their_ceiling(taken: int, most: int, superuser: int, reserved: int) -> None:
    sums = tally(server(taken, Ceilings(most, superuser, reserved)))
    parts = [part for part in (sums.ordinary, sums.reserved, sums.superuser) if part]
    assert all(0 <= part.taken <= part.limit for part in parts)
    if taken <= most and superuser + reserved <= most:
        assert sum(part.taken for part in parts) == taken
    assert (sums.status is Status.FULL) == (taken >= max(0, most - superuser - reserved))


def silent(count: int, taken: int, view: View, ceilings: Ceilings | None = HUNDRED) -> Snapshot:
    sessions = [Session(pid) for pid in range(taken)]
    sessions += [Session(10_000 + pid, backend_type=UNSTARTED) for pid in range(count)]
    return Snapshot(Facts(0, Host("h"), Server(5432), view, ceilings, tuple(sessions)))


FULL = View(Rung.TITLES, refuses_all=True)


@pytest.mark.parametrize(
    ("snapshot", "status", "words"),
    [
        (silent(230, 4, FULL), Status.FULL, "230 connections that have not started a session keep the server from"),
        (silent(230, 0, FULL, None), Status.FULL, "230 connections that have not started a session keep the server"),
        (silent(5, 100, FULL), Status.FULL, "97 of 97 ordinary slots taken, 3 of 3 reserved"),
        (silent(5, 60, FULL), Status.FULL, "it refuses everybody, and 60 of 97 ordinary slots taken"),
        (silent(0, 0, FULL), Status.FULL, "it refuses everybody, and 0 of 97 ordinary slots taken"),
        (silent(5, 60, ORDINARY), Status.OK, "60 of 97 ordinary slots taken"),
        (silent(200, 60, ORDINARY), Status.OK, "60 of 97 ordinary slots taken"),
        (silent(200, 60, View(Rung.TITLES)), Status.UNKNOWN, "60 of 97 ordinary slots taken"),
        (silent(200, 60, View(Rung.HELD)), Status.UNKNOWN, "60 of 97 ordinary slots taken"),
    ],
)
def test_connections_without_a_session_take_no_slot_and_may_fill_the_server(
    snapshot: Snapshot, status: Status, words: str
) -> None:
    sums = tally(snapshot)
    assert sums.status is status
    assert verdict_text(sums).startswith(words)
