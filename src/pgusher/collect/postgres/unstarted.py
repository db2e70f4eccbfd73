"""Connections that have not started a session: accepted, and silent since.

The postmaster forks a child for each connection, which then reads the startup packet; until that came it has no title
of its own, no slot, and is in no view of the server (source: BackendInitialize() in postmaster.c, from 17 on in
backend_startup.c). Yet there may be so many children only: about twice max_connections and more before 18, twice
max_connections and max_wal_senders since (source: canAcceptConnections(), MaxLivePostmasterChildren(), pmchild.c). Then
the server says "sorry, too many clients already" to everybody while no slot is taken.

A child without a title may also be a worker that is just starting: what proves a connection is the connected socket.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence

from pgusher.collect import procfs
from pgusher.collect.boot import boot_time
from pgusher.collect.postgres.postmaster import HZ, children, inner_pid, ticks_to_micros
from pgusher.model.address import UNIX, UNKNOWN, ClientAddress, Transport
from pgusher.model.evidence import Gap
from pgusher.model.server import Server
from pgusher.model.session import UNSTARTED, SeenBy, Session
from pgusher.model.sockets import ClientSocket, Sight

SETTLED = 0.25
"""Seconds: a startup packet mostly comes in a hundredth of that, and who is just connecting is not worth telling."""
_LONGEST = 1 << 12


def _uptime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def find_unstarted(
    server: Server,
    sessions: Sequence[Session],
    sockets: Sequence[ClientSocket],
    proc: str = "/proc",
    uptime: Callable[[], float] = _uptime,
) -> tuple[tuple[Session, ...], tuple[Gap, ...]]:
    """The connections of a local server that have not started a session, and what is not known of them.

    `sessions` are those that are known, `sockets` all of the server's. Where the kernel names the process behind each
    socket they come with their addresses. Where it does not, they are those children without a title for which there
    are sockets enough that belong to no session; whose is whose is not told then.
    """
    if server.postmaster_pid is None:
        return (), ()
    known = {session.pid for session in sessions}
    by_pid = {socket.backend_pid: socket for socket in sockets if socket.backend_pid is not None}
    named = {pid: socket for pid, socket in by_pid.items() if pid not in known}
    # Who waits for its client notices at once that it is gone: such a socket is of a process that is just ending.
    nameless = [socket for socket in sockets if socket.backend_pid is None and socket.sight is not Sight.GONE]
    spare = _spare(sessions, nameless, by_pid)
    if not named and spare <= 0:
        return (), ()
    untitled = _untitled(server.postmaster_pid, proc, uptime() - SETTLED)
    if not untitled:
        return (), ()
    boot = boot_time(proc)
    # The sources number the server's processes as it does itself (in a container), unless we know them by titles.
    by_titles = any(session.seen_by is SeenBy.TITLE for session in sessions)
    numbered = [(pid if by_titles else inner_pid(pid, proc), ticks) for pid, ticks in untitled]
    found = [_session(pid, ticks, boot, _address(named[pid])) for pid, ticks in numbered if pid in named]
    rest = [(pid, ticks) for pid, ticks in numbered if pid not in named and pid not in known]
    if not rest or spare <= 0:
        return tuple(found), ()
    if spare >= len(rest):
        found += [_session(pid, ticks, boot, UNKNOWN) for pid, ticks in rest]
        return tuple(found), ()
    what = f"which of {len(rest)} server processes without a title serve the {spare} connections without a session"
    return tuple(found), (Gap("postgres", what, "permission denied", "run pgusher as root", spare),)


def _spare(sessions: Sequence[Session], nameless: Sequence[ClientSocket], named: Collection[int]) -> int:
    """How many of the sockets whose server process is not told are no known session's, at least."""
    if not nameless:
        return 0
    stated = set()
    others = 0
    for session in sessions:
        client = session.client
        if session.pid in named or session.backend_type == "parallel worker":
            continue
        if client.transport is Transport.TCP and client.port is not None:
            stated.add((client.host, client.port))
        else:
            others += 1  # over a unix socket, or hidden: one of them is its
    free = sum(s.transport is not Transport.TCP or (s.host, s.port) not in stated for s in nameless)
    return free - others


def _untitled(postmaster: int, proc: str, before: float) -> list[tuple[int, int]]:
    """Children (pid, start in ticks) that are still a copy of the postmaster, and began `before` (uptime, seconds)."""
    try:
        own = procfs.read(f"{proc}/{postmaster}/cmdline", limit=_LONGEST)
    except OSError:
        return []
    found = []
    for child in children(postmaster, proc):
        try:
            if procfs.read(f"{proc}/{child}/cmdline", limit=_LONGEST) != own:
                continue
            stat = procfs.parse_stat(procfs.read(f"{proc}/{child}/stat"))
        except OSError:
            continue
        if stat is not None and stat.ppid == postmaster and stat.start_ticks / HZ <= before:
            found.append((child, stat.start_ticks))
    return found


def _address(socket: ClientSocket) -> ClientAddress:
    if socket.transport is Transport.TCP:
        return ClientAddress(Transport.TCP, socket.host, socket.port)
    return UNIX


def _session(pid: int, ticks: int, boot: int, client: ClientAddress) -> Session:
    return Session(
        pid=pid,
        backend_type=UNSTARTED,
        client=client,
        state="authenticating",
        seen_by=SeenBy.SOCKET,
        start_ticks=ticks,
        started_about=ticks_to_micros(ticks, boot),
    )
