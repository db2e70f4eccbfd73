"""Moments as people write them, in their zone, over changes of the clock."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.record.times import length, moment, offset, shown, since

BERLIN = ZoneInfo("Europe/Berlin")
NOW = int(datetime(2026, 11, 20, 9, 30, tzinfo=BERLIN).timestamp()) * 1_000_000


def utc(text: str) -> str:
    return datetime.fromtimestamp(moment(text, NOW, BERLIN) / 1e6, UTC).strftime("%m-%d %H:%M:%S")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("08:00", "11-20 07:00:00"),
        ("8:00", "11-20 07:00:00"),
        ("23:10:05", "11-19 22:10:05"),  # today's is to come: yesterday's
        ("today 08:00", "11-20 07:00:00"),
        ("yesterday 20:00", "11-19 19:00:00"),
        ("Yesterday", "11-18 23:00:00"),
        ("2026-11-20T08:00", "11-20 07:00:00"),
        ("2026-11-20 08:00:07", "11-20 07:00:07"),
        ("2026-11-20T07:00:07.350000Z", "11-20 07:00:07"),  # as pgusher writes it
        ("2026-11-20", "11-19 23:00:00"),
        ("2026-11-20T08:00Z", "11-20 08:00:00"),
        ("2026-11-20T08:00+05:30", "11-20 02:30:00"),
        ("08:00 UTC", "11-20 08:00:00"),
        ("08:00 America/New_York", "11-19 13:00:00"),
        ("2026-07-01T08:00", "07-01 06:00:00"),  # summer
        ("-30min", "11-20 08:00:00"),
        ("2h ago", "11-20 06:30:00"),
        ("3 days ago", "11-17 08:30:00"),
        ("now", "11-20 08:30:00"),
    ],
)
def test_what_is_written_is_what_is_meant(text: str, meant: str) -> None:
    assert utc(text) == meant


def test_a_time_that_occurs_twice_is_the_first_and_one_that_does_not_is_near() -> None:
    assert utc("2026-10-25 02:30") == "10-25 00:30:00"
    assert utc("2026-03-29 02:30") in {"03-29 01:30:00", "03-29 00:30:00"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "25:00",
        "8",
        "2026-13-01",
        "tomorrow 08:00",
        "08:00 Nowhere/City",
        "-1parsec",
        "-999999w",
        "0001-01-01 Europe/Berlin",
        "9999-12-31 23:59 America/New_York",
    ],
)
def test_what_is_no_time_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"^a time"):
        moment(text, NOW, BERLIN)


@given(st.text(max_size=40))
def test_whatever_is_written_is_a_time_or_told(text: str) -> None:
    with suppress(ValueError):
        assert shown(moment(text, NOW, BERLIN), BERLIN)


def test_a_length_is_one_before_now() -> None:
    assert since("24h", NOW, BERLIN) == NOW - 86_400_000_000
    assert since("08:00", NOW, BERLIN) == moment("08:00", NOW, BERLIN)
    assert length("1.5 h") == 5_400_000_000
    with pytest.raises(ValueError, match="a length of time"):
        length("08:00")


def test_it_is_shown_with_its_zone() -> None:
    assert shown(NOW, BERLIN) == "2026-11-20 09:30:00 CET"
    assert offset(NOW, BERLIN) == 3600
