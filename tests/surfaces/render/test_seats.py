"""The seat map."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from pgusher.model.server import Ceilings
from pgusher.model.snapshot import Snapshot
from pgusher.surfaces.render.letters import assign
from pgusher.surfaces.render.screen import Screen
from pgusher.surfaces.render.seats import hue_of, seat_map
from tests.surfaces import worlds

TERMINAL = Screen()


def drawn(snapshot: Snapshot, screen: Screen = TERMINAL) -> list[str]:
    return [screen.paint(line) for line in seat_map(screen, snapshot, assign(snapshot.holders))]


def test_each_slot_has_a_seat_and_each_holder_its_number_of_them() -> None:
    lines = drawn(worlds.incident())
    seats = Counter("".join(lines[:3]).partition("kept")[0].lower())
    assert {letter: seats[letter] for letter in "govmsa@."} == {
        "g": 62, "o": 18, "v": 8, "m": 5, "s": 4, "a": 2, "@": 1, ".": 0,
    }  # fmt: skip


def test_superusers_and_pgusher_sit_on_the_seats_that_are_kept() -> None:
    assert drawn(worlds.incident())[2] == "      aa@  kept for superusers"


def test_work_is_in_capitals_and_stands_first() -> None:
    lines = drawn(worlds.incident())
    assert "  GGGGGggggg " in lines[0]
    assert "OOOOoooo" in lines[1]


def test_free_seats_are_dots_and_both_reserves_are_told() -> None:
    lines = drawn(worlds.quiet())
    assert "".join(lines[:3]).count(".") == 100 - 12
    assert lines[2] == "      ........  5 reserved, 3 kept for superusers"
    assert lines[3] == "  letter = holder, . free, @ pgusher"


@pytest.mark.parametrize(("reserved", "superuser", "words"), [(2, 0, "reserved"), (0, 2, "kept for superusers")])
def test_the_seats_apart_say_for_whom(reserved: int, superuser: int, words: str) -> None:
    snapshot = worlds.quiet()
    facts = replace(snapshot.facts, ceilings=Ceilings(50, superuser, reserved))
    assert drawn(replace(snapshot, facts=facts))[1] == f"      ..  {words}"


def test_no_seats_apart_when_none_are_kept() -> None:
    snapshot = worlds.quiet()
    facts = replace(snapshot.facts, ceilings=Ceilings(50, 0, 0))
    assert drawn(replace(snapshot, facts=facts))[1:] == ["  letter = holder, . free, @ pgusher"]


def test_over_200_slots_one_sign_stands_for_several_and_says_so() -> None:
    lines = drawn(worlds.crowd(600, 14))
    assert "one sign = 3 slots" in lines[-2]
    assert lines[1].startswith("  151  ")
    assert len("".join(line[7:].replace(" ", "") for line in lines[:4])) == 199


@pytest.mark.parametrize("slots", [1001, 5000])
def test_over_1000_slots_there_is_no_map(slots: int) -> None:
    assert drawn(worlds.crowd(slots, 5)) == []


def test_no_ceiling_no_map() -> None:
    snapshot = worlds.incident(ceilings=None)
    assert drawn(snapshot) == []


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_it_fits_and_rows_are_whole_blocks(width: int) -> None:
    lines = drawn(worlds.incident(), Screen(width=width))
    assert all(len(line) <= width for line in lines)
    rows = [line for line in lines if line[:4].strip().isdecimal()]
    assert [int(row[:4]) for row in rows] == list(range(1, 98, {20: 10, 40: 30}.get(width, 50)))


def test_a_torn_view_with_more_sessions_than_slots_is_drawn() -> None:
    snapshot = worlds.incident(ceilings=Ceilings(90))
    assert len(drawn(snapshot)) == 4


def test_a_hue_stays_with_its_letter() -> None:
    assert hue_of({"x": "g", "y": "?"}) == {"g": "hue6"}
