"""What PgBouncer may take: a pool for each pair of database and user, below the limits of its configuration."""

from __future__ import annotations

from collections.abc import Sequence

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
    for pooler in found:
        here = [one for one in pooler.databases if port is None or one.port == port]
        for database in here:
            most, sure, how = _most(pooler, database, sessions)
            total += most
            certainty = Certainty.weakest(certainty, sure)
            parts.append(f"{database.name} {most} ({how})")
            line = database.line if database.pool_size is not None else pooler.size_line or database.line
            name = "pool_size" if database.pool_size is not None else "default_pool_size"
            size = database.pool_size if database.pool_size is not None else pooler.default_pool_size
            settings.append(Setting(name, str(size), f"{pooler.file}:{line}"))
    if not parts:
        return None
    return Found(Amount(total, listed(parts, 4), certainty), total, 1, tuple(dict.fromkeys(settings)))


def _most(pooler: Pooler, database: PoolerDatabase, sessions: Sequence[Session]) -> tuple[int, Certainty, str]:
    limit = database.most if database.most is not None else pooler.most
    users = {one.name: one for one in pooler.users}
    size = database.pool_size if database.pool_size is not None else pooler.default_pool_size
    reserve = database.reserve if database.reserve is not None else pooler.reserve

    def of(user: str | None) -> int:
        own = users.get(user or "")
        pool = (own.pool_size if own is not None and own.pool_size is not None else size) + reserve
        most = own.most if own is not None and own.most is not None else pooler.most_user
        return min(pool, most) if most else pool

    how = f"pool {size}" + (f" + reserve {reserve}" if reserve else "")
    if database.user is not None and database.name != "*":
        # [users] is not asked: PgBouncer 1.18 does not heed its limits for a user that is forced (measured).
        most, sure = of(None), Certainty.PROVEN
    else:
        wanted = database.dbname or database.name
        seen = {(one.database, one.user) for one in sessions if wanted in ("*", one.database)} or {(None, None)}
        how += f" x {count(len(seen), 'pair')} of user and database seen"
        told = [users[user] for _, user in seen if user in users]
        if told:
            how += f", by [users] for {listed(one.name for one in told)} ({pooler.file}:{told[0].line})"
        most, sure = sum(of(user) for _, user in seen), Certainty.LIKELY
    if limit and (limit < most or sure is not Certainty.PROVEN):
        # Above all pairs, also those that were not seen yet.
        return limit, Certainty.PROVEN, f"max_db_connections {limit}"
    return most, sure, how
