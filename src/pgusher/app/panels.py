"""Which panel is it? The sessions of Grafana's on a server, each with the saved query that it may have come from."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from pgusher.attribute.panels.index import PanelIndex
from pgusher.attribute.panels.learned import Learned
from pgusher.attribute.panels.macros import Dialect
from pgusher.collect.grafana.dashboards import PanelFacts, read_api_panels
from pgusher.collect.postgres.texts import read_texts
from pgusher.model.evidence import Gap
from pgusher.model.grafana import Grafana
from pgusher.model.grafana_limits import parse_version
from pgusher.model.grafana_servers import sources_of
from pgusher.model.holder import HolderKind
from pgusher.model.panel_slots import PanelLook, Sent
from pgusher.model.panels import Match, Panel
from pgusher.model.process import Process
from pgusher.model.session import Session
from pgusher.model.snapshot import Snapshot

if TYPE_CHECKING:
    from pgusher.collect.grafana.client import Access
    from pgusher.collect.postgres.connect import Connection

PROGRAM = "Grafana"
_BY_API = "PGUSHER_GRAFANA_URL and a token"
_ELSEWHERE = frozenset({HolderKind.REMOTE, HolderKind.HIDDEN, HolderKind.UNKNOWN, HolderKind.CONTAINER})
"""Holders of which it is not known what program they are: a Grafana elsewhere is one of them."""
_KEPT = 60.0
"""Seconds for which saved queries are not read again, in a watch."""


_MOST_ANSWERS = 2000
"""Statements whose answer is kept."""


class PanelFinder:
    """Reads saved queries once, and tells sessions by them: for one look, or for those of a watch."""

    def __init__(
        self,
        asked: Access | None,
        processes: Callable[[], Iterable[Process]],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        proc: str = "/proc",
        within: float = 60.0,
        kept: float | None = None,
    ) -> None:
        """`asked`: the Grafana to ask by its API, None for those of this host; `processes`: the Grafanas here.

        `within`: seconds for all that the API is asked; `kept`: for which what was read is not read again.
        """
        self.asked = asked
        self._within = within
        self._kept = _KEPT if kept is None else kept
        self._answers: dict[tuple[str, frozenset[str | None] | None], Match] = {}
        self._processes = processes
        self._monotonic = monotonic
        self._proc = proc
        self._facts: tuple[float, PanelFacts] | None = None
        self._indexes: dict[tuple[int, bool], PanelIndex] = {}
        self._learned = Learned()

    def look(
        self, snapshot: Snapshot, grafanas: Sequence[Grafana], connection: Connection | None, timeout: float
    ) -> PanelLook:
        """The sessions of Grafana's in this snapshot. Raises nothing: what cannot be told is a gap."""
        sessions = grafana_sessions(snapshot, grafanas)
        if not sessions:
            return PanelLook()
        facts = self._saved()
        gaps = list(facts.gaps)
        if connection is None:
            why = "the server was not asked by SQL"
            gaps.append(Gap("postgres", "the statements of Grafana's sessions", why, "free a slot, or give a role"))
            return PanelLook(tuple(Sent(one.pid, None) for one in sessions), len(facts.panels), gaps=tuple(gaps))
        texts = read_texts(connection, [one.pid for one in sessions], self._monotonic() + timeout)
        index = self._index(facts.panels, grafanas, texts.limit)
        told = {text.key: text for text in texts.texts}
        allowed = {one.key: _allowed(one, snapshot, grafanas) for one in sessions}
        sent, cut = [], 0
        # Those that are whole first: what they teach helps with the others.
        for session in sorted(sessions, key=lambda one: len(told[one.key].query) if one.key in told else 0):
            text = told.get(session.key)
            if text is None:
                sent.append(Sent(session.pid, None))
                continue
            match = self._learned.see(text.query_id, self._match(index, text.query, allowed[session.key]))
            cut += match.cut
            sent.append(Sent(session.pid, match, text.running, text.took))
        gaps += texts.gaps
        return PanelLook(tuple(sent), len(facts.panels), facts.dashboards, texts.limit, cut, tuple(gaps))

    def _match(self, index: PanelIndex, query: str, allowed: frozenset[str | None] | None) -> Match:
        """The answer, of an earlier look where the text is the same: an idle session keeps its own for hours."""
        key = query, allowed
        found = self._answers.get(key)
        if found is None:
            if len(self._answers) >= _MOST_ANSWERS:
                self._answers.clear()
            found = self._answers[key] = index.match(query, allowed)
        return found

    def _saved(self) -> PanelFacts:
        now = self._monotonic()
        if self._facts is None or now - self._facts[0] >= self._kept:
            self._facts = now, read_saved(self.asked, self._processes(), self._proc, self._within)
            self._indexes.clear()
            self._answers.clear()
        return self._facts[1]

    def _index(self, panels: Sequence[Panel], grafanas: Iterable[Grafana], limit: int) -> PanelIndex:
        old = any((at := parse_version(one.version)) is not None and at < (5, 3, 0) for one in grafanas)
        dialects = (Dialect.BEFORE_5_3,) if old else (Dialect.PLAIN,)
        found = self._indexes.get((limit, old))
        if found is None:
            self._answers.clear()
            found = self._indexes[limit, old] = PanelIndex(panels, dialects=dialects, limit=limit)
        return found


def read_saved(
    asked: Access | None, processes: Iterable[Process], proc: str = "/proc", within: float = 60.0
) -> PanelFacts:
    """The saved queries of the Grafana that is asked, or else of those that run here, by their database and files."""
    if asked is not None:
        from pgusher.collect.grafana.client import Client

        return read_api_panels(Client(asked), within=within)
    from pgusher.collect import rooted
    from pgusher.collect.grafana.host import places_of
    from pgusher.collect.grafana.saved import read_database, read_files

    found: list[PanelFacts] = []
    for process in processes:
        root, provisioning, database, elsewhere = places_of(process, proc)
        if elsewhere:
            why = f"they are in its {elsewhere} database"
            facts = PanelFacts(gaps=(Gap("grafana", "dashboards made in its pages", why, _BY_API),))
        else:
            try:
                facts = read_database(rooted.real_path(root, database))
            except OSError as error:
                facts = PanelFacts(gaps=(Gap("grafana", database, rooted.reason(error), "run pgusher as root"),))
        if not facts.dashboards:  # what is provisioned is in the database as well, under the same uid
            files = read_files(root, provisioning)
            facts = PanelFacts(facts.panels + files.panels, files.dashboards, facts.gaps + files.gaps)
        found.append(facts)
    panels = dict.fromkeys(panel for one in found for panel in one.panels)
    gaps = dict.fromkeys(gap for one in found for gap in one.gaps)
    return PanelFacts(tuple(panels), sum(one.dashboards for one in found), tuple(gaps))


def grafana_sessions(snapshot: Snapshot, grafanas: Iterable[Grafana]) -> tuple[Session, ...]:
    """The sessions that are Grafana's: by their process, or, where that is not known, by the role and the database."""
    known = tuple(grafanas)
    mine = {(one.user, one.database) for grafana in known for one in sources_of(grafana, snapshot)}
    own = {(one.own.user, one.own.database) for one in known if one.own is not None} - mine
    programs = {holder.name: holder for holder in snapshot.holders}
    found = []
    for chain, session in zip(snapshot.chains, snapshot.facts.sessions, strict=False):
        holder = programs.get(chain.holder)
        if not session.takes_slot or session.own or holder is None or (session.user, session.database) in own:
            continue  # those of its own tables send no panel's query
        elsewhere = holder.kind in _ELSEWHERE and holder.program is None
        if holder.program == PROGRAM or (elsewhere and (session.user, session.database) in mine):
            found.append(session)
    return tuple(found)


def _allowed(session: Session, snapshot: Snapshot, grafanas: Iterable[Grafana]) -> frozenset[str | None] | None:
    """The data sources, by uid and by name, that such a session can be of; None where none is known at all."""
    sources = [one for grafana in grafanas for one in sources_of(grafana, snapshot)]
    named = {
        name
        for one in sources
        if (one.user, one.database) == (session.user, session.database)
        for name in (one.uid, one.name)
    }
    return frozenset(named) if named else None
