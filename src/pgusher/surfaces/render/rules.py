"""The screen of `pgusher rules`: what pgusher looks for, each rule on a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pgusher.model.findings import Severity
from pgusher.surfaces.render.chains import wrap
from pgusher.surfaces.render.findings import STYLES
from pgusher.surfaces.render.screen import BLANK, Line, Screen
from pgusher.surfaces.render.table import Column, table

_COLUMNS = (Column("rule"), Column("severity"), Column("what it finds"))
_SEVERITY = 8


class Rule(Protocol):
    """What a screen needs to know of a rule."""

    @property
    def name(self) -> str:
        """ "stuck-job"."""

    @property
    def severity(self) -> Severity:
        """The worst that it gives."""

    @property
    def summary(self) -> str:
        """One line."""


def rules_page(screen: Screen, rules: Sequence[Rule]) -> list[Line]:
    """The worst first, each with its severity and what it finds."""
    ranked = sorted(rules, key=lambda rule: (rule.severity.rank, rule.name))
    if screen.pipe:
        return list(table(screen, _COLUMNS, [(rule.name, rule.severity.value, rule.summary) for rule in ranked]))
    wide = max((len(rule.name) for rule in ranked), default=0)
    indent = wide + _SEVERITY + 4
    lines: list[Line] = []
    for rule in ranked:
        first, *rest = wrap(screen, rule.summary, indent)
        severity = f"{rule.severity.value:<{_SEVERITY}}  "
        lines.append([(f"{rule.name:<{wide}}  ", "name"), (severity, STYLES[rule.severity]), (first, "")])
        lines += [[(" " * indent, ""), (part, "")] for part in rest]
    return [*lines, BLANK, [("pgusher explain RULE", "command"), ("  # its page", "dim")]]
