"""Every screen, byte for byte. `tests.surfaces.screens` says how to renew the files after a change that is meant."""

from __future__ import annotations

import re

import pytest

from pgusher.surfaces.render import cells
from tests.surfaces.screens import GOLDEN, SCREENS

SGR = re.compile(r"\x1b\[[0-9;]*m")
WIDTHS = dict.fromkeys(
    ["state-wide", "3000-slots", "who-grafana-wide", "why-wide", "budget-wide", "jobs-wide", "jobs-show-all"], 120
)


@pytest.mark.parametrize("name", SCREENS)
def test_the_screen_is_as_it_must_be(name: str) -> None:
    assert SCREENS[name]() == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


def test_no_file_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.glob("*")} == set(SCREENS)


@pytest.mark.parametrize("name", [name for name in SCREENS if "pipe" not in name])
def test_it_fits_its_terminal(name: str) -> None:
    lines = SGR.sub("", SCREENS[name]()).splitlines()
    assert max(map(cells.width, lines)) <= WIDTHS.get(name, 80)


ONE_SCREEN = [
    "state",
    "state-colour",
    "state-ascii",
    "half-blind",
    "limit-reached",
    "quiet",
    "two-servers",
    "600-slots",
]


@pytest.mark.parametrize("name", [*ONE_SCREEN, "3000-slots-ascii"])
def test_it_fits_into_24_lines_with_the_prompt(name: str) -> None:
    assert SCREENS[name]().count("\n") <= 23


@pytest.mark.parametrize("name", [name for name in SCREENS if "pipe" in name])
def test_a_pipe_has_no_colour_no_picture_and_nothing_cut(name: str) -> None:
    text = SCREENS[name]()
    assert "\x1b" not in text
    assert "…" not in text
    assert "ggggg" not in text
    tables = [block.splitlines() for block in text.split("\n\n") if "\t" in block.splitlines()[0]]
    for table in tables:
        if not table[0].startswith(("status", "holder\t")):
            assert len({line.count("\t") for line in table}) == 1


@pytest.mark.parametrize("name", ["state-ascii", "3000-slots-ascii"])
def test_ascii_is_ascii(name: str) -> None:
    assert SCREENS[name]().isascii()


def test_colour_adds_nothing_but_colour() -> None:
    """Whoever sees no colour loses nothing: the same text but for the blank around the badge."""
    plain = SCREENS["state"]().split("\n")
    coloured = SGR.sub("", SCREENS["state-colour"]()).split("\n")
    assert coloured[0].split() == plain[0].replace("FULL:", "FULL").split()
    assert [line.rstrip() for line in coloured[1:]] == plain[1:]


def test_nobody_is_advised_to_raise_max_connections() -> None:
    for name, screen in SCREENS.items():
        assert not re.search(r"(raise|increase|set).{0,30}max_connections", screen(), re.IGNORECASE), name


def test_a_full_server_is_told_in_the_first_line() -> None:
    for name, screen in SCREENS.items():
        if name.startswith(("state", "half", "who-cron")) and name != "state-all":
            assert "full" in screen().split("\n", 1)[0].lower(), name
