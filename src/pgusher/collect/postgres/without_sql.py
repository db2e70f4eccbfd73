"""The last rung: sessions by process titles, ceilings by files."""

from __future__ import annotations

import os

from pgusher.collect.boot import boot_time
from pgusher.collect.postgres.backends import idle_estimates, read_backends, sessions_of
from pgusher.collect.postgres.files import read_ceilings
from pgusher.collect.postgres.locate import alive
from pgusher.model.evidence import Gap
from pgusher.model.server import Ceilings, Server
from pgusher.model.session import Session
from pgusher.model.values import replace


def look(
    server: Server, proc: str = "/proc", *, refused: bool | None = True
) -> tuple[Server, tuple[Session, ...], Ceilings | None, tuple[Gap, ...]] | None:
    """What can be seen of a local server without asking it anything; None when its postmaster is not to be seen.

    `refused`: whether it is for lack of a slot that it cannot be asked; None when nobody tried.
    """
    postmaster = alive(server, proc)
    if postmaster is None:
        return None
    backends, cluster = read_backends(postmaster.pid, proc)
    sessions, gaps = sessions_of(backends, boot_time(proc), idle_estimates(backends, proc))
    ceilings, more = read_ceilings(postmaster, server.started or 0, proc)
    if sessions:
        gaps.append(
            Gap(
                "postgres",
                f"query, application name and exact times of {len(sessions)} session{'s' * (len(sessions) != 1)}",
                "process titles do not hold them",
                _opens(server, refused),
                len(sessions),
            )
        )
    if server.cluster_name is None and cluster:
        server = replace(server, cluster_name=cluster)
    return server, tuple(sessions), ceilings, (*gaps, *more)


def _opens(server: Server, refused: bool | None) -> str:
    if refused is None:
        return "ask the server by SQL as well (without --no-sql)"
    if not refused:
        return "pgusher -U ROLE, where ROLE may log in"
    if os.geteuid() not in {0, server.os_uid}:
        return "run pgusher as root or as the server's own user: it may take a slot reserved for superusers"
    return "free one slot, and look again"
