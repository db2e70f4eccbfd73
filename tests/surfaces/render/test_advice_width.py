"""A command to type next is whole on every terminal, or it is no command."""

from __future__ import annotations

import shlex

import pytest

from pgusher.surfaces.render.advice import Command, advice_lines
from pgusher.surfaces.render.screen import Screen

LONG = "sudo /srv/shop/backend/.venv/bin/pgusher --host db.internal.example.org --port 30021 --username shop"


def shown(width: int | None, *commands: Command) -> list[str]:
    screen = Screen(width=width)
    return screen.page(advice_lines(screen, list(commands))).splitlines()


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 132, None])
def test_what_is_pasted_is_the_whole_command(width: int | None) -> None:
    lines = shown(width, Command(LONG, "root sees what is hidden now"), Command("pgusher who", "every chain"))
    pasted = "\n".join(line.removeprefix("next").strip() for line in lines[:-1])
    assert shlex.split(pasted.replace("\\\n", ""), comments=True) == LONG.split()
    assert "…" not in pasted.partition("  # ")[0]
    if width is not None and width >= 60:
        assert all(len(line) <= width for line in lines)


def test_a_reason_that_has_no_room_is_left_out() -> None:
    (line,) = shown(
        80, Command("pgusher --host 127.0.0.1 --port 30021 --username shop why more and m", "three findings")
    )
    assert line == "next  pgusher --host 127.0.0.1 --port 30021 --username shop why more and m"


def test_one_that_has_some_is_cut() -> None:
    (line,) = shown(60, Command("pgusher why --port 5432", "x" * 80))
    assert line.endswith("x…")
    assert len(line) == 60
