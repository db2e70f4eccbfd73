"""`pgusher grafana limit SOURCE N`: a plan that sets it by the API, or the change of the file that does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pgusher.errors import RefusedError, UsageError
from pgusher.model.grafana import Seen
from pgusher.model.values import replace
from pgusher.surfaces.cli.common import request_of
from pgusher.surfaces.cli.context import Context
from pgusher.surfaces.cli.looking import Waiting
from pgusher.surfaces.cli.options import Values, shown, whole
from pgusher.surfaces.render.shell import quote

if TYPE_CHECKING:
    from pgusher.collect.grafana.client import Access
    from pgusher.model.grafana import DataSource, Grafana

_NUMBER = whole(1, 100_000, "a number of sessions from 1, or default")


def run(values: Values, context: Context, words: list[str]) -> int:
    """Plans, or prints what to change. Exit code 0."""
    from pgusher.app.grafana import choose
    from pgusher.surfaces.cli.grafana import found

    if len(words) != 2:
        raise UsageError("pgusher grafana limit takes a data source and a number", hint="pgusher grafana limit Shop 10")
    most = _most(words[1])
    grafanas, how, file = found(values, context)
    grafana, source = choose(grafanas, words[0])
    if grafana.seen is Seen.API and how is not None and not source.read_only:
        return _plan(values, context, grafana, source, most, how, file)
    return _patch(values, context, grafana, source, most)


def _most(word: str) -> int | None:
    if word == "default":
        return None
    try:
        return _NUMBER(word)
    except ValueError as error:
        hint = "0 is no limit, an error, or a number of Grafana's own, by version" if word == "0" else None
        raise UsageError(f"expected {error}, got {shown(word)}", hint=hint) from None


def _plan(
    values: Values,
    context: Context,
    grafana: Grafana,
    source: DataSource,
    most: int | None,
    how: Access,
    file: str | None,
) -> int:
    from pgusher.app.grafana import limit_step
    from pgusher.model.grafana_servers import server_of
    from pgusher.remedy.plan import Wanted
    from pgusher.surfaces.cli.free import print_plan

    config = context.app.config(values["config"])
    request = request_of(values, config)
    free = context.app.free(request)
    try:
        with Waiting(context, request):
            look = free.look(lambda _: frozenset(), 0.5)
        snapshot = server_of(look.snapshots, (grafana,))
        if snapshot is None:
            raise RefusedError("no server was seen on which the sessions can be counted")
        step = limit_step(grafana, source, most, how, file, snapshot)
        diagnosis = context.app.diagnose(look, config)[look.snapshots.index(snapshot)]
        plan = free.plan(snapshot, diagnosis, Wanted(), [step])
        # Nobody's threads were wanted, so that it is no gap that none were looked at.
        gaps = tuple(gap for gap in snapshot.facts.gaps if gap.source != "stacks")
        print_plan(values, context, plan, replace(snapshot, facts=replace(snapshot.facts, gaps=gaps)))
    finally:
        free.close()
    return 0


def _patch(values: Values, context: Context, grafana: Grafana, source: DataSource, most: int | None) -> int:
    """What a person has to change, and what limits it without any access to Grafana."""
    from pgusher.app.grafana_patch import patch

    made = patch(grafana, source, most)
    typed = []
    total = _of_role(grafana, source, most)
    if total is not None:
        typed.append((f"pgusher free --limit {quote(f'{source.user}={total}')}", "limits its role instead, at once"))
    if values["json"]:
        told = {
            "schema": 1, "kind": "grafana_patch", "org": source.org, "uid": source.uid, "name": source.name,
            "before": source.limits.max_open.value, "after": most, "file": made.file, "diff": made.diff,
            "text": made.text, "next": [{"command": command, "reason": reason} for command, reason in typed],
        }  # fmt: skip
        context.out.write(json.dumps(told) + "\n")
        return 0
    screen = context.out.screen(values["color"], values["plain"], values["width"])
    why = "it is provisioned" if source.read_only else "the API was not asked"
    lines = [f"data source {source.name} is not changed by pgusher: {why}", f"change {made.text}"]
    if most is not None and grafana.replicas > 1:
        lines.append(f"each of {grafana.replicas} processes takes {most}: {most * grafana.replicas} together")
    lines.append("then restart Grafana, or POST /api/admin/provisioning/datasources/reload as its admin")
    context.out.write("".join(screen.text(line) + "\n" for line in lines))
    if made.diff:
        context.out.write("\n" + "".join(screen.text(line) + "\n" for line in made.diff.splitlines()))
    for command, reason in typed:
        context.out.write(f"\n{screen.text(command)}  # {reason}\n")
    return 0


def _of_role(grafana: Grafana, source: DataSource, most: int | None) -> int | None:
    """What all data sources of its role take then, in all processes; None where one of them has no limit."""
    if most is None or not source.user:
        return None
    alike = [one for one in grafana.sources if one.user == source.user and one != source]
    others = [one.limits.max_open.value for one in alike]
    return None if None in others else (most + sum(one or 0 for one in others)) * grafana.replicas
