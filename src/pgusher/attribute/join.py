"""From a session to the client's end of its socket.

The kernel's own word comes first: a socket that names the server process at its other end is that session's, whatever
address the server states. Without it the addresses are compared. Where several sockets fit, none is taken: a chain that
ends as unknown can be followed up, one that leads to the wrong process cannot.
"""

from __future__ import annotations

from typing import NamedTuple

from pgusher.model.address import ClientAddress, Transport
from pgusher.model.evidence import Certainty
from pgusher.model.facts import Facts
from pgusher.model.session import UNSTARTED, Session
from pgusher.model.sockets import ClientSocket, Sight
from pgusher.model.values import dataclass, replace

_TCP, _UNIX = Transport.TCP, Transport.UNIX
_PROVEN, _LIKELY = Certainty.PROVEN, Certainty.LIKELY
_Address = tuple[str | None, int | None]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a socket is known to be a session's; or why none is."""

    certainty: Certainty
    reason: str
    conflicts: tuple[str, ...] = ()
    unseen: bool = False
    """True when no socket was found at all, rather than several or another's."""


class Joined(NamedTuple):
    """The socket of a session, if there is one, and the verdict on it."""

    socket: ClientSocket | None
    verdict: Verdict


_BY_KERNEL = "the kernel names its server process"
_PLAIN_KERNEL = Verdict(_PROVEN, _BY_KERNEL)
_PLAIN_ADDRESS = Verdict(_PROVEN, "its address is the one that the server states")


class Join:
    """The sockets of the facts, ready to be asked for a session's."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._by_backend: dict[int, ClientSocket] = {}
        self._by_port: dict[int | None, ClientSocket] = {}
        self._crowded: dict[int, list[ClientSocket]] = {}
        self._ports: set[int | None] = set()
        """Ports that more than one socket or more than one session has, so that addresses must be compared whole."""
        self._addresses: tuple[dict[_Address, list[ClientSocket]], dict[_Address, int]] | None = None
        self._unix: Joined | None = None
        self._silent: Joined | None = None
        self._gap = _gap(facts)
        for socket in facts.sockets:
            pid = socket.backend_pid
            if pid is not None:
                if pid in self._by_backend:
                    self._crowded.setdefault(pid, [self._by_backend[pid]]).append(socket)
                else:
                    self._by_backend[pid] = socket
            if socket.transport is _TCP:
                if socket.port in self._by_port:
                    self._ports.add(socket.port)
                else:
                    self._by_port[socket.port] = socket
        stated = set()
        for session in facts.sessions:
            port = session.client.port
            if port in stated:
                self._ports.add(port)
            stated.add(port)

    def by_kernel(self, pid: int) -> ClientSocket | None:
        """The socket that the kernel shows for a server process, where it is the only one."""
        return self._by_backend.get(pid) if pid not in self._crowded else None

    def of(self, session: Session) -> Joined:
        """The client's end of a session's socket."""
        client = session.client
        socket = self._by_backend.get(session.pid)
        if socket is not None:
            return self._by_kernel(client, socket, self._crowded.get(session.pid))
        port = client.port
        if client.transport is _TCP and port is not None:
            if port not in self._ports:
                socket = self._by_port.get(port)
                if socket is not None and socket.host == client.host and socket.backend_pid is None:
                    return Joined(socket, _PLAIN_ADDRESS)
            address = (client.host, port)
            sockets, claims = self._all_addresses()
            found = sockets.get(address)
            if found is not None:
                return self._by_stated_address(session, found, claims.get(address, 0))
        if client.transport is _UNIX:
            alike = self._all_unix()
            if alike is not None:
                return alike
        if session.backend_type == UNSTARTED:
            alike = self._all_silent()
            if alike.socket is not None:
                return alike
        return Joined(None, Verdict(Certainty.GUESSED, self._why(session), (), unseen=True))

    def _all_silent(self) -> Joined:
        """What is known of every connection without a session, where it is not told which process has which socket.

        When all sockets that are no session's are held alike, that much is known of each.
        """
        if self._silent is None:
            claims = self._all_addresses()[1]
            spare = [
                s
                for s in self._facts.sockets
                if s.backend_pid is None
                and s.sight is not Sight.GONE  # the server waits for them, and would have noticed
                and (s.transport is _UNIX or (s.host, s.port) not in claims)
            ]
            sight = {(s.transport, s.sight, s.uid, s.cgroup_id, s.connected_by) for s in spare}
            holders = {tuple(holder.pid for holder in s.holders) for s in spare}
            hosts = {s.host for s in spare if s.sight is Sight.REMOTE}
            self._silent = _nothing("")
            if len(sight) == 1 and len(hosts) < 2 and len(holders) == 1:
                reason = f"all {len(spare)} sockets that belong to no session are held alike"
                one = replace(spare[0], inode=0, cookie=0, port=None, host=spare[0].host if hosts else None)
                self._silent = Joined(one, Verdict(_LIKELY, reason))
        return self._silent

    def _all_unix(self) -> Joined | None:
        """What is known of every unix session, where the server's files cannot be read to tell whose socket is whose.

        When there is a socket for each session, and all are of one user, cgroup and maker, that much is known of each.
        """
        if self._unix is None:
            nameless = [s for s in self._facts.sockets if s.transport is _UNIX and s.backend_pid is None]
            waiting = sum(
                session.client.transport is _UNIX and session.pid not in self._by_backend
                for session in self._facts.sessions
            )
            owners = {(s.sight, s.uid, s.cgroup_id, s.connected_by) for s in nameless}
            self._unix = _nothing("")
            if len(owners) == 1 and len(nameless) >= waiting and nameless[0].sight is Sight.UID:
                reason = f"all {len(nameless)} unix sockets of which the server process is not told are held alike"
                # None of them is its own for certain: no inode, so that no evidence speaks of one.
                self._unix = Joined(replace(nameless[0], inode=0, cookie=0), Verdict(_LIKELY, reason))
        return self._unix if self._unix.socket is not None else None

    def _all_addresses(self) -> tuple[dict[_Address, list[ClientSocket]], dict[_Address, int]]:
        """Sockets, and the number of sessions, by whole address: seldom needed."""
        if self._addresses is None:
            sockets: dict[_Address, list[ClientSocket]] = {}
            for socket in self._facts.sockets:
                if socket.host is not None and socket.transport is _TCP:
                    sockets.setdefault((socket.host, socket.port), []).append(socket)
            claims: dict[_Address, int] = {}
            for session in self._facts.sessions:
                address = (session.client.host, session.client.port)
                claims[address] = claims.get(address, 0) + 1
            self._addresses = sockets, claims
        return self._addresses

    def _by_kernel(self, client: ClientAddress, socket: ClientSocket, crowd: list[ClientSocket] | None) -> Joined:
        named = _distinct(crowd) if crowd is not None else [socket]
        if len(named) > 1:
            fitting = [socket for socket in named if _fits(socket, client)]
            if len(fitting) != 1:
                listed = ", ".join(sorted(_shown(socket) for socket in named))
                return _nothing(
                    f"the kernel shows {len(named)} sockets of its server process, and none alone fits: {listed}"
                )
            named = fitting
        socket = named[0]
        conflict = _contradiction(socket, client)
        if conflict:
            # One of the two was read before the pid was used again, so that it is not known of which session this is.
            return Joined(socket, Verdict(_LIKELY, _BY_KERNEL, (conflict,)))
        return Joined(socket, _PLAIN_KERNEL)

    def _by_stated_address(self, session: Session, found: list[ClientSocket], claims: int) -> Joined:
        if len(found) > 1:
            found = _distinct(found)
        free = [socket for socket in found if socket.backend_pid is None]
        if not free:
            others = ", ".join(str(pid) for pid in sorted({socket.backend_pid or 0 for socket in found}))
            return _nothing(
                f"the kernel gives {session.client} to server process {others}",
                (f"the server gives {session.client} to {session.pid}, the kernel gives it to {others}",),
            )
        if len(free) > 1:
            listed = ", ".join(sorted(_shown(socket) for socket in free))
            return _nothing(
                f"{len(free)} sockets have the address {session.client}, and nothing tells which it is: {listed}"
            )
        if claims > 1:
            return _nothing(
                f"{claims} sessions state the address {session.client}, and one socket has it",
                (f"the server gives {session.client} to {claims} sessions",),
            )
        return Joined(free[0], _PLAIN_ADDRESS)

    def _why(self, session: Session) -> str:
        client = session.client
        if session.backend_type == UNSTARTED and client.transport is Transport.UNKNOWN:
            told = "it has not started a session, and which socket is its is not told"
        elif session.backend_type == "parallel worker":
            return "a parallel worker has no client of its own: it works for another session"
        elif client.transport is Transport.UNKNOWN:
            told = "the server does not tell its address (GRANT pg_monitor TO the role), and no socket names it"
        elif client.transport is _UNIX:
            nameless = sum(s.transport is _UNIX and s.backend_pid is None for s in self._facts.sockets)
            told = "no unix socket of its server process was seen"
            if nameless:
                told += f"; of {nameless} unix sockets it is not told whose they are"
        elif client.port is None:
            told = f"the server tells no port for {client}"
        elif client.host is not None and not numeric(client.host):
            told = (
                f"the server tells a host name (log_hostname is on), and no socket names its server process: {client}"
            )
        else:
            told = f"no socket with its address was seen: {client}"
        return f"{told}; {self._gap}" if self._gap else told


def _nothing(reason: str, conflicts: tuple[str, ...] = ()) -> Joined:
    return Joined(None, Verdict(Certainty.GUESSED, reason, conflicts))


def _distinct(sockets: list[ClientSocket]) -> list[ClientSocket]:
    """Without those that were listed twice."""
    return list(dict.fromkeys(sockets))


def _fits(socket: ClientSocket, client: ClientAddress) -> bool:
    if client.transport is Transport.UNKNOWN:
        return True
    if socket.transport is not client.transport:
        return False
    return (
        client.transport is _UNIX
        or not numeric(client.host)
        or (socket.host, socket.port) == (client.host, client.port)
    )


def _contradiction(socket: ClientSocket, client: ClientAddress) -> str:
    if client.transport is Transport.UNKNOWN or _fits(socket, client):
        return ""
    return f"the server says that it came from {client}, the kernel shows {_shown(socket)}"


def _shown(socket: ClientSocket) -> str:
    if socket.transport is _TCP:
        return str(ClientAddress(_TCP, socket.host, socket.port))
    return f"unix socket inode {socket.inode}" if socket.inode else "a unix socket"


def numeric(host: str | None) -> bool:
    """Whether a host is an address, not a name."""
    return host is not None and (":" in host or host.replace(".", "").isdigit())


def _gap(facts: Facts) -> str:
    """What would show more sockets, when something was not readable."""
    gaps = sorted({(gap.what, gap.why, gap.opens) for gap in facts.gaps if gap.source == "sockets"})
    return "; ".join(f"{what}: {why}" + (f": {opens}" if opens else "") for what, why, opens in gaps[:2])
