"""Columns: aligned and fitted on a terminal, parted by tabs and whole in a pipe."""

from __future__ import annotations

from collections.abc import Sequence

from pgusher.model.text import clean
from pgusher.model.values import dataclass
from pgusher.surfaces.render import cells
from pgusher.surfaces.render.screen import ROW, TAB, Line, Screen, Span


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    title: str
    right: bool = False
    """Numbers and ages are set to the right."""
    least: int = 0
    """How narrow it may get on a terminal before anything is dropped; 0 for never narrower than its content."""
    drop: int = 0
    """Where there is no room the highest goes first; 0 never goes."""
    optional: bool = False
    """Left out on a terminal when no row has anything in it."""


Cell = Span | str


def table(
    screen: Screen, columns: Sequence[Column], rows: Sequence[Sequence[Cell]], indent: str = "", gap: int = 2
) -> list[Line]:
    """The heading and the rows. On a terminal the last column takes what is left and is cut."""
    if screen.pipe:
        heading: list[Cell] = [(column.title, "head") for column in columns]
        return [_tabbed(row, screen.colour) for row in (heading, *rows)]
    spans = [[(cell, "") if isinstance(cell, str) else cell for cell in row] for row in rows]
    texts = [[screen.text(text) for text, _ in row] for row in spans]
    shown, widths = _fit(screen, columns, texts, len(indent), gap)
    if not shown:
        return []
    titles = [(column.title.upper(), "head") for column in columns]
    heads = [title for title, _ in titles]
    return [
        _aligned(screen, columns, shown, widths, heads, titles, indent, gap),
        *(
            _aligned(screen, columns, shown, widths, text, row, indent, gap)
            for text, row in zip(texts, spans, strict=True)
        ),
    ]


def _tabbed(row: Sequence[Cell], colour: bool) -> Line:
    if colour:  # --color always
        spans = [(cell, "") if isinstance(cell, str) else cell for cell in row]
        return [part for span in spans for part in (TAB, span)][1:]
    texts = [cell if isinstance(cell, str) else cell[0] for cell in row]
    if "\t" in "".join(texts):
        texts = [clean(text) for text in texts]
    return (("\t".join(texts), ROW),)


def _fit(
    screen: Screen, columns: Sequence[Column], texts: list[list[str]], indent: int, gap: int
) -> tuple[list[int], dict[int, int]]:
    """Which columns are shown, and how wide each is."""
    wide = [max((cells.width(row[i]) for row in texts), default=0) for i in range(len(columns))]
    shown = [i for i, column in enumerate(columns) if wide[i] or not column.optional]
    widths = {i: max(wide[i], cells.width(columns[i].title)) for i in shown}
    room = (screen.width or 0) - indent
    while shown:
        excess = sum(widths[i] for i in shown) + gap * (len(shown) - 1) - room
        if excess <= 0:
            break
        # The last column gives way first, then the widest of those that can.
        order = sorted((i for i in shown if columns[i].least), key=lambda i: (i != shown[-1], -widths[i]))
        for i in order:
            give = min(excess, widths[i] - max(columns[i].least, 1))
            if give > 0:
                widths[i] -= give
                excess -= give
        if excess <= 0:
            break
        loser = max(shown, key=lambda i: columns[i].drop)
        if not columns[loser].drop:
            break  # what is left must stay; the gate cuts the line
        shown.remove(loser)
        widths = {i: max(wide[i], cells.width(columns[i].title)) for i in shown}
    return shown, widths


def _aligned(
    screen: Screen,
    columns: Sequence[Column],
    shown: list[int],
    widths: dict[int, int],
    texts: Sequence[str],
    spans: Sequence[Span],
    indent: str,
    gap: int,
) -> Line:
    cut = screen.sign("cut")
    line: list[Span] = [(indent, "")] if indent else []
    for place, i in enumerate(shown):
        text, room = texts[i], widths[i]
        size = cells.width(text)
        if size > room:
            text, size = cells.cut(text, room, cut), room
        blanks = " " * (room - size)
        if columns[i].right:
            line.append((blanks, ""))
        line.append((text, spans[i][1]))
        if place < len(shown) - 1:
            line.append(((("" if columns[i].right else blanks) + " " * gap), ""))
    return line
