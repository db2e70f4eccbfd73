"""A panel's SQL, ready to be compared: stretches of text that are known, and holes between them."""

from __future__ import annotations

import re
from collections.abc import Container

from pgusher.attribute.panels.encode import CLAUSE, encode, words
from pgusher.attribute.panels.holes import DATA, FIXED, IN_NAME, IN_STRING, MARKS, TESTS, WIDEST, WILD, without_marks
from pgusher.attribute.panels.macros import Dialect, expanded
from pgusher.attribute.panels.variables import with_holes

_MARK = re.compile(f"([{MARKS}])")
_UNSEEN = re.compile(rf"[\x01-\x04{MARKS}]")


class Template:
    """The known stretches of a query, and the holes between them. `text` is the same for the same SQL."""

    __slots__ = ("holes", "known", "solid", "text", "wild")

    def __init__(self, text: str) -> None:
        parts = _MARK.split(text)
        known, holes = [parts[0]], [""]
        for mark, stretch in zip(parts[1::2], parts[2::2], strict=True):
            if len(known) > 1 and not known[-1]:
                holes[-1], known[-1] = _one(holes[-1], mark), stretch
            else:
                known.append(stretch)
                holes.append(mark)
        self.text = text
        self.known = tuple(known)
        """At least one; the text begins with the first, and ends with the last."""
        self.holes = tuple(holes)
        """The kind of the hole before each stretch; "" before the first."""
        self.wild = WILD in holes
        self.solid = sum(len(_UNSEEN.sub("", stretch)) for stretch in known)
        """Signs that are known."""

    def words(self, *, until_open: bool = False) -> set[str]:
        """The whole words that every query of this panel has; only those before the first hole without a bound."""
        found: set[str] = set()
        for hole, stretch in zip(self.holes, self.known, strict=True):
            if until_open and hole and hole not in FIXED:
                break
            found |= words(stretch)
        return found

    def fits(self, query: str, cut: bool, wild: bool = False) -> int | None:
        """How many signs of the (encoded) query are known ones of this template; None where it cannot be its query.

        `cut`: only the beginning of the query is there. `wild`: any hole may hold anything.

        Each stretch is looked for where it stands first. That misses nothing: whatever a hole may not hold, it may not
        hold either when it is longer, and time grows with the length of the query alone.
        """
        first = self.known[0]
        if not query.startswith(first):
            return len(query) if cut and first.startswith(query) and query else None
        at = known = len(first)
        last = len(self.known) - 1
        if last == 0:
            return known if at == len(query) or _rest_is_nothing(query, at) else None
        for number in range(1, last + 1):
            stretch, hole = self.known[number], WILD if wild else self.holes[number]
            test = TESTS[hole]
            if number == last and not cut:
                end = len(query) - len(stretch)
                if end >= at and query.endswith(stretch) and test(query[at:end]):
                    return known + len(stretch)
                return None
            found = query.find(stretch, at) if stretch else len(query)
            while found >= 0 and number == last and stretch and found + len(stretch) < len(query):
                found = query.find(stretch, found + 1)  # nothing may follow the last one
            if found >= 0 and test(query[at:found]):
                known += len(stretch)
                at = found + len(stretch)
                continue
            return self._tail(query, at, number, wild, known) if cut else None
        return known if at == len(query) else None

    def _tail(self, query: str, at: int, number: int, wild: bool, known: int) -> int | None:
        """Whether the query can have been cut within this hole or the stretch behind it."""
        test = TESTS[WILD if wild else self.holes[number]]
        stretch = self.known[number]
        for start in range(max(at, len(query) - len(stretch) + 1), len(query)):
            if stretch.startswith(query[start:]) and test(query[at:start]):
                return known + len(query) - start
        return known if test(query[at:]) else None


def _rest_is_nothing(query: str, at: int) -> bool:
    return query[at:].strip(f"{CLAUSE};\x04") == ""


def _one(hole: str, other: str) -> str:
    """The kind of two holes with nothing between them."""
    for kind in (IN_STRING, IN_NAME, WILD):
        if kind in (hole, other):
            return kind
    return hole if hole == other else DATA


def template(sql: str, wild: Container[str] = (), dialect: Dialect = Dialect.PLAIN) -> Template:
    """The template of a panel's rawSql."""
    return Template(encode(marked(sql, wild, dialect)))


def marked(sql: str, wild: Container[str] = (), dialect: Dialect = Dialect.PLAIN) -> str:
    """The panel's rawSql with its macros as what they become, and a mark for each hole."""
    return expanded(with_holes(without_marks(sql), wild), dialect)


def early_words(of: Template, sql: str, limit: int) -> set[str] | None:
    """The whole words that a query still has when it is cut at `limit` bytes, however the holes are filled.

    `sql` is what the template was made of. None when a query of it never gets that long.
    """
    room, shown = limit - 5, []  # a cut text may be so much shorter: see index
    for number, part in enumerate(_MARK.split(sql)):
        if number % 2:
            if part not in FIXED:
                return of.words(until_open=True)  # that far it is there, and behind this hole nothing is sure
            room -= WIDEST
        else:
            data = part.encode("utf-8", "replace")
            room -= len(data)
            if room < 0:
                shown.append(data[:room].decode("utf-8", "ignore"))
                break
        shown.append(part)
    else:
        return None
    return Template(encode("".join(shown), cut=True)).words()
