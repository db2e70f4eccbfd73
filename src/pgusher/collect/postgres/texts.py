"""What some sessions sent last, as they sent it: with its literals, which tell one saved query from another.

Such a text is compared and dropped at once. It gets into no snapshot: there `Session.query` has its literals removed.
"""

from __future__ import annotations

from collections.abc import Iterable

from pgusher.collect.postgres.connect import BrokenError, Connection, QueryError
from pgusher.collect.postgres.rows import HIDDEN_QUERY, fields
from pgusher.model.address import Micros
from pgusher.model.evidence import Gap
from pgusher.model.session import SessionKey
from pgusher.model.values import dataclass, field

_DEFAULT = 1024
_QUERY_ID_SINCE = 140_000
_SQL = """
    copy (select setting from pg_catalog.pg_settings where name = 'track_activity_query_size') to stdout;
    copy (
        select a.pid, (pg_catalog.date_part('epoch', a.backend_start) * 1000000)::pg_catalog.int8, a.state,
            (pg_catalog.date_part('epoch', case when a.state = 'active' then pg_catalog.clock_timestamp()
                else a.state_change end - a.query_start) * 1000000)::pg_catalog.int8,
            {query_id}, a.query
        from pg_catalog.pg_stat_activity a where a.pid in ({pids})
    ) to stdout
"""


@dataclass(frozen=True, slots=True)
class Text:
    """The current or last statement of one session."""

    key: SessionKey
    query: str = field(repr=False)
    """Not redacted: never to be shown, saved or logged."""
    running: bool
    took: Micros | None
    """Microseconds that it takes so far, or took, by the server's clock."""
    query_id: int | None
    """None before 14, and where compute_query_id is off."""


@dataclass(frozen=True, slots=True)
class Texts:
    """Those of some sessions."""

    texts: tuple[Text, ...] = ()
    limit: int = _DEFAULT
    """track_activity_query_size of the server, in bytes."""
    gaps: tuple[Gap, ...] = ()


def read_texts(connection: Connection, pids: Iterable[int], deadline: float) -> Texts:
    """The texts of these server processes. Raises nothing: what is hidden, or cannot be asked for, is a gap."""
    wanted = ",".join(str(int(pid)) for pid in pids)
    if not wanted:
        return Texts()
    query_id = "a.query_id" if connection.server_version >= _QUERY_ID_SINCE else "null"
    try:
        setting, lines = connection.run(_SQL.format(query_id=query_id, pids=wanted), deadline)
    except (BrokenError, QueryError, ValueError) as error:
        return Texts(gaps=(Gap("postgres", "the statements of Grafana's sessions", str(error), ""),))
    limit = int(setting[0]) if setting and setting[0].isdigit() else _DEFAULT
    found, hidden = [], 0
    for line in lines:
        values = fields(line)
        if len(values) != 6 or values[0] is None:
            continue
        pid, start, state, took, number, query = values
        if query == HIDDEN_QUERY:
            hidden += 1
        elif query:
            key = SessionKey(int(pid or 0), _number(start))
            found.append(Text(key, query, state == "active", _number(took), _number(number)))
    opens = "a role in pg_read_all_stats (pg_monitor is)"
    gap = Gap("postgres", f"the statements of {hidden} sessions", "they are another role's", opens, hidden)
    return Texts(tuple(found), limit, (gap,) if hidden else ())


def _number(text: str | None) -> int | None:
    try:
        return int(text) if text is not None else None
    except ValueError:
        return None
