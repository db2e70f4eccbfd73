"""What PgBouncer may take: a pool for each pair of database and user, below the limits of its configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pgusher.budget.found import Found
from pgusher.diagnose.text import count, listed
from pgusher.model.budget import Amount, Claim, Setting
from pgusher.model.evidence import Certainty
from pgusher.model.facts import Facts
from pgusher.model.holder import Holder, HolderKind
from pgusher.model.poolers import Pooler, PoolerDatabase
from pgusher.model.session import Session


def of_pooler(holder: Holder, facts: Facts, sessions: Sequence[Session]) -> Found | None:
    """By the configuration of each PgBouncer among its processes."""
    found = [one for one in facts.poolers if one.pid in holder.processes]
    return _added(found, sessions, facts.server.port) if found else None


def of_file(pooler: Pooler) -> Claim | None:
    """One that does not run, by its file: all its databases, wherever they lead. None where it lists none."""
    found = _added([pooler], (), None)
    if found is None:
        return None
    return Claim(
        f"pgbouncer/{pooler.file}", HolderKind.SERVICE, 0, 0, found.may, processes=1, each=found.each,
        settings=found.settings,
    )  # fmt: skip


def _added(found: Sequence[Pooler], sessions: Sequence[Session], port: int | None) -> Found | None:
    total, certainty, parts = 0, Certainty.PROVEN, []
    settings: list[Setting] = []
    every: list[PoolerDatabase] = []
    for pooler in found:
        here = [one for one in pooler.databases if port is None or one.port == port]
        every += here
        by_database: dict[str, int] = {}
        for database in here:
            most, sure, how, places = _most(pooler, database, sessions)
            by_database[database.name] = most
            certainty = Certainty.weakest(certainty, sure)
            parts.append(f"{database.name} {most} ({how})")
            settings += places
        lower = _over_all(pooler, here, by_database, sessions)
        total += sum(by_database.values()) if lower is None else lower[0]
        if lower is not None:
            parts.insert(0, lower[1])  # in front: of many parts the last are not told
    if not parts:
        return None
    return Found(
        Amount(total, listed(parts, 4), certainty), total, 1, tuple(dict.fromkeys(settings)),
        roles=tuple(sorted({one.user for one in every if one.user})),
        databases=tuple(sorted({one.dbname or one.name for one in every if one.name != "*" or one.dbname})),
    )  # fmt: skip


def _size(pooler: Pooler, database: PoolerDatabase, user: str | None) -> tuple[int, Setting]:
    """The pool of one user in one database, and what sets its size."""
    own = pooler.user(user)
    if own is not None and own.pool_size is not None:
        size, line, name = own.pool_size, own.line, "pool_size"
    elif database.pool_size is not None:
        size, line, name = database.pool_size, database.line, "pool_size"
    else:
        size, line, name = pooler.default_pool_size, pooler.size_line or database.line, "default_pool_size"
    return size, Setting(name, str(size), f"{pooler.file}:{line}")


def _each(pooler: Pooler, database: PoolerDatabase, user: str | None) -> tuple[int, str]:
    """The most sessions of one user in one database, and how that is known."""
    own = pooler.user(user)
    size, _ = _size(pooler, database, user)
    reserve = own.reserve if own is not None and own.reserve is not None else database.reserve
    reserve = pooler.reserve if reserve is None else reserve
    how = f"pool {size}" + (f" + reserve {reserve}" if reserve else "")
    most = _most_of(pooler, user, database.user is not None)
    if most and most < size + reserve:
        where = f" ({pooler.file}:{own.line})" if own is not None and own.most == most else ""
        return most, f"max_user_connections {most}{where}"
    return size + reserve, how


def _most_of(pooler: Pooler, user: str | None, forced: bool) -> int:
    """max_user_connections of a user; 0 for no limit.

    A user that is forced by [databases] has not the limit of [users] (measured with PgBouncer 1.18), so that one is not
    counted on.
    """
    own = pooler.user(user)
    return pooler.most_user if forced or own is None or not own.most else own.most


def _most(
    pooler: Pooler, database: PoolerDatabase, sessions: Sequence[Session]
) -> tuple[int, Certainty, str, tuple[Setting, ...]]:
    limit = database.most if database.most is not None else pooler.most
    if database.user is not None and database.name != "*":
        users: list[str | None] = [database.user]
        sure = Certainty.PROVEN
    else:
        seen = _pairs(database, sessions)
        users, sure = [user for _, user in seen] or [database.user], Certainty.LIKELY
    parts = [_each(pooler, database, user) for user in users]
    most = sum(each for each, _ in parts)
    settings = tuple(dict.fromkeys(_size(pooler, database, user)[1] for user in users))
    if sure is Certainty.PROVEN:
        how = parts[0][1]
    elif len(set(parts)) == 1:
        how = f"{parts[0][1]} x {count(len(parts), 'pair')} of user and database seen"
    else:
        told = [f"{user}: {how}" for user, (_, how) in zip(users, parts, strict=True)]
        how = f"{listed(told, 4)}, of the {count(len(parts), 'pair')} of user and database seen"
    if limit and (limit < most or sure is not Certainty.PROVEN):
        # Above all pairs, also those that were not seen yet.
        return limit, Certainty.PROVEN, f"max_db_connections {limit}", settings
    return most, sure, how, settings


def _pairs(database: PoolerDatabase, sessions: Sequence[Session]) -> list[tuple[str | None, str | None]]:
    wanted = database.dbname or database.name
    return list(dict.fromkeys((one.database, one.user) for one in sessions if wanted in ("*", one.database)))


def _over_all(
    pooler: Pooler, here: Sequence[PoolerDatabase], by_database: Mapping[str, int], sessions: Sequence[Session]
) -> tuple[int, str] | None:
    """Less than the databases have together, where one user is in several of them and has a limit over all."""
    total, cuts = sum(by_database.values()), []
    open_ones = [one for one in here if one.user is None and not (one.most if one.most is not None else pooler.most)]
    for user in dict.fromkeys(user for one in open_ones for _, user in _pairs(one, sessions)):
        most = _most_of(pooler, user, False)
        taken = sum(
            _each(pooler, one, user)[0] * sum(who == user for _, who in _pairs(one, sessions)) for one in open_ones
        )
        if most and most < taken:
            total -= taken - most
            cuts.append(f"max_user_connections {most} of {user} over all of them")
    return (total, listed(cuts, 4)) if cuts else None
