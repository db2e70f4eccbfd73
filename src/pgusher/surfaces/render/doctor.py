"""The screen of `pgusher doctor`: what it sees, what it does not see, and what would open it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pgusher.surfaces.render import words
from pgusher.surfaces.render.chains import labelled, wrap
from pgusher.surfaces.render.screen import BLANK, Line, Screen, Span
from pgusher.surfaces.render.table import Column, table

_STYLES = {"sees": "good", "partly": "warn", "blind": "alarm"}
_ORDER = ("blind", "partly", "sees")
_IN_A_PIPE = tuple(Column(title) for title in ("sight", "check", "fact", "why", "opens"))


class Check(Protocol):
    """What `pgusher.app.doctor` gives for each thing it looked at."""

    @property
    def name(self) -> str:
        """What was examined: "client sockets"."""

    @property
    def sight(self) -> str:
        """ "sees", "partly" or "blind"."""

    @property
    def fact(self) -> str:
        """What was found, with its figure."""

    @property
    def why(self) -> str:
        """Why not all of it is seen; "" when it is."""

    @property
    def opens(self) -> str:
        """The exact command or setting that opens it; "" when there is none."""


def doctor_page(screen: Screen, checks: Sequence[Check]) -> list[Line]:
    """The sum in one line, then each check: the blind ones first, as they are what matters."""
    ranked = sorted(checks, key=lambda check: _ORDER.index(check.sight) if check.sight in _ORDER else 0)
    if screen.pipe:
        return list(table(screen, _IN_A_PIPE, [(c.sight, c.name, c.fact, c.why, c.opens) for c in ranked]))
    sights = [check.sight for check in checks]
    full = sights.count("sees")
    said = [f"sees {full} of {words.count(len(checks), 'thing')} whole"]
    said += [f"{sights.count('partly')} in part"] if "partly" in sights else []
    said += [f"{sights.count('blind')} not at all"] if "blind" in sights else []
    lines: list[Line] = [[(", ".join(said), "bold")], BLANK]
    for check in ranked:
        head: list[Span] = [(f"{check.sight:<6}  ", _STYLES.get(check.sight, ""))]
        if check.sight == "sees":
            # What is well needs one line, not two.
            first, *rest = wrap(screen, f"{check.name}: {check.fact}", 8)
            lines += [[*head, (first, "")], *([(" " * 8, ""), (part, "")] for part in rest)]
            continue
        lines.append([*head, (check.name, "name")])
        for label, text, style in (("fact", check.fact, ""), ("why", check.why, ""), ("opens", check.opens, "command")):
            if text:
                lines += labelled(screen, label, text, style, True)
    return lines
