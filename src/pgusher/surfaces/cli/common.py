"""The options that commands share, and what follows from them: the request, the command to repeat."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pgusher.errors import UsageError
from pgusher.surfaces.cli.options import Option, Values, number, ports, whole
from pgusher.surfaces.render.shell import quote

if TYPE_CHECKING:
    from pgusher.app.config import Config
    from pgusher.app.request import Request
    from pgusher.surfaces.cli.context import Context
    from pgusher.surfaces.render.again import Again

_WHERE = "Where to look"
_HOW = "How to look"
_PRINT = "What to print"
_FILES = "Snapshots"
_JUDGE = "For scripts and monitoring"

CONFIG = Option("config", ("--config",), "read this configuration file", "FILE", group=_HOW, files=True)
CONNECTION = (
    Option("dsn", ("--dsn",), "a connection string or URI, as libpq takes it", "DSN", group=_WHERE),
    Option("host", ("-h", "--host"), "host, address or socket directory", "HOST", group=_WHERE),
    Option("port", ("-p", "--port"), "port; alone: the server on that port of this host", "PORT",
           parse=ports, group=_WHERE),
    Option("user", ("-U", "--username", "--user"), "role to connect as", "NAME", group=_WHERE),
    Option("database", ("-d", "--dbname", "--database"), "database to connect to, or a connection string", "NAME",
           group=_WHERE),
    Option("service", ("--service",), "a service of libpq's service file", "NAME", group=_WHERE),
    Option("no_sql", ("--no-sql",), "take no slot: look at process titles and sockets only", group=_HOW, default=False),
    Option("timeout", ("--timeout",), "wait this long for a connection or an answer (default 3)", "SECONDS",
           parse=number(0.05, 3600, "seconds from 0.05 to 3600"), default=3.0, group=_HOW),
    CONFIG,
)  # fmt: skip
PRINT = (
    Option("json", ("--json",), "print JSON; its schema: pgusher schema", group=_PRINT, default=False),
    Option("plain", ("--plain",), "no picture: the same content in words and tables", group=_PRINT, default=False),
    Option("width", ("--width",), "a page of this many columns, also in a pipe: for a mail, a ticket, a log", "COLUMNS",
           parse=whole(20, 1000, "20 to 1000"), group=_PRINT),
    Option("color", ("--color", "--colour"), "auto, always or never (default auto; NO_COLOR is heeded)", "WHEN",
           choices=("auto", "always", "never"), default="auto", group=_PRINT),
    Option("verbose", ("-v", "--verbose"), "tell on standard error what was tried, and how long it took", group=_PRINT,
           default=False),
)  # fmt: skip
ALL = Option(
    "all", ("-a", "--all"), "all holders, sessions, sockets, limits and gaps, however many", group=_PRINT, default=False
)
REPLAY = (
    Option("watch", ("--watch",), "look again every N seconds, until Ctrl-C", "N",
           parse=number(0.1, 86400, "seconds from 0.1 to 86400"), group=_HOW),
    Option("save", ("--save",), "write what was seen into FILE (- is a pipe), to be replayed", "FILE",
           group=_FILES, files=True),
    Option("replay", ("--from",), "show what FILE (- is a pipe) holds instead of looking", "FILE",
           group=_FILES, files=True),
)  # fmt: skip
JUDGE = (
    Option("fail_on", ("--fail-on",), "exit with 1 from this severity on: critical, warning, note, or never (default "
           "warning)", "SEVERITY", choices=("critical", "warning", "note", "never"), default="warning", group=_JUDGE),
    Option("format", ("--format",), "text, json, or nagios: one line with performance data, and Nagios' exit codes",
           "FORMAT", choices=("text", "json", "nagios"), default="text", group=_JUDGE),
)  # fmt: skip
GENERAL = (
    Option("help", ("-?", "--help"), "show this help", group="General", default=False),
    Option("version", ("-V", "--version"), "show the versions", group="General", default=False),
)

_REPEATED = (
    "dsn", "host", "port", "user", "database", "service", "no_sql", "config", "replay", "grafana_url",
    "grafana_token_file",
)  # fmt: skip


def looks_like_dsn(word: str) -> bool:
    """A connection string or URI, as psql would take it for one."""
    return "=" in word or word.startswith(("postgresql://", "postgres://"))


def request_of(values: Values, config: Config, *, panels: bool = False) -> Request:
    """What the options ask for. `panels`: those of a Grafana are shown; in a snapshot file they always are."""
    from pgusher.app.request import Request

    dsn, database = values["dsn"], values["database"]
    # As psql: -d takes a connection string too.
    if dsn is None and database is not None and looks_like_dsn(database):
        dsn, database = database, None
    port = values["port"]
    if isinstance(port, str):  # a list, which goes to libpq as it is
        dsn, port = _with_ports(dsn, port), None
        if values["no_sql"]:
            raise UsageError("--no-sql connects to nobody, so that of several hosts none is found: name one of them")
    return Request(
        dsn=dsn,
        host=values["host"],
        port=port,
        user=values["user"],
        database=database,
        service=values["service"],
        timeout=values["timeout"],
        # A little less than three seconds, so that every third look of a watch of one second is a whole one.
        patience=2.9 if values.get("watch") is not None else 0.0,
        sql=not values["no_sql"],
        panels=panels or values.get("save") is not None,
        config=config,
    )


def _with_ports(dsn: str | None, ports: str) -> str:
    """The connection string with this list in the place of its ports."""
    if dsn is None or "://" not in dsn:
        return f"{dsn or ''} port={ports}".strip()  # of one word twice the last counts
    return f"{dsn}{'&' if '?' in dsn else '?'}port={ports}"


def check_together(values: Values) -> None:
    """Raises UsageError for options that contradict each other."""
    if values.get("format") == "json":
        values["json"] = True
    if values.get("format") == "nagios" and values["json"]:
        raise UsageError("--json prints an object, --format nagios a line: use one of them")
    if values.get("format") == "nagios" and values["watch"] is not None:
        raise UsageError("--watch looks again and again, --format nagios is about one look: use one of them")
    if values["save"] == "-" and (values.get("json") or values.get("format") == "nagios"):
        flag = "--json" if values.get("json") else "--format nagios"
        raise UsageError(f"--save - writes the snapshot to standard output, {flag} something else: use one of them")
    if values["watch"] is not None:
        for name, flag in (("save", "--save"), ("replay", "--from")):
            if values[name] is not None:
                raise UsageError(f"--watch looks again and again, {flag} is about one look: use one of them")
    if values["replay"] is not None:
        for name, flag in (
            ("dsn", "--dsn"), ("host", "--host"), ("user", "--username"), ("database", "--dbname"),
            ("service", "--service"), ("no_sql", "--no-sql"),
        ):  # fmt: skip
            if values[name]:
                raise UsageError(f"--from looks into a file, {flag} at a server: use one of them")


def again(values: Values, context: Context) -> Again:
    """What puts the options of this command line into the commands that follow from it."""
    from pgusher.surfaces.render.again import Again

    return Again(repeat(values), as_root(values, context))


def as_root(values: Values, context: Context) -> str:
    """How sudo finds this pgusher; with what the environment says of the server, as sudo passes none of that on."""
    said = [
        f"--{name} {quote(word)}"
        for name, variable in (("host", "PGHOST"), ("port", "PGPORT"), ("service", "PGSERVICE"))
        if (word := context.environ.get(variable)) and values.get(name) is None
    ]
    named = any(values.get(name) is not None for name in ("dsn", "service", "replay"))
    return " ".join([context.program, *([] if named else said)])


def repeat(values: Values, options: Sequence[Option] = CONNECTION + REPLAY) -> str:
    """The command as it was typed, with its connection options and without secrets, for the next ones to begin with."""
    from pgusher.model.redact import redact_text

    words = ["pgusher"]
    for option in options:
        value = values.get(option.name)
        if option.name in _REPEATED and value not in (None, False):
            words.append(option.shown[-1])
            if option.value is not None:
                if option.name in {"dsn", "database"}:
                    value = without_password(value)
                # What came through a pipe is read: the next command needs a file with the same.
                words.append("FILE" if option.name == "replay" and value == "-" else quote(redact_text(str(value))))
    return " ".join(words)


def without_password(dsn: str) -> str:
    """The connection string without its passwords: libpq takes one from PGPASSWORD or ~/.pgpass instead.

    A mask in its place would be sent to the server as the password.
    """
    if "://" in dsn:
        dsn = re.sub(r"^(\w+://[^:/@?]*):[^/?]*@", r"\1@", dsn)
        return re.sub(r"([?&])(?:ssl)?password=[^&]*&?", r"\1", dsn).rstrip("?&")
    return re.sub(r"\b(?:ssl)?password\s*=\s*(?:'(?:\\.|[^'\\])*'|(?:\\.|[^\s\\])*)\s*", "", dsn).strip()
