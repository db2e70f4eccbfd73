"""A proposal fits whenever it can, keeps to its stated rule, and says what must give when it cannot."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pgusher.budget.proposal import propose
from pgusher.budget.sheet import files
from pgusher.collect.memory import private_kb
from pgusher.model.budget import Amount, Claim, Setting
from pgusher.model.holder import HolderKind
from pgusher.model.proposal import Proposal
from pgusher.model.server import Ceilings, Limit
from pgusher.surfaces.render.budget_plan import arithmetic, by_hand, raising


def claim(name: str, may: int | None, used: int = 1, processes: int = 1, **more: object) -> Claim:
    values = {"holds": used, "used": used, "processes": processes, "kind": HolderKind.UNIT, **more}
    endless = bool(values.pop("endless", False))
    return Claim(name, may=Amount(may, "x", endless=endless), **values)  # type: ignore[arg-type]


def proposed(*claims: Claim, most: int = 100) -> Proposal:
    found = propose(files([], claims, Ceilings(most), "p"))
    assert found is not None
    return found


def test_the_incident_is_made_to_fit() -> None:
    """100 of Grafana, 20 of the back end and a job of 9 against 97."""
    found = proposed(
        claim("grafana", 100, 12, settings=(Setting("maxOpenConns", "100", "/etc/grafana/p.yaml:4"),)),
        claim("api", 20, 6, 2, busiest=Amount(6, "ledgers"), settings=(Setting("max_size", "10", "its code", 2),)),
        claim("cron/report", 9, 3),
    )
    # 97 - 3 for people = 94, less one process of api. Minimums 21; wanted 129.
    assert (found.people, found.deploy, found.give, found.least) == (3, 7, 87, 21)
    assert {share.holder: (share.minimum, share.maximum) for share in found.shares} == {
        "grafana": (12, 65), "api": (6, 14), "cron/report": (3, 6),
    }  # fmt: skip
    assert found.fits
    assert found.most <= found.give
    assert [text for share in found.shares for text in by_hand(share)] == [
        "grafana: /etc/grafana/p.yaml:4: maxOpenConns 65 instead of 100",
        "api: its code: max_size 7 instead of 10",
        "cron/report: keep it to 6: nothing tells where its limit is set",
    ]
    assert raising(found)[0].startswith("raising max_connections is not the answer yet: what the holders really used")


def test_what_fits_is_left_as_it_is() -> None:
    found = proposed(claim("web", 40, 6, 4), claim("jobs", 10))
    assert [share.maximum for share in found.shares] == [40, 10]
    assert not any(share.changes for share in found.shares)
    assert (found.deploy, found.deploys) == (10, "web")


def test_what_fits_below_a_limit_over_several_is_left_as_it_is() -> None:
    claims = [claim(name, 60, roles=("web",)) for name in ("a", "b")]
    found = propose(files([], claims, Ceilings(100, roles=(Limit("web", 70, 2),)), "p"))
    assert found is not None
    assert [(share.maximum, share.changes) for share in found.shares] == [(60, False)] * 2
    assert (found.most, found.give) == (70, 94)
    assert "maximums 70 of 94 (120 without the limits over several of them)" in arithmetic(found)[1]
    scarce = propose(files([], claims, Ceilings(60, roles=(Limit("web", 70, 2),)), "p"))
    assert scarce is not None
    assert [share.maximum for share in scarce.shares] == [27, 27]


def test_no_setting_is_made_larger_than_it_is() -> None:
    settings = tuple(Setting("maxOpenConns", most, "grafana.db") for most in ("3", "7", "20"))
    (share,) = proposed(claim("grafana", 30, settings=settings), most=17).shares
    assert share.maximum == 12
    assert [most for _, most in share.shared_out()] == [1, 2, 8]
    pool = (Setting("default_pool_size", "20", "/etc/pgbouncer.ini:4"),)
    (share,) = proposed(claim("pgbouncer", 100, settings=pool), most=55).shares
    assert share.maximum == 50
    assert [most for _, most in share.shared_out()] == [10]
    unknown = (Setting("maxOpenConns", "no limit", "a"), Setting("maxOpenConns", "3", "b"))
    (share,) = proposed(claim("grafana", None, used=20, endless=True, settings=unknown), most=17).shares
    assert [most for _, most in share.shared_out()] == [10, 3]


def test_what_must_give_is_said_when_nothing_fits_and_then_raising_is_the_answer() -> None:
    found = proposed(claim("web", 90, 80), claim("jobs", 30, 25))
    assert not found.fits
    assert found.gives == ("the minimums are 105, 11 more than the 94 there are: the largest are web 80, jobs 25",)
    assert found.raising is not None
    assert (found.raising.to, found.raising.more, found.raising.against) == (111, 11, ())
    assert raising(found)[0].startswith("raising max_connections is the answer")
    unknown = proposed(claim("web", None, 80), claim("jobs", 30, 25))
    assert unknown.raising is not None
    assert unknown.raising.against == ("what web may take is not known",)


def test_hung_runs_and_sessions_of_nobody_go_first() -> None:
    hung = claim("cron/report", None, 0, 3, holds=9, each=3, endless=True, kind=HolderKind.CRON)
    gone = claim("gone/x", 5, 0, holds=5, kind=HolderKind.GONE)
    found = proposed(hung, gone, claim("web", 50))
    assert {share.holder: share.maximum for share in found.shares} == {"cron/report": 3, "web": 50}
    scarce = proposed(hung, claim("web", 500))
    assert {share.holder: share.minimum for share in scarce.shares} == {"cron/report": 3, "web": 1}
    assert found.gives == (
        "gone/x: 5 slots whose client is gone: pgusher free gone/x",
        "cron/report: as one run at a time it takes 3 instead of 9: pgusher run",
    )


def test_a_role_of_several_holders_gets_their_sum_and_a_superuser_none() -> None:
    found = proposed(
        claim("a", 10, roles=("web",)), claim("b", 20, roles=("web",)), claim("c", 5, roles=("x", "y")),
        claim("d", 5, roles=("x",)), claim("e", 5, roles=("postgres",), superuser=True),
    )  # fmt: skip
    assert found.limits == (("web", 30),)


_CLAIMS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 200), st.integers(1, 8)), max_size=8)


@given(_CLAIMS, st.integers(5, 300))
def test_any_proposal_keeps_its_word(numbers: list[tuple[int, int, int]], most: int) -> None:
    claims = [claim(f"h{at}", may, used, times) for at, (used, may, times) in enumerate(numbers)]
    found = proposed(*claims, most=most)
    assert all(share.minimum <= share.maximum <= max(share.wanted, share.minimum) for share in found.shares)
    if found.fits:
        assert found.most <= found.give
        assert found.most + found.people + found.deploy <= found.ordinary
        assert all(-(-s.maximum // s.processes) <= found.deploy for s in found.shares if s.processes > 1)
    else:
        assert found.gives


def test_memory_is_that_of_a_process_itself() -> None:
    import os

    own = private_kb([os.getpid()])
    assert own is not None
    assert 1000 < own < 10_000_000
    assert private_kb([]) is None
    assert private_kb([2**30]) is None
