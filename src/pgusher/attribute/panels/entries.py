"""Thousands of saved queries, each under one of its words, so that a text is compared with few of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import chain, product
from typing import NamedTuple

from pgusher.attribute.panels.comments import forms
from pgusher.attribute.panels.encode import encode, words
from pgusher.attribute.panels.fitting import Fitted
from pgusher.attribute.panels.macros import GROUP, Dialect, has_calls
from pgusher.attribute.panels.template import Template, early_words, marked
from pgusher.model.panels import Panel

_OF_GROUP = frozenset({"floor", "extract", "epoch"})
"""Words of `$__timeGroup` that another dialect of it has not; and numbers."""
_Made = tuple[Template, list[Panel]]


class _Entry:
    """One SQL, with all panels that keep it."""

    __slots__ = ("made", "panels", "raws", "template")

    def __init__(self, template: Template) -> None:
        self.template = template
        self.raws: dict[str, None] = {}
        """As it is written: there may be several ways, with other comments and white space."""
        self.panels: list[Panel] = []
        self.made: dict[Dialect, list[_Made]] = {}

    @property
    def grouped(self) -> bool:
        return any(GROUP in one.sql for one in self.panels)

    def words(self) -> set[str]:
        """Those that a query has in every dialect."""
        return self._common(self.template.words())

    def early(self, limit: int) -> set[str] | None:
        """See `early_words`: those that a cut query has in whichever way it is written."""
        found: set[str] | None = None
        for raw in self.raws:
            its = early_words(self.template, raw, limit)
            if its is not None:
                found = its if found is None else found & its
        return self._common(found) if found else found

    def _common(self, its: set[str]) -> set[str]:
        if not self.grouped:
            return its
        return {word for word in its if word not in _OF_GROUP and not word[0].isdigit()}

    def ways(self, dialects: tuple[Dialect, ...]) -> Iterator[_Made]:
        """What its panels send: as the index has it, and in these dialects, made when first asked for."""
        yield self.template, self.panels
        for dialect in dialects:
            if dialect not in self.made:
                made: dict[str, _Made] = {}
                for panel in self.panels:
                    if GROUP in panel.sql:  # the dialects differ in nothing else
                        text = encode(marked(panel.sql, panel.wild, dialect, panel.loose))
                        made.setdefault(text, (Template(text), []))[1].append(panel)
                self.made[dialect] = list(made.values())
            yield from self.made[dialect]


class Found(NamedTuple):
    """One SQL that fits, with those of its panels that may be meant."""

    text: str
    """The SQL as a template: the same for the same SQL."""
    fitted: Fitted
    panels: tuple[Panel, ...]


class Entries:
    """The queries of some panels, as one dialect of the macros makes them. `limit` is in bytes."""

    def __init__(self, panels: Iterable[Panel], dialect: Dialect, limit: int) -> None:
        entries: dict[str, _Entry] = {}
        made: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[_Entry]] = {}
        for panel in panels:
            key = panel.sql, panel.wild, panel.loose
            found = made.get(key)
            if found is None:
                found = made[key] = []
                ways = (False, True) if has_calls(panel.sql) else (False,)
                for sql, whole in product(forms(panel.sql), ways):
                    raw = marked(sql, panel.wild, dialect, panel.loose, whole=whole)
                    text = encode(raw)
                    if not text:
                        continue
                    entry = entries.get(text)
                    if entry is None:
                        entry = entries[text] = _Entry(Template(text))
                    entry.raws[raw] = None
                    if entry not in found:
                        found.append(entry)
            for entry in found:
                entry.panels.append(panel)
        self._entries = list(entries.values())
        self._by_word, self._without = self._anchored([one.words() for one in self._entries])
        self._early_by_word, self._early_without = self._anchored([one.early(limit) for one in self._entries])

    def _anchored(self, all_words: Sequence[set[str] | None]) -> tuple[dict[str, list[_Entry]], list[_Entry]]:
        """Each entry under the rarest of its words, and those that have none. Where there is None, in neither."""
        frequent = Counter(chain.from_iterable(one for one in all_words if one))
        by_word: dict[str, list[_Entry]] = {}
        without: list[_Entry] = []
        for entry, its in zip(self._entries, all_words, strict=True):
            if its:
                by_word.setdefault(min((frequent[word], word) for word in its)[1], []).append(entry)
            elif its is not None:
                without.append(entry)
        return by_word, without

    def fitting(
        self,
        text: str,
        *,
        cut: bool,
        wild: bool,
        sources: Container[str | None] | None = None,
        dialects: tuple[Dialect, ...] = (),
    ) -> Iterator[Found]:
        """Those that make this (encoded) text, with the panels that `sources` lets in: see `PanelIndex.match`.

        `dialects`: others than the index's own that the text may be of.
        """
        by_word, without = (self._early_by_word, self._early_without) if cut else (self._by_word, self._without)
        for entry in chain(without, *(by_word.get(word, ()) for word in words(text))):
            for template, all_panels in entry.ways(dialects):
                fitted = template.fits(text, cut, wild)
                if fitted is None or ((template.wild or wild) and fitted.known < fitted.strange):
                    continue  # what may hold anything, and says little itself, fits whatever there is
                panels = tuple(one for one in all_panels if allowed(one, sources))
                if panels:
                    yield Found(template.text, fitted, panels)


def allowed(panel: Panel, sources: Container[str | None] | None) -> bool:
    """Whether the panel's data source is one of these, or not known."""
    return sources is None or panel.source is None or panel.source in sources
