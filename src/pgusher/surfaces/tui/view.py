"""Our lines as what Textual draws, and what the parts of the screen show. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from rich.style import Style
from rich.text import Text

from pgusher.model.findings import Diagnosis
from pgusher.model.holder import Holder
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import dataclass
from pgusher.surfaces.render import words
from pgusher.surfaces.render.chains import chain_lines, labelled
from pgusher.surfaces.render.headline import gap_lines, heading
from pgusher.surfaces.render.holders import what
from pgusher.surfaces.render.letters import UNKNOWN
from pgusher.surfaces.render.screen import Line, Screen
from pgusher.surfaces.render.seats import hue_of, seat_map
from pgusher.surfaces.render.tally import Doing, states, tally

Place = tuple[str, tuple[str, ...]]
"""What tells a server from the others of a look, also when it was started again."""

COLUMNS = ("", "slots", "holder", "idle", "active", "in tx", "oldest", "what it is")
SORTS = ("slots", "name", "oldest", "in tx")

_STYLES = {
    "alarm": Style(bold=True, reverse=True, color="red"),
    "warn": Style(color="yellow"),
    "good": Style(color="green"),
    "bold": Style(bold=True),
    "dim": Style(dim=True),
    "head": Style(dim=True),
    "name": Style(bold=True),
    "command": Style(color="cyan"),
    "paste": Style(color="cyan"),
    "proven": Style(color="green"),
    "likely": Style(color="yellow"),
    "guessed": Style(color="magenta"),
}
_HUES = ("cyan", "green", "magenta", "bright_blue", "yellow", "bright_cyan", "bright_magenta", "bright_green")


@dataclass(frozen=True, slots=True)
class Row:
    """One holder; `gone` when it held slots while it was chosen, and holds none now."""

    name: str
    cells: tuple[Text, ...]
    gone: bool = False


def place_of(snapshot: Snapshot) -> Place:
    """Which server it is of."""
    return snapshot.facts.server.label, snapshot.facts.server.socket_paths


def drawn(screen: Screen, lines: Iterable[Line]) -> Text:
    """Lines as one text: harmless, as every text that leaves; with the styles that the terminal's own theme has."""
    parts = []
    for line in lines:
        text = Text(no_wrap=True, end="")
        for raw, style in line:
            text.append(screen.text(raw), _style(style))
        parts.append(text)
    return Text("\n").join(parts)


def _style(name: str) -> Style:
    if name.startswith("hue"):
        number = name.removeprefix("hue").removesuffix("+")
        return Style(color=_HUES[int(number) % len(_HUES)], bold=name.endswith("+"))
    return _STYLES.get(name, Style.null())


def head_of(screen: Screen, snapshot: Snapshot) -> Text:
    """How full it is, which server, from where it is seen, and what is not seen."""
    lines = [*heading(screen, snapshot, tally(snapshot)), *gap_lines(snapshot.facts.gaps)]
    return drawn(screen, lines)


def map_of(screen: Screen, snapshot: Snapshot, letters: Mapping[str, str]) -> Text:
    """The seat map."""
    return drawn(screen, seat_map(screen, snapshot, letters))


def rows_of(
    screen: Screen,
    snapshot: Snapshot,
    letters: Mapping[str, str],
    *,
    sort: str = "slots",
    only: str = "",
    keep: str | None = None,
    then: bool = False,
) -> list[Row]:
    """The holders. `only`: those whose name has this in it; `keep` stays, also when it holds nothing.

    `then`: it is a moment of the past, so that who holds nothing is not gone.
    """
    counts = states(snapshot)
    hues = hue_of(letters)
    now = snapshot.facts.taken_at
    chosen = [h for h in snapshot.holders if h.name in counts and only.casefold() in h.name.casefold()]
    rows = []
    for holder in _sorted(chosen, counts, sort):
        does = counts[holder.name]
        letter = letters.get(holder.name, UNKNOWN)
        waiting = does[Doing.TRANSACTION]
        cells = (
            Text(letter, _style(hues.get(letter, "bold"))),
            Text(str(len(holder.sessions)), justify="right"),
            Text(screen.text(holder.name), "bold"),
            _number(does[Doing.IDLE]),
            _number(does[Doing.ACTIVE]),
            Text(str(waiting) if waiting else "", _STYLES["warn"], justify="right"),
            Text(words.age(holder.since, now), justify="right"),
            Text(screen.text(what(holder)), no_wrap=True),
        )
        rows.append(Row(holder.name, cells))
    if keep is not None and all(row.name != keep for row in rows) and only.casefold() in keep.casefold():
        mark, name = Text(letters.get(keep, UNKNOWN), "dim"), Text(screen.text(keep), "dim")
        none = (mark, Text("0", "dim", justify="right"), name, Text(""), Text(""), Text(""))
        told = (Text(""), "held nothing then") if then else (Text("gone", "warn"), "holds nothing now")
        rows.append(Row(keep, (*none, told[0], Text(told[1], "dim")), gone=True))
    return rows


def _number(count: int) -> Text:
    return Text(str(count) if count else "", justify="right")


def _sorted(holders: Sequence[Holder], counts: Mapping[str, Counter[Doing]], sort: str) -> list[Holder]:
    if sort == "name":
        return sorted(holders, key=lambda holder: holder.name)
    if sort == "oldest":
        return sorted(holders, key=lambda holder: holder.since if holder.since is not None else 1 << 62)
    if sort == "in tx":
        return sorted(holders, key=lambda holder: -counts[holder.name][Doing.TRANSACTION])
    return list(holders)


def chain_of(screen: Screen, snapshot: Snapshot, name: str | None) -> Text:
    """The chain of the holder that is chosen, with what limits and stops it."""
    holder = snapshot.holder(name) if name is not None else None
    if holder is None:
        return Text("")
    lines: list[Line] = [[(holder.name, "name"), (f"  {holder.title}", "")]]
    for label, text in (("limit", holder.limit), ("stop", holder.stop)):
        if text:
            lines += labelled(screen, label, text, "command" if label == "stop" else "")
    chains = [chain for chain in snapshot.chains if chain.holder == name]
    return drawn(screen, [*lines, *chain_lines(screen, chains, most=1)])


def findings_of(screen: Screen, diagnosis: Diagnosis, most: int) -> Text:
    """The findings, a line each, worst first."""
    if not diagnosis.findings:
        return Text("nothing was found in what the server and the kernel show", "dim")
    shown = diagnosis.findings[: most if len(diagnosis.findings) <= most else most - 1]
    styles = {"critical": "alarm", "warning": "warn", "note": "dim"}
    lines: list[Line] = [
        [(f"{f.severity.value.upper():<9}", styles[f.severity.value]), (f" {f.message}", ""), (f"  {f.rule}", "dim")]
        for f in shown
    ]
    if more := len(diagnosis.findings) - len(shown):
        lines.append([(f"{screen.sign('more')} {words.count(more, 'further finding')}: pgusher why", "dim")])
    return drawn(screen, lines)


def unjudged() -> Text:
    """What stands in the place of findings of the past."""
    return Text("what was wrong then is not kept: pgusher history", "dim")
