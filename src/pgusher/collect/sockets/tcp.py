"""The TCP sessions of one server, remembered from look to look."""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection, Iterable, Sequence
from collections.abc import Set as AbstractSet

from pgusher.collect.sockets import inet
from pgusher.collect.sockets.inet import Dump, End, Hosts, States
from pgusher.collect.sockets.making import aged, made
from pgusher.collect.sockets.owners import Clue
from pgusher.collect.sockets.pairing import Pair
from pgusher.collect.sockets.scan import Found
from pgusher.model.address import Micros, Transport
from pgusher.model.server import Server
from pgusher.model.sockets import ClientSocket, FdHolder, Sight

_EVERYWHERE = {"0.0.0.0", "::", "*"}  # noqa: S104  # what a server listens on, not what we bind to
_SAME = 100_000
"""Microseconds between two times of last activity that may be the same."""
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


def holders_of(holders: Sequence[tuple[int, int]]) -> tuple[FdHolder, ...]:
    """In the order of their pids."""
    if len(holders) == 1:
        return (FdHolder(*holders[0]),)
    return tuple([FdHolder(pid, fd) for pid, fd in sorted(holders)])


class TcpSessions:
    """What is known of each session by the key of the server's end."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts
        self._pairs: dict[int, Pair] = {}
        self._states: dict[int, int] = {}
        self._shown: dict[int, ClientSocket] = {}
        self._retry: dict[int, float] = {}
        self._rows: list[tuple[int, int | None]] = []
        self._keys: tuple[dict[int, int], dict[int, int]] | None = None

    def known(self, now: float) -> States:
        """The states of the ends that need not be read again."""
        for key in [key for key, when in self._retry.items() if when <= now]:
            self._states.pop(key, None)
        return self._states

    def read(self, dump: Dump) -> list[End]:
        """Take the server's ends as they are now; gives those whose other end is to be found.

        Those are the new ones, and those of another state than before: one side has closed.
        """
        self._rows = dump.kept + [(end.key, end.idle_ms) for end in dump.new]
        if len(self._rows) != len(self._pairs) or dump.new:
            for key in self._pairs.keys() - {key for key, _ in self._rows}:
                self._forget(key)
        return dump.new

    def _forget(self, key: int) -> None:
        for known in (self._pairs, self._states, self._shown, self._retry):
            known.pop(key, None)
        self._keys = None

    def forget(self) -> None:
        """Find all other ends anew."""
        for known in (self._pairs, self._states, self._shown, self._retry):
            known.clear()
        self._keys = None

    def learn(self, asked: Collection[End], pairs: Collection[Pair], now: float) -> None:
        """Take what pairing found. A session that was asked for and is not told of has ended."""
        for end in asked:
            self._forget(end.key)
        for pair in pairs:
            key = pair.server.key
            self._pairs[key] = pair
            self._states[key] = pair.server.state
            if pair.sight is Sight.OTHER_NAMESPACE:
                self._retry[key] = now + _RETRY

    def clues(self, clients: Collection[int]) -> dict[int, Clue]:
        """What is known of these clients' sockets, by inode."""
        return {
            pair.client.inode: Clue(pair.client.uid, pair.client.cgroup_id)
            for pair in self._pairs.values()
            if pair.client is not None and pair.client.inode in clients
        }

    def clients(self) -> AbstractSet[int]:
        """The inodes of the clients' sockets."""
        return self._by_inode()[0].keys()

    def uids(self) -> set[int | None]:
        """The users of the clients' sockets."""
        return {pair.client.uid for pair in self._pairs.values() if pair.client is not None}

    def servers(self) -> AbstractSet[int]:
        """The inodes of the server's ends."""
        return self._by_inode()[1].keys()

    def _by_inode(self) -> tuple[dict[int, int], dict[int, int]]:
        """The keys of the sessions by the inodes of the clients' sockets, and by those of the server's ends."""
        if self._keys is None:
            pairs = self._pairs.items()
            clients = {pair.client.inode: key for key, pair in pairs if pair.client is not None}
            self._keys = clients, {pair.server.inode: key for key, pair in pairs}
        return self._keys

    def servers_of(self, inodes: Iterable[int]) -> list[End]:
        """The server's ends of the sessions with these clients' sockets."""
        keys = self._by_inode()[0]
        return [self._pairs[keys[inode]].server for inode in inodes if inode in keys]

    def changed(self, clients: Iterable[int], servers: Iterable[int]) -> None:
        """Something else is known of these sockets (by inode): show their sessions anew."""
        for inodes, keys in zip((clients, servers), self._by_inode(), strict=True):
            for inode in inodes:
                self._shown.pop(keys.get(inode, 0), None)

    def show(self, holders: Found, backend_of: Callable[[int], int | None], now: Micros) -> list[ClientSocket]:
        """All sessions. `backend_of`: from the inode of the server's end to the server's process. `now`: the moment.

        A session that was silent since the last look is shown by the very same object, and no later stage has to look
        at it again.
        """
        shown, pairs = self._shown, self._pairs
        found: list[ClientSocket] = []
        for key, idle in self._rows:
            active = None if idle is None else now - idle * 1000
            known = shown.get(key)
            if known is not None:
                before = known.active_at
                # The kernel counts in jiffies, and we look at the clock a little later: the same moment seems to move.
                same = before is None or -_SAME < active - before < _SAME if active is not None else before is None
                if not same:
                    known = shown[key] = aged(known, active)
                found.append(known)
            elif (pair := pairs.get(key)) is not None:
                fresh = shown[key] = self._show(pair, active, holders, backend_of(pair.server.inode))
                found.append(fresh)
        return found

    def _show(self, pair: Pair, active: Micros | None, holders: Found, backend: int | None) -> ClientSocket:
        end, client = pair.server, pair.client
        host, port = self._hosts[end.family, end.dst], socket.ntohs(end.dport)
        state = inet.STATE_NAMES.get(end.state)
        if client is None:
            sight = pair.sight or Sight.REMOTE
            return ClientSocket(Transport.TCP, sight, host, port, backend, tcp_state=state, active_at=active)
        who = holders_of(holders.get(client.inode, ()))
        return made(
            Transport.TCP,
            Sight.UID if not who else Sight.EXACT if len(who) == 1 else Sight.SHARED,
            host,
            port,
            backend,
            client.inode,
            client.cookie,
            client.uid,
            client.cgroup_id,
            pair.netns,
            state,
            active,
            who,
        )
