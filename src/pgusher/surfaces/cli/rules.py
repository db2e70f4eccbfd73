"""`pgusher rules`: what pgusher looks for."""

from __future__ import annotations

from pgusher.surfaces.cli.common import GENERAL, PRINT
from pgusher.surfaces.cli.context import Context
from pgusher.surfaces.cli.options import Command, Values


def run(values: Values, context: Context) -> int:
    """Prints the rules."""
    rules = context.app.rules()
    if values["json"]:
        import json

        from pgusher.surfaces.render.whyjson import rules_json

        context.out.write(json.dumps(rules_json(rules)) + "\n")
        return 0
    from pgusher.surfaces.render.rules import rules_page

    screen = context.out.screen(values["color"], values["plain"], values["width"])
    context.out.write(screen.page(rules_page(screen, rules)))
    return 0


COMMAND = Command(
    name="rules",
    summary="what it looks for: each rule on a line",
    description=(
        "Lists the rules that pgusher why and pgusher ask, each with the worst severity that it gives. A rule or a "
        "single finding is switched off by ignore in the configuration; pgusher explain RULE shows a rule's page."
    ),
    options=tuple(option for option in PRINT if option.name != "verbose") + GENERAL,
    run=run,
    examples=(("pgusher rules", "all rules"), ("pgusher rules --json", "the same for a program")),
)
