"""`pgusher history`: who held what, when."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pgusher.errors import PgusherError, UsageError
from pgusher.surfaces.cli.common import CONFIG, GENERAL, PRINT
from pgusher.surfaces.cli.options import Argument, Command, Option, Values, meant, shown
from pgusher.surfaces.cli.record import STORE

if TYPE_CHECKING:
    from pgusher.model.past import Life
    from pgusher.record.reading import Reader
    from pgusher.surfaces.cli.context import Context

DAY = 86_400_000_000
_MOST = 1000
"""Sessions of one holder that a page lists; --json and export have all."""


def run(values: Values, context: Context) -> int:
    """Shows a moment, or what each holder had over a time; or exports it. Exit code 0."""
    from pgusher.record.reading import Reader
    from pgusher.record.store import open_store

    words = values["words"] or []
    if words and words != ["export"]:
        hint = meant(words[0], ["export"]) or "pgusher history --help"
        raise UsageError(f"{shown(words[0])} is nothing that pgusher history does", hint=hint)
    _refuse(values, bool(words))
    reader = Reader(open_store(values["store"] or context.app.config(values["config"]).store))
    try:
        server = _server(values, context, reader)
        now = round(context.clock() * 1_000_000)
        since, until = _times(values, now)
        if words:
            return _export(values, context, reader, server, since, until)
        if values["at"] is not None:
            return _moment(values, context, reader, server, now)
        return _over(values, context, reader, server, since, until)
    finally:
        reader.close()


def _refuse(values: Values, export: bool) -> None:
    """What would be left out without a word."""
    if values["at"] is not None and (export or values["since"] is not None or values["until"] is not None):
        raise UsageError("--at is one moment, --since and --until are a time, which export is about: one of them")
    if not export and (values["format"] != "csv" or values["output"] is not None):
        flag = "--output" if values["output"] is not None else "--format"
        raise UsageError(f"{flag} is about pgusher history export")


def _unknown(reader: Reader, server: str, holder: str, since: int, until: int) -> UsageError:
    known = [peak.holder for peak in reader.peaks(server, since, until) if peak.holder]
    return UsageError(
        f"no holder {shown(holder)} is known in this time", hint=meant(holder, known) or "pgusher history"
    )


def _server(values: Values, context: Context, reader: Reader) -> str:
    servers = reader.servers()
    if not servers:
        raise PgusherError("store holds 0 looks: nothing was recorded", hint="pgusher record")
    if values["server"] is None:
        if len(servers) > 1:
            others = ", ".join(servers[1:6]) + (", ..." if len(servers) > 6 else "")
            context.narrate(f"this is {servers[0]}; the store has {others} too: --server NAME")
        return servers[0]
    label = values["server"] if not values["server"].isdecimal() else f"port {values['server']}"
    if label not in servers:
        raise UsageError(f"store has nothing of {shown(label)}", hint=f"it has: {', '.join(servers)}")
    return label


def _times(values: Values, now: int) -> tuple[int, int]:
    from pgusher.record import times

    since = _time(times.since, "--since", values["since"], now) if values["since"] is not None else now - DAY
    until = _time(times.since, "--until", values["until"], now) if values["until"] is not None else now
    if since >= until:
        raise UsageError("--since lies behind the end of the time that is asked for", hint="--since 24h")
    return since, until


def _time(parse: Any, flag: str, text: str, now: int) -> int:
    try:
        found: int = parse(text, now)
    except ValueError as error:
        raise UsageError(f"option {flag}: expected {error}, got {shown(text)}") from None
    return found


def _moment(values: Values, context: Context, reader: Reader, server: str, now: int) -> int:
    from pgusher.record import times
    from pgusher.surfaces.render import history as page

    at = _time(times.moment, "--at", values["at"], now)
    moment = reader.moment(server, at)
    lives = [life for life in moment.lives if values["holder"] in (None, life.holder)]
    if values["holder"] is not None and not lives:
        context.narrate(f"{shown(values['holder'])} had no slot then")
    chains = {life.chain: reader.chain(life.chain) for life in lives}
    if values["json"]:
        _print(context, page.moment_json(moment, lives, chains))
        return 0
    screen = context.out.screen(values["color"], values["plain"], values["width"])
    lines = page.moment_page(screen, moment, lives, chains, times.shown, values["holder"])
    context.out.write(screen.page(lines))
    return 0


def _over(values: Values, context: Context, reader: Reader, server: str, since: int, until: int) -> int:
    from pgusher.record import times
    from pgusher.surfaces.render import history as page

    holder = values["holder"]
    peaks = reader.peaks(server, since, until)
    if holder is not None and holder not in {peak.holder for peak in peaks}:
        raise _unknown(reader, server, holder, since, until)
    lives: list[Life] = []
    if holder is not None:
        lives = [life for life in reader.lives(server, since, until) if life.holder == holder]
    over = page.Over(
        server, since, until, peaks, reader.spans(server, since, until), reader.refusals(server, since, until),
        reader.ceiling(server, until), reader.opened(server, since, until), holder, tuple(lives),
        reader.chain(lives[-1].chain) if lives else (),
    )  # fmt: skip
    if values["json"]:
        _print(context, page.over_json(over))
        return 0
    screen = context.out.screen(values["color"], values["plain"], values["width"])
    context.out.write(screen.page(page.over_page(screen, over, times.shown, None if screen.pipe else _MOST)))
    return 0


def _export(values: Values, context: Context, reader: Reader, server: str, since: int, until: int) -> int:
    from pgusher.record.export import csv_lines, write_parquet

    holder = values["holder"]
    if holder is not None and holder not in {peak.holder for peak in reader.peaks(server, since, until)}:
        raise _unknown(reader, server, holder, since, until)
    lives = (life for life in reader.lives(server, since, until) if holder in (None, life.holder))
    if values["format"] == "parquet":
        if values["output"] is None:
            raise UsageError("--format parquet needs a file: --output FILE")
        context.narrate(f"{values['output']}: {write_parquet(values['output'], server, lives)} sessions")
        return 0
    if values["output"] is None:
        for line in csv_lines(server, lives):
            context.out.write(line)
        return 0
    try:
        with open(values["output"], "w", encoding="utf-8", newline="") as file:
            number = sum(1 for line in csv_lines(server, lives) if file.write(line)) - 1
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise PgusherError(f"{values['output']}: the export could not be written: {reason}") from None
    context.narrate(f"{values['output']}: {number} sessions")
    return 0


def _print(context: Context, data: Any) -> None:
    context.out.write(json.dumps(data) + "\n")


_WHAT = "What to show"
COMMAND = Command(
    name="history",
    summary="who held what at a moment, the most that each had, refusals",
    description=(
        "Reads what pgusher record keeps, also while it records. --at shows who held what at that moment; without it, "
        "the most that each holder had since yesterday, how many of its sessions came and went, the times in which "
        'nobody looked, and the refusals. Times are written as people do: 08:00, "yesterday 20:00", '
        '2026-11-20T08:00, -30min, "08:00 UTC"; without a zone they are those of this host. export writes one row a '
        "session, as CSV or Parquet."
    ),
    options=(
        Option("at", ("--at",), "who held what at this moment", "TIME", group=_WHAT),
        Option("since", ("--since",), "from this time on: 24h, 08:00, 2026-11-20 (default 24h)", "TIME", group=_WHAT),
        Option("until", ("--until",), "up to this time (default now)", "TIME", group=_WHAT),
        Option("holder", ("--holder",), "of one holder, with its sessions and how it is known", "HOLDER", group=_WHAT),
        Option("server", ("--server",), "of one server, where the store has several: its port, or HOST:PORT", "NAME",
               group=_WHAT),
        Option("format", ("--format",), "what export writes: csv or parquet (default csv)", "FORMAT",
               choices=("csv", "parquet"), default="csv", group=_WHAT),
        Option("output", ("-o", "--output"), "export into this file", "FILE", group=_WHAT, files=True),
        STORE,
        CONFIG,
        *PRINT,
        *GENERAL,
    ),
    argument=Argument("words", "export", "write one row a session", many=True),
    run=run,
    examples=(
        ("pgusher history --at 08:00", "who held what at eight this morning"),
        ("pgusher history --since 7d", "the most that each holder had in a week"),
        ("pgusher history --holder cron/version_history", "its sessions of a day, and how they are known"),
        ("pgusher history export --since 2026-11-01 -o november.csv", "for a spreadsheet"),
    ),
)  # fmt: skip
