"""A page of Markdown as lines for a terminal: what the pages of the rules are written in, and no more of it."""

from __future__ import annotations

import re

from pgusher.surfaces.render.chains import wrap
from pgusher.surfaces.render.screen import BLANK, Line, Screen, Span

_ITEM = re.compile(r"(?P<indent> *)(?P<mark>[-*]|\d+\.) +(?P<text>.*)")
_CODE = re.compile(r"(`+)(.+?)\1|\*\*(.+?)\*\*")
_LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")
WIDEST = 100
"""Columns beyond which a line of prose is hard to read."""


def page_lines(screen: Screen, text: str) -> list[Line]:
    """The lines of the page. A pipe gets it as it is written: Markdown is plain text, and can be saved as a page."""
    raw = text.rstrip("\n").split("\n")
    if screen.pipe:
        return [[(line, "")] for line in raw]
    lines: list[Line] = []
    paragraph: list[str] = []
    fence = info = ""
    for line in [*raw, ""]:
        if fence:
            if line.strip() == fence:
                fence = ""
                lines += [[("  pgusher says nothing", "dim")]] if info.endswith(("silent", "remedied")) else []
            else:
                lines += [[("    ", ""), (part, "command")] for part in wrap(screen, line, 4)]
            continue
        opened = re.match(r"(```+|~~~+)\s*(.*)", line)
        if opened or not line.strip() or line.startswith(("#", "|")) or _ITEM.match(line):
            lines += _paragraph(screen, paragraph)
            paragraph = []
        if opened:
            fence, info = opened.group(1), opened.group(2)
            # A rule's page shows a server, then what pgusher says of it.
            lines += [[("  pgusher says", "dim")]] if info == "text" else []
        elif line.startswith("#"):
            title = line.lstrip("#").strip()
            lines.append([(title if line.startswith("##") else title.upper(), "bold")])
        elif line.startswith("|"):
            lines.append([(line, "")])
        elif line.strip():
            paragraph.append(line)
        elif lines and lines[-1] != BLANK:
            lines.append(BLANK)
    while lines and lines[-1] == BLANK:
        lines.pop()
    return lines


def _paragraph(screen: Screen, raw: list[str]) -> list[Line]:
    """Prose, filled anew; the lines of a list below their mark."""
    if not raw:
        return []
    first = _ITEM.match(raw[0])
    indent = first["indent"] + " " * (len(first["mark"]) + 1) if first else ""
    mark = first["indent"] + first["mark"] + " " if first else ""
    text = " ".join([first["text"] if first else raw[0], *(line.strip() for line in raw[1:])])
    text = _LINK.sub(lambda m: m[1] if m[1] == m[2] else f"{m[1]} ({m[2]})", text)
    width = min(screen.width or WIDEST, WIDEST)
    spans = _inline(text, screen.colour)
    lines: list[Line] = []
    # Wrapped as bare text, then painted: a mark of emphasis takes no column.
    bare = "".join(part for part, _ in spans)
    rest = [(screen.text(part), style) for part, style in spans]
    for place, line in enumerate(_fill(screen, bare, width - len(indent))):
        taken, rest = _take(rest, len(line))
        lines.append([(mark if place == 0 else indent, ""), *taken] if indent else taken)
        rest = _without_blank(rest)
    return lines


def _fill(screen: Screen, text: str, room: int) -> list[str]:
    return wrap(Screen(width=max(room, 20), encoding=screen.encoding), " ".join(text.split()), 0)


def _inline(text: str, colour: bool) -> list[Span]:
    """Code and emphasis as styles of their own. Without colour code keeps its marks: it is to be told from prose."""
    text = " ".join(text.split())
    spans: list[Span] = []
    done = 0
    for match in _CODE.finditer(text):
        spans.append((text[done : match.start()], ""))
        code = match[2] if colour else match[0]
        spans.append((code, "command") if match[2] is not None else (match[3], "bold"))
        done = match.end()
    return [span for span in (*spans, (text[done:], "")) if span[0]]


def _take(spans: list[Span], length: int) -> tuple[list[Span], list[Span]]:
    """As many characters of the spans, and what is left of them."""
    taken: list[Span] = []
    left = list(spans)
    while left and length > 0:
        text, style = left.pop(0)
        taken.append((text[:length], style))
        if len(text) > length:
            left.insert(0, (text[length:], style))
        length -= len(taken[-1][0])
    return taken, left


def _without_blank(spans: list[Span]) -> list[Span]:
    """The blank at which a line was broken belongs to neither."""
    if spans and spans[0][0].startswith(" "):
        first = (spans[0][0][1:], spans[0][1])
        return [first, *spans[1:]] if first[0] else spans[1:]
    return spans
