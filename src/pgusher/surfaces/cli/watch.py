"""`pgusher watch`: the seat map as a screen that stays open."""

from __future__ import annotations

import sys

from pgusher.errors import PgusherError, UsageError
from pgusher.surfaces.cli.common import CONNECTION, GENERAL, PRINT, repeat, request_of
from pgusher.surfaces.cli.context import Context
from pgusher.surfaces.cli.options import Command, Option, Values, number
from pgusher.surfaces.cli.serve import connection_words
from pgusher.surfaces.cli.staying import stays


def run(values: Values, context: Context) -> int:
    """Shows the screen until q. Exit code 0."""
    if not context.out.terminal or not _typed():
        raise UsageError("pgusher watch needs a terminal", hint="in a pipe or a log: pgusher --watch 2 --plain")
    try:
        from pgusher.surfaces.tui.app import Watch
    except ImportError as error:
        raise PgusherError(
            f"the screen needs a package that is not installed: {error.name}",
            hint="install it: pip install 'pgusher[watch]'; without it: pgusher --watch 2",
        ) from None
    request = request_of(values, context.app.config(values["config"]), panels=True)
    served = context.app.served(
        request, values["every"], connection_words(values), values["allow_actions"],
        store=values["store"], temporary=True,
    )  # fmt: skip
    screen = context.out.screen(values["color"], False, None)
    if not screen.colour:
        import os

        os.environ["NO_COLOR"] = "1"  # Textual asks for it itself
    stays()
    try:
        served.live.start()
        Watch(served, repeat=repeat(values), unicode=screen.unicode, colour=screen.colour).run()
    finally:
        served.close()
    return 0


def _typed() -> bool:
    try:
        return sys.stdin is not None and sys.stdin.isatty()
    except ValueError:  # it was closed
        return False


COMMAND = Command(
    name="watch",
    summary="the seat map as a screen that stays open, with a way back in time",
    description=(
        "Shows, without a key pressed, whether the server is full, who holds its slots and since when, and follows it: "
        "the seat map, the holders, the chain of the one that is chosen, what is wrong. The keys that are valid stand "
        "below. Left and right go back and forth in time, t goes to a moment that is typed: as far back as pgusher "
        "record has kept it, or else to the start. / filters, s sorts, c copies a command, f plans what would give "
        "slots back. It ends nothing; with --allow-actions the safe steps of a plan that was shown can be done, with "
        "Cancel chosen first. It works while the server is full, and takes one slot."
    ),
    options=(
        *CONNECTION,
        Option("every", ("--every",), "look every N seconds (default 2)", "N",
               parse=number(0.2, 3600, "seconds from 0.2 to 3600"), default=2.0, group="How to look"),
        Option("allow_actions", ("--allow-actions",), "let the screen do the safe steps of a plan; else it only shows",
               group="Who may do what", default=False),
        Option("store", ("--store",), "go back in time in this store of pgusher record: a file or DSN", "PLACE",
               group="Memory", files=True),
        *(option for option in PRINT if option.name == "color"),
        *GENERAL,
    ),
    run=run,
    examples=(
        ("sudo pgusher watch", "the servers of this host; q ends it"),
        ("pgusher watch -h db.example -U monitor", "a server elsewhere"),
        ("pgusher watch --color never", "without colours"),
    ),
)  # fmt: skip
