"""A panel's SQL, ready to be compared: stretches of text that are known, and holes between them."""

from __future__ import annotations

import re
from collections.abc import Container

from pgusher.attribute.panels.encode import encode, words
from pgusher.attribute.panels.fitting import Fitted, fit
from pgusher.attribute.panels.holes import (
    DATA,
    FIXED,
    IN_NAME,
    IN_STRING,
    LOOSE,
    MARKS,
    WIDEST,
    WILD,
    without_marks,
)
from pgusher.attribute.panels.macros import Dialect, expanded
from pgusher.attribute.panels.variables import with_holes

_MARK = re.compile(f"([{MARKS}])")


class Template:
    """The known stretches of a query, and the holes between them. `text` is the same for the same SQL."""

    __slots__ = ("holes", "known", "text", "wild")

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

    def words(self, *, until_open: bool = False) -> set[str]:
        """The whole words that every query of this panel has; only those before the first hole without a bound."""
        if not until_open:
            return words(self.text)
        found: set[str] = set()
        for hole, stretch in zip(self.holes, self.known, strict=True):
            if hole and hole not in FIXED:
                break
            found |= words(stretch)
        return found

    def fits(self, query: str, cut: bool, wild: bool = False) -> Fitted | None:
        """How this template makes the (encoded) query; None where it cannot.

        `cut`: only the beginning of the query is there. `wild`: any hole may hold anything.
        """
        return fit(self.known, self.holes, query, cut=cut, wild=wild)


def _one(hole: str, other: str) -> str:
    """The kind of two holes with nothing between them."""
    for kind in (IN_STRING, IN_NAME, WILD, LOOSE):
        if kind in (hole, other):
            return kind
    return hole if hole == other else DATA


def template(
    sql: str, wild: Container[str] = (), dialect: Dialect = Dialect.PLAIN, loose: Container[str] = ()
) -> Template:
    """The template of a panel's rawSql."""
    return Template(encode(marked(sql, wild, dialect, loose)))


def marked(
    sql: str,
    wild: Container[str] = (),
    dialect: Dialect = Dialect.PLAIN,
    loose: Container[str] = (),
    *,
    whole: bool = False,
) -> str:
    """The panel's rawSql with its macros as what they become, and a mark for each hole. `whole`: see `expanded`."""
    return expanded(with_holes(without_marks(sql), wild, loose), dialect, whole=whole)


def early_words(of: Template, sql: str, limit: int) -> set[str] | None:
    """The whole words that a query still has when it is cut at `limit` bytes, however the holes are filled.

    `sql` is what the template was made of. None when a query of it never gets that long.
    """
    shown: list[str] = []
    room = limit - 5  # a cut text may be so much shorter: see index
    parts = _MARK.split(sql)
    for number, part in enumerate(parts):
        if number % 2:
            if part not in FIXED:  # that far it is there, and behind this hole nothing is sure
                if len(parts) == len(_MARK.split(of.text)):
                    return of.words(until_open=True)
                break  # a hole of the SQL stands in a comment, and this may be it
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
