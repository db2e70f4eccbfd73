"""Words for what acting says: times and numbers. Pure."""

from __future__ import annotations

from pgusher.model.address import Micros


def since(moment: Micros | None) -> str:
    """A moment as UTC, to the second: "2026-11-22 03:12:07"."""
    if moment is None:
        return "an unknown time"
    from datetime import UTC, datetime  # late: seldom needed

    try:
        return datetime.fromtimestamp(moment / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, OSError, ValueError):
        return "an unknown time"


def count(number: int, one: str, many: str = "") -> str:
    """ "1 descendant", "3 descendants"."""
    return f"{number} {one}" if number == 1 else f"{number} {many or one + 's'}"
