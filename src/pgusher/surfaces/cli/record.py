"""`pgusher record`: remembers who holds which slot."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pgusher.errors import PgusherError, UsageError
from pgusher.model.values import replace
from pgusher.surfaces.cli.common import CONNECTION, GENERAL, request_of
from pgusher.surfaces.cli.options import Command, Option, Values, number
from pgusher.surfaces.cli.staying import stays

if TYPE_CHECKING:
    from pgusher.surfaces.cli.context import Context

STORE = Option(
    "store", ("--store",), "the store: a file, or a connection string of another server (default: this user's)",
    "FILE|DSN", group="The store", files=True,
)  # fmt: skip

_MOST = 1 << 30


def run(values: Values, context: Context) -> int:
    """Records until it is told to end. Exit code 0, also after SIGTERM; 3 when the first look saw nothing."""
    import signal
    from threading import Event

    from pgusher.app.recording import notify, record
    from pgusher.collect.postgres.log import ServerLogs
    from pgusher.record.place import is_dsn
    from pgusher.record.recorder import Recorder
    from pgusher.record.retention import Retention
    from pgusher.record.store import open_store

    config = context.app.config(values["config"])
    store: str | None = values["store"] or config.store
    if values["most"] is not None and store is not None and is_dsn(store):
        raise UsageError(
            "--max-size is about a file: a table of a server does not shrink when rows go",
            hint="--keep says how long sessions are kept: --keep 30d",
        )
    every: float = values["every"]
    request = request_of({**values, "watch": every}, config)
    database = open_store(store, write=True)
    logs = ServerLogs()
    recorder = Recorder(
        database, every=every, retention=Retention(values["keep"], values["most"] or _MOST), logged=logs.read
    )
    looker = context.app.looker(replace(request, patience=2.9))
    stays()
    stop = Event()
    before: dict[int, Any] = {}
    with suppress(ValueError):  # not the main thread, as in a test: nobody sends signals there
        before = {one: signal.signal(one, lambda *_: stop.set()) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        context.narrate(f"recording every {every:g} s into {database.name}; Ctrl-C or SIGTERM ends it")
        notify("READY=1")
        length = values["length"] / 1_000_000 if values["length"] is not None else None
        kept = record(looker, recorder, stop, every=every, length=length, tell=context.narrate)
    finally:
        notify("STOPPING=1")
        looker.close()
        logs.close()
        for one, handler in before.items():
            signal.signal(one, handler)
        # What a full disk kept from being written was told with the look.
        with suppress(PgusherError):
            recorder.close()
    context.narrate(f"recorded {kept} looks into {database.name}")
    return 0


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?) ?(k|m|g|t)i?b?", text.strip().lower())
    if match is None or float(match[1]) == 0:
        raise ValueError("a size, as 500MB or 2GB")
    return int(float(match[1]) * 1024 ** ("kmgt".index(match[2]) + 1))


def _length(text: str) -> int:
    from pgusher.record.times import length

    return length(text)


def _days(text: str) -> float:
    days = _length(text) / 86_400_000_000
    if days <= 0:
        raise ValueError("a length of time above 0, as 90d")
    return days


COMMAND = Command(
    name="record",
    summary="remember who holds which slot, for pgusher history",
    description=(
        "Looks once a second and keeps what changes: each session's life with its states, its chain, limits, refusals. "
        "It takes one slot and asks one query a second. One recorder writes a store; history reads it meanwhile. When "
        "it is killed, two seconds are lost. What it could not see is kept as unknown, not as zero."
    ),
    options=(
        *CONNECTION,
        Option("every", ("--every",), "seconds from look to look (default 1)", "SECONDS",
               parse=number(0.2, 3600, "seconds from 0.2 to 3600"), default=1.0, group="What to keep"),
        Option("length", ("--for",), "end after this time: 30min, 24h (default: never)", "TIME", parse=_length,
               group="What to keep"),
        Option("keep", ("--keep",), "how long sessions are kept; the figures of hours ten times as long (default 90d)",
               "TIME", parse=_days, default=90.0, group="What to keep"),
        Option("most", ("--max-size",), "how large a file may get; the oldest goes first (default 1GB)", "SIZE",
               parse=_size, group="What to keep"),
        STORE,
        *GENERAL,
    ),
    run=run,
    examples=(
        ("sudo pgusher record", "all servers of this host, until Ctrl-C or SIGTERM"),
        ("pgusher record --port 5433 --for 8h --store night.db", "one server, for a night, into a file of its own"),
        ("pgusher record --store 'service=memory'", "into a database of another server"),
    ),
)  # fmt: skip
