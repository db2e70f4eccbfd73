"""How many columns a text takes on a terminal, and how to cut and pad it to a given number."""

from __future__ import annotations

_OWN = frozenset("…·█▉▊▋▌▍▎▏äöüÄÖÜßéèêëáàâíóôúñçÉåæøÅØ")
"""Signs of pgusher's own and the letters of many names: known to take one column without a table."""


def width(text: str) -> int:
    """Columns that the text takes: two for wide East Asian characters, none for combining ones."""
    if text.isascii():
        return len(text)
    return sum(map(_one, text))


def cut(text: str, room: int, mark: str) -> str:
    """The text if it fits into `room` columns, else as much as fits with the mark at the end.

    A wide character that would reach over the edge gives way to a blank, so that columns stay aligned.
    """
    if width(text) <= room:
        return text
    if room <= len(mark):
        return mark[:room]
    left = room - len(mark)
    if text.isascii():
        return text[:left] + mark
    kept = []
    for char in text:
        size = _one(char)
        if size > left:
            break
        left -= size
        kept.append(char)
    return "".join(kept) + mark + " " * left


def pad(text: str, room: int, *, right: bool = False) -> str:
    """The text with blanks after it (before it when `right`), so that it takes `room` columns."""
    blanks = " " * (room - width(text))
    return blanks + text if right else text + blanks


def _one(char: str) -> int:
    if char.isascii() or char in _OWN:
        return 1
    import unicodedata  # late: hardly any run meets another character

    if unicodedata.combining(char) or unicodedata.category(char) in {"Mn", "Me", "Cf"}:
        return 0
    # Ambiguous ones ("A") take one column on all but legacy East Asian terminals; our own signs are among them.
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1
