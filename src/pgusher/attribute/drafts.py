"""A chain in the making: all but the name of its holder, which depends on the others."""

from __future__ import annotations

from pgusher.attribute.join import Joined, Verdict
from pgusher.attribute.origins import Origins
from pgusher.attribute.quick import quick_chain
from pgusher.attribute.roots import Origin, Root
from pgusher.model.address import ClientAddress
from pgusher.model.evidence import Certainty
from pgusher.model.holder import Chain, Link
from pgusher.model.session import Session
from pgusher.model.sockets import ClientSocket


class Draft:
    """A chain whose holder has no name yet, with what the holder needs to know of the session."""

    __slots__ = ("_chain", "conflicts", "links", "origins", "root", "session", "socket", "verdict", "weakest")

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
        self.socket: ClientSocket | None
        self.verdict: Verdict | None
        if joined is None:
            self.socket = self.verdict = None
        else:
            self.socket = joined.socket
            self.verdict = joined.verdict
        self.root = root
        self.links = links
        self.origins = origins
        self.conflicts = conflicts
        self.weakest: Certainty
        if weakest is None:
            weakest = Certainty.weakest(*(link.certainty for link in links))
        self.weakest = weakest
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

    def stands(self, session: Session, joined: Joined | None, origins: Origins | None) -> bool:
        """Whether it would come out the same for what is known now.

        `origins` is None when no process, unit, container or crontab has changed since it was last found to stand.
        """
        if not same_session(self.session, session):
            return False
        verdict = self.verdict
        if joined is None or verdict is None:
            return joined is None and verdict is None
        socket, new = self.socket, joined.socket
        if verdict is not joined.verdict and verdict != joined.verdict:
            return False
        if socket is not new and (socket is None or new is None or not _same_socket(socket, new)):
            return False
        if origins is None:
            return True
        if not self.origins:
            return False  # a user's name, a cgroup's number may be known now
        holders = joined.socket.holders if joined.socket is not None else ()
        if len(holders) > 1 and len({holder.pid for holder in holders}) != len(self.origins):
            return False  # a process was missing, and may be there now
        return all(origins.of(origin.process.pid) is origin for origin in self.origins)

    def renew(self, session: Session, joined: Joined | None) -> None:
        """It stands: the next look compares with these values, which mostly are the same objects then."""
        self.session = session
        if joined is not None:
            self.socket = joined.socket

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
        and (one.client is other.client or _same_address(one.client, other.client))
        and one.application_name == other.application_name
        and one.backend_type == other.backend_type
        and one.own == other.own
    )


def _same_address(one: ClientAddress, other: ClientAddress) -> bool:
    # Field by field: what a dataclass compares with costs four times as much, and this is asked of every session.
    return one.port == other.port and one.host == other.host and one.transport is other.transport


def _same_socket(one: ClientSocket, other: ClientSocket) -> bool:
    """Whether two looks show the same socket, held by the same: how long it was idle may have changed."""
    return (
        one.inode == other.inode
        and one.holders == other.holders
        and one.sight is other.sight
        and one.backend_pid == other.backend_pid
        and one.port == other.port
        and one.host == other.host
        and one.transport is other.transport
        and one.connected_by == other.connected_by
        and one.uid == other.uid
        and one.cgroup_id == other.cgroup_id
        and one.tcp_state == other.tcp_state
    )
