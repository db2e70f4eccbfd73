"""From a session to its chain: the socket, the processes that have it open, and what they belong to."""

from __future__ import annotations

from pgusher.attribute.drafts import Draft
from pgusher.attribute.ends import Ends, socket_link
from pgusher.attribute.join import Join, Joined
from pgusher.attribute.origins import Origins
from pgusher.attribute.programs import Program, claimed
from pgusher.attribute.quick import quick_link
from pgusher.attribute.rooting import own_root
from pgusher.attribute.roots import Origin
from pgusher.model.evidence import Certainty
from pgusher.model.facts import Facts
from pgusher.model.holder import Link, LinkKind
from pgusher.model.session import Session
from pgusher.model.sockets import ClientSocket, Sight

SLACK = 2_000_000
"""Microseconds by which a process may seem younger than its session and still have opened it: its start is counted in
hundredths of a second from a boot time that the kernel gives in whole seconds, and moves when the clock is set."""

_PROVEN, _LIKELY = Certainty.PROVEN, Certainty.LIKELY
_PROCESS = LinkKind.PROCESS
_EXACT, _SHARED = Sight.EXACT, Sight.SHARED
_OWN_LINKS = (Link(LinkKind.PROGRAM, "pgusher itself", _PROVEN, "it is pgusher's own session"),)


class Drafter:
    """Drafts the chains of one look."""

    def __init__(self, facts: Facts, origins: Origins) -> None:
        self._facts = facts
        self._origins = origins
        self._join = Join(facts)
        self._own_pid = facts.view.own_pid
        self._local = facts.server.local
        self._ends = Ends(facts, origins)
        self._alone: dict[int, tuple[Origin]] = {}
        self._claims: dict[str, Program | None] = {}

    def is_as_before(self, draft: Draft, session: Session) -> bool:
        """Whether session and socket are the very values that the draft was last found to stand for."""
        socket = draft.socket
        return draft.session is session and socket is not None and self._join.by_kernel(session.pid) is socket

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
            return self._ends.without_socket(session, joined)
        if socket.sight is _EXACT or socket.sight is _SHARED:
            return self._held(session, joined, socket)
        if socket.sight is Sight.UID and socket.connected_by is not None:
            maker = self._origins.of(socket.connected_by)
            if maker is not None:
                return self._made(session, joined, maker, socket_link(joined, socket))
        return self._ends.without_process(session, joined, socket)

    def _held(self, session: Session, joined: Joined, socket: ClientSocket) -> Draft:
        first = socket_link(joined, socket)
        if len(socket.holders) == 1:
            holder = socket.holders[0]
            origin = self._origins.of(holder.pid)
            if origin is not None:
                # Of a socket that is one of many alike the inode is not known.
                where = f"inode {socket.inode} is open as fd {holder.fd}"
                evidence = where if socket.inode else "it has all of them open"
                verdict = joined.verdict
                conflicts = verdict.conflicts + origin.conflicts
                began = session.backend_start
                if began is not None and origin.process.start_time > began + SLACK:
                    late = self._late(session, origin)
                    evidence += "; it was inherited or passed" if late else ""
                    conflicts += late
                name = session.application_name
                if name and self._claims.get(name, name) is not None:
                    conflicts += self._boast(name, (origin,))
                link = quick_link(_PROCESS, origin.subject, _PROVEN, evidence, holder.pid)
                weakest = origin.weakest
                if verdict.certainty is not _PROVEN:
                    weakest = Certainty.weakest(weakest, verdict.certainty)
                alone = self._alone.get(holder.pid)
                if alone is None:
                    alone = self._alone[holder.pid] = (origin,)
                return Draft(session, joined, origin.root, (first, link, *origin.links), alone, conflicts, weakest)
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
        conflicts = list(joined.verdict.conflicts)
        if not origins:
            pids = ", ".join(map(str, gone))
            reason = (
                f"it is open in pid {pids}, which had ended when the processes were read"
                if gone
                else ("a process has it open, and it was not told which")
            )
            return self._ends.unknown(session, joined, reason, (first,))
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

    def _made(self, session: Session, joined: Joined, maker: Origin, first: Link) -> Draft:
        """A unix socket of which only the maker is known: it may have passed it on since."""
        evidence = "the kernel says that it made the connection; who has it open may not be read"
        link = Link(_PROCESS, maker.subject, _LIKELY, evidence, maker.process.pid)
        late = self._late(session, maker)
        conflicts = joined.verdict.conflicts + maker.conflicts + late
        if session.application_name:
            conflicts += self._boast(session.application_name, (maker,))
        return Draft(session, joined, maker.root, (first, link, *maker.links), (maker,), conflicts)
