"""`pgusher free`: plans how to give slots back; `--apply PLAN` does it, and looks again."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from pgusher.errors import RefusedError, UsageError
from pgusher.model.plan import Lever, Plan, Step
from pgusher.model.values import replace
from pgusher.surfaces.cli.common import ALL, CONNECTION, GENERAL, PRINT, repeat, request_of
from pgusher.surfaces.cli.context import Context
from pgusher.surfaces.cli.free_words import duration, meaning, role_limit, states
from pgusher.surfaces.cli.looking import Waiting
from pgusher.surfaces.cli.options import Argument, Command, Option, Values, number, whole
from pgusher.surfaces.render.again import Again
from pgusher.surfaces.render.plan import commands, confirm_name, plan_page
from pgusher.surfaces.render.shell import quote

if TYPE_CHECKING:
    from pgusher.model.snapshot import Snapshot

REFUSED, INTERRUPTED = 4, 130
_ABOUT_ACTING = ("unsafe", "confirm", "grace")
_ABOUT_PLANNING = ("word", "idle_for", "states", "most", "cancel", "drain", "limit", "timeouts")
_FLAGS = {
    "unsafe": "--unsafe", "confirm": "--confirm", "grace": "--grace", "idle_for": "--idle-for", "states": "--state",
    "most": "--max", "cancel": "--cancel", "drain": "--drain", "limit": "--limit", "timeouts": "--timeouts",
    "word": "a name",
}  # fmt: skip


def run(values: Values, context: Context) -> int:
    """Plans, or applies a plan. Exit code 0; 4 when it was asked to act and something was refused or not verified."""
    _check(values)
    free = context.app.free(request_of(values, context.app.config(values["config"])))
    try:
        return _apply(values, context, free) if values["apply"] is not None else _plan(values, context, free)
    finally:
        free.close()


def _check(values: Values) -> None:
    """Raises UsageError for options that contradict each other."""
    given = [name for name in _FLAGS if values[name] not in (None, False)]
    if values["apply"] is None:
        wrong = next((name for name in given if name in _ABOUT_ACTING), None)
        if wrong is not None:
            raise UsageError(f"{_FLAGS[wrong]} is about doing a plan: --apply PLAN is missing")
        ways = [name for name in ("cancel", "drain") if values[name]]
        if len(ways) > 1:
            raise UsageError("--cancel and --drain are two ways: use one of them")
        return
    wrong = next((name for name in given if name in _ABOUT_PLANNING), None)
    if wrong is not None:
        raise UsageError(f"--apply does what its plan says: {_FLAGS[wrong]} is for planning")
    if values["unsafe"] and values["confirm"] is None:
        raise UsageError(
            "--unsafe needs the name of whom it hits", hint="--confirm HOLDER, as the plan names it: several by commas"
        )
    if values["confirm"] is not None and not values["unsafe"]:
        raise UsageError("--confirm is about unsafe steps: --unsafe is missing")


# -- planning


def _plan(values: Values, context: Context, free: Any) -> int:
    word: str | None = values["word"]
    config = context.app.config(values["config"])

    def processes(snapshot: Snapshot) -> frozenset[int] | None:
        """Whose threads are looked at: those of what was named; None leaves it to the use case."""
        return meaning(word).processes(snapshot) if word is not None else None

    with Waiting(context, request_of(values, config)):
        look = free.look(processes if word is not None or not _by_state(values) else None, values["sample"])
    diagnoses = context.app.diagnose(look, config)
    snapshot, diagnosis, wanted = meaning(word).choose(look.snapshots, diagnoses, _wish(values))
    limits = [values["limit"]] if values["limit"] is not None else []
    timeouts = [values["timeouts"]] if values["timeouts"] is not None else []
    settings = free.settings(snapshot, limits, timeouts) if limits or timeouts else ()
    plan = free.plan(snapshot, diagnosis, wanted, settings)
    print_plan(values, context, plan, snapshot)
    others = [str(one.facts.server.port) for one in look.snapshots if one is not snapshot]
    if others:
        context.narrate(f"only the server on port {snapshot.facts.server.port}; others: --port {' or '.join(others)}")
    return 0


def _by_state(values: Values) -> bool:
    """Whether sessions are chosen by what they do: then no thread can prove anything about them."""
    chosen = ("idle_for", "states", "cancel", "drain", "limit", "timeouts")
    return any(values[name] not in (None, False) for name in chosen)


def _wish(values: Values) -> dict[str, Any]:
    lever = Lever.CANCEL if values["cancel"] else Lever.DRAIN if values["drain"] else None
    return {
        "idle_for": values["idle_for"],
        "states": values["states"] or (),
        "most": values["most"],
        "lever": lever,
    }


def print_plan(values: Values, context: Context, plan: Plan, snapshot: Snapshot) -> None:
    """Prints a plan, and what to type to do it."""
    again = Again(repeat(values, CONNECTION), context.program)
    gaps = again.gaps(snapshot.facts.gaps)
    plan = replace(plan, spared=tuple(replace(one, advice=again.text(one.advice)) for one in plan.spared))
    typed = commands(plan, _program(values))
    if not plan.steps:
        typed = [(again.text(command), again.text(reason)) for command, reason in _instead(plan, snapshot)]
    if values["json"]:
        import json

        from pgusher.surfaces.render.plan_json import plan_json

        context.out.write(json.dumps(plan_json(plan, typed, gaps)) + "\n")
        return
    screen = context.out.screen(values["color"], values["plain"], values["width"])
    context.out.write(screen.page(plan_page(screen, plan, typed, values["all"], gaps, snapshot)))


def _program(values: Values) -> str:
    """The program with those options that a plan does not keep."""
    from pgusher.model.redact import redact_text

    dsn = values["dsn"]
    if dsn is not None and redact_text(dsn) != dsn:
        return "pgusher --dsn DSN"
    return "pgusher"


def _instead(plan: Plan, snapshot: Snapshot) -> list[tuple[str, str]]:
    """What to type where there is nothing to do; first of all what shows and may do more."""
    facts = snapshot.facts
    more = []
    if facts.host.uid != 0 and any("root" in gap.opens or "sudo" in gap.opens for gap in facts.gaps):
        word = f" {quote(plan.asked)}" if plan.asked is not None and not plan.asked.startswith("--") else ""
        more = [(f"sudo pgusher free{word}", "root sees what is hidden now, and may take a reserved slot")]
    return [*more, *_looks(plan)]


def _looks(plan: Plan) -> list[tuple[str, str]]:
    if plan.asked is None:
        return [
            ("pgusher why", "all findings, also those that show no leak"),
            ("pgusher who", "all holders; a plan for one: pgusher free HOLDER"),
        ]
    if plan.asked.startswith("--"):
        return [("pgusher who", "all holders")]
    return [(f"pgusher why {quote(plan.asked)}", "what is known about it")]


# -- applying


def _apply(values: Values, context: Context, free: Any) -> int:
    try:
        plan: Plan = free.load(values["apply"])
        steps = _agreed(values, context, plan)
        grace = values["grace"]
        applied = free.apply(plan, steps, **({} if grace is None else {"grace": grace}))
    except KeyboardInterrupt:  # before it began to act: what comes later is in what it gives back
        context.narrate("pgusher: interrupted: nothing was done")
        raise
    again = Again(repeat(values, CONNECTION), context.program)
    applied = replace(applied, verdict=replace(applied.verdict, hint=again.text(applied.verdict.hint)))
    code = INTERRUPTED if applied.interrupted else 0 if applied.good else REFUSED
    if values["json"]:
        import json

        from pgusher.surfaces.render.plan_json import applied_json

        context.out.write(json.dumps(applied_json(plan, applied.outcomes, applied.verdict, code)) + "\n")
        return code
    from pgusher.surfaces.render.outcome import applied_page

    screen = context.out.screen(values["color"], values["plain"], values["width"])
    context.out.write(screen.page(applied_page(screen, plan, applied.outcomes, applied.verdict, values["all"])))
    left = [step for step in plan.unsafe if step not in steps]
    if left and context.out.terminal:
        name = confirm_name(left[0])
        context.narrate(f"not done: {len(left)} unsafe; to do them: --apply {plan.id} --unsafe --confirm {name}")
    return code


def _agreed(values: Values, context: Context, plan: Plan) -> list[Step]:
    """The steps to do: the safe ones, and those that were agreed to. Raises UsageError, RefusedError when none is."""
    names = [name for name in (values["confirm"] or "").split(",") if name]
    known = list(dict.fromkeys(confirm_name(step) for step in plan.unsafe))
    for name in names:
        if name not in known:
            hint = (
                f"it has, by the names of then: {', '.join(known)}"
                if known
                else "all its steps are safe: leave --unsafe out"
            )
            raise UsageError(f"plan {plan.id} has no unsafe step about {name}", hint=hint)
    steps = [*plan.safe, *(step for step in plan.unsafe if confirm_name(step) in names)]
    if not names and plan.unsafe:
        steps += _asked(values, context, plan)
    steps.sort(key=lambda step: step.number)
    if not steps:
        raise RefusedError(
            f"nothing was done: each of the {len(plan.unsafe)} steps of plan {plan.id} loses something"
            if len(plan.unsafe) > 1
            else f"nothing was done: the one step of plan {plan.id} loses something",
            detail=f"step {plan.unsafe[0].number} ({known[0]}) loses {plan.unsafe[0].loses}" if plan.unsafe else None,
            hint=f"pgusher free --apply {plan.id} --unsafe --confirm {quote(known[0])}" if known else None,
        )
    return steps


def _asked(values: Values, context: Context, plan: Plan) -> list[Step]:
    """On a terminal each holder's unsafe steps are asked for by its name; nothing typed is no. Elsewhere nobody is."""
    if values["json"] or not context.out.terminal or not _is_terminal():
        return []
    agreed = []
    for name in dict.fromkeys(confirm_name(step) for step in plan.unsafe):
        mine = [step for step in plan.unsafe if confirm_name(step) == name]
        screen = context.out.screen("never")
        for step in mine[:5]:
            context.out.write(screen.text(f"step {step.number}: {step.text}; loses {step.loses}") + "\n")
        context.out.write(screen.text(f"type {name} to do {len(mine)} of these, Enter to leave them [Cancel]: "))
        if sys.stdin.readline().strip() == name:
            agreed += mine
    return agreed


def _is_terminal() -> bool:
    try:
        return sys.stdin is not None and sys.stdin.isatty()
    except ValueError:  # it was closed
        return False


_CHOOSE, _WAYS, _DO = "What to free", "Gentler ways", "To do it"
_OPTIONS = (
    Option("idle_for", ("--idle-for",), "only what has been idle for so long: 90s, 10min, 2h, 3d", "TIME",
           parse=duration, group=_CHOOSE),
    Option("states", ("--state",), "only sessions in this state, as in pg_stat_activity: several by commas", "STATE",
           parse=states, group=_CHOOSE),
    Option("most", ("--max",), "at most so many steps (default 200)", "N", parse=whole(1, 10000, "1 to 10000"),
           group=_CHOOSE),
    Option("sample", ("--sample",), "watch the threads this long: what stands still for 20 hangs (default 0.5)",
           "SECONDS", parse=number(0.1, 600, "seconds from 0.1 to 600"), default=0.5, group=_CHOOSE),
    Option("cancel", ("--cancel",), "cancel statements, the sessions stay", group=_WAYS, default=False),
    Option("drain", ("--drain",), "ask programs with pgusher's Database for their idle sessions", group=_WAYS,
           default=False),
    Option("limit", ("--limit",), "let a role take at most N slots (-1: any number)", "ROLE=N", parse=role_limit,
           group=_WAYS),
    Option("timeouts", ("--timeouts",), "let the server end idle sessions of a role", "ROLE", group=_WAYS),
    Option("apply", ("--apply",), "do the safe steps of this plan", "PLAN", group=_DO, asked=True),
    Option("unsafe", ("--unsafe",), "with --apply: also steps that lose something, of whom --confirm names",
           group=_DO, default=False),
    Option("confirm", ("--confirm",), "whom the unsafe steps may hit, as the plan names it: several by commas",
           "HOLDER", group=_DO),
    Option("grace", ("--grace",), "from TERM to KILL of a client process (default 5); no server process gets KILL",
           "SECONDS", parse=number(0, 3600, "seconds from 0 to 3600"), group=_DO),
)  # fmt: skip

COMMAND = Command(
    name="free",
    summary="give slots back: plan it, do it, and see that they are free",
    description=(
        "Only plans, unless --apply names a plan. Without a name it takes what the findings show to be leaked: the "
        "processes of stuck jobs, sessions whose client is gone or that are forgotten. A plan tells for each step what "
        "it acts on, why, what it loses and how many slots come back, and what is spared and why. It is kept for ten "
        "minutes. What has changed meanwhile is refused. Never ended are superusers' sessions, walsenders, backups, "
        "poolers, container runtimes, cron, pgusher itself and all above it. Each act is written to a log. "
        "docs/free.md tells all of it."
    ),
    options=CONNECTION + _OPTIONS + PRINT + (ALL,) + GENERAL,
    argument=Argument(
        "word",
        "HOLDER|FINDING|PID",
        "a holder, a finding (stuck-job:cron/report) or rule (stuck-job), a server's or a client's process, a client's "
        "address, or an application_name",
        asked=True,
    ),
    run=run,
    examples=(
        ("sudo pgusher free", "plan for all that is leaked; nothing is done"),
        ("sudo pgusher free cron/version_history", "plan for one holder"),
        ("sudo pgusher free --apply k7f3", "do the safe steps of that plan"),
        (
            "sudo pgusher free --apply k7f3 --unsafe --confirm cron/version_history",
            "and those that end that job's runs",
        ),
        ("pgusher free unit/orders --idle-for 10min", "sessions of one holder that are idle for ten minutes"),
        ("pgusher free --limit grafana=20", "preview a limit for a role"),
        ("pgusher undo-help k7f3", "how to bring back what was ended"),
    ),
)
