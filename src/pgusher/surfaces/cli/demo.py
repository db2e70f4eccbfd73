"""`pgusher demo`: the incident, staged for real."""

from __future__ import annotations

import os

from pgusher.errors import PgusherError, UsageError
from pgusher.surfaces.cli.common import GENERAL
from pgusher.surfaces.cli.context import Context
from pgusher.surfaces.cli.options import Command, Option, Values, whole

_PORT = whole(1, 65535, "1 to 65535")


def run(values: Values, context: Context) -> int:
    """Stages the incident, or ends one that was kept."""
    del context  # the demo speaks for itself
    if not os.path.isfile(__file__):
        raise PgusherError(
            "the demo cannot be played out of a zip: it starts programs from files",
            hint="install pgusher: pip install 'pgusher[demo]'",
        )
    from pgusher.demo import command

    if values["stop"] is not None:
        if values["keep"]:
            raise UsageError("--keep leaves a demo running, --stop ends one: use one of them")
        return command.stop(None if values["stop"] is True else values["stop"])
    return command.run(keep=values["keep"])


COMMAND = Command(
    name="demo",
    summary="the incident, staged with real processes on a server of its own",
    description=(
        "Starts a PostgreSQL of its own at 100 connections, fills it as the incident did (a stand-in for Grafana's "
        "pool, a back end, cron jobs that hang), shows what pgusher says of it, and ends it all. It touches no other "
        "server. It needs: pip install 'pgusher[demo]'."
    ),
    options=(
        Option("keep", ("--keep",), "leave it running, to play with", default=False),
        Option(
            "stop",
            ("--stop",),
            "end one that was kept; with several, the one on PORT",
            "PORT",
            parse=_PORT,
            optional=True,
        ),
        *GENERAL,
    ),
    run=run,
    examples=(
        ("pgusher demo", "about a minute"),
        ("pgusher demo --keep", "then try pgusher on it"),
        ("pgusher demo --stop", "end it"),
    ),
)
