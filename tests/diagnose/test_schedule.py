"""The longest pause of a schedule, held against a naive clock."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.diagnose.schedule import in_words, longest_pause, shortest_pause
from pgusher.diagnose.text import DAY, HOUR, MINUTE, listed, span
from pgusher.model.jobs import CronEntry, CronKind


def entry(schedule: str, kind: CronKind = CronKind.SYSTEM) -> CronEntry:
    return CronEntry(kind, "/etc/crontab", 3, schedule, "x")


@pytest.mark.parametrize(
    ("schedule", "pause"),
    [
        ("* * * * *", MINUTE),
        ("*/10 * * * *", 10 * MINUTE),
        ("*/7 * * * *", 7 * MINUTE),
        ("1-59/2 * * * *", 2 * MINUTE),
        ("17 * * * *", HOUR),
        ("0 2 * * *", DAY),
        ("30 6,18 * * *", 12 * HOUR),
        ("0 9-17 * * 1-5", 64 * HOUR),
        ("0 9-17 * * mon-fri", 64 * HOUR),
        ("5 4 * * sun", 7 * DAY),
        ("5 4 * * 7", 7 * DAY),
        ("0 0 1 * *", 31 * DAY),
        ("0 0 1,15 * mon", 7 * DAY),
        ("0 3 * jan,jul *", (184 - 30) * DAY),
        ("@hourly", HOUR),
        ("@daily", DAY),
        ("@weekly", 7 * DAY),
        ("@monthly", 31 * DAY),
        ("@yearly", 366 * DAY),
        ("@reboot", None),
        ("~ * * * *", None),
        ("1 2 3", None),
        ("61 * * * *", None),
        ("x", None),
        ("", None),
    ],
)
def test_a_crontab_s(schedule: str, pause: int | None) -> None:
    assert longest_pause(entry(schedule)) == pause


@pytest.mark.parametrize(
    ("schedule", "pause"),
    [
        ("* * * * *", MINUTE),
        ("*/10 * * * *", 10 * MINUTE),
        ("*/7 * * * *", 4 * MINUTE),
        ("0,5 9 * * *", 5 * MINUTE),
        ("0 9-17 * * 1-5", HOUR),
        ("59 23 * * *", DAY),
        ("0 0,23 * * *", HOUR),
        ("0 0,23 * * 1", 23 * HOUR),
        ("5 4 * * sun", 7 * DAY),
        ("0 0 1 * *", 28 * DAY),
        ("0 0 1,15 * mon", DAY),
        ("@hourly", HOUR),
        ("@yearly", 365 * DAY),
        ("@reboot", None),
        ("~ * * * *", None),
        ("0 0 30 2 *", None),
        ("", None),
    ],
)
def test_the_shortest_of_a_crontab_s(schedule: str, pause: int | None) -> None:
    assert shortest_pause(entry(schedule)) == pause


@pytest.mark.parametrize(
    ("kind", "schedule", "pause"),
    [
        (CronKind.ANACRON, "7 10", 7 * DAY),
        (CronKind.ANACRON, "@monthly 15", 31 * DAY),
        (CronKind.ANACRON, "x 10", None),
        (CronKind.RUN_PARTS, "25 6 * * *", DAY),
        (CronKind.AT, "", None),
    ],
)
def test_another_kind_s(kind: CronKind, schedule: str, pause: int | None) -> None:
    assert longest_pause(entry(schedule, kind)) == pause


def test_29_february_waits_for_a_leap_year() -> None:
    pause = longest_pause(entry("0 0 29 2 *"))
    assert pause is not None
    assert pause >= 4 * 365 * DAY


_FIELD = st.one_of(
    st.just("*"),
    st.integers(0, 70).map(str),
    st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda pair: f"{pair[0]}-{pair[1]}"),
    st.integers(0, 60).map(lambda step: f"*/{step}"),
    st.text(max_size=6),
)


@given(st.one_of(st.text(max_size=40), st.lists(_FIELD, min_size=4, max_size=6).map(" ".join)))
def test_no_schedule_raises(schedule: str) -> None:
    for kind in CronKind:
        pause = longest_pause(entry(schedule, kind))
        assert pause is None or pause > 0
        assert in_words(entry(schedule, kind), pause)


@given(st.sets(st.integers(0, 59), min_size=1, max_size=6), st.sets(st.integers(0, 23), min_size=1, max_size=6))
def test_hours_and_minutes_as_a_naive_clock_counts_them(minutes: set[int], hours: set[int]) -> None:
    schedule = f"{','.join(map(str, minutes))} {','.join(map(str, hours))} * * *"
    starts = [t for t in range(3 * 1440) if t % 60 in minutes and t // 60 % 24 in hours]
    assert longest_pause(entry(schedule)) == max(b - a for a, b in pairwise(starts)) * MINUTE


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ("* * * * *", "every minute"),
        ("*/10 * * * *", "every 10 minutes"),
        ("5 * * * *", "every hour"),
        ("0 2 * * *", "every day"),
        ("0 9-17 * * 1-5", "schedule 0 9-17 * * 1-5"),
        ("", "no schedule"),
    ],
)
def test_how_often_in_words(schedule: str, words: str) -> None:
    assert in_words(entry(schedule), longest_pause(entry(schedule))) == words


def test_words_of_messages() -> None:
    assert [span(n) for n in (0, 1_000_000, 90 * MINUTE, 25 * HOUR, 49 * HOUR)] == [
        "0 seconds",
        "1 second",
        "90 minutes",
        "25 hours",
        "2 days",
    ]
    assert listed("abcde") == "a, b, c and 2 more"
