"""What the server sends, as values: lines of COPY's text format in, sessions and ceilings out. Pure.

A line that is torn or of another form is counted, never raised for: a fork of PostgreSQL may answer differently.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pgusher.model.address import UNIX, UNKNOWN, ClientAddress, Micros, Transport
from pgusher.model.pattern import pattern
from pgusher.model.redact import redact_sql, redact_text
from pgusher.model.server import Ceilings, Limit, Setting
from pgusher.model.session import SeenBy, Session
from pgusher.model.text import decode

NULL = "\\N"
HIDDEN_QUERY = "<insufficient privilege>"
"""What stands in place of another role's query (source: pg_stat_get_activity in pgstatfuncs.c)."""

_LONGEST_QUERY = 4096
"""Characters; the server cuts at track_activity_query_size, which somebody may have set to a megabyte."""
_REMEMBERED = 20_000
_ESCAPE = pattern(r"\\([bfnrtv\\])")
_PLAIN = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}
_COLUMNS = 16
_SERVE_CLIENTS = frozenset({"client backend", "walsender", "parallel worker"})
_Known = tuple[int, Session | None, bool]
"""The pid, the session if the process serves a client, and whether little of it was shown."""


def fields(line: bytes) -> list[str | None]:
    """The values of one line of COPY's text format (source: PostgreSQL documentation, "COPY")."""
    values = decode(line).split("\t")
    return [None if v == NULL else _plain(v) if "\\" in v else v for v in values]


def _plain(value: str) -> str:
    return _ESCAPE.sub(lambda match: _PLAIN[match[1]], value)


class Self(NamedTuple):
    """The row of self.sql."""

    pid: int
    role: str
    sees_all: bool
    uses_reserved: bool
    in_recovery: bool
    started: Micros
    version: str
    version_num: int
    port: int
    cluster_name: str
    max_connections: int
    superuser_reserved: int
    reserved: int
    track_activities: bool
    guarded: bool
    """Whether the settings that pgusher asks for at login are in force: a pooler may drop them."""


def parse_self(lines: Sequence[bytes]) -> Self:
    """The row. Raises ValueError when it is none."""
    values = [value or "" for value in fields(lines[0])] if len(lines) == 1 else []
    if len(values) != 17:
        raise ValueError(f"expected 1 row of 17 values, got {len(lines)} of {len(values)}")
    return Self(
        pid=int(values[0]),
        role=values[1],
        sees_all=values[2] == "t",
        uses_reserved=values[3] == "t",
        in_recovery=values[4] == "t",
        started=int(values[5]),
        version=values[6].split(" ")[0],
        version_num=int(values[7]),
        port=int(values[8]),
        cluster_name=values[9],
        max_connections=int(values[10]),
        superuser_reserved=int(values[11]),
        reserved=int(values[12] or 0),
        track_activities=values[13] == "on",
        guarded=values[14] != "0" and values[15] == "" and values[16] == "on",
    )


class SessionReader:
    """Turns lines into sessions. It remembers the last sample: a session that has not changed is the same line.

    Of the last sample, `hidden` were other roles' sessions of which little was shown, `torn` lines were none at all,
    and `pids` are all processes of the server.
    """

    def __init__(self) -> None:
        self.hidden = 0
        self.torn = 0
        self.pids: set[int] = set()
        self._last: dict[bytes, _Known] = {}
        self._last_context: object = None
        self._queries: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def read(self, lines: Iterable[bytes], own_pid: int, superusers: frozenset[str]) -> list[Session]:
        """Those of the server's processes that serve a client, in the order of the lines."""
        context = (own_pid, superusers)
        last = self._last if context == self._last_context else {}
        now: dict[bytes, _Known] = {}
        self.hidden = self.torn = 0
        self.pids = set()
        sessions = []
        for line in lines:
            known = last.get(line)
            if known is None:
                try:
                    known = self._parse(line, own_pid, superusers)
                except (ValueError, IndexError):
                    self.torn += 1
                    continue
            now[line] = known
            pid, session, hidden = known
            self.pids.add(pid)
            if session is not None:
                sessions.append(session)
                self.hidden += hidden
        self._last, self._last_context = now, context
        return sessions

    def _parse(self, line: bytes, own_pid: int, superusers: frozenset[str]) -> _Known:
        values = fields(line)
        if len(values) != _COLUMNS:
            raise ValueError(line)
        pid, start, kind, user, database, application, host, port, state, change, query_start, xact_start = values[:12]
        wait_type, wait, blocked, query = values[12:]
        number = int(pid or "")
        hidden = query == HIDDEN_QUERY
        # Of a hidden process not even its kind is shown; those of the server's own have no role.
        if (kind is None and user is None) or (kind is not None and kind not in _SERVE_CLIENTS):
            return number, None, False
        session = Session(
            pid=number,
            backend_start=_micros(start),
            # Not shown for other roles' sessions; one without a database is a physical replication's.
            backend_type=kind or ("walsender" if database is None else "client backend"),
            user=None if user is None else self._name(user),
            database=None if database is None else self._name(database),
            application_name=None if application is None else self._name(application),
            client=_address(host, port),
            state="authenticating" if state == "starting" else state or None,
            state_change=_micros(change),
            query_start=_micros(query_start),
            xact_start=_micros(xact_start) if state != "starting" else None,
            wait_event_type=wait_type or None,
            wait_event=wait or None,
            query=None if hidden or not query else self._query(query),
            blocked_by=tuple(int(one) for one in blocked.split()) if blocked else (),
            superuser=None if user is None else user in superusers,
            own=number == own_pid,
        )
        return number, session, hidden

    def _query(self, query: str) -> str:
        known = self._queries.get(query)
        if known is None:
            if len(self._queries) >= _REMEMBERED:
                self._queries.clear()
            known = self._queries[query] = redact_sql(query[:_LONGEST_QUERY])
        return known

    def _name(self, name: str) -> str:
        known = self._names.get(name)
        if known is None:
            if len(self._names) >= _REMEMBERED:
                self._names.clear()
            known = self._names[name] = redact_text(name)
        return known


def unseen_session(pid: int) -> Session:
    """A session that holds a slot and is not in pg_stat_activity."""
    return Session(pid=pid, state="authenticating", seen_by=SeenBy.LOCKS)


def superusers_of(roles: Iterable[bytes]) -> frozenset[str]:
    """Names of the superusers, from the first result of limits.sql."""
    found = (fields(line) for line in roles)
    return frozenset(row[0] for row in found if len(row) == 3 and row[0] is not None and row[1] == "t")


def read_ceilings(
    own: Self, roles: Iterable[bytes], databases: Iterable[bytes], sessions: Iterable[Session]
) -> Ceilings:
    """The ceilings, with how much of each limit is used."""
    taken = [s for s in sessions if s.takes_slot]
    of_roles = ((row[0], row[2]) for row in map(fields, roles) if len(row) == 3)
    of_databases = ((row[0], row[1]) for row in map(fields, databases) if len(row) == 2)
    return Ceilings(
        max_connections=own.max_connections,
        superuser_reserved=own.superuser_reserved,
        reserved=own.reserved,
        roles=_limits(of_roles, Counter(s.user for s in taken)),
        databases=_limits(of_databases, Counter(s.database for s in taken)),
    )


def read_settings(lines: Iterable[bytes]) -> tuple[Setting, ...]:
    """The rows of settings.sql."""
    rows = (fields(line) for line in lines)
    return tuple(
        Setting(row[0], redact_text(row[1]), row[2], row[3])
        for row in rows
        if len(row) == 4 and row[0] is not None and row[1] is not None
    )


def _limits(pairs: Iterable[tuple[str | None, str | None]], used: Counter[str | None]) -> tuple[Limit, ...]:
    limits = []
    for name, limit in pairs:
        if name is not None and limit is not None and limit.isdigit():
            shown = redact_text(name)
            limits.append(Limit(shown, int(limit), used[shown]))
    return tuple(sorted(limits, key=lambda one: one.name))


def opened_of(lines: Iterable[bytes]) -> int | None:
    """The row of traffic.sql; None before 14, where there is none."""
    return next((int(line) for line in lines if line.isdigit()), None)


def pids_of(lines: Iterable[bytes]) -> set[int]:
    """The pids in rows of one pid each."""
    return {int(line) for line in lines if line.isdigit()}


def _micros(value: str | None) -> Micros | None:
    return int(value) if value else None


def _address(host: str | None, port: str | None) -> ClientAddress:
    if host:
        return ClientAddress(Transport.TCP, host.removeprefix("::ffff:"), int(port) if port else None)
    return UNIX if port == "-1" else UNKNOWN
