"""What a program's own pool says of itself in the ledger of its process: how many it may have, and how many it used.

The records stand behind those of the loans (`pgusher.model.loans`), so a reader or writer that does not know them is
not disturbed. They are hostile text as well.
"""

from __future__ import annotations

import struct

from pgusher.model import loans
from pgusher.model.address import Micros
from pgusher.model.values import dataclass

POOLS = 32
"""Pools of one process that have a record."""
POOLS_AT = loans.RECORDS_AT + loans.SLOTS * loans.SIZE
POOL = struct.Struct("<IIIIIIIIQQq64s64sI")
"""Sequence, in use, min, max, size, most sessions, most loans, budget's total, requests, milliseconds of all loans,
since, name, budget (UTF-8); sequence."""
PLACES_AT = POOLS_AT + POOLS * POOL.size
PLACE = struct.Struct("<II64sI")
"""Of each pool, behind all of them: the sequence of its record, port, address or directory of the server; sequence."""
END = PLACES_AT + POOLS * PLACE.size
NAME_BYTES = 64
_LATEST = 1 << 53
_MOST = 1 << 20


@dataclass(frozen=True, slots=True)
class OwnPool:
    """One pool of pgusher's own in one process. The texts are hostile until rendered."""

    process: int
    """Pid of the process whose pool it is."""
    name: str
    """The database's name in the program: "orders"."""
    min_size: int
    max_size: int
    """Sessions that it may have; what a budget gives may be less."""
    size: int
    """Sessions that it has."""
    most: int
    """The most that it had at once since it was made."""
    most_lent: int
    """The most that were lent at once: what the program really used."""
    requests: int
    """Loans since it was made."""
    busy_ms: int
    """Milliseconds that loans took, summed over all of them; those under a millisecond are not counted."""
    since: Micros
    """When it was made."""
    budget: str = ""
    """The name of the budget that it shares with other processes; "" for none."""
    total: int = 0
    """That budget's total on this host."""
    address: str = ""
    """Where its sessions lead to: a numeric address, or the directory of a unix socket; "" while it has had none."""
    port: int = 0
    """The port of that server, or of a pooler in front of it; 0 while it is not known."""


def parse_pool(raw: bytes, process: int, place: bytes = b"") -> OwnPool | None:
    """One record with its place; None when it is of no pool, or torn as it is being written. Raises nothing."""
    if len(raw) < POOL.size:
        return None
    first, used, low, high, size, most, lent, total, requests, busy, since, name, budget, last = POOL.unpack_from(raw)
    if first != last or used != 1 or not 0 < high <= _MOST or not 0 <= since < _LATEST:
        return None
    if max(low, size, most, lent, total) > _MOST or max(requests, busy) >= _LATEST:
        return None
    address, port = _place(place, first)
    return OwnPool(
        process, _text(name), low, high, size, most, lent, requests, busy, since, _text(budget), total if budget else 0,
        address, port,
    )  # fmt: skip


def _place(raw: bytes, sequence: int) -> tuple[str, int]:
    if len(raw) < PLACE.size:
        return "", 0  # a ledger of before has none
    first, port, address, last = PLACE.unpack_from(raw)
    return (_text(address), port) if first == last == sequence and port < 1 << 16 else ("", 0)


def _text(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode("utf-8", "ignore")
