"""`pgusher explain`: the page of a rule."""

from __future__ import annotations

from pgusher.errors import UsageError
from pgusher.surfaces.cli.common import GENERAL, PRINT
from pgusher.surfaces.cli.context import Context
from pgusher.surfaces.cli.options import Argument, Command, Values, shown
from pgusher.surfaces.render.words import listed


def run(values: Values, context: Context) -> int:
    """Prints the page; plain Markdown in a pipe."""
    # "stuck-job:cron/report", as an ignore list has it, is about stuck-job.
    name = values["rule"].partition(":")[0].strip().lower().replace("_", "-")
    names = context.app.rule_names()
    if name not in names:
        raise _unknown(values["rule"], name, names)
    text = context.app.page(name)
    if values["json"]:
        import json

        from pgusher.surfaces.render.whyjson import page_json

        context.out.write(json.dumps(page_json(name, text)) + "\n")
        return 0
    from pgusher.surfaces.render.markdown import page_lines

    screen = context.out.screen(values["color"], values["plain"], values["width"])
    context.out.write(screen.page(page_lines(screen, text)))
    return 0


def _unknown(word: str, name: str, names: tuple[str, ...]) -> UsageError:
    import difflib  # late: only a person who mistyped waits for it

    parts = [rule for rule in names if len(name) > 2 and name in rule]
    near = list(dict.fromkeys([*parts, *difflib.get_close_matches(name[:100], names, n=3, cutoff=0.5)]))[:3]
    hint = f"did you mean {' or '.join(near)}?" if near else "all rules: pgusher rules"
    return UsageError(f"no rule is called {shown(word)}", detail=f"there are {listed(list(names), 40)}", hint=hint)


COMMAND = Command(
    name="explain",
    summary="the page of a rule: what it finds, why it matters, what to do",
    description=(
        "Prints the page of a rule: what it does, why it matters, an example, what to do, when it is wrong, and how "
        "safe its remedy is. In a pipe it is Markdown."
    ),
    options=tuple(option for option in PRINT if option.name != "verbose") + GENERAL,
    argument=Argument("rule", "RULE", "a rule's name, as pgusher why and pgusher rules print it", True, asked=True),
    run=run,
    examples=(
        ("pgusher explain stuck-job", "what is behind a finding"),
        ("pgusher explain stuck-job > stuck-job.md", "to keep, or to mail"),
    ),
)
