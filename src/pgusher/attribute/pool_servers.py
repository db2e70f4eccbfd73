"""Which of a process's own pools lead to this server: one process may have pools on several. Pure.

A pool tells address and port of the server that its last session leads to. A port may be forwarded to another and a
name server may give another address, so that a place that is not this server's proves nothing by itself; it does so
beside a pool of the same process whose place is this server's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pgusher.model.loans import Loan
from pgusher.model.own_pools import OwnPool
from pgusher.model.process import Host
from pgusher.model.server import Server
from pgusher.model.session import Session


def pools_of(
    server: Server, host: Host, pools: Iterable[OwnPool], loans: Iterable[Loan], sessions: Iterable[Session]
) -> tuple[OwnPool, ...]:
    """Those that lead to the server, and those of which it is not known."""
    by_process: dict[int, list[OwnPool]] = {}
    for pool in pools:
        by_process.setdefault(pool.process, []).append(pool)
    if not by_process:
        return ()
    backends = {session.pid for session in sessions}
    joined = {loan.process for loan in loans if loan.backend_pid in backends}
    return tuple(
        pool for process, mine in by_process.items() for pool in _of_process(server, host, mine, process in joined)
    )


def _of_process(server: Server, host: Host, pools: Sequence[OwnPool], joined: bool) -> Sequence[OwnPool]:
    leads = [_leads_to(server, host, pool) for pool in pools]
    kept = [pool for pool, here in zip(pools, leads, strict=True) if here is not False]
    # Where none has the place of this server, but a session of theirs is one of its: a port is forwarded.
    return pools if not any(leads) and joined else kept


def _leads_to(server: Server, host: Host, pool: OwnPool) -> bool | None:
    """Whether its place is the server's; None where that is not known."""
    if not pool.port:
        return None
    if pool.port != server.port:
        return False
    if pool.address.startswith(("/", "@")) or not pool.address:
        return True if server.local else None
    if not server.local:
        return True if pool.address == server.host else None
    if pool.address in host.addresses or pool.address.startswith("127.") or pool.address == "::1":
        return True
    return False if host.addresses else None
