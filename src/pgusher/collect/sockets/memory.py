"""What one look needs, and what is remembered of a server from one look to the next."""

from __future__ import annotations

from collections.abc import Collection

from pgusher.collect.sockets.backends import Numbering, Proof, connector
from pgusher.collect.sockets.inet import Hosts
from pgusher.collect.sockets.owners import Connector, Owners
from pgusher.collect.sockets.scan import FdScanner
from pgusher.collect.sockets.spaces import Others
from pgusher.collect.sockets.tcp import TcpSessions
from pgusher.collect.sockets.unix import Known
from pgusher.collect.sockets.unixes import UnixSessions
from pgusher.model.address import Micros
from pgusher.model.evidence import Gap
from pgusher.model.server import Server
from pgusher.model.values import dataclass, field


class Memory:
    """What is known of one server's sessions from earlier looks."""

    def __init__(self, server: Server, proc: str, scanner: FdScanner, hosts: Hosts) -> None:
        self.tcp = TcpSessions(hosts)
        self.owners = Owners(scanner, proc)
        self.numbering = Numbering(proc, server.postmaster_pid)
        self.proofs: dict[int, Proof] = {}
        """By the inode of the server's end."""
        self.names: dict[int, int] = {}
        """The server's processes: from their pids in our /proc to those that the caller knows them by."""
        self.denied = False
        """The server's descriptors may not be read."""
        self.empty: list[str] = []
        """Processes without descriptors, in the last full pass."""
        self.examined: set[int] = set()
        """Server processes without a session of which no socket led to another namespace."""
        self.unix = UnixSessions()
        self.unix_ends: Known = {}
        self.connected_by: dict[int, int] = {}
        self.last_full: float | None = None

    def backend_of(self, inode: int) -> int | None:
        """The server's process, as the caller knows it, from the inode of the server's end."""
        proof = self.proofs.get(inode)
        return None if proof is None else self.names.get(proof[0], proof[0])

    def connector(self) -> Connector:
        """From the inode of a client's end of a unix socket to the process that connected it."""
        servers = self.unix.servers()

        def ask(client: int) -> int | None:
            proof = self.proofs.get(servers.get(client, 0))
            return None if proof is None else connector(proof)

        return ask

    def clients(self) -> set[int]:
        """The inodes of all clients' sockets."""
        return {*self.tcp.clients(), *self.unix.peers()}

    def forget_proofs(self, ends: Collection[int]) -> None:
        """All but those of the server's ends that there still are."""
        for inode in [inode for inode in self.proofs if inode not in ends]:
            del self.proofs[inode]

    def uids(self) -> set[int | None]:
        """The users of the clients' sockets; None is among them when that of one is not known."""
        return {*self.tcp.uids(), *self.unix.uids()}

    def server_ends(self) -> set[int]:
        """The inodes of the server's ends."""
        return {*self.tcp.servers(), *self.unix.pairs}


@dataclass
class Look:
    """One look."""

    server: Server
    backends: Collection[int]
    full: bool
    wanted: Collection[tuple[str, int]] | None
    now: float
    memory: Memory
    wall: Micros = 0
    """When the sockets were read."""
    gaps: list[Gap] = field(default_factory=list)
    pids: list[str] | None = None
    incomplete: Others | None = None
