"""Letters of holders."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pgusher.model.holder import Holder, HolderKind
from pgusher.surfaces.render.letters import OTHERS, OWN, UNKNOWN, assign


def holders(*names: str, kind: HolderKind = HolderKind.UNIT) -> tuple[Holder, ...]:
    return tuple(Holder(name, kind, name, (place,)) for place, name in enumerate(names))


def test_a_letter_comes_from_the_name() -> None:
    assert assign(holders("unit/grafana", "cron/gather", "unit/web", "cron/g")) == {
        "unit/grafana": "g",
        "cron/gather": "a",
        "unit/web": "w",
        "cron/g": "b",
    }


def test_a_holder_keeps_its_letter_while_others_come_and_go() -> None:
    first = assign(holders("unit/grafana", "unit/web"))
    second = assign(holders("cron/gather", "unit/web"), first)
    third = assign(holders("unit/grafana", "cron/gather"), second)
    assert second["unit/web"] == first["unit/web"]
    assert third["unit/grafana"] == "g"
    assert third["cron/gather"] == "a"


def test_pgusher_and_the_unknown_have_signs_of_their_own() -> None:
    odd = holders("pgusher", kind=HolderKind.OWN) + holders("uid/root", kind=HolderKind.HIDDEN)
    assert assign(odd) == {"pgusher": OWN, "uid/root": UNKNOWN}


def test_names_without_letters_get_one() -> None:
    assert set(assign(holders("remote/10.0.0.7", "remote/::1", "中")).values()) == {"a", "b", "c"}


def test_after_the_alphabet_they_share_a_sign() -> None:
    found = assign(holders(*(f"unit/{n}" for n in range(30))))
    assert list(found.values()).count(OTHERS) == 4


@given(st.lists(st.text(max_size=8), max_size=40, unique=True))
def test_no_two_have_one_letter(names: list[str]) -> None:
    letters = [letter for letter in assign(holders(*names)).values() if letter != OTHERS]
    assert len(letters) == len(set(letters)) <= 26
    assert all(letter.isascii() and letter.islower() for letter in letters)
