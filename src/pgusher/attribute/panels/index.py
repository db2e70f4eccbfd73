"""Which of a Grafana's saved queries a text may be: an index over thousands of them, and the answer with its doubt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Sequence
from itertools import chain

from pgusher.attribute.panels.encode import encode, words
from pgusher.attribute.panels.holes import without_marks
from pgusher.attribute.panels.macros import Dialect, needed
from pgusher.attribute.panels.template import Template, early_words, marked
from pgusher.model.panels import Fit, Match, Panel

DEFAULT_LIMIT = 1024
"""track_activity_query_size as PostgreSQL has it by default: the bytes of a query that it shows, and one more."""
_WIDEST_SIGN = 3
"""So many bytes a cut text may be short of the limit: a sign of several bytes is never cut in two."""
_ENOUGH_WORDS = 3
"""Words that must be known before one fitting panel is called exact: "select 1" is sent by many."""
_BUCKET = "time_bucket("
_MOST = 50
"""Panels that an answer names at most."""


class _Entry:
    """One SQL, with all panels that keep it."""

    __slots__ = ("number", "panels", "raw", "template")

    def __init__(self, number: int, template: Template, raw: str) -> None:
        self.number = number
        self.template = template
        self.raw = raw
        self.panels: list[Panel] = []


class PanelIndex:
    """The saved queries of one Grafana. Build it once; `match` changes nothing."""

    def __init__(
        self,
        panels: Iterable[Panel],
        *,
        dialects: tuple[Dialect, ...] = (Dialect.PLAIN,),
        limit: int = DEFAULT_LIMIT,
    ) -> None:
        """`limit` is the server's track_activity_query_size, in bytes.

        `dialects`: what the macros become. It is not known of a data source whether its TimescaleDB switch is on: with
        the usual dialect alone the other is added as soon as a query has the function that it would make.
        """
        self._saved = tuple(panels)
        self._dialects = dialects
        self._timescale: PanelIndex | None = None
        self.limit = limit
        entries: dict[str, _Entry] = {}
        made: dict[tuple[str, tuple[str, ...]], list[_Entry]] = {}
        for panel in self._saved:
            key = panel.sql, panel.wild
            found = made.get(key)
            if found is None:
                found = made[key] = []
                for dialect in needed(panel.sql, dialects):
                    raw = marked(panel.sql, panel.wild, dialect)
                    text = encode(raw)
                    if not text:
                        continue
                    entry = entries.get(text)
                    if entry is None:
                        entry = entries[text] = _Entry(len(entries), Template(text), raw)
                    found.append(entry)
            for entry in found:
                entry.panels.append(panel)
        self._entries = list(entries.values())
        self._by_word, self._without = self._anchored([entry.template.words() for entry in self._entries])
        early = [early_words(entry.template, entry.raw, limit) for entry in self._entries]
        self._early_by_word, self._early_without = self._anchored(early)

    def _anchored(self, all_words: Sequence[set[str] | None]) -> tuple[dict[str, list[_Entry]], list[_Entry]]:
        """Each entry under the rarest of its words, and those that have none. Where there is None, in neither."""
        frequent = Counter(chain.from_iterable(one for one in all_words if one))
        by_word: dict[str, list[_Entry]] = {}
        without: list[_Entry] = []
        for entry, its in zip(self._entries, all_words, strict=True):
            if its:
                by_word.setdefault(min(its, key=lambda word: (frequent[word], word)), []).append(entry)
            elif its is not None:
                without.append(entry)
        return by_word, without

    def match(self, query: str, sources: Container[str | None] | None = None) -> Match:
        """The panels that may have sent this query, as pg_stat_activity shows it.

        `sources`: uids and names of the data sources that lead to this session's server, database and role. A panel
        whose data source is not known stays in. None for all.
        """
        cut = len(query.encode("utf-8", "replace")) >= self.limit - 1 - _WIDEST_SIGN
        if self._dialects == (Dialect.PLAIN,) and _BUCKET in query:
            # Whatever else it holds, a text without that function is no query of a switched-on source, or is cut
            # before it, where both are the same.
            if self._timescale is None:
                both = Dialect.PLAIN, Dialect.TIMESCALE
                self._timescale = PanelIndex(self._saved, dialects=both, limit=self.limit)
            return self._timescale.match(query, sources)
        text = encode(without_marks(query), cut=cut)
        if not text:
            return Match(Fit.NONE, cut=cut)
        for wild in (False, True):
            found = self._fitting(text, cut, wild, sources)
            if found:
                return self._answer(found, text, cut, wild)
        return Match(Fit.NONE, cut=cut)

    def _fitting(
        self, text: str, cut: bool, wild: bool, sources: Container[str | None] | None
    ) -> list[tuple[int, _Entry, tuple[Panel, ...]]]:
        by_word, without = (self._early_by_word, self._early_without) if cut else (self._by_word, self._without)
        found = []
        for entry in chain(without, *(by_word.get(word, ()) for word in words(text))):
            known = entry.template.fits(text, cut, wild)
            if known is None or ((entry.template.wild or wild) and known * 2 < len(text)):
                continue  # what may hold anything, and says little itself, fits whatever there is
            panels = tuple(
                one for one in entry.panels if sources is None or one.source is None or one.source in sources
            )
            if panels:
                found.append((known, entry, panels))
        return found

    def _answer(self, found: list[tuple[int, _Entry, tuple[Panel, ...]]], text: str, cut: bool, wild: bool) -> Match:
        found.sort(key=lambda one: (-one[0], one[1].number))  # what says most of the text itself comes first
        panels = tuple(dict.fromkeys(chain.from_iterable(one[2] for one in found)))
        known, entry, _ = found[0]
        cut_at = f"the server shows {self.limit - 1:,} bytes of a query" if cut else ""
        if any(one[2] != found[0][2] for one in found):
            why = cut_at or "several saved queries fit this text"
        elif wild or entry.template.wild or known * 2 < len(text):
            why = "most of the text stands where the panel has variables"
        elif len(words(text)) < _ENOUGH_WORDS:
            why = "so short a query may be anybody's"
        elif len(panels) == 1:
            return Match(Fit.EXACT, panels, cut, why=f"by its beginning: {cut_at}" if cut else "")
        else:
            return Match(Fit.SAME_SQL, panels[:_MOST], cut, why=f"{len(panels)} panels keep the same SQL")
        return Match(Fit.CANDIDATES, panels[:_MOST], cut, why=why)
