"""Which of a Grafana's saved queries a text may be: an index over thousands of them, and the answer with its doubt."""

from __future__ import annotations

from collections.abc import Container, Iterable
from itertools import chain

from pgusher.attribute.panels.encode import encode
from pgusher.attribute.panels.entries import Entries, Found, allowed
from pgusher.attribute.panels.holes import without_marks
from pgusher.attribute.panels.macros import Dialect
from pgusher.model.panels import Fit, Match, Panel

DEFAULT_LIMIT = 1024
"""track_activity_query_size as PostgreSQL has it by default: the bytes of a query that it shows, and one more."""
_WIDEST_SIGN = 3
"""So many bytes a cut text may be short of the limit: a sign of several bytes is never cut in two."""
_ENOUGH_WORDS = 3
"""Words that must be known before one fitting panel is called exact: "select 1" is sent by many."""
_ENOUGH_COMMENT = 20
"""The same for a text that is cut within the comment it begins with: signs."""
_SIGNS = {
    "time_bucket('": (Dialect.TIMESCALE, Dialect.FIRST_TIMESCALE),
    ")::bigint*": (Dialect.DOCUMENTED,),
}
"""What a text has where a group of time is written in another dialect than the usual one."""
_MOST = 1000
"""Panels that an answer names at most."""


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
        the usual dialect alone the other is tried where a query has the function that it would make.
        """
        self._saved = tuple(panels)
        self.limit = limit
        self._dialects = dialects
        self._entries = Entries(self._saved, dialects[0], limit)

    def match(self, query: str, sources: Container[str | None] | None = None) -> Match:
        """The panels that may have sent this query, as pg_stat_activity shows it.

        `sources`: uids and names of the data sources that lead to this session's server, database and role. A panel
        whose data source is not known stays in. None for all.
        """
        cut = len(query.encode("utf-8", "replace")) >= self.limit - 1 - _WIDEST_SIGN
        others = self._dialects[1:]
        if self._dialects == (Dialect.PLAIN,):
            # Whatever else it holds, a text without such a sign is no query of that dialect, or is cut before it,
            # where both are the same.
            others = tuple(dialect for sign, several in _SIGNS.items() if sign in query for dialect in several)
        text = encode(without_marks(query), cut=cut)
        if not text:
            return self._by_comment(query, sources) if cut else Match(Fit.NONE)
        for wild in (False, True):
            found: dict[str, Found] = {}
            for one in self._entries.fitting(text, cut=cut, wild=wild, sources=sources, dialects=others):
                same = found.get(one.text)  # written by hand what another has as a macro
                found[one.text] = one if same is None else same._replace(panels=_joined((same, one)))
            if found:
                return self._answer(list(found.values()), cut, wild)
        return Match(Fit.NONE, cut=cut)

    def _answer(self, found: list[Found], cut: bool, wild: bool) -> Match:
        # First what holds values in its variables; of these what says most of the text itself.
        found.sort(key=lambda one: (one.fitted.odd, -one.fitted.known, one.text))
        panels, fitted = _joined(found), found[0].fitted
        if any(set(one.panels) != set(found[0].panels) for one in found):
            why = self._cut_at if cut else "several saved queries fit this text"
        elif wild or fitted.odd or fitted.sql or fitted.known < fitted.strange:
            why = "a variable would have to hold a part of the statement"
        elif fitted.words < _ENOUGH_WORDS:
            why = "so short a query may be anybody's"
        else:
            return self._settled(panels, cut)
        return Match(Fit.CANDIDATES, panels[:_MOST], cut, why=why)

    def _settled(self, panels: tuple[Panel, ...], cut: bool) -> Match:
        if len(panels) == 1:
            return Match(Fit.EXACT, panels, cut, why=f"by its beginning: {self._cut_at}" if cut else "")
        return Match(Fit.SAME_SQL, panels[:_MOST], cut, why=f"{len(panels)} panels keep the same SQL")

    def _by_comment(self, query: str, sources: Container[str | None] | None) -> Match:
        """Of a text that is cut within the comment it begins with there is nothing but the comment to compare."""
        begins = query.strip()
        panels = tuple(
            one for one in self._saved if one.sql.lstrip().startswith(begins) and allowed(one, sources)
        ) if begins else ()  # fmt: skip
        if not panels:
            return Match(Fit.NONE, cut=True)
        if len(panels) == 1 and len(begins) >= _ENOUGH_COMMENT:
            return self._settled(panels, cut=True)
        return Match(Fit.CANDIDATES, panels[:_MOST], cut=True, why=self._cut_at)

    @property
    def _cut_at(self) -> str:
        return f"the server shows {self.limit - 1:,} bytes of a query"


def _joined(found: Iterable[Found]) -> tuple[Panel, ...]:
    return tuple(dict.fromkeys(chain.from_iterable(one.panels for one in found)))
