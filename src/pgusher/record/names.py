"""Numbers for what is the same again and again: holders, chains, and who a session is. Each is stored once."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Hashable
from typing import Any

from pgusher.model.address import Transport
from pgusher.model.holder import Chain, Holder, Link, LinkKind
from pgusher.model.server import Server
from pgusher.model.session import Session
from pgusher.record.database import Database

_MOST = 10_000
"""Names that are kept in memory: a program that gives each session another name must not fill it."""
_PIDS = re.compile(r"\bpid \d+")
_OF_ONE = frozenset({LinkKind.SOCKET, LinkKind.LOAN, LinkKind.PANEL})
"""Links that are about one session alone; a pool of ten has otherwise one chain."""
_LONGEST = 400
"""Characters of a text: names in PostgreSQL have 63, titles of holders may be longer."""


class Names:
    """Gives the number of a thing, and stores it when it is new. For the one who writes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[Hashable, int] = {}
        self._next: dict[str, int] = {}

    def forget(self) -> None:
        """After a rollback: what was numbered since the last commit is not in the store."""
        self._known.clear()
        self._next.clear()

    def new(self, table: str) -> int:
        """The next number of a table."""
        if table not in self._next:
            self._next[table] = self._database.rows(f"select coalesce(max(id), 0) from {table}")[0][0]  # noqa: S608 - one of our tables
        self._next[table] += 1
        return self._next[table]

    def server(self, server: Server) -> int:
        """The number of a server."""
        return self._number("server", ("label",), (server.label,), (server.port, server.host), ("port", "host"))

    def holder(self, server: int, holder: Holder | str) -> int:
        """The number of a holder; for one that the snapshot does not list, by its name."""
        name, kind, title, program = (
            (holder, "unknown", holder, None)
            if isinstance(holder, str)
            else (holder.name, holder.kind.value, holder.title, holder.program)
        )
        more = (kind, _short(title), program)
        return self._number("holder", ("server", "name"), (server, _short(name)), more, ("kind", "title", "program"))

    def chain(self, holder: int, chain: Chain) -> int:
        """The number of a chain: two that differ only in pids and sockets are one."""
        links = [link for link in chain.links if link.kind not in _OF_ONE]
        seen = [[link.kind, _PIDS.sub("pid", link.subject), link.certainty] for link in links]
        digest = _digest([chain.end, seen, chain.conflicts])
        key = (holder, digest)
        if key in self._known:
            return self._known[key]
        return self._number("chain", ("holder", "digest"), key, (_body(chain),), ("body",), key)

    def who(self, session: Session) -> int:
        """The number of what a session says of itself."""
        client = session.client.host if session.client.transport is Transport.TCP else None
        if session.client.transport is Transport.UNIX:
            client = str(session.client)
        values = tuple(map(_short, (session.user, session.database, session.application_name, client)))
        if values in self._known:
            return self._known[values]
        columns = ("usename", "datname", "app", "client")
        return self._number("who", ("digest",), (_digest(values),), values, columns, values)

    def _number(
        self,
        table: str,
        keys: tuple[str, ...],
        key: tuple[object, ...],
        values: tuple[object, ...],
        columns: tuple[str, ...],
        known_as: Hashable = None,
    ) -> int:
        known_as = known_as if known_as is not None else (table, *key)
        if known_as in self._known:
            return self._known[known_as]
        where = " and ".join(f"{name} = ?" for name in keys)
        rows = self._database.rows(f"select id from {table} where {where}", key)  # noqa: S608 - our tables and columns
        if rows:
            number = int(rows[0][0])
        else:
            number = self.new(table)
            names, marks = ", ".join(("id", *keys, *columns)), ", ".join("?" * (1 + len(keys) + len(columns)))
            self._database.run(f"insert into {table} ({names}) values ({marks})", (number, *key, *values))  # noqa: S608 - as above
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[known_as] = number
        return number


def _digest(value: Any) -> str:
    return hashlib.blake2b(json.dumps(value).encode(), digest_size=12).hexdigest()


def _body(chain: Chain) -> str:
    # A panel changes with each statement: of a chain that stands for hours it would be the first one's.
    links = [
        [link.kind, _short(link.subject), link.certainty, _short(link.evidence), link.pid]
        for link in chain.links
        if link.kind is not LinkKind.PANEL
    ]
    return json.dumps({"end": chain.end, "links": links, "conflicts": list(map(_short, chain.conflicts))})


def links_of(body: str) -> tuple[Link, ...]:
    """The links of a stored chain; what is not readable is left out."""
    from pgusher.model.evidence import Certainty

    try:
        return tuple(Link(LinkKind(k), s, Certainty(c), e, p) for k, s, c, e, p in json.loads(body)["links"])
    except (ValueError, KeyError, TypeError):
        return ()


def _short(text: str | None) -> str | None:
    """As it may be stored: PostgreSQL takes no NUL, neither takes lone surrogates."""
    if text is None:
        return None
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:_LONGEST]
