"""The source: from a server and its processes to the client's end of every session."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Collection
from itertools import chain
from typing import Any

from pgusher.collect.sockets import facts, parallel
from pgusher.collect.sockets.backends import connector, is_elder, prove, strange_sockets
from pgusher.collect.sockets.facts import SocketFacts
from pgusher.collect.sockets.inet import Dump, End, Hosts
from pgusher.collect.sockets.memory import Look, Memory
from pgusher.collect.sockets.pairing import Pairing
from pgusher.collect.sockets.scan import FdScanner, Scan, wanted_of
from pgusher.collect.sockets.space import Space
from pgusher.collect.sockets.spaces import Spaces
from pgusher.collect.sockets.tcp import ends_of
from pgusher.collect.sockets.unixes import find_abroad
from pgusher.model.evidence import Gap
from pgusher.model.server import Server
from pgusher.model.sockets import ClientSocket, Sight

_FULL_EVERY = 30.0
"""Seconds after which a tick is made a full pass: only that sees that a socket came to be shared."""
_FORK_FROM = 130
"""Processes to be read whole: with fewer, a fork (two milliseconds) takes longer than it saves."""
_PORT = range(1, 65536)
_SERVERS = 16
"""Servers that are remembered."""


class SocketSource:
    """Looks at the sockets of servers again and again. Not for several threads at once; `close` it at the end."""

    def __init__(
        self, *, proc: str = "/proc", clock: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time
    ) -> None:
        """`clock` measures; `wall` gives the seconds since 1970."""
        self._proc = proc
        self._clock = clock
        self._wall = wall
        self._hosts = Hosts()
        self._spaces = Spaces(proc)
        self._scanner = FdScanner(proc)
        self._memories: dict[tuple[object, ...], Memory] = {}

    def look(
        self,
        server: Server,
        backends: Collection[int],
        *,
        full: bool = True,
        wanted: Collection[tuple[str, int]] | None = None,
    ) -> SocketFacts:
        """The client's end of every session of the server that the kernel shows. Never raises for what it may not read.

        `backends`: the pids of the server's processes, from the server itself or from our /proc; those that hold no
        session are looked at like any others. `full` names every process that shares a socket; without it only what is
        new is looked for, and one holder of it (every 30 seconds it is a full look all the same). `wanted`: only the
        TCP sessions of these clients (host, port), found anew.
        """
        if sys.platform != "linux":
            return SocketFacts((), (facts.not_linux(sys.platform),))
        if server.port not in _PORT:
            return SocketFacts((), (facts.no_tables(f"{server.port} is no port"),))
        now = self._clock()
        if wanted is not None:
            memory = Memory(server, self._proc, self._scanner, self._hosts)
            try:
                return self._guarded(Look(server, backends, full, wanted, now, memory))
            finally:
                memory.owners.close()
        memory = self._remembered(server)
        if memory.last_full is None or full or now - memory.last_full >= _FULL_EVERY:
            full = full or memory.last_full is not None
            memory.last_full = now
        return self._guarded(Look(server, backends, full, None, now, memory))

    def close(self) -> None:
        """Close all sockets and forget everything."""
        for memory in self._memories.values():
            memory.owners.close()
        self._memories.clear()
        self._spaces.close()

    def _remembered(self, server: Server) -> Memory:
        # A restarted postmaster is another server: its pid, or its start where the pid is not known.
        key = (server.port, server.postmaster_pid, server.started, server.socket_paths, server.listens, server.os_uid)
        memory = self._memories.pop(key, None)
        if memory is None:
            memory = Memory(server, self._proc, self._scanner, self._hosts)
        self._memories[key] = memory
        while len(self._memories) > _SERVERS:
            self._memories.pop(next(iter(self._memories))).owners.close()
        return memory

    def _guarded(self, look: Look) -> SocketFacts:
        """By netlink, else by the files of /proc/net, else not at all."""
        try:
            try:
                pid = look.server.postmaster_pid
                return self._look(look, self._spaces.of(pid) if pid else self._spaces.own())
            except OSError as error:
                look.gaps = [facts.no_netlink(_words(error))]
                look.memory.tcp.forget()
                home = self._spaces.own_by_files()
            try:
                return self._look(look, home)
            except OSError as error:
                return SocketFacts((), (facts.no_tables(_words(error)),))
            finally:
                self._spaces.close()  # the next look tries netlink again
        finally:
            self._spaces.leave()

    def _look(self, look: Look, home: Space) -> SocketFacts:
        """Raises OSError when the tables of the server's namespace cannot be read."""
        memory, server = look.memory, look.server
        if look.full:
            memory.tcp.forget()
            memory.unix.forget()
        look.wall = int(self._wall() * 1_000_000)
        dump = home.server_ends(server.port, memory.tcp.known(look.now))
        ends = ends_of(server, dump.new, self._hosts)
        if look.wanted is not None:
            wanted = set(look.wanted)
            ends = [end for end in ends if self._hosts.client(end) in wanted]
        self._pair(look, home, memory.tcp.read(Dump(ends, dump.kept)))
        self._unix(look, home)
        sought = self._full(look, home) if look.full else self._tick(look, home)
        self._settle(look, home, sought)
        memory.tcp.changed(memory.owners.touched, ())
        memory.unix.changed(memory.owners.touched, ())
        memory.owners.touched.clear()
        return self._facts(look)

    def _pair(self, look: Look, home: Space, ends: list[End]) -> None:
        if not ends:
            return
        pairing = Pairing(home, lambda: self._spaces.others(home, self._pids(look)), self._hosts)
        pairs = pairing.pair(ends, look.server.port)
        look.memory.tcp.learn(ends, pairs, look.now)
        look.incomplete = look.incomplete or pairing.incomplete

    def _unix(self, look: Look, home: Space) -> None:
        """The sessions over unix sockets; their table is not asked for when every backend has its session already."""
        memory = look.memory
        if look.wanted is not None:
            return
        if not look.full and not memory.unix.pairs and look.backends and not self._unexplained(look):
            return
        if not look.full and not memory.denied and (unproven := memory.tcp.servers() - memory.proofs.keys()):
            memory.forget_proofs(memory.server_ends())
            # Mostly the new ones are TCP's, and then the table of unix sockets, which everybody has, is not needed.
            self._prove(look, home, unproven)
            if not memory.unix.pairs and look.backends and not self._unexplained(look):
                return
        try:
            memory.unix.read(look.server, home.unix(memory.unix_ends), home.netns)
        except OSError as error:
            memory.unix.forget()
            look.gaps.append(facts.no_unix(_words(error)))

    @staticmethod
    def _unexplained(look: Look) -> bool:
        """Whether there are server processes whose session is not known."""
        names, proofs = look.memory.names, look.memory.proofs
        if len(proofs) < len(look.backends):
            return True
        known = {names.get(pid, pid) for pid, _, _ in proofs.values()}
        return not known.issuperset(look.backends)

    def _pids(self, look: Look) -> list[str]:
        if look.pids is None:
            try:
                look.pids = self._scanner.pids()
            except OSError:
                look.pids = []
        return look.pids

    def _full(self, look: Look, home: Space) -> set[int]:
        """Read the descriptors of all processes: those of the server up to their session, all others whole.

        Gives the clients' sockets that were looked for.
        """
        memory = look.memory
        clients = memory.clients()
        links, wanted = wanted_of(memory.server_ends()), wanted_of(clients)
        memory.names = memory.numbering.ours(look.backends, look.server.postmaster_pid)
        servers = list(memory.names)
        pids = self._pids(look)
        apart = set(map(str, servers))
        others = [pid for pid in pids if pid not in apart] if wanted else []
        scanner = self._scanner
        others, strangers = scanner.likely(others, memory.uids())

        def work(part: int, parts: int) -> tuple[Any, ...]:
            proofs, without, denied = prove(scanner, servers[part::parts], links)
            mine = chain(others[part::parts], map(str, without if wanted else ()))
            scan = scanner.scan(mine, wanted)
            return proofs, without, bool(denied), scan.found, scan.denied, scan.empty

        parts = parallel.ways() if len(others) + len(servers) // 4 >= _FORK_FROM else 1
        total, memory.proofs, memory.denied = Scan(), {}, False
        idle: list[int] = []
        for proofs, without, denied, found, closed, empty in parallel.divide(work, parts):
            idle += without
            memory.proofs.update((inode, (pid, fd, inode)) for pid, fd, inode in proofs)
            memory.denied = memory.denied or denied
            total.merge(Scan(found, closed, empty))
        if strangers and (missing := clients - total.found.keys()):
            total.merge(scanner.scan(strangers, wanted_of(missing)))
        memory.examined.clear()
        if self._abroad(look, home, idle):
            peers = memory.clients() - clients
            total.merge(scanner.scan([pid for pid in pids if pid not in apart], wanted_of(peers)))
            clients |= peers
        memory.owners.replace(total, pids)
        memory.empty = total.empty
        return clients

    def _abroad(self, look: Look, home: Space, idle: Collection[int]) -> bool:
        """Whether server processes without a known session have one from another namespace, over a unix socket."""
        memory = look.memory
        asked = [pid for pid in idle if pid not in memory.examined]
        if not asked or look.wanted is not None:
            return False
        memory.examined.update(asked)
        strange = strange_sockets(self._scanner, asked)
        if not strange:
            return False
        others = self._spaces.others(home, self._pids(look))
        pairs = find_abroad(look.server, others.spaces, strange)
        for pair in pairs:
            memory.unix.add(pair)
            memory.proofs[pair.server.inode] = strange[pair.server.inode]
        return bool(pairs)

    def _tick(self, look: Look, home: Space) -> set[int]:
        """Find what is new, and look whether what is known still holds; the clients' sockets that were looked for."""
        memory = look.memory
        for inode in list(memory.unix.abroad):
            if inode not in memory.proofs or not self._scanner.holds(*memory.proofs[inode]):
                memory.unix.remove(inode)
        ends = memory.server_ends()
        memory.forget_proofs(ends)
        unproven = ends - memory.proofs.keys()
        if not memory.denied and (unproven or self._unexplained(look)):
            self._prove(look, home, unproven)
        clients, owners = memory.clients(), memory.owners
        slots = owners.keep(clients)
        owners.check()
        due = set(owners.due(clients, look.now))
        if due:
            clues = {**memory.tcp.clues(due), **memory.unix.clues(due)}
            backends = {str(pid) for pid, _, _ in memory.proofs.values()}
            owners.some_of(clues, slots, backends, look.now, memory.connector())
        return due

    def _prove(self, look: Look, home: Space, unproven: set[int]) -> None:
        memory = look.memory
        memory.names = memory.numbering.ours(look.backends, look.server.postmaster_pid)
        known = {pid for pid, _, _ in memory.proofs.values()}
        asked = [pid for pid in memory.names if pid not in known]
        if not unproven:
            asked = [pid for pid in asked if pid not in memory.examined]
        proofs, without, denied = prove(self._scanner, asked, wanted_of(unproven))
        memory.proofs.update((inode, (pid, fd, inode)) for pid, fd, inode in proofs)
        memory.denied = bool(denied) and not memory.proofs
        memory.tcp.changed((), {inode for _, _, inode in proofs})
        memory.unix.changed((), {inode for _, _, inode in proofs})
        self._abroad(look, home, without)

    @staticmethod
    def _connected(memory: Memory) -> None:
        """Who connected the unix sockets of which no holder was found: that much may be told of them."""
        holders = memory.owners.holders
        memory.connected_by.clear()
        for inode, pair in memory.unix.pairs.items():
            peer = pair.server.peer
            if peer != 0 and (peer is None or peer not in holders) and inode in memory.proofs:
                client = connector(memory.proofs[inode])
                if client is not None:
                    memory.connected_by[inode] = client

    def _settle(self, look: Look, home: Space, sought: set[int]) -> None:
        """What was looked for and nobody holds may have been closed meanwhile, or be where a scan does not look."""
        memory, owners = look.memory, look.memory.owners
        missing = sought - owners.holders.keys()
        if missing:
            if missing & memory.unix.peers():
                self._unix(look, home)
            self._pair(look, home, memory.tcp.servers_of(missing))
            missing = memory.clients() - owners.holders.keys()
            if missing and look.full:
                backends = [str(pid) for pid, _, _ in memory.proofs.values()]
                owners.missed(missing, backends, memory.empty)
        self._connected(memory)

    def _facts(self, look: Look) -> SocketFacts:
        memory = look.memory
        holders = memory.owners.holders
        found = memory.tcp.show(holders, memory.backend_of, look.wall)
        unpaired = 0
        for inode, pair in memory.unix.pairs.items():
            backend = memory.backend_of(inode)
            if backend is None and not (pair.surely_ours and memory.denied):
                continue  # another server's, or of a process that began after the caller had asked
            unpaired += backend is None
            by = self._elder(memory, inode) if memory.connected_by else None
            found.append(memory.unix.show(inode, holders, backend, by))
        if unpaired:
            look.gaps.append(facts.unpaired(unpaired, look.server.os_user))
        self._explain(look, found)
        return SocketFacts(tuple(found), tuple(look.gaps))

    def _elder(self, memory: Memory, inode: int) -> int | None:
        """The process that connected a unix socket whose holders were not found, when it still is that process."""
        client = memory.connected_by.get(inode)
        if client is None or inode not in memory.proofs or not is_elder(self._proc, client, memory.proofs[inode][0]):
            return None
        return client

    def _explain(self, look: Look, found: list[ClientSocket]) -> None:
        """Why holders are missing."""
        owners = look.memory.owners
        alone = sum(socket.sight is Sight.UID for socket in found)
        if alone and owners.denied:
            look.gaps.append(facts.denied(len(owners.denied), alone))
        elif alone:
            look.gaps.append(self._unseen(alone))
        if look.incomplete is not None:
            look.gaps.append(facts.spaces(look.incomplete.refused, look.incomplete.why))

    def _unseen(self, alone: int) -> Gap:
        """Why nobody could be found although nobody refused."""
        try:
            os.stat(f"{self._proc}/self/fd")
        except OSError as error:
            return facts.no_processes(_words(error), alone)
        # Every PID namespace has a process 1.
        return facts.nobody(alone) if os.path.exists(f"{self._proc}/1") else facts.hidden(alone)


def _words(error: OSError) -> str:
    words = error.strerror or str(error)
    return words[:1].lower() + words[1:]
