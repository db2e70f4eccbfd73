"""Where a chain ends without a process: hidden, on another host, gone, unknown."""

from __future__ import annotations

from pgusher.attribute.drafts import Draft
from pgusher.attribute.join import Joined, numeric
from pgusher.attribute.names import slug
from pgusher.attribute.origins import Origins
from pgusher.attribute.quick import quick_link
from pgusher.attribute.roots import Root
from pgusher.attribute.shell import quote
from pgusher.model.address import ClientAddress, Transport
from pgusher.model.evidence import Certainty
from pgusher.model.facts import Facts
from pgusher.model.holder import ChainEnd, HolderKind, Link, LinkKind
from pgusher.model.session import Session
from pgusher.model.sockets import ClientSocket, Sight

_PROVEN, _LIKELY, _GUESSED = Certainty.PROVEN, Certainty.LIKELY, Certainty.GUESSED
_SOCKET = LinkKind.SOCKET
_TCP = Transport.TCP

_NOT_HERE = "the kernel has no socket with this address on this host"
_DOCTOR = "pgusher doctor tells what would show more"


def socket_link(joined: Joined, socket: ClientSocket) -> Link:
    """From a session to the client's end of its socket."""
    if socket.transport is _TCP and socket.port is None:
        subject = "a TCP socket"  # one of many that are alike
    elif socket.transport is _TCP:
        host = socket.host or "?"
        subject = f"[{host}]:{socket.port}" if ":" in host else f"{host}:{socket.port}"
    else:
        subject = "unix socket"
    return quick_link(_SOCKET, subject, joined.verdict.certainty, joined.verdict.reason)


class Ends:
    """Ends the chains of one look that no process is known for."""

    def __init__(self, facts: Facts, origins: Origins) -> None:
        self._host = facts.host
        self._origins = origins
        self._local = facts.server.local

    def without_process(self, session: Session, joined: Joined, socket: ClientSocket) -> Draft:
        """The chain of a session whose socket is known, and leads to no process that may be named."""
        first = socket_link(joined, socket)
        if socket.sight is Sight.UID:
            return self._hidden(session, joined, socket, first)
        if socket.sight is Sight.GONE:
            return _gone(session, joined, socket, first)
        if socket.sight is Sight.REMOTE:
            host = socket.host or session.client.host
            if host is None:
                reason = "its client is on another host, and its address is not told"
                return self.unknown(session, joined, reason, (first,))
            address = ClientAddress(_TCP, host, socket.port)
            return _remote(session, joined, address, joined.verdict.certainty, _NOT_HERE)
        reason = "its client is in a network namespace of this host that was not entered, or behind address translation"
        return self.unknown(session, joined, reason, (first,), socket.host)

    def without_socket(self, session: Session, joined: Joined) -> Draft:
        """The chain of a session without a socket: another host's when the address says so, else unknown."""
        client, host = session.client, self._host
        address = client.host or ""
        loopback = address.startswith("127.") or address == "::1"
        whole = client.transport is _TCP and client.port is not None and numeric(address)
        if whole and not loopback and joined.verdict.unseen:
            if not self._local:
                return _remote(session, joined, client, _PROVEN, "the server says so, and runs on another host")
            if host.addresses and address not in host.addresses:
                evidence = f"the server says so, and no interface of {host.name} has it; {joined.verdict.reason}"
                return _remote(session, joined, client, _LIKELY, evidence)
        reason = joined.verdict.reason
        if not self._local and client.transport is not Transport.UNKNOWN:
            reason = f"its client is on the server's own host: run pgusher there; {reason}"
        return self.unknown(session, joined, reason)

    def unknown(
        self, session: Session, joined: Joined, reason: str, links: tuple[Link, ...] = (), host: str | None = None
    ) -> Draft:
        """A chain that ends for want of evidence, and says why."""
        # GUESSED, though nothing is guessed: what is not known must never pass for known further on.
        link = Link(_SOCKET, str(session.client), _GUESSED, reason)
        base, title = "unknown", "clients that could not be seen"
        if host:
            base, title = f"unknown/{slug(host)}", f"clients at {host} that could not be seen"
        key = ("unknown", host or "")
        root = Root(key, HolderKind.UNKNOWN, base, title, (host or "",), _DOCTOR, ChainEnd.UNKNOWN)
        return Draft(session, joined, root, (*links, link), (), joined.verdict.conflicts, _GUESSED)

    def _hidden(self, session: Session, joined: Joined, socket: ClientSocket, first: Link) -> Draft:
        uid, host = socket.uid, self._host
        user = {None: "unknown", 0: "root"}.get(uid) or self._origins.tree.user(uid or 0)
        if user is None:
            user = host.user if uid == host.uid and host.user else f"uid{uid}"
        told = "its uid is not told" if uid is None else f"the socket is of uid {uid}"
        evidence = f"{told}; which of its processes has it open may not be read"
        links = [first, Link(LinkKind.PROCESS, f"a process of {user}", _PROVEN, evidence)]
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
        root = Root(("hidden", user, within), HolderKind.HIDDEN, base, title, (), stop, ChainEnd.HIDDEN)
        return Draft(session, joined, root, tuple(links), (), joined.verdict.conflicts)


def _gone(session: Session, joined: Joined, socket: ClientSocket, first: Link) -> Draft:
    state = f"the server's end is in {socket.tcp_state}; " if socket.tcp_state else ""
    made = f"uid {socket.uid} made it; " if socket.uid is not None else ""
    evidence = f"{state}{made}the client's end does not exist any more"
    link = Link(_SOCKET, first.subject, joined.verdict.certainty, evidence)
    stop = "no client is left: its sessions can be terminated (pg_terminate_backend)"
    title = "clients that no longer exist"
    root = Root(("gone",), HolderKind.GONE, "gone", title, (), stop, ChainEnd.GONE)
    return Draft(session, joined, root, (link,), (), joined.verdict.conflicts)


def _remote(session: Session, joined: Joined, address: ClientAddress, certainty: Certainty, evidence: str) -> Draft:
    host = address.host or "?"
    link = Link(LinkKind.REMOTE, str(address), certainty, evidence)
    stop = f"look on {host}: pgusher there shows which process it is"
    key = ("remote", host)
    root = Root(key, HolderKind.REMOTE, f"remote/{slug(host)}", f"host {host}", (host,), stop, ChainEnd.REMOTE)
    return Draft(session, joined, root, (link,), (), joined.verdict.conflicts)
