"""`pgusher grafana`: its data sources, what each may take, and what sets another limit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pgusher.errors import UnreachableError, UsageError
from pgusher.model.values import replace
from pgusher.surfaces.cli.common import ALL, CONNECTION, GENERAL, PRINT, repeat, request_of
from pgusher.surfaces.cli.context import Context
from pgusher.surfaces.cli.looking import Waiting
from pgusher.surfaces.cli.options import Argument, Command, Option, Values, meant, shown
from pgusher.surfaces.render.shell import quote

if TYPE_CHECKING:
    from pgusher.app.look import Look
    from pgusher.collect.grafana.client import Access
    from pgusher.model.findings import Finding
    from pgusher.model.grafana import DataSource, Grafana
    from pgusher.model.snapshot import Snapshot

_GRAFANA = "Which Grafana"
OPTIONS = (
    Option("grafana_url", ("--grafana-url",), "its URL (PGUSHER_GRAFANA_URL); without it the files of this host", "URL",
           group=_GRAFANA),
    Option("grafana_token_file", ("--grafana-token-file",), "a file with a token a line, one for each organisation "
           "(PGUSHER_GRAFANA_TOKEN holds one)", "FILE", group=_GRAFANA, files=True),
    Option("slow", ("--slow",), "with panels: the longest statement first", group=_GRAFANA),
    Option("write", ("--write",), "with check: also send this data source back as it is", "UID", group=_GRAFANA),
)  # fmt: skip


def run(values: Values, context: Context) -> int:
    """Shows the data sources, or does what a word says. Exit code 1 for findings."""
    verb, *words = values["words"] or [""]
    if not verb:
        return _show(values, context)
    do = _verbs().get(verb)
    if do is None:
        hint = meant(verb, list(_verbs())) or "pgusher grafana --help"
        raise UsageError(f"{shown(verb)} is nothing that pgusher grafana does", hint=hint)
    return do(values, context, words)


def _verbs() -> dict[str, Callable[[Values, Context, list[str]], int]]:
    """Each in a module of its own, which is loaded when it is asked for."""

    def of(name: str) -> Callable[[Values, Context, list[str]], int]:
        def do(values: Values, context: Context, words: list[str]) -> int:
            from importlib import import_module

            found: int = import_module(f"pgusher.surfaces.cli.grafana_{name}").run(values, context, words)
            return found

        return do

    return {name: of(name) for name in VERBS}


VERBS = ("limit", "panels", "check")
"""What may follow `pgusher grafana`; each is surfaces/cli/grafana_VERB.py with its `run`."""


def asked(values: Values, context: Context) -> tuple[Access | None, str | None]:
    """How Grafana is asked, and the file of the tokens. Raises UsageError."""
    from pgusher.app.grafana import Wish, access

    config = context.app.config(values["config"])
    wish = Wish(values["grafana_url"], values["grafana_token_file"])
    return access(wish, config, context.environ) or (None, None)


def found(values: Values, context: Context) -> tuple[tuple[Grafana, ...], Access | None, str | None]:
    """The Grafanas, how the named one is asked, and the file of its tokens.

    Raises UsageError when there is none at all.
    """
    from pgusher.app import grafana

    how, file = asked(values, context)
    grafanas = grafana.find(how, grafana.running())
    if not grafanas:
        raise UsageError(grafana.NO_GRAFANA, hint=grafana.HOW)
    return grafanas, how, file


def looked(values: Values, context: Context, grafanas: tuple[Grafana, ...]) -> tuple[Snapshot | None, Look | None]:
    """The server of the data sources, with them in its facts; None when none could be seen."""
    from pgusher.model.grafana_servers import server_of

    request = request_of(values, context.app.config(values["config"]))
    looker = context.app.looker(request)
    try:
        with Waiting(context, request):
            look = looker.look()
    except UnreachableError as error:
        context.narrate(f"no server was looked at: {error.message}")
        return None, None
    finally:
        looker.close()
    snapshots = tuple(replace(one, facts=replace(one.facts, grafana=grafanas)) for one in look.snapshots)
    look = replace(look, snapshots=snapshots)
    return server_of(snapshots, grafanas), look


def _show(values: Values, context: Context) -> int:
    grafanas, how, _ = found(values, context)
    snapshot, look = looked(values, context, grafanas)
    findings: list[Finding] = []
    if snapshot is not None and look is not None:
        diagnoses = context.app.diagnose(look, context.app.config(values["config"]))
        mine = diagnoses[look.snapshots.index(snapshot)]
        findings = [one for one in mine.findings if one.rule.startswith("grafana-")]
    _print(values, context, grafanas, snapshot, findings, how is not None)
    return int(bool(findings))


def _print(
    values: Values,
    context: Context,
    grafanas: tuple[Grafana, ...],
    snapshot: Snapshot | None,
    findings: list[Finding],
    by_api: bool,
) -> None:
    from pgusher.app.grafana import gaps_of
    from pgusher.model.grafana_servers import points_at, sources_of
    from pgusher.surfaces.render.grafana import grafana_json, grafana_page

    counts: dict[DataSource, int] | None = None
    ordinary: int | None = None
    away: frozenset[DataSource] = frozenset()
    if snapshot is not None:
        every = (source for one in grafanas for source in one.sources)
        away = frozenset(source for source in every if points_at(source, snapshot.facts) is False)
        mine = [source for one in grafanas for source in sources_of(one, snapshot)]
        held = [(session.user, session.database) for session in snapshot.slot_sessions]
        counts = {one: held.count((one.user, one.database)) for one in mine}
        ordinary = snapshot.facts.ceilings.ordinary if snapshot.facts.ceilings is not None else None
    here = tuple(replace(one, sources=tuple(it for it in one.sources if it not in away)) for one in grafanas)
    typed = _next(values, here, ordinary, by_api)
    gaps = gaps_of(grafanas)
    if values["json"]:
        import json

        from pgusher.surfaces.render.findings_json import finding_json

        told: list[dict[str, Any]] = [finding_json(one) for one in findings]
        context.out.write(json.dumps(grafana_json(grafanas, counts, told, typed, gaps)) + "\n")
        return
    screen = context.out.screen(values["color"], values["plain"], values["width"])
    context.out.write(screen.page(grafana_page(screen, grafanas, counts, ordinary, findings, typed, gaps, away)))


def _next(values: Values, grafanas: tuple[Grafana, ...], ordinary: int | None, by_api: bool) -> list[tuple[str, str]]:
    from pgusher.remedy.plan.sources import quoted

    told = repeat(values, OPTIONS[:2]).removeprefix("pgusher")
    names = [source.name for one in grafanas for source in one.sources]
    typed = []
    for source in (source for one in grafanas for source in one.sources):
        most = source.limits.max_open.value
        if not source.limits.max_open.default and most is not None and most <= (ordinary or 100) // 2:
            continue
        name = quoted(source) if names.count(source.name) == 1 else f"{source.org}/{source.uid}"
        how = "plan a limit" if by_api and not source.read_only else "what to change for a limit"
        typed.append((f"pgusher grafana limit {quote(name)} {max(2, (ordinary or 100) // 10)}{told}", how))
    return [*typed[:3], ("pgusher explain grafana-default-limit", "what the limit is, and what a good one is")]


COMMAND = Command(
    name="grafana",
    summary="Grafana's data sources: what each may take, who says so, and another limit",
    description=(
        "Shows the PostgreSQL data sources of each Grafana with the limits of their pools and where each figure comes "
        "from: by its API, when a URL and a token are given, or else by the files and the embedded database of the "
        "Grafanas that run on this host. limit SOURCE N plans another limit, which pgusher free --apply sets; where "
        "the API may not change it the exact change of the provisioning file is printed. panels tells which panel, "
        "alert rule, variable or annotation sent what Grafana's sessions run or ran last. check asks a Grafana whether "
        "its API behaves as pgusher relies on. docs/grafana.md tells all of it."
    ),
    options=OPTIONS + CONNECTION + PRINT + (ALL,) + GENERAL,
    argument=Argument(
        "words",
        "limit SOURCE N|panels|check",
        "limit: the name or uid of a data source (ORG/UID where several have it) and a number of sessions, or default; "
        "check: the points of the contract, read-only unless --write names a data source",
        many=True,
    ),
    run=run,
    examples=(
        ("sudo pgusher grafana", "the data sources of the Grafanas on this host"),
        ("PGUSHER_GRAFANA_URL=http://grafana:3000 pgusher grafana --grafana-token-file token", "those of another"),
        ("pgusher grafana limit Shop 10", "plan: ten sessions at most"),
        ("sudo pgusher grafana panels --slow", "which panels have the slots, the slowest first"),
        ("pgusher grafana check", "does its API behave as it should?"),
    ),
)
