"""`pgusher grafana check`: whether a Grafana's API behaves as pgusher relies on."""

from __future__ import annotations

import json

from pgusher.errors import UsageError
from pgusher.surfaces.cli.context import Context
from pgusher.surfaces.cli.options import Values
from pgusher.surfaces.render.screen import Line
from pgusher.surfaces.render.table import Column, table

_COLUMNS = (Column("outcome"), Column("point", least=20), Column("seen", least=10))


def run(values: Values, context: Context, words: list[str]) -> int:
    """Prints the points. Exit code 1 when one differs."""
    from pgusher.app.grafana import HOW
    from pgusher.app.grafana_check import Contract, Outcome
    from pgusher.collect.grafana.client import Client
    from pgusher.surfaces.cli.grafana import asked

    if words:
        raise UsageError("pgusher grafana check takes no further word", hint="the URL: --grafana-url")
    how, _ = asked(values, context)
    if how is None:
        raise UsageError("no URL of Grafana is named", hint=HOW)
    contract = Contract(Client(how), values["write"])
    points = contract.run()
    differs = sum(one.outcome is Outcome.DIFFERS for one in points)
    if values["json"]:
        checks = [{"point": one.point, "outcome": one.outcome.value, "text": one.text} for one in points]
        told = {"schema": 1, "kind": "grafana_check", "url": how.url, "version": contract.version, "checks": checks}
        context.out.write(json.dumps(told) + "\n")
        return int(bool(differs))
    screen = context.out.screen(values["color"], values["plain"], values["width"])
    holds = sum(one.outcome is Outcome.HOLDS for one in points)
    lines: list[Line] = []
    if not screen.pipe:
        lines.append([(f"{holds} of {len(points)} points hold, {differs} differ: {how.url}", "bold")])
    style = {Outcome.HOLDS: "good", Outcome.DIFFERS: "alarm", Outcome.NOT_ASKED: "dim"}
    rows = [((one.outcome.value, style[one.outcome]), one.point, one.text) for one in points]
    context.out.write(screen.page([*lines, *table(screen, _COLUMNS, rows)]))
    return int(bool(differs))
