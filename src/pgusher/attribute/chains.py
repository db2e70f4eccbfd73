"""From a session to its chain: the socket, the processes that have it open, and what they belong to."""

from __future__ import annotations

from pgusher.attribute.join import Join, Joined, numeric
from pgusher.attribute.names import slug
from pgusher.attribute.origins import Origins
from pgusher.attribute.programs import Program, claimed
from pgusher.attribute.quick import quick_chain, quick_link
from pgusher.attribute.rooting import own_root
from pgusher.attribute.roots import Origin, Root
from pgusher.attribute.shell import quote
from pgusher.model.address import ClientAddress, Transport
from pgusher.model.evidence import Certainty
from pgusher.model.facts import Facts
from pgusher.model.holder import Chain, ChainEnd, HolderKind, Link, LinkKind
from pgusher.model.session import Session
from pgusher.model.sockets import ClientSocket, Sight

SLACK = 2_000_000
"""Microseconds by which a process may seem younger than its session and still have opened it: its start is counted in
hundredths of a second from a boot time that the kernel gives in whole seconds, and moves when the clock is set."""

_PROVEN, _LIKELY, _GUESSED = Certainty.PROVEN, Certainty.LIKELY, Certainty.GUESSED
_SOCKET, _PROCESS, _REMOTE = LinkKind.SOCKET, LinkKind.PROCESS, LinkKind.REMOTE
_EXACT, _SHARED = Sight.EXACT, Sight.SHARED
_OWN_LINKS = (Link(LinkKind.PROGRAM, "pgusher itself", _PROVEN, "it is pgusher's own session"),)
_DOCTOR = "pgusher doctor tells what would show more"


class Draft:
    """A chain whose holder has no name yet, with what the holder needs to know of the session."""

    __slots__ = ("_chain", "conflicts", "joined", "links", "origins", "root", "session", "weakest")

    def __init__(
        self,
        session: Session,
        joined: Joined | None,
        root: Root,
        links: tuple[Link, ...],
        origins: tuple[Origin, ...] = (),
        conflicts: tuple[str, ...] = (),
        weakest: Certainty | None = None,
    ) -> None:
        self.session = session
        self.joined = joined
        self.root = root
        self.links = links
        self.origins = origins
        self.conflicts = conflicts
        self.weakest: Certainty = weakest or Certainty.weakest(*(link.certainty for link in links))
        self._chain: Chain | None = None

    def chain(self, name: str) -> Chain:
        """The chain, now that its holder has a name."""
        chain = self._chain
        if chain is None or (chain.holder is not name and chain.holder != name):
            session = self.session
            chain = self._chain = quick_chain(
                session.pid, session.backend_start, self.root.end, name, self.links, self.conflicts
            )
        return chain

    def stands(self, session: Session, joined: Joined | None, origins: Origins) -> bool:
        """Whether it would come out the same for what is known now."""
        if not same_session(self.session, session):
            return False
        mine = self.joined
        if mine is None or joined is None:
            return mine is joined
        if not self.origins or mine[1:] != joined[1:] or not _same_socket(mine.socket, joined.socket):
            return False
        return all(origins.of(origin.process.pid) is origin for origin in self.origins)

    def equals(self, other: Draft) -> bool:
        """Whether another gives the same chain and the same share of a holder."""
        return (
            same_session(self.session, other.session)
            and self.root == other.root
            and self.links == other.links
            and self.conflicts == other.conflicts
            and self.origins == other.origins
        )


def same_session(one: Session, other: Session) -> bool:
    """Whether two looks show the same session, as far as it matters here: its state may have changed."""
    return one is other or (
        one.pid == other.pid
        and one.backend_start == other.backend_start
        and one.client == other.client
        and one.application_name == other.application_name
        and one.backend_type == other.backend_type
        and one.own == other.own
    )


def _same_socket(one: ClientSocket | None, other: ClientSocket | None) -> bool:
    """Whether two looks show the same socket, held by the same: how long it was idle may have changed."""
    if one is other:
        return True
    return (
        one is not None
        and other is not None
        and one.inode == other.inode
        and one.holders == other.holders
        and one.sight is other.sight
        and one.backend_pid == other.backend_pid
        and one.port == other.port
        and one.host == other.host
        and one.transport is other.transport
    )


class Drafter:
    """Drafts the chains of one look."""

    def __init__(self, facts: Facts, origins: Origins) -> None:
        self._facts = facts
        self._origins = origins
        self._join = Join(facts)
        self._own_pid = facts.view.own_pid
        self._local = facts.server.local
        self._claims: dict[str, Program | None] = {}

    def join(self, session: Session) -> Joined | None:
        """The socket of a session; None for pgusher's own, whose holder needs no socket to be known."""
        if session.own or (self._own_pid is not None and session.pid == self._own_pid):
            return None
        return self._join.of(session)

    def draft(self, session: Session, joined: Joined | None) -> Draft:
        """The chain of a session with that socket."""
        if joined is None:
            return Draft(session, None, own_root(), _OWN_LINKS, weakest=_PROVEN)
        socket = joined.socket
        if socket is None:
            return self._unseen(session, joined)
        if socket.sight is _EXACT or socket.sight is _SHARED:
            return self._held(session, joined, socket)
        return self._not_held(session, joined, socket)

    def _held(self, session: Session, joined: Joined, socket: ClientSocket) -> Draft:
        first = self._socket_link(joined, socket)
        if len(socket.holders) == 1:
            holder = socket.holders[0]
            origin = self._origins.of(holder.pid)
            if origin is not None:
                evidence = f"inode {socket.inode} is open as fd {holder.fd}"
                conflicts = joined.conflicts + origin.conflicts
                late = self._late(session, origin)
                if late:
                    evidence += "; it was inherited or passed"
                    conflicts += late
                if session.application_name:
                    conflicts += self._boast(session.application_name, (origin,))
                link = quick_link(_PROCESS, origin.subject, _PROVEN, evidence, holder.pid)
                weakest = origin.weakest
                if joined.certainty is not _PROVEN:
                    weakest = Certainty.weakest(weakest, joined.certainty)
                return Draft(session, joined, origin.root, (first, link, *origin.links), (origin,), conflicts, weakest)
        return self._shared(session, joined, socket, first)

    def _shared(self, session: Session, joined: Joined, socket: ClientSocket, first: Link) -> Draft:
        fds: dict[int, list[int]] = {}
        for holder in socket.holders:
            fds.setdefault(holder.pid, []).append(holder.fd)
        found = [(pid, self._origins.of(pid)) for pid in sorted(fds)]
        gone = [pid for pid, origin in found if origin is None]
        origins = sorted(
            (origin for _, origin in found if origin is not None), key=lambda o: (o.process.start_ticks, o.process.pid)
        )
        conflicts = list(joined.conflicts)
        if not origins:
            pids = ", ".join(map(str, gone))
            reason = (
                f"it is open in pid {pids}, which had ended when the processes were read"
                if gone
                else ("a process has it open, and it was not told which")
            )
            return self._unknown(session, joined, reason, (first,))
        if gone:
            conflicts.append(
                f"also open in pid {', '.join(map(str, gone))}, which had ended when the processes were read"
            )
        links = [first]
        for origin in origins:
            pid = origin.process.pid
            late = self._late(session, origin)
            conflicts += [*origin.conflicts, *late]
            numbers = ", ".join(map(str, sorted(set(fds[pid]))))
            evidence = f"inode {socket.inode} is open as fd {numbers}" + (
                "; it was inherited or passed" if late else ""
            )
            links.append(Link(_PROCESS, origin.subject, _PROVEN, evidence, pid))
        chosen = origins[0]
        if len(origins) > 1:
            pids = ", ".join(str(origin.process.pid) for origin in origins)
            conflicts.append(f"its socket is open in {len(origins)} processes ({pids}): shared over fork, or passed on")
            others = sorted({origin.root.base for origin in origins if origin.root.key != chosen.root.key})
            if others:
                conflicts.append(f"they belong to several holders: {chosen.root.base}, {', '.join(others)}")
                evidence = f"the oldest of {len(origins)} that have it open: a descriptor is inherited by the younger"
                links.append(Link(_PROCESS, chosen.subject, _LIKELY, evidence, chosen.process.pid))
        if session.application_name:
            conflicts += self._boast(session.application_name, tuple(origins))
        told = tuple(dict.fromkeys(conflicts))
        return Draft(session, joined, chosen.root, (*links, *chosen.links), tuple(origins), told)

    def _socket_link(self, joined: Joined, socket: ClientSocket) -> Link:
        if socket.transport is Transport.TCP:
            host = socket.host or "?"
            subject = f"[{host}]:{socket.port}" if ":" in host else f"{host}:{socket.port}"
        else:
            subject = "unix socket"
        return quick_link(_SOCKET, subject, joined.certainty, joined.reason)

    def _late(self, session: Session, origin: Origin) -> tuple[str, ...]:
        """That a process is younger than the session it holds: it cannot have opened it."""
        began = session.backend_start
        process = origin.process
        if began is None or not self._local or process.start_time <= began + SLACK:
            return ()
        seconds = (process.start_time - began) / 1_000_000
        return (f"pid {process.pid} started {seconds:.0f} s after its session: it cannot have opened it",)

    def _boast(self, name: str, origins: tuple[Origin, ...]) -> tuple[str, ...]:
        """That application_name names a known program which the process is not."""
        if name in self._claims:
            program = self._claims[name]
        else:
            program = self._claims[name] = claimed(name)
        if program is None or any(program.id in origin.programs for origin in origins):
            return ()
        if any((o.program is not None and o.program.kind.relays) or o.root.key[0] == "tunnel" for o in origins):
            return ()  # a pooler or tunnel passes on what the client behind it says
        return (f"application_name says {name[:64]!r}, the process is {origins[0].subject}",)

    def _not_held(self, session: Session, joined: Joined, socket: ClientSocket) -> Draft:
        first = self._socket_link(joined, socket)
        if socket.sight is Sight.UID:
            return self._hidden(session, joined, socket, first)
        if socket.sight is Sight.REMOTE:
            host = socket.host or session.client.host
            if host is not None:
                return self._remote(
                    session,
                    joined,
                    ClientAddress(Transport.TCP, host, socket.port),
                    _PROVEN,
                    "the kernel has no socket with this address on this host",
                    joined.conflicts,
                )
            return self._unknown(
                session, joined, "its client is on another host, and the address is not told", (first,)
            )
        if socket.sight is Sight.GONE:
            state = f"the server's end is in {socket.tcp_state}; " if socket.tcp_state else ""
            made = f"it was made by uid {socket.uid}; " if socket.uid is not None else ""
            link = Link(
                _SOCKET, first.subject, joined.certainty, f"{state}{made}the client's end does not exist any more"
            )
            stop = "no client is left: its sessions can be terminated (pg_terminate_backend)"
            root = Root(
                ("gone",), HolderKind.GONE, "gone", "clients that no longer exist", stop=stop, end=ChainEnd.GONE
            )
            return Draft(session, joined, root, (link,), (), joined.conflicts)
        reason = "its client is in a network namespace of this host that was not entered"
        return self._unknown(session, joined, reason, (first,), socket.host)

    def _hidden(self, session: Session, joined: Joined, socket: ClientSocket, first: Link) -> Draft:
        uid, host = socket.uid, self._facts.host
        user = "unknown" if uid is None else self._origins.tree.user(uid)
        if user is None:
            user = host.user if uid == host.uid and host.user else f"uid{uid}"
        links = [first]
        told = f"uid {uid} made it" if uid is not None else "its uid is not told"
        links.append(Link(_PROCESS, f"a process of {user}", _PROVEN, f"{told}, and its open files may not be read"))
        place = self._origins.places.numbered(socket.cgroup_id)
        within, stop = "", "run pgusher as root, to see which process it is"
        if place.unit is not None:
            within = place.unit.name.removesuffix(".service")
            links.append(Link(LinkKind.UNIT, f"unit {place.unit.name}", _LIKELY, "the socket was made in its cgroup"))
            stop = f"systemctl stop {quote(place.unit.name)}, if it is this unit; {stop}"
        elif place.container is not None:
            within = place.container.name or place.container.short_id
            links.append(Link(LinkKind.CONTAINER, f"container {within}", _LIKELY, "the socket was made in its cgroup"))
        base = f"hidden/{slug(user)}" + (f":{slug(within)}" if within else "")
        title = f"processes of {user} that may not be read" + (f", in {within}" if within else "")
        root = Root(("hidden", user, within), HolderKind.HIDDEN, base, title, (str(uid),), stop, ChainEnd.HIDDEN)
        return Draft(session, joined, root, tuple(links), (), joined.conflicts)

    def _unseen(self, session: Session, joined: Joined) -> Draft:
        """A session without a socket: another host's when the address says so, else unknown."""
        client, host = session.client, self._facts.host
        if (
            client.transport is Transport.TCP
            and client.port is not None
            and numeric(client.host)
            and not joined.conflicts
        ):
            address = client.host or ""
            loopback = address.startswith("127.") or address == "::1"
            if not self._local and not loopback:
                evidence = "the server, which runs on another host, says so"
                return self._remote(session, joined, client, _PROVEN, evidence, ())
            if (
                self._local
                and not loopback
                and host.addresses
                and address not in host.addresses
                and _not_ambiguous(joined)
            ):
                evidence = f"the server says so, and no interface of {host.name} has this address; {joined.reason}"
                return self._remote(session, joined, client, _LIKELY, evidence, ())
        reason = joined.reason
        if not self._local and client.transport is not Transport.UNKNOWN:
            reason = f"its client is on the server's own host: run pgusher there; {reason}"
        return self._unknown(session, joined, reason, ())

    def _remote(
        self,
        session: Session,
        joined: Joined,
        address: ClientAddress,
        certainty: Certainty,
        evidence: str,
        conflicts: tuple[str, ...],
    ) -> Draft:
        host = address.host or "?"
        certainty = Certainty.weakest(certainty, joined.certainty) if joined.socket is not None else certainty
        link = Link(_REMOTE, str(address), certainty, evidence)
        stop = f"look on {host}: pgusher there shows which process it is"
        root = Root(
            ("remote", host), HolderKind.REMOTE, f"remote/{slug(host)}", f"host {host}", (host,), stop, ChainEnd.REMOTE
        )
        return Draft(session, joined, root, (link,), (), conflicts, certainty)

    def _unknown(
        self, session: Session, joined: Joined, reason: str, links: tuple[Link, ...], host: str | None = None
    ) -> Draft:
        # GUESSED, though nothing is guessed: what is not known must never pass for known further on.
        link = Link(_SOCKET, str(session.client), _GUESSED, reason)
        named = f"unknown/{slug(host)}" if host else "unknown"
        title = f"clients at {host} that could not be seen" if host else "clients that could not be seen"
        root = Root(("unknown", host or ""), HolderKind.UNKNOWN, named, title, (host or "",), _DOCTOR, ChainEnd.UNKNOWN)
        return Draft(session, joined, root, (*links, link), (), joined.conflicts, _GUESSED)


def _not_ambiguous(joined: Joined) -> bool:
    """Whether no socket was found at all, rather than several."""
    return joined.reason.startswith("no socket with its address")
