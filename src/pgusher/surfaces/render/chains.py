"""The chains of one holder: what its processes share once, then each process with its own links."""

from __future__ import annotations

from collections.abc import Sequence

from pgusher.model.holder import Chain, ChainEnd, Link, LinkKind
from pgusher.surfaces.render import cells, words
from pgusher.surfaces.render.screen import BLANK, Line, Screen, Span
from pgusher.surfaces.render.sessions import client_pids

_LABEL = 10
_ENDS = {
    ChainEnd.REMOTE: "on another host: pgusher there would show the process",
    ChainEnd.GONE: "the client is gone, and the server has not noticed",
    ChainEnd.HIDDEN: "what holds it is on this host, but may not be read",
    ChainEnd.UNKNOWN: "nothing tells who holds it",
    ChainEnd.OWN: "this is pgusher itself",
}


def chain_lines(screen: Screen, chains: Sequence[Chain], everything: bool = False, most: int = 4) -> list[Line]:
    """All links of these chains, each with its evidence and certainty, every one written once.

    Unless `everything` is asked for, the own links of at most `most` processes.
    """
    groups: dict[tuple[int, ...], list[Chain]] = {}
    for chain in chains:
        groups.setdefault(client_pids(chain), []).append(chain)
    shared = _shared(list(groups.values()))
    lines: list[Line] = []
    for link in shared:
        lines += link_lines(screen, link, everything)
    every = list(groups.values())
    shown = every if everything or len(every) <= most + 1 else every[:most]
    for place, group in enumerate(shown):
        if shared or place:
            lines.append(BLANK)
        lines += _group_lines(screen, group, shared, everything)
    if rest := every[len(shown) :]:
        text = f"{words.count(len(rest), 'further process')} with {words.count(sum(map(len, rest)), 'session')}"
        lines += [BLANK, [(f"  {screen.sign('more')} {text}: --all shows them", "dim")]]
    for conflict in dict.fromkeys(conflict for chain in chains for conflict in chain.conflicts):
        lines += labelled(screen, "conflict", conflict, "warn", everything)
    for end in dict.fromkeys(chain.end for chain in chains):
        if end in _ENDS:
            lines += labelled(screen, "ends", _ENDS[end], "", everything)
    return lines


def labelled(screen: Screen, label: str, text: str, style: str = "", wrapped: bool = False) -> list[Line]:
    """ "  limit     pool_size of ...", and further lines below it where it is to be read whole."""
    return [
        [(f"  {label if index == 0 else '':<{_LABEL}}", "dim"), (part, style)]
        for index, part in enumerate(_wrap(screen, text, wrapped))
    ]


def link_lines(screen: Screen, link: Link, everything: bool = False, more: str = "") -> list[Line]:
    """One link: what it leads to, how sure, and how it is known; on one line where there is room."""
    subject = screen.text(link.subject) + more
    evidence: list[Span] = [(link.certainty.value, link.certainty.value), (f": {link.evidence}", "dim")]
    needed = 2 + _LABEL + cells.width(subject) + 2 + cells.width(screen.text(evidence[0][0] + evidence[1][0]))
    if screen.width is not None and needed > screen.width:
        below = f"{link.certainty.value}: {link.evidence}"
        first, *rest = _wrap(screen, below, everything)
        return [
            *labelled(screen, link.kind.value, subject, "", everything),
            [
                (" " * (2 + _LABEL), ""),
                (link.certainty.value, link.certainty.value),
                (first[len(link.certainty.value) :], "dim"),
            ],
            *([(" " * (2 + _LABEL), ""), (part, "dim")] for part in rest),
        ]
    return [[(f"  {link.kind.value:<{_LABEL}}", "dim"), (subject, ""), ("  ", ""), *evidence]]


def _group_lines(screen: Screen, group: list[Chain], shared: list[Link], everything: bool) -> list[Line]:
    """The links of one process; its sockets as one line unless all are asked for."""
    lines: list[Line] = []
    sockets = [link for chain in group for link in chain.links if link.kind is LinkKind.SOCKET]
    if len(sockets) > 1 and not everything:
        weakest = max(sockets, key=lambda link: link.certainty.rank)
        lines += link_lines(screen, weakest, more=f" and {len(sockets) - 1} more")
    else:
        for link in sockets:
            lines += link_lines(screen, link, everything)
    told = set(shared)
    for chain in group:
        for link in chain.links:
            if link.kind is LinkKind.SOCKET or link in told:
                continue
            told.add(link)
            first = link.kind is LinkKind.PROCESS and len(group) > 1
            lines += link_lines(screen, link, everything, f", {words.count(len(group), 'session')}" if first else "")
    return lines


def _shared(groups: list[list[Chain]]) -> list[Link]:
    """Links that every process of several has: said once."""
    if len(groups) < 2:
        return []
    common = [set(chain.links) for group in groups for chain in group]
    shared = set.intersection(*common) if common else set()
    return [link for link in groups[0][0].links if link in shared]


def _wrap(screen: Screen, text: str, whole: bool) -> list[str]:
    """The text in lines of the terminal's width, at blanks where there are some; one line when it may be cut."""
    text = screen.text(text)
    room = (screen.width or 0) - 2 - _LABEL
    if not whole or room < 20 or cells.width(text) <= room:
        return [text]
    lines, line = [], ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if cells.width(longer) > room and line:
            lines.append(line)
            longer = word
        # A word that is wider than the terminal (a path, a token) is broken anywhere rather than cut.
        while cells.width(longer) > room:
            head = cells.cut(longer, room, "").rstrip() or longer[:1]
            lines.append(head)
            longer = longer[len(head) :]
        line = longer
    return [*lines, line] if line else lines
