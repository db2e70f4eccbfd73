"""The PostgreSQL servers of this host, found without being told of any.

A server says where it is by its unix socket (.s.PGSQL.PORT in the kernel's table) and by the lock file beside it, whose
first line is the postmaster's pid (source: CreateLockFile in miscinit.c). Who may not read that file connects to the
socket and asks the kernel who listens. So a few files are read instead of a thousand processes. Only what the sockets
do not tell is looked for among the processes: a server without a unix socket, one in another network namespace.
"""

from __future__ import annotations

import os

from pgusher.collect import rooted
from pgusher.collect.boot import boot_time
from pgusher.collect.postgres.listening import Listening, UnixSocket, in_own_network, listening
from pgusher.collect.postgres.locate import who_listens
from pgusher.collect.postgres.postmaster import (
    NAMES,
    Postmaster,
    all_pids,
    comm_of,
    data_directory,
    parent_of,
    read_postmaster,
    root_of,
    ticks_to_micros,
)
from pgusher.model.address import Micros
from pgusher.model.evidence import Gap
from pgusher.model.pattern import pattern
from pgusher.model.server import Server
from pgusher.model.text import decode

_LINK = pattern(r"socket:\[(\d+)\]")
_VERSION = pattern(r"/(?:postgresql|pgsql|postgres)[/-]?(\d{1,2})(?:/|$)")


_USUAL_PORTS = range(5432, 5440)
"""Where a server without a unix socket mostly listens: reason enough to look for it among the processes."""


class _Found:
    """A postmaster and the sockets that are its own, as far as that can be told."""

    def __init__(self, postmaster: Postmaster, own: set[int] | None) -> None:
        """`own`: inodes of the sockets it has open; None when we may not look."""
        self.postmaster = postmaster
        self.own = own
        self.unix: list[tuple[str, int]] = []
        self.tcp: list[tuple[str, int]] = []


def find_servers(proc: str = "/proc", *, thorough: bool = False) -> tuple[tuple[Server, ...], tuple[Gap, ...]]:
    """The servers that run on this host, by port; and what could not be found out.

    `thorough`: look at every process too, for servers in other network namespaces (containers). That is done unasked
    when no socket tells of a server.
    """
    here = listening(proc)
    found: dict[int, _Found] = {}
    lost: list[UnixSocket] = []
    for path, port, inode in here.unix:
        entry = _by_lock_file(path, proc)
        if entry is not None and entry.own is None and _owner(path) != entry.postmaster.uid:
            entry = None  # anybody can write a lock file that names another's server: the kernel shall tell
        if entry is None and (pid := who_listens(path)):
            postmaster = read_postmaster(pid, proc)
            entry = None if postmaster is None else _Found(postmaster, _sockets_of(pid, proc))
            if entry is None and comm_of(pid, proc) not in {None, *NAMES}:
                continue  # a pooler's: PgBouncer names its socket so, too
        # A container that shares our network has its own files and pids: its lock file is not the one we see.
        if entry is None or (entry.own is not None and inode not in entry.own):
            lost.append((path, port, inode))
        else:
            found.setdefault(entry.postmaster.pid, entry).unix.append((path, port))
    for entry in found.values():
        entry.tcp = _own_tcp(entry, {port for _, port in entry.unix}, here)
    known = {port for entry in found.values() for _, port in entry.tcp}
    usual = {port for _, port, *_ in here.tcp if port in _USUAL_PORTS} - known
    everywhere = thorough or not here.unix or bool(usual)
    if lost or everywhere:
        _search(found, here, lost, proc, everywhere=everywhere)
    boot = boot_time(proc)
    servers = [_server(entry, boot, proc) for entry in found.values()]
    servers += [Server(port=port, local=True, socket_paths=(path,)) for path, port, _ in lost]
    servers.sort(key=lambda server: (server.port, server.postmaster_pid or 0))
    return tuple(servers), tuple(_unknown_postmaster(path) for path, *_ in lost)


def describe(postmaster: Postmaster, port: int, proc: str = "/proc") -> Server:
    """The server of a postmaster that was found in another way: by the other end of a connection to `port`."""
    sockets = listening(proc, None if in_own_network(postmaster.pid, proc) else postmaster.pid)
    entry = _Found(postmaster, _sockets_of(postmaster.pid, proc))
    entry.unix = [(path, number) for path, number, _ in sockets.unix if number == port]
    entry.tcp = [pair for pair in _own_tcp(entry, {port}, sockets) if pair[1] == port]
    if not entry.unix and not entry.tcp:
        entry.tcp = [("", port)]
    return _server(entry, boot_time(proc), proc)


def _by_lock_file(path: str, proc: str) -> _Found | None:
    """The postmaster that the lock file of a unix socket names, if it is alive."""
    if path.startswith("@"):
        return None  # an abstract socket has no lock file
    try:
        lines = rooted.read_file("/", f"{path}.lock", 8192).split(b"\n")
    except OSError:
        return None
    if not lines[0].isdigit() or len(lines[0]) > 9:
        return None
    postmaster = read_postmaster(int(lines[0]), proc)
    return None if postmaster is None else _Found(postmaster, _sockets_of(postmaster.pid, proc))


def _sockets_of(pid: int, proc: str) -> set[int] | None:
    """The inodes of the sockets that a process has open; None when we may not look."""
    found = set()
    try:
        for name in os.listdir(f"{proc}/{pid}/fd"):
            try:
                match = _LINK.fullmatch(os.readlink(f"{proc}/{pid}/fd/{name}"))
            except FileNotFoundError:
                continue
            if match:
                found.add(int(match[1]))
    except OSError:
        return None
    return found


def _search(found: dict[int, _Found], here: Listening, lost: list[UnixSocket], proc: str, *, everywhere: bool) -> None:
    """Look at the processes, and take what is found of `lost` out of it."""
    uids = None if everywhere else {_owner(path) for path, *_ in lost}
    fresh = [p for p in _postmasters(proc, uids if uids and None not in uids else None) if p.pid not in found]
    for postmaster in fresh:
        sockets = here if in_own_network(postmaster.pid, proc) else listening(proc, postmaster.pid)
        own = _sockets_of(postmaster.pid, proc)
        if own is None:
            own = _likely(postmaster, sockets, alone=sum(p.uid == postmaster.uid for p in fresh) == 1, proc=proc)
        entry = _Found(postmaster, own)
        entry.unix = [(path, port) for path, port, inode in sockets.unix if inode in own]
        entry.tcp = [(address, port) for address, port, _, inode in sockets.tcp if inode in own]
        if entry.unix or entry.tcp:
            found[postmaster.pid] = entry
            lost[:] = [one for one in lost if one[-1] not in own]


def _likely(postmaster: Postmaster, sockets: Listening, *, alone: bool, proc: str) -> set[int]:
    """The sockets of a postmaster that we may not look into: of its port and user, or the only ones of its user."""
    from pgusher.collect.postgres.files import configured_port  # late: seldom needed, and slow to import

    port = configured_port(postmaster, proc)
    unix = [(number, inode) for path, number, inode in sockets.unix if _owner(path) in {postmaster.uid, None}]
    if port is None:
        ports = {number for number, _ in unix}
        if not alone or len(ports) != 1:
            return set()
        (port,) = ports
    tcp = [(number, inode) for _, number, uid, inode in sockets.tcp if uid == postmaster.uid]
    return {inode for number, inode in (*unix, *tcp) if number == port}


def _postmasters(proc: str, uids: set[int | None] | None) -> list[Postmaster]:
    """Those among the processes, in the order of their pids; with `uids`, of these users alone."""
    found: dict[int, Postmaster] = {}
    for pid in sorted(all_pids(proc)):
        try:
            if uids is not None and os.stat(f"{proc}/{pid}").st_uid not in uids:
                continue
        except OSError:
            continue
        # A full server has thousands of children of the same name: one read tells them.
        if comm_of(pid, proc) in NAMES and parent_of(pid, proc) not in found:
            postmaster = read_postmaster(pid, proc)
            if postmaster is not None:
                found[pid] = postmaster
    return list(found.values())


def _owner(path: str) -> int | None:
    try:
        return os.stat(path).st_uid
    except (OSError, ValueError):
        return None


def _own_tcp(entry: _Found, ports: set[int], sockets: Listening) -> list[tuple[str, int]]:
    """Where a server listens besides its unix sockets."""
    if entry.own is not None:
        return [(address, port) for address, port, _, inode in sockets.tcp if inode in entry.own]
    uid = entry.postmaster.uid
    return [(address, port) for address, port, owner, _ in sockets.tcp if owner == uid and port in ports]


def _server(entry: _Found, boot: Micros, proc: str) -> Server:
    postmaster = entry.postmaster
    data = data_directory(postmaster, proc)
    version = _version(postmaster, data, proc)
    return Server(
        port=next(port for _, port in (*entry.unix, *entry.tcp)),
        local=True,
        version=version,
        version_num=int(version) * 10000 if version else None,
        postmaster_pid=postmaster.pid,
        started=ticks_to_micros(postmaster.start_ticks, boot),
        data_directory=data,
        socket_paths=tuple(path for path, _ in entry.unix),
        listens=tuple(dict.fromkeys(address for address, _ in entry.tcp)),
        os_user=postmaster.os_user,
        os_uid=postmaster.uid,
    )


def _version(postmaster: Postmaster, data: str | None, proc: str) -> str | None:
    """The major version, by the data directory, else by where the program lies."""
    if data is not None:
        try:
            raw = rooted.read_file(root_of(postmaster, proc), os.path.join(data, "PG_VERSION"), 16).strip()
            if raw.isdigit() and len(raw) == 2:
                return decode(raw)
        except OSError:
            pass
    match = _VERSION.search(postmaster.argv[0]) if postmaster.argv else None
    return match[1] if match else None


def _unknown_postmaster(path: str) -> Gap:
    return Gap(
        "postgres",
        f"which process serves {path}",
        "its lock file cannot be read, and no process tells of it",
        "run pgusher as root or as the server's own user",
    )
