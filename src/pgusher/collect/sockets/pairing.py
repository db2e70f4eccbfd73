"""From the server's end of a TCP session to the client's end, or to the reason why there is none.

A client's end is claimed only when it is the mirror of the server's end, in the namespace whose address it bears. Where
two could be it, none is claimed. That a client is gone is claimed only after both ends were asked for once more.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from pgusher.collect.sockets import inet
from pgusher.collect.sockets.inet import End, Hosts
from pgusher.collect.sockets.route import Place
from pgusher.collect.sockets.space import Space
from pgusher.collect.sockets.spaces import Others
from pgusher.model.sockets import Sight

_ASK_EACH = 30
"""Up to so many new sessions each is asked for; above it one dump is cheaper."""
_QUIET_MS = 1000
_SLACK = 2
"""SYN and FIN each count as a byte on one side."""


class Pair(NamedTuple):
    """A session's two ends."""

    server: End
    client: End | None
    """Set when and only when `sight` is None."""
    netns: int | None = None
    """The namespace of the client's end."""
    sight: Sight | None = None
    """Why there is no client's end: OTHER_NAMESPACE, REMOTE or GONE."""


class Pairing:
    """Finds the other ends of new sessions."""

    def __init__(self, home: Space, others: Callable[[], Others], hosts: Hosts) -> None:
        """`home`: the server's namespace. `others`: the rest of them, asked for only when a client is not at home."""
        self._home = home
        self._others = others
        self._hosts = hosts
        self.incomplete: Others | None = None
        """The other namespaces, when not all could be looked into and a session's client may be in one of them."""

    def pair(self, ends: Sequence[End], port: int) -> list[Pair]:
        """Each of these sessions, but those that ended meanwhile. Raises OSError."""
        pairs: list[Pair] = []
        alone: list[End] = []
        for end, client in zip(ends, self._at_home(ends, port), strict=True):
            if client is None:
                alone.append(end)
            else:
                pairs.append(self._paired(end, client, self._home))
        if alone:
            pairs += self._explain(alone)
        return pairs

    def _at_home(self, ends: Sequence[End], port: int) -> list[End | None]:
        if len(ends) <= _ASK_EACH:
            return self._home.exact([inet.query_of_peer(end) for end in ends])
        hosts = self._hosts
        clients: dict[tuple[str, int, str], End | None] = {}
        for client in self._home.client_ends(port):
            key = hosts[client.family, client.src], client.sport, hosts[client.family, client.dst]
            # Two of one address exist where sockets are bound to interfaces (VRF): then neither is claimed.
            clients[key] = None if key in clients else client
        return [clients.get((hosts[end.family, end.dst], end.dport, hosts[end.family, end.src])) for end in ends]

    @staticmethod
    def _paired(end: End, client: End, space: Space) -> Pair:
        if client.inode == 0:  # closed by its process; the kernel is about to tell the server, or tries to
            return Pair(end, None, None, Sight.GONE)
        return Pair(end, client, space.netns)

    def _explain(self, alone: list[End]) -> list[Pair]:
        """The sessions whose client's end is not in the server's namespace."""
        hosts = self._hosts
        places = self._home.places({hosts[end.family, end.dst] for end in alone})
        here = [end for end in alone if places[hosts[end.family, end.dst]] is Place.HERE]
        # Half closed: no client's end is needed to know that it closed its side.
        closed = [end for end in alone if end.state != inet.ESTABLISHED]
        known = {end.key for end in here} | {end.key for end in closed}
        pairs = self._confirm(here + [end for end in closed if end not in here])
        elsewhere = [end for end in alone if end.key not in known]
        if elsewhere:
            pairs += self._elsewhere(elsewhere, places)
        return pairs

    def _elsewhere(self, ends: list[End], places: dict[str, Place]) -> list[Pair]:
        others = self._others()
        hosts = self._hosts
        pairs: list[Pair] = []
        candidates: dict[int, list[tuple[End, Space]]] = {end.key: [] for end in ends}
        homes: dict[str, list[Space]] = {}
        for space, asked in self._asked(ends, others):
            for host in {hosts[end.family, end.dst] for end in asked}:
                homes.setdefault(host, []).append(space)
            try:
                found = space.exact([inet.query_of_peer(end) for end in asked], info=True)
            except OSError:  # its last process has ended
                continue
            for end, client in zip(asked, found, strict=True):
                if client is not None and plausible(end, client):
                    candidates[end.key].append((client, space))
        missing: list[End] = []
        for end in ends:
            match candidates[end.key]:
                case []:
                    missing.append(end)
                case [(client, space)]:
                    pairs.append(self._paired(end, client, space))
                case _:
                    pairs.append(Pair(end, None, None, Sight.OTHER_NAMESPACE))
        if missing:
            pairs += self._lost(missing, homes, places, others)
        return pairs

    def _asked(self, ends: Sequence[End], others: Others) -> Iterator[tuple[Space, list[End]]]:
        """For each namespace the sessions whose client bears an address of it."""
        hosts = self._hosts
        by_host: dict[str, list[End]] = {}
        for end in ends:
            by_host.setdefault(hosts[end.family, end.dst], []).append(end)
        for space in others.spaces:
            try:
                own = space.addresses()
            except OSError:  # its last process has ended
                continue
            asked: list[End] = []
            for host in own & by_host.keys():
                # A client in a namespace that has the server's address itself speaks to another server, its own.
                asked += [end for end in by_host[host] if hosts[end.family, end.src] not in own]
            if asked:
                yield space, asked

    def _lost(
        self, ends: list[End], homes: dict[str, list[Space]], places: dict[str, Place], others: Others
    ) -> list[Pair]:
        """Sessions whose client's end was found nowhere."""
        pairs: list[Pair] = []
        suspects: list[End] = []
        for end in ends:
            host = self._hosts[end.family, end.dst]
            if host in homes:
                # Translation may have put this address in the place of another one: then nobody bears it.
                if any(space.translates() for space in homes[host]):
                    pairs.append(Pair(end, None, None, Sight.OTHER_NAMESPACE))
                else:
                    suspects.append(end)
            elif others.refused and places[host] is Place.NEAR:
                pairs.append(Pair(end, None, None, Sight.OTHER_NAMESPACE))
            else:
                pairs.append(Pair(end, None, None, Sight.REMOTE))
        if others.refused:
            self.incomplete = others
        return pairs + self._confirm(suspects)

    def _confirm(self, suspects: list[End]) -> list[Pair]:
        """Sessions that seem to have lost their client: both ends once more, as they may have ended meanwhile."""
        if not suspects:
            return []
        clients = self._home.exact([inet.query_of_peer(end) for end in suspects])
        servers = self._home.exact([inet.query_of(end) for end in suspects])
        pairs: list[Pair] = []
        for end, client, server in zip(suspects, clients, servers, strict=True):
            if server is None or server.key != end.key:
                continue  # it ended: nothing is claimed
            if client is not None:
                pairs.append(self._paired(end, client, self._home))
            elif server.state == inet.ESTABLISHED and self._translated(end):
                pairs.append(Pair(end, None, None, Sight.OTHER_NAMESPACE))
            else:
                pairs.append(Pair(end, None, None, Sight.GONE))
        return pairs

    def _translated(self, end: End) -> bool:
        """Whether a socket of the client's address and port is there, but connected to another address.

        A redirection (REDIRECT, DNAT) on this host changes the server's address on the way: such a socket may be it.
        """
        hosts = self._hosts
        host = hosts[end.family, end.dst]
        return any(
            hosts[other.family, other.src] == host and other.inode != end.inode
            for other in self._home.from_port(socket.ntohs(end.dport))
        )


def plausible(server: End, client: End) -> bool:
    """Whether the counters of both ends fit: two unrelated connections may bear the same addresses.

    That is so where networks of containers are copies of each other, and their ports happen to be the same.
    """
    if server.acked is None or server.received is None or client.acked is None or client.received is None:
        return True  # the kernel does not tell
    if client.received + _SLACK < server.acked:  # the client's kernel acknowledged what it had received, later
        return False
    quiet = min(server.idle_ms or 0, client.idle_ms or 0) >= _QUIET_MS
    if not quiet:
        return True
    return abs(client.received - server.acked) <= _SLACK and abs(client.acked - server.received) <= _SLACK
