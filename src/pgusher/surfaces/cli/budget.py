"""`pgusher budget`: who may take how many slots, against those that there are; whether it fits, and what would."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgusher.errors import PgusherError, RefusedError, UsageError
from pgusher.model.values import replace
from pgusher.surfaces.cli.common import ALL, CONNECTION, GENERAL, PRINT, REPLAY, again, request_of
from pgusher.surfaces.cli.context import Context
from pgusher.surfaces.cli.grafana import OPTIONS, asked
from pgusher.surfaces.cli.looking import put, show_looks, watch_screen
from pgusher.surfaces.cli.options import Argument, Command, Option, Values, meant, shown, whole

if TYPE_CHECKING:
    from pgusher.app.config import Config
    from pgusher.app.look import Look
    from pgusher.model.budget import Sheet
    from pgusher.model.snapshot import Snapshot

VERBS = ("check", "plan", "apply", "sizing")
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
    if verb != "apply":
        _refuse(values, {"timeouts": "--timeouts"}, "apply")
    if verb == "check":
        return _check(values, context)
    if verb == "plan":
        return _plan(values, context)
    if verb == "apply":
        return _apply(values, context)
    if verb == "sizing":
        return _sizing(values, context)
    return _show(values, context)


def _sheets(values: Values, context: Context, look: Look, config: Config) -> tuple[Sheet, ...]:
    live = values["replay"] is None  # what the host and Grafana say now is not of then
    if live:
        look = context.app.with_grafana(look, asked(values, context)[0])
    return context.app.budgets(look, config, history=live)


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
        sheets = _sheets(values, context, look, config)
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


def _plan(values: Values, context: Context) -> int:
    """The proposal. Exit code 1 when nothing fits."""
    config = context.app.config(values["config"])

    def show(look: Look) -> int:
        from pgusher.surfaces.render.budget_plan import plan_page, proposals_json

        proposals = context.app.proposals(look, _sheets(values, context, look, config))
        if not proposals:
            raise PgusherError("the ceilings of the server could not be read", hint="name a role that may log in: -U")
        if values["json"]:
            _print(context, proposals_json(proposals))
        else:
            put(values, context, screen := watch_screen(values, context), plan_page(screen, proposals))
        return int(any(not one.fits for one in proposals))

    return show_looks(values, context, show)


def _sizing(values: Values, context: Context) -> int:
    """How large the pools have to be."""

    def show(look: Look) -> int:
        import os

        from pgusher.surfaces.render.sizing import sizing_json, sizing_page

        sizes, silent = context.app.sizes(look)
        here = values["replay"] is None and all(one.facts.server.local for one in look.snapshots)
        cores = os.cpu_count() if here else None
        if values["json"]:
            _print(context, sizing_json(sizes, silent, cores))
        else:
            screen = watch_screen(values, context)
            put(values, context, screen, sizing_page(screen, sizes, silent, cores))
        return 0

    return show_looks(values, context, show)


def _apply(values: Values, context: Context) -> int:
    """A plan with a step for each role and data source that is to have a limit, done by `pgusher free --apply`."""
    from pgusher.app.budget import source_changes
    from pgusher.remedy.plan.wanted import Wanted
    from pgusher.surfaces.cli.free import print_plan
    from pgusher.surfaces.render.budget_plan import by_hand

    named = next((name for name in ("replay", "watch", "save") if values[name] is not None), None)
    if named is not None:
        raise UsageError(f"--{'from' if named == 'replay' else named} is about a look: budget apply changes a server")
    config = context.app.config(values["config"])
    free = context.app.free(request_of(values, config))
    try:
        look = free.look(lambda _: frozenset(), 0.1)
        snapshot = look.snapshots[0]
        others = [str(one.facts.server.port) for one in look.snapshots[1:]]
        how, file = asked(values, context)
        look = context.app.with_grafana(replace(look, snapshots=(snapshot,)), how)
        snapshot = look.snapshots[0]
        (diagnosis,) = context.app.diagnose(look, config)
        proposals = context.app.proposals(look, context.app.budgets(look, config))
        if not proposals or not proposals[0].fits:
            raise RefusedError("there is no budget that fits: nothing is planned", hint="pgusher budget plan")
        limits = [one for one in proposals[0].limits if not _is_set(snapshot, one)]
        steps, texts, done = source_changes(snapshot, proposals[0], how, file)
        # Grafana's limits first: a pool that is larger than its role's limit is refused.
        settings = [*steps, *free.settings(snapshot, limits, values["timeouts"])]
        by_hands = [*texts, *(text for share in proposals[0].shares for text in by_hand(share, done))]
        if settings:
            plan = free.plan(snapshot, diagnosis, Wanted(), settings)
            # Nobody's threads were wanted, so that it is no gap that none were looked at.
            gaps = tuple(gap for gap in snapshot.facts.gaps if gap.source != "stacks")
            print_plan(values, context, plan, replace(snapshot, facts=replace(snapshot.facts, gaps=gaps)))
    finally:
        free.close()
    for text in by_hands:
        context.narrate(f"by hand: {text}")
    if not settings:  # without any the plan would be one of what is leaked
        raise RefusedError("no role or data source is to be changed: nothing is planned", hint="pgusher budget plan")
    if others:
        context.narrate(f"only the server on port {snapshot.facts.server.port}; others: --port {' or '.join(others)}")
    return 0


def _is_set(snapshot: Snapshot, wanted: tuple[str, int]) -> bool:
    """Whether the role has that limit, or a lower one: somebody has set that, and a plan gives nobody more."""
    ceilings, (role, limit) = snapshot.facts.ceilings, wanted
    return ceilings is not None and any(one.name == role and one.limit <= limit for one in ceilings.roles)


def _roles(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part for part in text.split(",") if part))


def _check(values: Values, context: Context) -> int:
    """Exit code 1 when what may be taken exceeds what there is. With --max-connections files alone are read."""
    config = context.app.config(values["config"])
    if values["max_connections"] is None:
        _refuse(values, _FILES_ONLY, "check --max-connections N")
        return show_looks(values, context, lambda look: _judge(values, context, _sheets(values, context, look, config)))
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
    Option("timeouts", ("--timeouts",), "apply: let the server end idle sessions of these roles: several by commas",
           "ROLE", parse=_roles, default=(), group="To do it"),
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
        "--max-connections it reads files alone. plan proposes what fits, and says what raising max_connections would "
        "cost; apply makes a plan that gives roles these limits, and tells what is to be changed by hand. "
        "docs/budget.md tells all of it."
    ),
    options=CONNECTION + _OPTIONS + OPTIONS[:2] + PRINT + (ALL,) + REPLAY + GENERAL,
    argument=Argument(
        "verb",
        "check|plan|apply|sizing",
        "whether it fits, as an exit code; what would; a plan that sets it; how large pools must be",
        many=True,
    ),
    run=run,
    examples=(
        ("sudo pgusher budget", "the table; exit code 1 when the holders may take more than there is"),
        ("pgusher budget --from snapshot.json", "the same of a saved look"),
        ("pgusher budget check", "for a deploy or cron, against the server"),
        ("pgusher budget plan", "a proposal that fits, with its arithmetic; nothing is changed"),
        ("pgusher budget sizing", "how large pools are, were used, and have to be"),
        ("pgusher budget apply", "a plan that limits roles and data sources so; pgusher free --apply PLAN does it"),
        ("pgusher budget check --max-connections 100 --format github", "in CI, by pgusher.toml alone"),
    ),
)
