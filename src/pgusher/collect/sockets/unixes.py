"""The sessions of one server over its unix sockets, remembered from look to look."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from typing import NamedTuple

from pgusher.collect.sockets.making import made
from pgusher.collect.sockets.owners import Clue
from pgusher.collect.sockets.scan import Found
from pgusher.collect.sockets.space import Space, UnixTable
from pgusher.collect.sockets.tcp import holders_of
from pgusher.collect.sockets.unix import UnixEnd, bytes_of
from pgusher.model.address import Transport
from pgusher.model.server import Server
from pgusher.model.sockets import ClientSocket, Sight


class UnixPair(NamedTuple):
    """A session's two ends."""

    server: UnixEnd
    client: UnixEnd | None
    """None when it is closed, and when it is in another namespace (a path is shared by all): see `server.peer`."""
    surely_ours: bool
    """The path is one of the server's sockets'; else only the name fits, and a process of the server must prove it."""
    netns: int | None
    """The namespace in which both ends are: that of the client, as the server's end is made when it connects."""


class UnixSessions:
    """What is known of each session by the inode of the server's end."""

    def __init__(self) -> None:
        self.pairs: dict[int, UnixPair] = {}
        self.abroad: dict[int, UnixPair] = {}
        """Those of clients in other namespaces, which had to be looked for there."""
        self._shown: dict[int, ClientSocket] = {}

    def read(self, server: Server, table: UnixTable, netns: int | None) -> None:
        """Take the sockets as they are now: those that bear the name of a server at this port. Raises OSError."""
        files: dict[bytes, int | None] = {bytes_of(path): _inode(path) for path in server.socket_paths}
        found: dict[int, UnixPair] = dict(self.abroad)
        for end in table.named(name_of(server)):
            known = self.pairs.get(end.inode)
            if known is not None and known.server is end and (known.client is not None or not end.peer):
                found[end.inode] = known
                continue
            name = end.name or b""
            # The same path may be another server's in another mount namespace: then the file is another one.
            same = name in files and (end.file is None or files[name] is None or end.file == files[name])
            found[end.inode] = UnixPair(end, table.end(end.peer) if end.peer else None, same, netns)
            self._shown.pop(end.inode, None)
        for inode in self._shown.keys() - found.keys():
            del self._shown[inode]
        self.pairs = found

    def forget(self) -> None:
        """Show all of them anew."""
        self._shown.clear()
        self.pairs.clear()
        self.abroad.clear()

    def add(self, pair: UnixPair) -> None:
        """One more, of a client in another namespace."""
        self.abroad[pair.server.inode] = self.pairs[pair.server.inode] = pair

    def remove(self, inode: int) -> None:
        """One of those has ended."""
        for known in (self.abroad, self.pairs, self._shown):
            known.pop(inode, None)

    def peers(self) -> set[int]:
        """The inodes of the clients' sockets."""
        return {pair.server.peer for pair in self.pairs.values() if pair.server.peer}

    def clues(self, clients: Collection[int]) -> dict[int, Clue]:
        """What is known of these clients' sockets, by inode."""
        pairs = self.pairs.values()
        found = ((pair.server.peer, pair.client.uid if pair.client is not None else None) for pair in pairs)
        return {peer: Clue(uid) for peer, uid in found if peer and peer in clients}

    def uids(self) -> set[int | None]:
        """The users of the clients' sockets; None where a client's end is not known, or not whose it is."""
        return {
            pair.client.uid if pair.client is not None else None for pair in self.pairs.values() if pair.server.peer
        }

    def servers(self) -> dict[int, int]:
        """From the inode of the client's end to that of the server's."""
        return {pair.server.peer: inode for inode, pair in self.pairs.items() if pair.server.peer}

    def changed(self, clients: Collection[int], servers: Collection[int]) -> None:
        """Something else is known of these sockets (by inode): show their sessions anew."""
        for inode, pair in self.pairs.items() if clients or servers else ():
            if inode in servers or pair.server.peer in clients:
                self._shown.pop(inode, None)

    def show(self, inode: int, holders: Found, backend: int | None, connected_by: int | None) -> ClientSocket:
        """One session."""
        shown = self._shown.get(inode)
        if shown is None or (shown.sight is Sight.UID and shown.connected_by != connected_by):
            shown = self._shown[inode] = _show(self.pairs[inode], holders, backend, connected_by)
        return shown


def name_of(server: Server) -> bytes:
    """What the names of its sockets end with."""
    return b".s.PGSQL.%d" % server.port


def find_abroad(server: Server, spaces: Iterable[Space], strange: Collection[int]) -> list[UnixPair]:
    """Of these inodes those that are the server's ends of sessions from other namespaces.

    A path is of no network namespace, so that a container may have the server's socket mounted. Both ends are in the
    client's namespace then: the server's end is made by the one who connects (unix_stream_connect in
    net/unix/af_unix.c).
    """
    found: list[UnixPair] = []
    for space in spaces:
        try:
            table = space.unix({})
            for end in table.named(name_of(server)):
                if end.inode in strange:
                    client = table.end(end.peer) if end.peer else None
                    found.append(UnixPair(end, client, False, space.netns))
        except OSError:  # its last process has ended
            continue
    return found


def _show(pair: UnixPair, holders: Found, backend: int | None, connected_by: int | None) -> ClientSocket:
    client, peer = pair.client, pair.server.peer
    who = holders_of(holders.get(peer, ())) if peer else ()
    sight = Sight.GONE if peer == 0 else Sight.UID if not who else Sight.EXACT if len(who) == 1 else Sight.SHARED
    return made(
        Transport.UNIX,
        sight,
        None,
        None,
        backend,
        peer or 0,
        client.cookie if client is not None else 0,
        client.uid if client is not None else None,
        None,
        pair.netns if client is not None else None,
        None,
        None,
        who,
        connected_by if sight is Sight.UID else None,
    )


def _inode(path: str) -> int | None:
    try:
        return os.stat(path).st_ino & 0xFFFFFFFF  # unix_diag tells the lower half
    except (OSError, ValueError):
        return None
