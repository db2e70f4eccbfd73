"""The states of a session over its life, made few: a turn each time that it settles in another one. Pure.

A session at work changes its state with each statement. Kept apart are only states that last: of 30 seconds for an idle
session, of 10 for every other state. What lies between is one turn, "in use". So a session costs two or three bytes a
turn, and at most a turn in ten seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

Turn = tuple[int, int]
"""Since when (seconds since 1970), and the code of the state."""

UNSEEN, IDLE, ACTIVE, IN_TRANSACTION, ABORTED, IN_USE, OTHER, HIDDEN = range(8)
_CODES = {
    "idle": IDLE,
    "active": ACTIVE,
    "idle in transaction": IN_TRANSACTION,
    "idle in transaction (aborted)": ABORTED,
    None: HIDDEN,
}
NAMES = (
    None, "idle", "active", "idle in transaction", "idle in transaction (aborted)", "in use", "other", "hidden"
)  # fmt: skip
"""By code: None for a time in which nobody looked."""
_LASTS = (0, 30, 10, 10, 10, 0, 10, 0)
"""By code: seconds that a state must last to be kept apart. Not being seen always is."""


def code(state: str | None) -> int:
    """The code of a state as pg_stat_activity has it. None: it may not be seen."""
    return _CODES.get(state, OTHER)


class Turns:
    """The turns of one session, the last few of them; those before are settled and may be forgotten here."""

    __slots__ = ("rows", "settled", "undone")

    def __init__(self, rows: Iterable[Turn] = ()) -> None:
        self.rows = list(rows)
        self.settled = len(self.rows)
        """How many of `rows` are as they were written."""
        self.undone = 0
        """How many that were written are no more: they stand behind those that are settled."""

    def look(self, now: int, state: int) -> bool:
        """A look found this state; whether anything is to be written."""
        rows = self.rows
        if not rows:
            rows.append((now, state))
            return True
        since, last = rows[-1]
        if last == state or now < since:
            return False
        if now - since < _LASTS[last]:
            # Too short to be kept apart: it was use.
            rows.pop()
            if self.settled > len(rows):
                self.undone += self.settled - len(rows)
                self.settled = len(rows)
            if not rows or rows[-1][1] != IN_USE:
                rows.append((since, IN_USE))
        if rows[-1][1] != state:
            rows.append((now, state))
        return True

    def written(self) -> None:
        """All rows are in the store now. What can no longer change is let go of."""
        del self.rows[:-2]
        self.settled = len(self.rows)
        self.undone = 0


def pack(since: int, turns: Iterable[Turn]) -> bytes:
    """Turns as bytes: for each the seconds since the one before, and its code in three bits; seven bits a byte."""
    out = bytearray()
    for at, state in turns:
        value = max(0, at - since) << 3 | state
        since = max(since, at)
        while value > 0x7F:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        out.append(value)
    return bytes(out)


def unpack(since: int, raw: bytes) -> Iterator[Turn]:
    """What `pack` was given. Bytes that end too early give the turns before that."""
    value = shift = 0
    for byte in raw:
        value |= (byte & 0x7F) << shift
        if byte & 0x80:
            shift += 7
            continue
        since += value >> 3
        yield since, value & 7
        value = shift = 0


def at(turns: Iterable[Turn], moment: int) -> Turn | None:
    """The turn that holds at a moment (seconds since 1970)."""
    found = None
    for turn in turns:
        if turn[0] > moment:
            break
        found = turn
    return found
