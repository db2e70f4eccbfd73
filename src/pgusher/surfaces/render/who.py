"""The screen of `pgusher who`: the chains from a session to what a person can name and stop."""

from __future__ import annotations

from collections.abc import Sequence

from pgusher.model.evidence import Gap
from pgusher.model.holder import Chain, Holder
from pgusher.model.snapshot import Snapshot
from pgusher.surfaces.render import words
from pgusher.surfaces.render.chains import chain_lines, labelled
from pgusher.surfaces.render.find import Match
from pgusher.surfaces.render.headline import gap_lines, seen_from, server_words, verdict_lines, waiting
from pgusher.surfaces.render.screen import BLANK, Line, Screen, flow
from pgusher.surfaces.render.sessions import View, client_pids, same_for_all, session_table
from pgusher.surfaces.render.state import fact_line
from pgusher.surfaces.render.table import Column, table
from pgusher.surfaces.render.tally import tally

PROCESSES = 4
"""Processes of one holder whose links a terminal shows unless all are asked for."""

_LINKS_IN_A_PIPE = tuple(
    Column(t) for t in ("holder", "pid", "link", "leads to", "client pid", "certainty", "evidence")
)


def who_page(
    screen: Screen,
    matches: Sequence[Match],
    word: str | None = None,
    gaps: tuple[Gap, ...] = (),
    everything: bool = False,
) -> list[Line]:
    """Each holder that was meant with its chains and, when something was asked for, its sessions.

    `everything` (--all) shows every session and socket, and wraps what a terminal would cut.
    """
    lines: list[Line] = []
    for place, match in enumerate(matches):
        if place:
            lines.append(BLANK)
        if place == 0 or match.snapshot is not matches[place - 1].snapshot:
            lines += _server_lines(screen, match.snapshot, gaps, everything)
        if word is not None and match.reading != "holder":
            names = words.listed([holder.name for holder in match.holders])
            text = f"{word} is {_article(match.reading)}, {words.count(len(match.chains), 'session')} of {names}"
            lines.append([(text, "")] if not screen.pipe else fact_line(screen, "meant", match.reading, word))
        if screen.pipe:
            lines += [BLANK, *_pipe_lines(screen, match)]
            continue
        chains: dict[str, list[Chain]] = {}
        for chain in match.chains:
            chains.setdefault(chain.holder, []).append(chain)
        view = View(match.snapshot)
        for holder in match.holders:
            its = chains.get(holder.name, [])
            lines += [BLANK, *_holder_lines(screen, view, holder, its, everything, word is not None)]
    return lines


def _server_lines(screen: Screen, snapshot: Snapshot, gaps: tuple[Gap, ...], everything: bool) -> list[Line]:
    if screen.pipe or screen.plain:
        sums = tally(snapshot)
        pairs = [("status", sums.status.value), ("server", ", ".join(server_words(snapshot)))]
        pairs.append(("taken at", words.iso(snapshot.facts.taken_at)))
        lines = [fact_line(screen, name, text) for name, text in pairs]
        return lines + [fact_line(screen, "gap", gap.what, gap.why, gap.opens) for gap in snapshot.facts.gaps + gaps]
    place = flow(screen, [*server_words(snapshot), seen_from(snapshot)])
    return [*verdict_lines(screen, tally(snapshot)), *place, *gap_lines(snapshot.facts.gaps + gaps, everything)]


def _holder_lines(
    screen: Screen, view: View, holder: Holder, chains: list[Chain], everything: bool, sessions: bool
) -> list[Line]:
    now = view.snapshot.facts.taken_at
    facts = [f"{len(holder.sessions)} of {view.taken} slots"]
    if count := view.unstarted.get(holder.name):
        facts.append(waiting(count))
    if holder.processes:
        facts.append(words.count(len(holder.processes), "process"))
    if holder.runs:
        facts.append(words.count(holder.runs, "run"))
    if holder.since is not None:
        facts.append(f"oldest {words.age_in_words(holder.since, now)}")
    dot = f" {screen.sign('dot')} "
    lines: list[Line] = [[(holder.name, "name"), ("  ", ""), (dot.join(facts), "")]]
    if not any(link.subject == holder.title for link in (chains[0].links if chains else ())):
        lines += labelled(screen, "what", holder.title, "", everything)
    for label, text in (("limit", holder.limit), ("stop", holder.stop)):
        if text:
            lines += labelled(screen, label, text, "command" if label == "stop" else "", True)
    if same := same_for_all([view.sessions[chain.pid] for chain in chains if chain.pid in view.sessions]):
        lines += labelled(screen, "as", ", ".join(same))
    lines += [BLANK, *chain_lines(screen, chains, everything, PROCESSES if sessions else 1)]
    if sessions or everything:
        lines += [BLANK, *session_table(screen, view, chains, everything=everything)]
    return lines


def _pipe_lines(screen: Screen, match: Match) -> list[Line]:
    lines: list[Line] = []
    for holder in match.holders:
        texts = (holder.name, holder.title, holder.limit or "", holder.stop or "", holder.certainty.value)
        lines.append(fact_line(screen, "holder", *texts))
    rows = [
        (
            chain.holder,
            str(chain.pid),
            link.kind.value,
            link.subject,
            "" if link.pid is None else str(link.pid),
            link.certainty.value,
            link.evidence,
        )
        for chain in match.chains
        for link in chain.links
    ]
    lines += [fact_line(screen, "conflict", str(c.pid), text) for c in match.chains for text in c.conflicts]
    lines += [fact_line(screen, "ends", str(c.pid), c.end.value) for c in match.chains if not client_pids(c)]
    lines += [BLANK, *table(screen, _LINKS_IN_A_PIPE, rows)] if rows else []
    return [*lines, BLANK, *session_table(screen, View(match.snapshot), match.chains)]


def _article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
