"""Moments as people write them: "08:00", "yesterday 20:00", "2026-11-20T08:00", "-30min", "2h ago". Pure but for zones.

They are those of the place where they are typed, unless a zone stands behind them: "08:00 UTC", "08:00 Europe/Berlin",
"2026-11-20T08:00+01:00".
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from pgusher.model.address import Micros

EXPECTED = 'a time, as 08:00, "yesterday 20:00", 2026-11-20T08:00, -30min or "2h ago"'
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)  # noqa: UP017 - datetime.UTC is the same, and this reads with the next
_FIRST: Micros = -2_208_988_800_000_000
"""1900; a calendar begins with the year 1, and not in every zone at the same moment."""
_LAST: Micros = 253_370_764_800_000_000
"""9999: it ends with that year."""
_UNITS = {"s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3600, "hour": 3600, "d": 86400,
          "day": 86400, "w": 604_800, "week": 604_800}  # fmt: skip
_LENGTH = re.compile(r"(\d{1,6}(?:\.\d{1,3})?) ?([a-z]{1,6}?)(?:s)?", re.A)
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?", re.A)
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[T ](.+))?", re.A)
_OFFSET = re.compile(r"(?:z|utc|gmt|([+-])(\d{2}):?(\d{2})?)", re.A | re.I)
_BEHIND = re.compile(
    r"(.*?(?:\d|now)) ?(z|utc|gmt|(?<=:\d\d)[+-]\d{2}(?::?\d{2})?|[A-Za-z]+(?:/[\w+-]+)+)", re.A | re.I
)


def length(text: str) -> Micros:
    """ "30min", "24h", "7 d" in microseconds. Raises ValueError with what was expected."""
    match = _LENGTH.fullmatch(text.strip().lower())
    unit = _UNITS.get(match[2]) if match else None
    if match is None or unit is None:
        raise ValueError("a length of time, as 30min, 24h or 7d")
    return int(float(match[1]) * unit * 1_000_000)


def _told(at: Micros) -> Micros:
    """Raises ValueError for a moment that cannot be shown in every zone."""
    if not _FIRST <= at <= _LAST:
        raise ValueError(EXPECTED)
    return at


def moment(text: str, now: Micros, zone: tzinfo | None = None) -> Micros:
    """The moment that was meant. A time of day is the last one of today or yesterday: nobody asks for what is to come.

    `zone` is that of the place; None: as the system has it. Raises ValueError with what was expected.
    """
    words = " ".join(text.split())
    here: tzinfo | None = zone
    match = _BEHIND.fullmatch(words)
    if match:
        words, here = match[1], _zone(match[2])
    today = _local(now, here)
    lower = words.lower()
    if lower == "now":
        return now
    if lower.startswith("-") or lower.endswith(" ago"):
        return _told(now - _length(lower.removeprefix("-").removesuffix(" ago")))
    day, _, rest = lower.partition(" ")
    if day in {"today", "yesterday"}:
        when = today.date() - timedelta(days=day == "yesterday")
        return _micros(when, _clock(rest or "00:00"), here)
    if found := _DATE.fullmatch(words):
        try:
            when = date(int(found[1]), int(found[2]), int(found[3]))
        except ValueError:
            raise ValueError(EXPECTED) from None
        return _micros(when, _clock(found[4] or "00:00"), here)
    at = _micros(today.date(), _clock(lower), here)
    return at if at <= now else _micros(today.date() - timedelta(days=1), _clock(lower), here)


def since(text: str, now: Micros, zone: tzinfo | None = None) -> Micros:
    """As `moment`; a length of time is one before now: "24h"."""
    try:
        ago = length(text)
    except ValueError:
        return moment(text, now, zone)
    return _told(now - ago)


def offset(now: Micros, zone: tzinfo | None = None) -> int:
    """Seconds that the clock there is ahead of UTC at that moment."""
    ahead = _local(now, zone).utcoffset()
    return int(ahead.total_seconds()) if ahead is not None else 0


def shown(at: Micros, zone: tzinfo | None = None) -> str:
    """ "2026-11-20 08:00:05 CET"."""
    return _local(at, zone).strftime("%Y-%m-%d %H:%M:%S %Z").rstrip()


def _local(at: Micros, zone: tzinfo | None) -> datetime:
    return (_EPOCH + timedelta(microseconds=at)).astimezone(zone)


def _length(text: str) -> Micros:
    try:
        return length(text)
    except ValueError:
        raise ValueError(EXPECTED) from None


def _clock(text: str) -> time:
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise ValueError(EXPECTED)
    try:
        return time(int(match[1]), int(match[2]), int(match[3] or 0), int((match[4] or "").ljust(6, "0")))
    except ValueError:
        raise ValueError(EXPECTED) from None


def _micros(day: date, clock: time, zone: tzinfo | None) -> Micros:
    local = datetime.combine(day, clock, tzinfo=zone)
    try:
        known = local.astimezone() if zone is None else local
        return _told((known - _EPOCH) // timedelta(microseconds=1))
    except (OverflowError, ValueError, OSError):
        raise ValueError(EXPECTED) from None


def _zone(name: str) -> tzinfo:
    match = _OFFSET.fullmatch(name)
    if match:
        if not match[1]:
            return timezone.utc  # noqa: UP017 - as above
        ahead = timedelta(hours=int(match[2]), minutes=int(match[3] or 0))
        if ahead >= timedelta(hours=24):
            raise ValueError(EXPECTED)
        return timezone(-ahead if match[1] == "-" else ahead)
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"a time zone that this system knows, not {name[:40]}") from None
