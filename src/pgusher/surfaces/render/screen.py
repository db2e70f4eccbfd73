"""Where lines go: how wide, in which signs, with or without colour; and the one gate through which text leaves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pgusher.model.text import clean
from pgusher.model.values import dataclass
from pgusher.surfaces.render import cells

Span = tuple[str, str]
"""A text and the name of its style ("" for none). The text may be hostile until it is painted."""
Line = Sequence[Span]

TAB: Span = ("\t", "tab")
"""Ends a column in a pipe. The only control character that a line may hold, and only by this style or the next."""
ROW = "row"
"""The style of a whole row whose columns are parted by tabs already, as a table in a pipe has them by the thousand."""

# SGR codes. The sixteen colours of the person's own theme, never fixed ones: a light background is theirs to choose.
_SGR = {
    "alarm": "1;7;31",
    "warn": "33",
    "good": "32",
    "bold": "1",
    "dim": "2",
    "head": "2",
    "name": "1",
    "command": "36",
    "paste": "36",
    "proven": "32",
    "likely": "33",
    "guessed": "35",
}
# One hue a holder. No red: red is for what is wrong. No plain blue: unreadable on black.
HUES = ("36", "32", "35", "94", "33", "96", "95", "92")

_SIGNS = {
    "cut": ("…", "~"),
    "dot": ("·", "-"),
    "bar": ("█", "#"),
    "more": ("…", "..."),
}
SIGNS = "".join(pair[0] for pair in _SIGNS.values()) + "▏▎▍▌▋▊▉"
"""Every sign beyond ASCII that pgusher itself writes: a locale that can encode these gets them all."""


@dataclass(frozen=True, slots=True)
class Screen:
    """What the lines are for. The default is a colourless terminal of 80 columns and 24 lines."""

    width: int | None = 80
    """Columns of the terminal; None in a pipe, where nothing is cut."""
    height: int | None = 24
    colour: bool = False
    unicode: bool = True
    """False: pgusher's own signs are ASCII."""
    encoding: str = "utf-8"
    """What texts of others must be encodable in; what is not becomes a backslash escape."""
    plain: bool = False
    """No picture: the same content in words and tables, for a screen reader."""

    @property
    def pipe(self) -> bool:
        """Whether the reader is a program: tabs between columns, exact times, nothing cut, no picture."""
        return self.width is None

    def sign(self, name: str) -> str:
        """One of pgusher's own signs: "cut", "dot", "bar" ..."""
        return _SIGNS[name][0 if self.unicode else 1]

    def text(self, raw: str) -> str:
        """The text as it will be written, on one line and harmless. Idempotent; measure only what it gives."""
        # isprintable() is false for every control, format and surrogate character, and quick.
        if not raw.isprintable():
            raw = clean(raw)
        if self.encoding != "utf-8" and not raw.isascii():
            raw = raw.encode(self.encoding, "backslashreplace").decode(self.encoding)
        return raw

    def paint(self, line: Line) -> str:
        """The line as it goes out, without the newline: harmless, no wider than the terminal, coloured if wanted."""
        if len(line) == 1 and line[0][1] == ROW:
            row = line[0][0]
            # Every tab parts two columns: the table has made those inside of a column harmless.
            return (
                row
                if row.replace("\t", "").isprintable() and row.isascii()
                else "\t".join(map(self.text, row.split("\t")))
            )
        bare = "".join([raw for raw, style in line if style != "tab"])
        room = self.width
        if bare.isprintable() and bare.isascii() and (room is None or len(bare) <= room):
            # Nearly every line: harmless and short enough as it is.
            if not self.colour:
                return "".join([raw for raw, _ in line]) if self.width is None else bare.rstrip()
            return "".join([self._styled(raw, style) if style and style != "tab" else raw for raw, style in line])
        out: list[str] = []
        for raw, style in line:
            if style == "tab":
                out.append("\t")
                continue
            text = self.text(raw)
            if room is not None:
                wide = cells.width(text)
                # Half a command does something else than the whole one: that is left to the terminal to break.
                if wide > room and style != "paste":
                    text = cells.cut(text, room, self.sign("cut"))
                    wide = room
                room = max(0, room - wide)
            if not text:
                continue
            out.append(self._styled(text, style) if self.colour and style else text)
        # A line that ends in blanks only looks empty; in a pipe an empty last column is a column.
        return "".join(out) if self.colour or self.pipe else "".join(out).rstrip()

    def page(self, lines: Iterable[Line]) -> str:
        """All lines with their newlines."""
        if self.plain and self.width is not None:
            lines = [part for line in lines for part in self._whole(line)]
        return "".join(self.paint(line) + "\n" for line in lines)

    def _whole(self, line: Line) -> list[Line]:
        """The line, or the lines that it is broken into: who has it read out cannot see that it was cut."""
        text = self.text("".join([raw for raw, _ in line]))
        # What stands behind a command is a comment: on a line of its own it would be a command when it is pasted.
        if self.width is None or cells.width(text) <= self.width or {"paste", "command"} & {style for _, style in line}:
            return [line]
        return flow(self, [text.strip(" ")], " " * (len(text) - len(text.lstrip(" "))), "")

    @staticmethod
    def _styled(text: str, style: str) -> str:
        code = _SGR.get(style) or _hue(style)
        # A blank with a colour is a blank; only an inverted one is seen.
        return f"\x1b[{code}m{text}\x1b[0m" if text and not text.isspace() else text


def _hue(style: str) -> str:
    """ "hue3" is the fourth holder's colour, "hue3+" the same for a session at work."""
    bold = style.endswith("+")
    code = HUES[int(style.removeprefix("hue").rstrip("+")) % len(HUES)]
    return f"1;{code}" if bold else code


BLANK: Line = ()


def flow(screen: Screen, parts: Iterable[str], indent: str = "", style: str = "dim", between: str = "") -> list[Line]:
    """Parts one after the other (with a dot between them), broken between two where the width asks for it.

    One that is wider than a line is broken at its blanks.
    """
    between = between or f" {screen.sign('dot')} "
    width = screen.width
    lines: list[Line] = []
    text = ""
    for part in map(screen.text, parts):
        words = part.split(" ") if width is not None and cells.width(indent + part) > width else [part]
        for place, word in enumerate(words):
            longer = f"{text}{' ' if place else between}{word}" if text else indent + word
            if text and width is not None and cells.width(longer) > width:
                lines.append([(text, style)])
                longer = indent + word
            text = longer
    return [*lines, [(text, style)]] if text else lines
