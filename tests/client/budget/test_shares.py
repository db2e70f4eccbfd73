"""The arithmetic of shares."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.client.budget.shares import Asker, allot, judge

ASKERS = st.lists(
    st.builds(Asker, st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.integers(0, 10)),
    min_size=1,
    max_size=30,
)


def wanting(*demands: int, minimum: int = 0) -> list[Asker]:
    return [Asker(0, 0, demand, minimum) for demand in demands]


def test_everybody_gets_what_he_wants_while_there_is_enough() -> None:
    assert allot(10, wanting(3, 4, 3)) == [3, 4, 3]


def test_who_wants_little_gets_it_and_the_others_share_the_rest() -> None:
    assert allot(12, wanting(2, 50, 50)) == [2, 5, 5]


def test_idle_slots_are_no_demand() -> None:
    assert allot(4, [Asker(4, 3, 0), Asker(0, 0, 9)]) == [1, 3]


def test_a_minimum_comes_first_but_only_as_far_as_it_is_wanted() -> None:
    assert allot(10, [Asker(0, 0, 9, 6), *wanting(9, 9)]) == [6, 2, 2]
    assert allot(10, [Asker(0, 0, 1, 6), *wanting(9, 9, minimum=0)])[0] == 1


def test_more_is_guaranteed_than_there_is() -> None:
    assert sorted(allot(10, wanting(9, 9, 9, minimum=6))) == [3, 3, 4]


def test_what_does_not_divide_evenly_goes_round() -> None:
    given_out = [allot(37, wanting(*[4] * 20), epoch) for epoch in range(20)]
    totals = [sum(shares) for shares in zip(*given_out, strict=True)]
    assert max(totals) == min(totals)
    for one, other in pairwise(given_out):
        changed = sum(a != b for a, b in zip(one, other, strict=True))
        assert 0 < changed <= 6  # three give one slot up, three get one


@given(st.integers(1, 100), ASKERS, st.integers(0, 10**9))
def test_a_share_is_never_more_than_the_demand_and_all_of_them_never_more_than_there_is(
    total: int, askers: list[Asker], epoch: int
) -> None:
    shares = allot(total, askers, epoch)
    assert sum(shares) == min(total, sum(asker.demand for asker in askers))
    assert all(0 <= share <= asker.demand for share, asker in zip(shares, askers, strict=True))
    unserved = [
        share for share, asker in zip(shares, askers, strict=True) if share < asker.demand and share >= asker.minimum
    ]
    if unserved:  # among those that want more, nobody has two more than another, beyond what is guaranteed
        most = max((s for s, a in zip(shares, askers, strict=True) if s > a.minimum), default=0)
        assert most <= min(unserved) + 1


@given(st.integers(1, 100), ASKERS, st.integers(0, 10**9))
def test_nobody_gives_more_than_others_lack(total: int, askers: list[Asker], epoch: int) -> None:
    shares = allot(total, askers, epoch)
    for me, asker in enumerate(askers):
        verdict = judge(total, askers, me, epoch)
        assert 0 <= verdict.surplus <= max(0, asker.held - shares[me])
        assert verdict.may_take <= verdict.free
        if not any(other.waiting for index, other in enumerate(askers) if index != me):
            assert verdict.surplus == 0


@pytest.mark.parametrize(("held", "urgent"), [(0, True), (1, True), (2, False), (3, False)])
def test_it_is_urgent_when_somebody_has_less_than_half_of_his_share(held: int, urgent: bool) -> None:
    askers = [Asker(8 - held, 0, 4), Asker(held, 0, 4)]
    verdict = judge(8, askers, 0)
    assert verdict.surplus == 4 - held
    assert verdict.urgent is urgent
