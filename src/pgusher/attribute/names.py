"""Names of holders: short, stable, and safe as an argument of any command.

A name is made of letters, digits and ``. _ @ : + -`` with at most one slash, so it needs no quoting, breaks no
terminal and is no option. Where two holders would get one name, both get what tells them apart behind a plus sign:
`script/report.py+bob` and `script/report.py+alice`, whatever the order in which they were seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32

from pgusher.attribute.roots import Root
from pgusher.model.pattern import pattern

LONGEST = 48
"""Characters of one part of a name."""

_FOREIGN = pattern(r"[^A-Za-z0-9._@:+-]+")
NAME = pattern(r"[A-Za-z0-9._@:+-]+(?:/[A-Za-z0-9._@:+-]+)?")
"""What every name is."""


def slug(text: str, otherwise: str = "x") -> str:
    """A text as a part of a name. Different texts may give one slug; `assign` tells the holders apart then."""
    text = text[:4096]
    short = _FOREIGN.sub("-", text).strip("-.")
    if any(ord(letter) > 127 and letter.isalnum() for letter in text):
        # What is written in other letters would leave nothing to know it by.
        short = f"{short}-{checksum(text)}" if short else checksum(text)
    if len(short) > LONGEST:
        short = f"{short[: LONGEST - 9].rstrip('-.')}-{checksum(text)}"
    return short or otherwise


def checksum(text: str) -> str:
    """Eight digits that are the same for the same text on every machine."""
    return f"{crc32(text.encode('utf-8', 'surrogatepass')):08x}"


def assign(roots: Iterable[Root]) -> dict[tuple[str, ...], str]:
    """A name for each root, by its key. The same for the same roots in any order."""
    by_base: dict[str, dict[tuple[str, ...], Root]] = {}
    for root in roots:
        by_base.setdefault(root.base, {})[root.key] = root
    names: dict[tuple[str, ...], str] = {}
    taken: set[str] = set()
    for base in sorted(by_base):
        group = by_base[base]
        keys = sorted(group)
        suffixes = [""] if len(keys) == 1 else _suffixes([group[key].qualifiers for key in keys], keys)
        for key, suffix in zip(keys, suffixes, strict=True):
            name = f"{base}+{suffix}" if suffix else base
            while name in taken:
                name += f"+{checksum(repr(key))}"
            taken.add(name)
            names[key] = name
    return names


def _suffixes(qualifiers: list[tuple[str, ...]], keys: list[tuple[str, ...]]) -> list[str]:
    """What tells the members of a group apart: one qualifier if one does, else several, else a checksum."""
    columns = [[slug(q[at], "") if at < len(q) else "" for q in qualifiers] for at in range(max(map(len, qualifiers)))]
    for column in columns:
        if all(column) and len(set(column)) == len(column):
            return column
    useful = [column for column in columns if len(set(column)) > 1]
    joined = [":".join(part for part in parts if part) for parts in zip(*useful, strict=True)] if useful else []
    if joined and all(joined) and len(set(joined)) == len(joined):
        return joined
    return [checksum(repr(key)) for key in keys]
