"""The chains of one holder: what its processes share once, then each process with its own links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pgusher.model.holder import Chain, ChainEnd, Link, LinkKind
from pgusher.model.values import replace
from pgusher.surfaces.render import cells, words
from pgusher.surfaces.render.screen import BLANK, Line, Screen, Span
from pgusher.surfaces.render.sessions import client_pids

Links = dict[Link, None]
"""Links in the order in which they were met, each once."""

_LABEL = 10
_MOST_LOANS = 8
_EACH = frozenset({LinkKind.SOCKET, LinkKind.PROCESS, LinkKind.LOAN, LinkKind.PANEL})
"""Links that belong to one process, also where those of several read alike."""
_APART = frozenset({LinkKind.LOAN, LinkKind.PANEL})
"""Links that are worth a line for each thing they lead to."""
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
    for alike in shared.values():
        lines += _alike_lines(screen, alike, everything)
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
        for index, part in enumerate(wrap(screen, text, 2 + _LABEL) if wrapped else [screen.text(text)])
    ]


def link_lines(screen: Screen, link: Link, everything: bool = False, more: str = "") -> list[Line]:
    """One link: what it leads to, how sure, and how it is known; on one line where there is room."""
    subject = screen.text(link.subject) + more
    evidence: list[Span] = [(link.certainty.value, link.certainty.value), (f": {link.evidence}", "dim")]
    needed = 2 + _LABEL + cells.width(subject) + 2 + cells.width(screen.text(evidence[0][0] + evidence[1][0]))
    if screen.width is not None and needed > screen.width:
        below = f"{link.certainty.value}: {link.evidence}"
        first, *rest = wrap(screen, below, 2 + _LABEL) if everything else [below]
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


def _group_lines(
    screen: Screen, group: list[Chain], shared: Mapping[tuple[LinkKind, str], Links], everything: bool
) -> list[Line]:
    """The links of one process. Its sockets, and whatever else each session has of its own, as one line a kind."""
    found: dict[tuple[LinkKind, int | None, str], Links] = {}
    for chain in group:
        for link in chain.links:
            if (link.kind, link.subject) not in shared:
                # Each borrowing line is worth a line of its own: it is what one looks for.
                apart = link.subject if link.kind in _APART else ""
                found.setdefault((link.kind, link.pid, apart), {})[link] = None
    left_out: list[tuple[LinkKind, int | None, str]] = []
    for kind in _APART:
        several = [key for key in found if key[0] is kind]
        left_out += [] if everything or len(several) <= _MOST_LOANS + 1 else several[_MOST_LOANS:]
    for key in left_out:
        del found[key]
    lines: list[Line] = []
    for (kind, _, _), alike in found.items():
        count = f", {words.count(len(group), 'session')}" if kind is LinkKind.PROCESS and len(group) > 1 else ""
        lines += _alike_lines(screen, alike, everything, count)
    if left_out:
        lines += [
            [(f"  {screen.sign('more')} {len(left_out)} further {left_out[0][0].value}s: --all shows them", "dim")]
        ]
    return lines


def _alike_lines(screen: Screen, alike: Links, everything: bool, more: str = "") -> list[Line]:
    """Links that differ from session to session only: the least certain one, and how many more there are."""
    if everything or len(alike) == 1:
        return [line for link in alike for line in link_lines(screen, link, everything, more)]
    weakest = max(alike, key=lambda link: link.certainty.rank)
    others = f"{len(alike) - 1} more"
    if len({link.subject for link in alike}) > 1:
        return link_lines(screen, weakest, everything, f"{more} and {others}")
    return link_lines(screen, replace(weakest, evidence=f"{weakest.evidence}, and {others} like it"), everything, more)


def _shared(groups: list[list[Chain]]) -> dict[tuple[LinkKind, str], Links]:
    """What every process of several leads to: said once."""
    if len(groups) < 2:
        return {}
    everywhere = [{(link.kind, link.subject) for chain in group for link in chain.links} for group in groups]
    common = {key for key in set.intersection(*everywhere) if key[0] not in _EACH}
    found: dict[tuple[LinkKind, str], Links] = {}
    for group in groups:
        for chain in group:
            for link in chain.links:
                if (link.kind, link.subject) in common:
                    found.setdefault((link.kind, link.subject), {})[link] = None
    return found


def wrap(screen: Screen, text: str, indent: int) -> list[str]:
    """The text in lines that fit behind the indent, broken at blanks where there are some."""
    text = screen.text(text)
    room = (screen.width or 0) - indent
    if room < 20 or cells.width(text) <= room:
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
