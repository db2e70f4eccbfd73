"""The pictures of the screen. `tests.surfaces.tui.pictures` says how to renew them after a change that is meant."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from tests.surfaces.tui.pictures import GOLDEN, SCENES, picture, texts

SMALL = [name for name, (_, size, _, _) in SCENES.items() if size == (80, 24)]


def kept(name: str) -> str:
    return (GOLDEN / f"{name}.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SCENES)
def test_the_screen_is_as_it_must_be(name: str) -> None:
    made = picture(name)
    assert texts(made) == texts(kept(name)), "what stands on it"
    assert made == kept(name), "its colours and places"


def test_no_picture_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.glob("*")} == set(SCENES)


def test_a_changed_letter_or_colour_would_be_seen() -> None:
    svg = kept("full-80x24")
    assert texts(svg.replace("grafana", "grafane")) != texts(svg)
    assert svg.replace("#", "#0", 1) != svg


@pytest.mark.parametrize("name", SCENES)
def test_nothing_is_loaded_from_elsewhere(name: str) -> None:
    svg = kept(name)
    assert "url(http" not in svg
    assert "@import" not in svg
    ET.fromstring(svg)  # noqa: S314 - our own file


@pytest.mark.parametrize("name", [name for name in SMALL if name not in {"plan-allowed", "time-asked"}])
def test_the_keys_stand_whole_in_the_last_line_of_a_small_terminal(name: str) -> None:
    assert texts(kept(name)).splitlines()[-1].rstrip().endswith("f plan")


def test_who_may_act_reads_what_the_chosen_button_does() -> None:
    assert "[ Cancel ]" in texts(kept("plan-allowed"))
    assert "[ Do the 1 safe ]" in texts(kept("plan-allowed"))


def test_without_unicode_or_colour_there_is_none() -> None:
    assert texts(kept("full-ascii")).isascii()
    for name in ("full-ascii", "full-monochrome"):
        colours = {one[:6] for one in kept(name).split("fill: #")[1:]}
        for colour in colours:
            parts = [int(colour[at : at + 2], 16) for at in (0, 2, 4)]
            assert max(parts) - min(parts) <= 4, (name, colour, "a grey")
