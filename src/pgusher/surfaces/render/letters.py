"""A letter for each holder, the same on every look."""

from __future__ import annotations

from collections.abc import Mapping

from pgusher.model.holder import Holder, HolderKind

_SMALL = "abcdefghijklmnopqrstuvwxyz"

OWN = "@"
"""pgusher's own seat."""
UNKNOWN = "?"
"""A seat whose holder is not known."""
OTHERS = "#"
"""Holders for whom no letter is left."""
FREE = "."


def assign(holders: tuple[Holder, ...], before: Mapping[str, str] | None = None) -> dict[str, str]:
    """A letter for each holder's name; those of `before` are kept, also for a holder that is away just now.

    The letter is one of the holder's own name where that is free ("g" for service/grafana), so that it is the same the
    next day. The holder with the most slots chooses first.
    """
    letters = dict(before or {})
    taken = set(letters.values())
    for holder in holders:
        if holder.name in letters:
            continue
        if holder.kind is HolderKind.OWN:
            letters[holder.name] = OWN
        elif holder.kind in {HolderKind.UNKNOWN, HolderKind.HIDDEN}:
            letters[holder.name] = UNKNOWN
        else:
            letter = _free(holder.name, taken)
            letters[holder.name] = letter
            taken.add(letter)
    return letters


def _free(name: str, taken: set[str]) -> str:
    own = name.rpartition("/")[2].lower()
    return next((letter for letter in own + _SMALL if letter in _SMALL and letter not in taken), OTHERS)
