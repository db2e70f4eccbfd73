"""`pgusher`: how full the server is, who holds its slots, what to type next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pgusher.surfaces.cli.common import ALL, CONNECTION, GENERAL, JUDGE, PRINT, REPLAY, again, as_root, repeat
from pgusher.surfaces.cli.context import Context
from pgusher.surfaces.cli.judging import judged, print_nagios
from pgusher.surfaces.cli.looking import put, show_looks, watch_screen
from pgusher.surfaces.cli.options import Command, Values
from pgusher.surfaces.render.advice import next_commands
from pgusher.surfaces.render.diagnosed import Diagnosed
from pgusher.surfaces.render.letters import assign
from pgusher.surfaces.render.state import state_page
from pgusher.surfaces.render.tally import tally

if TYPE_CHECKING:
    from pgusher.app.look import Look
    from pgusher.model.evidence import Gap
    from pgusher.model.findings import Diagnosis
    from pgusher.surfaces.render.advice import Command as Next


_DIAGNOSE_EVERY = 10.0
"""Seconds after which a watch judges anew what has not changed: only ages have grown meanwhile."""


def run(values: Values, context: Context) -> int:
    """Shows the state. Exit code 1 when a server is full, or a finding is as bad as --fail-on says."""
    letters: dict[str, str] = {}
    command, program = repeat(values), as_root(values, context)
    # What opens a gap stands on the whole screens alone, and the short one is the one that must be there at once.
    whole = values["all"] or values["json"] or values["plain"] or not context.out.terminal
    complete = again(values, context) if whole else None
    config = context.app.config(values["config"])
    before: list[Look] = []
    kept: list[tuple[float, tuple[Diagnosis, ...]]] = []

    def show(look: Look) -> int:
        now = context.monotonic()
        if before and kept and now - kept[0][0] < _DIAGNOSE_EVERY and context.app.unchanged(look, before[0]):
            diagnoses = kept[0][1]
        else:
            diagnoses = context.app.diagnose(look, config, before[0] if before else None)
            kept[:] = [(now, diagnoses)]
        before[:] = [look]
        gaps = look.gaps
        servers = [Diagnosed(s, d) for s, d in zip(look.snapshots, diagnoses, strict=True)]
        if complete is not None:
            gaps = complete.gaps(gaps)
            servers = [Diagnosed(complete.snapshot(s.snapshot), complete.diagnosis(s.diagnosis)) for s in servers]
        snapshots = tuple(one.snapshot for one in servers)
        if values["format"] == "nagios":
            return print_nagios(values, context, servers)
        if values["json"]:
            first = servers[0] if servers else None
            commands = []
            if first is not None:
                found = first.diagnosis.findings
                commands = next_commands(first.snapshot, tally(first.snapshot), command, bool(gaps), program, found)
            _print_json(context, look.elapsed_ms, servers, gaps, commands)
            return judged(values, servers)
        screen = watch_screen(values, context)
        if snapshots:
            letters.update(assign(snapshots[0].holders, letters))
        lines = state_page(
            screen,
            snapshots,
            gaps,
            letters=letters,
            repeat=command,
            program=program,
            everything=values["all"],
            findings=servers[0].diagnosis.findings if servers else (),
        )
        put(values, context, screen, lines)
        return judged(values, servers)

    return show_looks(values, context, show)


def _print_json(
    context: Context, elapsed: float, servers: list[Diagnosed], gaps: tuple[Gap, ...], commands: list[Next]
) -> None:
    import json

    from pgusher.surfaces.render.asjson import state_json

    snapshots, diagnoses = tuple(one.snapshot for one in servers), [one.diagnosis for one in servers]
    context.out.write(json.dumps(state_json(snapshots, gaps, elapsed, commands, diagnoses)) + "\n")


COMMAND = Command(
    name="",
    summary="how full the server is, who holds its slots, what to type next",
    description=(
        "Shows how many slots of a PostgreSQL server are taken, who holds each of them, and what to type next. "
        "Without an option it finds the servers of this host by itself. It works while the server refuses "
        "everybody: then it looks at process titles and sockets, best as root."
    ),
    options=CONNECTION + PRINT + (ALL,) + JUDGE + REPLAY + GENERAL,
    run=run,
    examples=(
        ("pgusher", "the servers of this host, the fullest first"),
        ("sudo pgusher", "the same, with every process in sight"),
        ("pgusher -h db.example -U monitor", "a server elsewhere: users, states and addresses, no processes"),
        ("pgusher postgresql://monitor@db.example/app", "the same, by a connection string"),
        ("pgusher --watch 2", "look again every two seconds"),
        ("pgusher --json | jq '.servers[0].holders[0]'", "who holds most, for a program"),
        ("pgusher --save now.json; pgusher --from now.json", "keep what was seen, and show it again"),
    ),
)
