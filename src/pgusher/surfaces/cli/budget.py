"""`pgusher budget`: who may take how many slots, against those that there are; whether it fits, and what would."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgusher.errors import UsageError
from pgusher.surfaces.cli.common import ALL, CONNECTION, GENERAL, PRINT, REPLAY, again
from pgusher.surfaces.cli.context import Context
from pgusher.surfaces.cli.looking import put, show_looks, watch_screen
from pgusher.surfaces.cli.options import Argument, Command, Option, Values, meant, shown, whole

if TYPE_CHECKING:
    from pgusher.app.look import Look

VERBS = ("check",)
_FILES_ONLY = {"grafana": "--grafana", "pgbouncer": "--pgbouncer", "reserved": "--reserved"}
_CHECK_ONLY = {"max_connections": "--max-connections", "strict": "--strict", "format": "--format", **_FILES_ONLY}


def run(values: Values, context: Context) -> int:
    """Shows the budget, or does what its verb says."""
    words: list[str] = values["verb"]
    verb = words[0] if words else ""
    if verb and verb not in VERBS:
        raise UsageError(
            f"{shown(verb)} is nothing that pgusher budget does",
            hint=meant(verb, VERBS) or f"it does: {', '.join(VERBS)}",
        )
    if len(words) > 1:
        raise UsageError(f"unexpected word {shown(words[1])}", hint=f"usage: {COMMAND.usage}")
    if verb != "check":
        _refuse(values, _CHECK_ONLY, "check")
    if verb == "check":
        return _check(values, context)
    return _show(values, context)


def _refuse(values: Values, names: dict[str, str], verb: str) -> None:
    defaults = {option.name: option.default for option in COMMAND.options}
    wrong = next((flag for name, flag in names.items() if values[name] != defaults[name]), None)
    if wrong is not None:
        raise UsageError(f"{wrong} is about pgusher budget {verb}")


def _show(values: Values, context: Context) -> int:
    """The table. Exit code 1 when more may be taken than there is."""
    config = context.app.config(values["config"])
    complete = again(values, context)

    def show(look: Look) -> int:
        from pgusher.model.values import replace

        sheets = context.app.budgets(look, config, history=values["replay"] is None)
        sheets = tuple(replace(one, gaps=complete.gaps(one.gaps)) for one in sheets)
        if values["json"]:
            from pgusher.surfaces.render.budget_json import budget_json

            _print(context, budget_json(sheets))
        else:
            from pgusher.surfaces.render.budget import budget_page

            screen = watch_screen(values, context)
            put(values, context, screen, budget_page(screen, sheets, values["all"]))
        return int(any(one.fits is False for one in sheets))

    return show_looks(values, context, show)


def _check(values: Values, context: Context) -> int:
    """Exit code 1 when what may be taken exceeds what there is. With --max-connections files alone are read."""
    config = context.app.config(values["config"])
    if values["max_connections"] is None:
        _refuse(values, _FILES_ONLY, "check --max-connections N")
        return show_looks(
            values,
            context,
            lambda look: _judge(values, context, context.app.budgets(look, config, history=values["replay"] is None)),
        )
    named = next((name for name in ("dsn", "host", "port", "service", "replay", "watch", "save") if values[name]), None)
    if named is not None:
        raise UsageError(
            "--max-connections is about a check of files, with no server",
            hint="leave --max-connections out: the server itself says how many it has",
        )
    if values["reserved"] >= values["max_connections"]:
        raise UsageError(f"--reserved {values['reserved']} leaves none of {values['max_connections']} connections")
    split = {name: tuple(part for part in (values[name] or "").split(",") if part) for name in ("grafana", "pgbouncer")}
    sheet = context.app.budget_of_files(config, values["max_connections"], values["reserved"], **split)
    return _judge(values, context, (sheet,))


def _judge(values: Values, context: Context, sheets: tuple[Any, ...]) -> int:
    from pgusher.surfaces.render.budget_check import github, junit, wrong

    strict = values["strict"]
    code = int(any(wrong(sheet, strict) for sheet in sheets))
    kind = "json" if values["json"] else values["format"]
    if kind == "json":
        from pgusher.surfaces.render.budget_json import budget_json

        _print(context, budget_json(sheets))
    elif kind == "github":
        context.out.write(github(sheets, strict))
    elif kind == "junit":
        context.out.write(junit(sheets, strict))
    else:
        from pgusher.surfaces.render.budget import budget_page

        screen = context.out.screen(values["color"], values["plain"], values["width"])
        context.out.write(screen.page(budget_page(screen, sheets, values["all"])))
    return code


def _print(context: Context, data: Any) -> None:
    import json

    context.out.write(json.dumps(data) + "\n")


_IN_CI = "For a check"
_OPTIONS = (
    Option("max_connections", ("--max-connections",), "check: read files only, against a server with so many", "N",
           parse=whole(1, 262143, "1 to 262143"), group=_IN_CI),
    Option("reserved", ("--reserved",), "check: so many of them are reserved (default 3)", "N",
           parse=whole(0, 262143, "0 to 262143"), default=3, group=_IN_CI),
    Option("grafana", ("--grafana",), "check: the files of Grafana below this root: several by commas", "DIR",
           group=_IN_CI, files=True),
    Option("pgbouncer", ("--pgbouncer",), "check: this configuration of PgBouncer: several by commas", "FILE",
           group=_IN_CI, files=True),
    Option("strict", ("--strict",), "check: what is not known fails as well", group=_IN_CI, default=False),
    Option("format", ("--format",), "check: text, json, github (annotations) or junit (XML)", "FORMAT",
           choices=("text", "json", "github", "junit"), default="text", group=_IN_CI),
)  # fmt: skip

COMMAND = Command(
    name="budget",
    summary="who may take how many slots, against those that there are",
    description=(
        "Shows for each holder what it has, the most it had, and what it may take, with where each figure is from: the "
        "ledgers of pgusher's own pools, Grafana's data sources, PgBouncer's configuration, the workers of a web "
        "server, cron jobs that overlap, limits of roles and databases; the rest is declared in pgusher.toml as "
        "[budget.NAME] total = 40. What nothing tells is shown as ?, and never guessed. The sum stands against the "
        "slots for ordinary roles; exit code 1 when it is more. check is for CI, deploys and cron: with "
        "--max-connections it reads files alone. docs/budget.md tells all of it."
    ),
    options=CONNECTION + _OPTIONS + PRINT + (ALL,) + REPLAY + GENERAL,
    argument=Argument("verb", "check", "whether it fits, as an exit code", many=True),
    run=run,
    examples=(
        ("sudo pgusher budget", "the table; exit code 1 when the holders may take more than there is"),
        ("pgusher budget --from snapshot.json", "the same of a saved look"),
        ("pgusher budget check", "for a deploy or cron, against the server"),
        ("pgusher budget check --max-connections 100 --format github", "in CI, by pgusher.toml alone"),
    ),
)
