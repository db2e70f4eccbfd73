"""`pgusher undo-help`: how to bring back what a plan ends."""

from __future__ import annotations

from pgusher.model.plan import Plan
from pgusher.surfaces.cli.common import GENERAL, PRINT
from pgusher.surfaces.cli.context import Context
from pgusher.surfaces.cli.options import Argument, Command, Values
from pgusher.surfaces.render.screen import Line
from pgusher.surfaces.render.state import fact_line


def run(values: Values, context: Context) -> int:
    """Shows it. Exit code 0; 2 when there is no such plan, 4 when it cannot be read or trusted."""
    plan: Plan = context.app.plans().load(values["plan"])
    if values["json"]:
        import json

        from pgusher.surfaces.render.plan_json import undo_json

        context.out.write(json.dumps(undo_json(plan)) + "\n")
        return 0
    screen = context.out.screen(values["color"], values["plain"], values["width"])
    lines: list[Line] = []
    told: dict[tuple[str, ...], list[int]] = {}
    for step in plan.steps:
        told.setdefault((step.holder or "", *step.undo), []).append(step.number)
    for (holder, *undo), numbers in told.items():
        which = f"step {numbers[0]}" if len(numbers) == 1 else f"steps {numbers[0]} to {numbers[-1]}"
        if screen.pipe:
            lines += [fact_line(screen, which, holder, text) for text in undo]
            continue
        lines.append([(f"{which}{f', {holder}' if holder else ''}", "bold")])
        lines += [[("  ", ""), (text, "paste")] for text in undo]  # whole: half a command does something else
    context.out.write(screen.page(lines))
    return 0


COMMAND = Command(
    name="undo-help",
    summary="how to bring back what a plan of pgusher free ends",
    description=(
        "Tells for each step of a plan how to bring back what it ends: the line of the crontab, the unit, the command "
        "line (without its secrets). It does nothing itself. Plans are kept for a week."
    ),
    options=PRINT + GENERAL,
    argument=Argument("plan", "PLAN", "the plan's name, as pgusher free printed it", required=True, asked=True),
    run=run,
    examples=(("pgusher undo-help k7f3", "after pgusher free --apply k7f3"),),
)
