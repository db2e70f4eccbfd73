"""The databases of this process: one pool for each, made once, whoever asks and however many at the same time."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row

from pgusher.client import named
from pgusher.client.connection_string import words_of
from pgusher.errors import UsageError

if TYPE_CHECKING:  # what is not used is not loaded: a flavour costs ten milliseconds, a budget four
    from pgusher.client.async_pool import AsyncPool
    from pgusher.client.budget import Budget
    from pgusher.client.gate import Gate
    from pgusher.client.pool import Pool

DEFAULTS: dict[str, Any] = {
    "min_size": 0,
    "max_size": 10,
    "timeout": 30.0,
    "max_idle": 60.0,
    "budget": None,
    "service": None,
    "limits": None,
    "long_loan": 60.0,
}
"""What holds where nothing else is said. Times are in seconds."""

CONNECT_TIMEOUT = 10
"""Seconds for a connect, unless the connection string or PGCONNECT_TIMEOUT says otherwise: libpq's own is for ever."""


class DatabaseError(UsageError):
    """A database is asked for in a way that cannot be: two pools of different kinds for one, or a wrong string."""


def one_by_hand(name: str, hint: str) -> DatabaseError:
    """What a second block is refused with whose end could be taken for that of the first."""
    return DatabaseError(
        f"database {name!r}: a block that was entered by hand is still open",
        detail="it could not be told which of the two is left, and what is to be committed",
        hint=f"use a with statement or {hint}",
    )


def none_to_leave(name: str) -> DatabaseError:
    """What the end of a block is told that has not begun, or is over."""
    return DatabaseError(f"database {name!r}: a block is left that is not open", hint="leave each block once")


class Entry:
    """One database of this process: how its pools are to be, and the pools."""

    def __init__(self, name: str, conninfo: str) -> None:
        self.name = name
        self.conninfo = conninfo
        self.options: dict[str, Any] = {}
        self.pool: Pool[Any] | None = None
        self._pools: dict[asyncio.AbstractEventLoop, AsyncPool[Any]] = {}
        self._lock = threading.Lock()

    def take(self, options: dict[str, Any]) -> None:
        """Further options. Raises DatabaseError when they contradict earlier ones, or come after the first use."""
        with self._lock:
            used = self.pool is not None or bool(self._pools)
            for key, value in options.items():
                if key not in self.options and not used:
                    continue
                known = self.options.get(key, DEFAULTS.get(key))
                if not _same(known, value):
                    shown = f", {known!r} and {value!r}" if _plain(known) and _plain(value) else ""
                    raise DatabaseError(
                        f"database {self.name!r}: two values of {key} in one process{shown}",
                        detail="a process has one pool for a database; whoever uses it first has said how it is",
                        hint=f"give {key} in one place, before the first use",
                    )
            self.options.update(options)

    def opened(self) -> Pool[Any]:
        """The pool for threads, open. It is made by whoever comes first; the others wait for that moment."""
        pool = self.pool
        if pool is None or pool.closed:
            if sys.is_finalizing():  # in a destructor: nothing can be imported any more
                raise psycopg.OperationalError(f"database {self.name!r}: the interpreter is shutting down")
            with self._lock:
                pool = self.pool
                if pool is None or pool.closed:
                    from pgusher.client import threads
                    from pgusher.client.pool import Pool

                    threads.watch.install()
                    pool = Pool(self.conninfo, open=True, **self._arguments(waits=False))
                    pool.tells_aborted = True
                    self.pool = pool
        return pool

    async def opened_here(self) -> AsyncPool[Any]:
        """The pool of the running event loop, open."""
        loop = asyncio.get_running_loop()
        pool = self._pools.get(loop)
        if pool is None or pool.closed:
            from pgusher.client.async_pool import AsyncPool

            with self._lock:
                self._bury()
                pool = self._pools.get(loop)
                # One that is not open yet is being opened by another task.
                if pool is None or (pool.closed and getattr(pool, "_opened", False)):
                    pool = self._pools[loop] = AsyncPool(self.conninfo, open=False, **self._arguments(waits=True))
                    pool.tells_aborted = True
            await pool.open()
        return pool

    def here(self) -> AsyncPool[Any] | None:
        """The pool of the running event loop if there is one; in a thread without a loop the only one there is."""
        try:
            return self._pools.get(asyncio.get_running_loop())
        except RuntimeError:
            pools = list(self._pools.values())
            return pools[0] if len(pools) == 1 else None

    def forget_here(self) -> AsyncPool[Any] | None:
        """The same, and the next use opens another."""
        return self._pools.pop(asyncio.get_running_loop(), None)

    def forget(self) -> Pool[Any] | None:
        """The pool for threads, and the next use opens another."""
        with self._lock:
            pool, self.pool = self.pool, None
        return pool

    def pools(self) -> list[Pool[Any] | AsyncPool[Any]]:
        """All that are open."""
        found: list[Pool[Any] | AsyncPool[Any]] = [self.pool] if self.pool is not None else []
        return [*found, *self._pools.values()]

    def forked(self) -> None:
        """This is the child of a fork: no other thread has the lock. The pools see to themselves."""
        self._lock = threading.Lock()

    def _bury(self) -> None:
        """Under the lock: event loops that have ended take their pools with them, whose sessions nobody closed."""
        for loop in [loop for loop in self._pools if loop.is_closed()]:
            pool = self._pools.pop(loop)
            for conn in list(pool._pool):  # noqa: SLF001  # no method of it works without its loop
                with suppress(Exception):
                    conn.pgconn.finish()

    def _arguments(self, waits: bool) -> dict[str, Any]:
        from pgusher.client.ledger import own_ledger
        from pgusher.client.limits import Limits

        chosen = {**DEFAULTS, **self.options}
        self._check_sizes(chosen["min_size"], chosen["max_size"])
        budget = chosen.pop("budget")
        kwargs = chosen.pop("kwargs", None)
        ours = {"row_factory": dict_row, **self._patience()}
        kwargs = _over(ours, kwargs, waits) if callable(kwargs) else {**ours, **(kwargs or {})}
        if chosen["limits"] is None:
            # A pool that keeps sessions would have them ended under it.
            chosen["limits"] = Limits() if chosen["min_size"] else Limits.over(chosen["max_idle"])
        return {
            "gate": gate_for(self.conninfo, budget),
            "ledger": own_ledger(),
            "give_all_back": True,
            "name": self.name,
            "kwargs": kwargs,
            **chosen,
        }

    def _check_sizes(self, least: int, most: int) -> None:
        """When all is said: they may be given in two places. psycopg_pool's own words would not name the database."""
        if least < 0 or most < max(1, least):
            raise DatabaseError(
                f"database {self.name!r}: a pool of {least} to {most} sessions cannot be",
                hint="max_size is 1 at least, and not below min_size",
            )

    def _patience(self) -> dict[str, Any]:
        given = conninfo_to_dict(self.conninfo)
        if given.get("connect_timeout") or given.get("service") or os.environ.get("PGCONNECT_TIMEOUT"):
            return {}
        return {"connect_timeout": CONNECT_TIMEOUT}


def _plain(value: object) -> bool:
    """Whether it may be shown: what is no number may hold a password."""
    return value is None or isinstance(value, int | float)


def _over(ours: dict[str, Any], theirs: Callable[[], Any], waits: bool) -> Callable[[], Any]:
    """Ours, and what the user's own function says, which for asyncio may be a coroutine function."""

    def asked() -> dict[str, Any]:
        return {**ours, **theirs()}

    async def awaited() -> dict[str, Any]:
        found = theirs()
        return {**ours, **(await found if isawaitable(found) else found)}

    return awaited if waits else asked


def _same(one: object, other: object) -> bool:
    budgets = sys.modules.get("pgusher.client.budget")  # while it is not loaded nothing is one
    if budgets is not None and isinstance(one, budgets.Budget) and isinstance(other, budgets.Budget):
        # Two objects of one name are one budget; a contradiction between them was told when they were made.
        return bool(one.name == other.name)
    return one is other or one == other


def gate_for(conninfo: str, budget: Budget | None) -> Gate | None:
    """What a pool of this process asks before it connects there; None: there is no place to share what is known."""
    from pgusher.client.host_full import host_gate

    given = {**_defaults(), **conninfo_to_dict(conninfo)}
    words = ("hostaddr", "host", "port")
    server = "|".join(str(given.get(word) or "") for word in words) + f"|{given.get('service') or ''}"
    host = host_gate(server, f"{given.get('user') or ''}@{given.get('dbname') or given.get('user') or ''}")
    if budget is None:
        return host
    from pgusher.client.joined import JoinedGate

    return JoinedGate(host, budget.gate()) if host is not None else budget.gate()


def _defaults() -> dict[str, str]:
    """Libpq's own, with the environment."""
    return {
        option.keyword.decode(): option.val.decode()
        for option in psycopg.pq.Conninfo.get_defaults()
        if option.val is not None
    }


_entries: dict[str, Entry] = {}
_asked: dict[tuple[str, str], Entry] = {}
_lock = [threading.Lock()]  # in a list, so that the child of a fork can have a new one


def entry(name_or_dsn: str, options: dict[str, Any], kind: str = "") -> Entry:
    """The one for this database, whether it is told by its name or by its connection string.

    `kind`: for whom, when its sessions are so different that others cannot share them. Raises DatabaseError and
    ConfigError.
    """
    if not isinstance(name_or_dsn, str):  # a variable of the environment that is not set, as a rule
        raise DatabaseError(f"a name or a connection string is expected, not {type(name_or_dsn).__name__}")
    for key, value in options.items():
        _check(key, value)
    known = _asked.get((kind, name_or_dsn))
    if known is not None and not options:
        return known
    with _lock[0]:
        found = _asked.get((kind, name_or_dsn))
        if found is None:
            name, conninfo, configured = _resolved(name_or_dsn)
            words = _words(conninfo, "" if conninfo == name_or_dsn else f"it is that of database {name!r}")
            key = make_conninfo("", **dict(sorted(words.items())))
            found = _entries.setdefault(kind + key, Entry(f"{name} ({kind})" if kind else name, conninfo))
            found.take(configured)
            _asked[kind, name_or_dsn] = found
        found.take({key: value for key, value in options.items() if value is not None})
        return found


_EXPECTED = {
    "min_size": (int, "a whole number"), "max_size": (int, "a whole number"), "timeout": (int | float, "seconds"),
    "max_idle": (int | float, "seconds"), "long_loan": (int | float, "seconds"),
    "service": (str, "a string"),
}  # fmt: skip
_KINDS = {
    "budget": ("gate", 'a Budget: budget=Budget("web", 40)'),
    "limits": ("idle_in_transaction", "Limits of pgusher.client.limits"),
}
"""By what they have: to ask for the class would load it."""


def _check(key: str, value: object) -> None:
    """Where it is given: at the first use nobody sees where it came from. The value may hold a password."""
    kind, what = _EXPECTED.get(key, (object, ""))
    attribute, other = _KINDS.get(key, ("__class__", ""))
    wrong = not isinstance(value, kind) or (isinstance(value, bool) and kind is not object)
    if value is not None and (wrong or not hasattr(value, attribute)):
        raise DatabaseError(f"{key}: expected {what or other}, not {type(value).__name__}")


def _resolved(name_or_dsn: str) -> tuple[str, str, dict[str, Any]]:
    """(name, connection string, options) of a database."""
    if not named.is_conninfo(name_or_dsn):
        found = named.database(name_or_dsn)
        options: dict[str, Any] = {**found.options}
        if "budget" in options:
            from pgusher.client.budget import Budget

            options["budget"] = Budget(options["budget"])
        return found.name, found.conninfo, options
    given = _words(name_or_dsn, "")
    host, port = given.get("host") or given.get("hostaddr"), given.get("port")
    name = str(given.get("service") or given.get("dbname") or "default")
    where = f"@{host}" if host else ""
    return name + where + (f":{port}" if port else ""), name_or_dsn, {}


def _words(conninfo: str, where: str) -> dict[str, Any]:
    """The words of a connection string. Raises DatabaseError, which does not repeat it: it may hold a password."""
    scheme, found, _ = conninfo.partition("://")
    if found and "=" not in scheme and scheme not in {"postgresql", "postgres"}:
        shown = scheme if scheme.replace("+", "").isalnum() and len(scheme) <= 40 else "that is unknown"
        raise DatabaseError(
            f"a connection string of the scheme {shown} cannot be read",
            detail=where or None,
            hint="write it as libpq does: postgresql://USER@HOST:PORT/DATABASE",
        )
    words = words_of(conninfo)
    if words is None:
        raise DatabaseError(
            "a connection string cannot be read",
            detail=where or None,
            hint="as for psql: postgresql://USER@HOST:PORT/DATABASE, special characters of a password as %XX",
        )
    return words


def everything() -> Iterable[Entry]:
    """The databases that this process has asked for."""
    with _lock[0]:
        return list(_entries.values())


def metrics() -> str:
    """The figures of all databases of this process, as Prometheus reads them (text format 0.0.4)."""
    from pgusher.client.exposition import exposition

    return exposition([(each.name, pool.get_stats()) for each in everything() for pool in each.pools()])


def _forked() -> None:
    _lock[0] = threading.Lock()
    for each in _entries.values():
        each.forked()


os.register_at_fork(after_in_child=_forked)
