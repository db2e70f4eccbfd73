"""The lines of the demo: they fit a terminal, and their figures are those of the events."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pgusher.demo import story

EVENTS: dict[str, dict[str, Any]] = {
    "server": {"version": "18.6", "port": 29999, "max_connections": 100, "ordinary": 97, "socket": "/s"},
    "jobs": {
        "real": True,
        "why": "",
        "jobs": [["version_history.py", 3, "5-55/10 * * * *"], ["price_import.py", 1, "30 2 * * *"]],
        "sessions": 12,
    },
    "api": {"workers": 2, "pool": 10, "sessions": 20},
    "people": {"people": [["anna", False], ["ben", True]], "sessions": 2},
    "grafana": {"limit": 100, "sessions": 57, "taken": 97, "of": 97},
    "refused": {"words": "FATAL:  sorry, too many clients already", "code": 3},
    "started": {
        "sessions": 10,
        "seconds": 10.8,
        "orders": {"workers": 2, "budget": 4, "asked": 40, "answered": 40, "sessions": 4},
    },
}


def test_there_is_a_line_for_each_event() -> None:
    assert EVENTS.keys() == story.TOLD.keys()


@pytest.mark.parametrize("name", EVENTS)
def test_lines_fit_into_80_columns(name: str) -> None:
    lines = story.TOLD[name](EVENTS[name])
    assert lines
    assert max(len(line) for line in lines) <= 80 - len("  9.9 s  ")


@pytest.mark.parametrize(
    ("name", "slots"), [("jobs", 12), ("api", 20), ("people", 2), ("grafana", 57), ("started", 10), ("started", 4)]
)
def test_slots_stand_at_the_right(name: str, slots: int) -> None:
    ends = [int(found[1]) for line in story.TOLD[name](EVENTS[name]) if (found := re.search(r" (\d+) slots$", line))]
    assert slots in ends


def test_one_slot_is_a_slot() -> None:
    (line,) = story.people({"people": [["anna", False]], "sessions": 1})
    assert line.endswith(" 1 slot")


def test_the_servers_words_are_told_as_they_are() -> None:
    assert EVENTS["refused"]["words"] in "\n".join(story.refused(EVENTS["refused"]))


def test_a_stand_in_for_cron_is_called_one_with_the_reason() -> None:
    told = " ".join(story.jobs({**EVENTS["jobs"], "real": False, "why": "only root may run cron"}))
    assert "stand-in for cron (only root may run cron)" in told
    assert not re.search(r"^cron runs", told)


def test_what_is_like_grafana_is_called_a_stand_in() -> None:
    assert all("stand-in" in line for line in story.grafana(EVENTS["grafana"]) if "Grafana" in line)


def test_nobody_at_a_terminal_is_told() -> None:
    assert "psql" in story.people({"people": [], "sessions": 0})[0]


def test_waiting_says_how_far_it_is() -> None:
    for part in ("runs", "api", "grafana"):
        assert "3 of 8" in story.waiting({"part": part, "done": 3, "of": 8})
