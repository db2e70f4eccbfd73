"""The TCP sessions of one server, remembered from look to look."""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterable, Mapping

from pgusher.collect.sockets import inet
from pgusher.collect.sockets.aging import aged
from pgusher.collect.sockets.inet import End, Hosts
from pgusher.collect.sockets.owners import Clue
from pgusher.collect.sockets.pairing import Pair
from pgusher.collect.sockets.scan import Found
from pgusher.model.address import Transport
from pgusher.model.server import Server
from pgusher.model.sockets import ClientSocket, FdHolder, Sight

_EVERYWHERE = {"0.0.0.0", "::", "*"}  # noqa: S104  # what a server listens on, not what we bind to
_RETRY = 10.0
"""Seconds after which a client that is in a namespace not entered is looked for again."""


def ends_of(server: Server, ends: Iterable[End], hosts: Hosts) -> list[End]:
    """The server's ends of its own sessions: accepted ones, at its addresses and of its user, as far as that is known.

    Another server may listen at the same port of another address.
    """
    found = [end for end in ends if end.inode]
    if server.os_uid is not None:
        found = [end for end in found if end.uid == server.os_uid]
    listens = set(server.listens)
    if listens and not listens & _EVERYWHERE:
        found = [end for end in found if hosts[end.family, end.src] in listens]
    return found


def holders_of(holders: Iterable[tuple[int, int]]) -> tuple[FdHolder, ...]:
    """In the order of their pids."""
    return tuple([FdHolder(pid, fd) for pid, fd in sorted(holders)])


class TcpSessions:
    """What is known of each session by the key of the server's end."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts
        self._pairs: dict[int, Pair] = {}
        self._shown: dict[int, ClientSocket] = {}
        self._retry: dict[int, float] = {}
        self.ends: list[End] = []
        """The server's ends, as they were seen last."""

    def read(self, ends: list[End], now: float) -> list[End]:
        """Take the server's ends as they are now; gives those whose other end is to be found."""
        self.ends = ends
        pairs = self._pairs
        keys = {end.key for end in ends}
        for key in pairs.keys() - keys:
            del pairs[key]
            self._shown.pop(key, None)
            self._retry.pop(key, None)
        new = []
        for end in ends:
            pair = pairs.get(end.key)
            # A change of state says that one side closed; the tables are asked anew.
            if pair is None or pair.server.state != end.state:
                new.append(end)
        if self._retry:
            due = {key for key, when in self._retry.items() if when <= now}
            new += [end for end in ends if end.key in due]
        return new

    def forget(self) -> None:
        """Find all other ends anew."""
        self._pairs.clear()
        self._shown.clear()
        self._retry.clear()

    def learn(self, asked: Collection[End], pairs: Collection[Pair], now: float) -> None:
        """Take what pairing found. A session that was asked for and is not told of has ended."""
        for end in asked:
            self._pairs.pop(end.key, None)
            self._shown.pop(end.key, None)
            self._retry.pop(end.key, None)
        for pair in pairs:
            self._pairs[pair.server.key] = pair
            if pair.sight is Sight.OTHER_NAMESPACE:
                self._retry[pair.server.key] = now + _RETRY

    def clues(self, clients: Collection[int]) -> dict[int, Clue]:
        """What is known of these clients' sockets, by inode."""
        return {
            pair.client.inode: Clue(pair.client.uid, pair.client.cgroup_id)
            for pair in self._pairs.values()
            if pair.client is not None and pair.client.inode in clients
        }

    def clients(self) -> set[int]:
        """The inodes of the clients' sockets."""
        return {pair.client.inode for pair in self._pairs.values() if pair.client is not None}

    def servers_of(self, inodes: Collection[int]) -> list[End]:
        """The server's ends of the sessions with these clients' sockets."""
        return [p.server for p in self._pairs.values() if p.client is not None and p.client.inode in inodes]

    def changed(self, clients: Collection[int], servers: Collection[int]) -> None:
        """Something else is known of these sockets (by inode): show their sessions anew."""
        if not clients and not servers:
            return
        for key, pair in self._pairs.items():
            if pair.server.inode in servers or (pair.client is not None and pair.client.inode in clients):
                self._shown.pop(key, None)

    def show(self, holders: Found, backends: Mapping[int, int]) -> list[ClientSocket]:
        """All sessions. `backends`: the server process by the inode of the server's end."""
        shown, pairs = self._shown, self._pairs
        found: list[ClientSocket] = []
        for end in self.ends:
            key = end.key
            known = shown.get(key)
            if known is not None:
                found.append(aged(known, end.idle_ms))
            elif (pair := pairs.get(key)) is not None:
                socket_ = shown[key] = self._show(end, pair, holders, backends.get(end.inode))
                found.append(socket_)
        return found

    def _show(self, end: End, pair: Pair, holders: Found, backend: int | None) -> ClientSocket:
        client = pair.client
        who: tuple[FdHolder, ...] = ()
        if client is None:
            sight = pair.sight or Sight.REMOTE
        else:
            who = holders_of(holders.get(client.inode, ()))
            sight = Sight.UID if not who else Sight.EXACT if len(who) == 1 else Sight.SHARED
        return ClientSocket(
            Transport.TCP,
            sight,
            self._hosts[end.family, end.dst],
            socket.ntohs(end.dport),
            backend,
            client.inode if client is not None else 0,
            client.cookie if client is not None else 0,
            client.uid if client is not None else None,
            client.cgroup_id if client is not None else None,
            pair.netns,
            inet.STATE_NAMES.get(end.state),
            end.idle_ms,
            who,
        )
