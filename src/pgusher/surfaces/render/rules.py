"""The screen of `pgusher rules`: what pgusher looks for, each rule on a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pgusher.model.findings import Severity
from pgusher.surfaces.render.findings import STYLES
from pgusher.surfaces.render.screen import BLANK, Line, Screen
from pgusher.surfaces.render.table import Column, table

_COLUMNS = (Column("rule"), Column("severity"), Column("what it finds", least=20))


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
    rows = [(rule.name, (rule.severity.value, STYLES[rule.severity]), rule.summary) for rule in ranked]
    lines = list(table(screen, _COLUMNS, rows))
    return lines if screen.pipe else [*lines, BLANK, [("pgusher explain RULE", "command"), ("  # its page", "dim")]]
