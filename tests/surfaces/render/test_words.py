"""Counts, ages and times."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.surfaces.render import words

SECOND, DAY = 1_000_000, 86_400_000_000
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - compared with text that says Z


@pytest.mark.parametrize(
    ("number", "noun", "said"),
    [(0, "slot", "0 slots"), (1, "slot", "1 slot"), (2, "process", "2 processes"), (1, "process", "1 process")],
)
def test_a_count_agrees_with_its_noun(number: int, noun: str, said: str) -> None:
    assert words.count(number, noun) == said


def test_a_noun_may_bring_its_plural() -> None:
    assert words.count(3, "entry", "entries") == "3 entries"


@pytest.mark.parametrize(
    ("ago", "short", "long"),
    [
        (-5 * SECOND, "0 s", "0 seconds"),
        (0, "0 s", "0 seconds"),
        (59 * SECOND, "59 s", "59 seconds"),
        (60 * SECOND, "1 min", "1 minute"),
        (3600 * SECOND - 1, "59 min", "59 minutes"),
        (23 * 3600 * SECOND, "23 h", "23 hours"),
        (DAY, "1 d", "1 day"),
        (729 * DAY, "729 d", "729 days"),
        (730 * DAY, "2 y", "2 years"),
    ],
)
def test_an_age_has_one_unit(ago: int, short: str, long: str) -> None:
    now = 1_700_000_000_000_000
    assert words.age(now - ago, now) == short
    assert words.age_in_words(now - ago, now) == long


def test_an_unknown_age_is_empty() -> None:
    assert words.age(None, 5) == ""


@given(st.datetimes())
def test_times_are_exact_and_in_utc(moment: datetime) -> None:
    micros = (moment - EPOCH) // timedelta(microseconds=1)
    assert words.iso(micros) == moment.isoformat(timespec="microseconds") + "Z"


@given(st.integers())
def test_any_number_is_a_time_or_nothing(micros: int) -> None:
    text = words.iso(micros)
    assert text == "" or len(text) == 27


def test_no_time_is_no_text() -> None:
    assert words.iso(None) == ""


def test_long_lists_end_with_their_number() -> None:
    assert words.listed(["a", "b", "c"]) == "a, b, c"
    assert words.listed(["a", "b", "c", "d"]) == "a, b, c and 1 more"
