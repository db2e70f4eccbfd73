"""`pgusher`: how full the server is, who holds its slots, what to type next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pgusher.surfaces.cli.common import ALL, CONNECTION, GENERAL, PRINT, REPLAY, repeat
from pgusher.surfaces.cli.context import Context
from pgusher.surfaces.cli.looking import exit_code, put, show_looks, watch_screen
from pgusher.surfaces.cli.options import Command, Values
from pgusher.surfaces.render.advice import next_commands
from pgusher.surfaces.render.letters import assign
from pgusher.surfaces.render.state import state_page
from pgusher.surfaces.render.tally import tally

if TYPE_CHECKING:
    from pgusher.app.look import Look


def run(values: Values, context: Context) -> int:
    """Shows the state. Exit code 1 when a server is full or a limit is reached."""
    letters: dict[str, str] = {}
    command = repeat(values)

    def show(look: Look) -> int:
        if values["json"]:
            _print_json(context, look, command)
            return exit_code(look)
        screen = watch_screen(values, context)
        if look.snapshots:
            letters.update(assign(look.snapshots[0].holders, letters))
        lines = state_page(
            screen,
            look.snapshots,
            look.gaps,
            letters=letters,
            repeat=command,
            program=context.program,
            everything=values["all"],
        )
        put(values, context, screen, lines)
        return exit_code(look)

    return show_looks(values, context, show)


def _print_json(context: Context, look: Look, command: str) -> None:
    import json

    from pgusher.surfaces.render.asjson import state_json

    first = look.snapshots[0] if look.snapshots else None
    commands = next_commands(first, tally(first), command, bool(look.gaps), context.program) if first else []
    context.out.write(json.dumps(state_json(look.snapshots, look.gaps, look.elapsed_ms, commands)) + "\n")


COMMAND = Command(
    name="",
    summary="how full the server is, who holds its slots, what to type next",
    description=(
        "Shows how many slots of a PostgreSQL server are taken, who holds each of them, and what to type next. "
        "Without an option it finds the servers of this host by itself. It works while the server refuses "
        "everybody: then it looks at process titles and sockets, best as root."
    ),
    options=CONNECTION + PRINT + (ALL,) + REPLAY + GENERAL,
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
