"""The sessions of a guarded run: how many it has, what they do when it is ended, and whether one is left after it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from pgusher.model.values import dataclass

if TYPE_CHECKING:  # a run that ends at once needs none of it
    from pgusher.collect.sockets.held import HeldSocket
    from pgusher.model.session import Session
    from pgusher.model.snapshot import Snapshot

_MOST_SEEN = 4096
"""Sockets whose addresses are remembered of one run."""
_MOST_LINES = 12
_SHARE = 0.001
"""The part of one processor that counting may take, a tenth of a hundredth."""
_LOOKS = (0.0, 0.2, 0.4, 0.8)
"""Seconds before each look for what is left: the server notices the end of a client a moment later."""
_TIMEOUT = 2.0
_QUERY = 100


@dataclass(frozen=True, slots=True)
class Left:
    """A session that is still there."""

    server: str
    pid: int
    backend_start: int | None
    text: str


class RunSessions:
    """What `pgusher.guard.records.Sessions` asks for."""

    def __init__(
        self,
        environ: Mapping[str, str],
        dsn: str | None = None,
        *,
        cpu: Callable[[], float] = time.thread_time,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`dsn` names the server for certain; else it is that of libpq's environment, or those of this host."""
        self.peak: int | None = None
        self._dsn = dsn
        self._environ = environ
        self._cpu, self._monotonic, self._sleep = cpu, monotonic, sleep
        self._due = 0.0
        self._seen: set[tuple[str, int]] = set()

    # -- counting

    def count(self, pids: Collection[int], *, now: bool = False) -> int | None:
        """How many sessions these processes have; None when it is not time to look again, unless `now`."""
        if not now and self._monotonic() < self._due:
            return None
        from pgusher.collect.sockets import held  # noqa: F401 - once: what that takes is none of the next look's

        began = self._cpu()
        found = self._sockets(pids)
        number = len({one.inode for one in found})
        self.peak = max(self.peak or 0, number)
        self._seen.update([one.client for one in found if one.client is not None][: _MOST_SEEN - len(self._seen)])
        self._due = self._monotonic() + max(1.0, (self._cpu() - began) / _SHARE)
        return number

    def _sockets(self, pids: Collection[int]) -> list[HeldSocket]:
        from pgusher.collect.postgres.listening import listening
        from pgusher.collect.sockets.held import held_sockets, ports_of

        ports = ports_of(self._environ, self._dsn)
        ports.update(port for _, port, _ in listening().unix)  # where a server has a unix socket it has that port, too
        return held_sockets(pids, ports)

    # -- what they do

    def lines(self, pids: Collection[int]) -> Iterator[str]:
        """What the sessions of these processes do; where the server cannot be asked, their sockets and loans."""
        found = list(self._asked(frozenset(pids)))
        if not found:
            found = list(self._unasked(pids))
        yield from found[:_MOST_LINES]
        if len(found) > _MOST_LINES:
            yield f"and {len(found) - _MOST_LINES} more sessions"

    def _asked(self, pids: frozenset[int]) -> Iterator[str]:
        from pgusher.model.holder import LinkKind

        for snapshot in self._look():
            now = snapshot.facts.taken_at
            for session, chain in zip(snapshot.facts.sessions, snapshot.chains, strict=True):
                owner = next((x.pid for x in chain.links if x.kind is LinkKind.PROCESS and x.pid in pids), None)
                if owner is None:
                    continue
                loan = next((x.subject for x in chain.links if x.kind is LinkKind.LOAN), "")
                told = f"pid {owner} holds session {session.pid} of the server on {snapshot.facts.server.label}"
                yield f"{told}: {_doing(session, now)}{f', lent to {loan}' if loan else ''}"

    def _unasked(self, pids: Collection[int]) -> Iterator[str]:
        from pgusher.collect.ledgers import LedgerSource
        from pgusher.collect.processes import ProcessSource

        places: dict[int, Counter[str]] = {}
        for one in self._sockets(pids):
            places.setdefault(one.pid, Counter())[one.server] += 1
        for pid, counts in places.items():
            told = [f"{n} session{'s' * (n > 1)} of the server on {place}" for place, n in counts.items()]
            yield f"pid {pid} holds {', '.join(told)}"
        processes = [one for one in ProcessSource().look(places).processes if one.pid in places]
        for loan in LedgerSource().read(processes).loans:
            if loan.lent and loan.file:
                who = f" by thread {loan.thread}" if loan.thread else ""
                yield f"pid {loan.process} has lent session {loan.backend_pid}{who} at {loan.file}:{loan.line}"

    # -- what is left

    def is_worth_a_look(self) -> bool:
        """Whether a session of the run was seen, or somebody has said where its server is."""
        from pgusher.app.request import Request

        return bool(self.peak) or bool(self._dsn) or Request().names_a_server(self._environ)

    def left(self, name: str, started: int) -> Iterator[str]:
        """The sessions of the run that its end has not ended; none where no server can be reached.

        Of the run is what has the address of a socket that it was seen to have, or its name and no client any more;
        and began after it did (`started`, in microseconds since 1970).
        """
        found: dict[tuple[str, int, int | None], Left] = {}
        for pause in _LOOKS:
            if pause:
                self._sleep(pause)
            now = {(one.server, one.pid, one.backend_start): one for one in self._left(name, started)}
            found = {key: one for key, one in now.items() if not pause or key in found}
            if not found:
                return
        for one in found.values():
            yield f"session {one.pid} of the run is still on the server on {one.server}: {one.text}"
        yield "the server ends it when its query has ended; client_connection_check_interval makes it look before"

    def _left(self, name: str, started: int) -> Iterator[Left]:
        from pgusher.model.holder import LinkKind
        from pgusher.model.sockets import Sight

        for snapshot in self._look():
            facts = snapshot.facts
            gone = {(one.host, one.port) for one in facts.sockets if one.sight is Sight.GONE and one.port is not None}
            without = {one.backend_pid for one in facts.sockets if one.sight is Sight.GONE and one.port is None}
            for session, chain in zip(facts.sessions, snapshot.chains, strict=True):
                if any(link.kind is LinkKind.PROCESS for link in chain.links):
                    continue  # somebody who lives has it: a port may be another's by now
                if session.own or not session.takes_slot or (session.backend_start or 0) < started:
                    continue
                client = (session.client.host or "", session.client.port or 0)
                orphan = client in gone or session.pid in without
                if client in self._seen or (session.application_name == name and orphan):
                    text = _doing(session, facts.taken_at)
                    yield Left(facts.server.label, session.pid, session.backend_start, text)

    def _look(self) -> tuple[Snapshot, ...]:
        """The servers, as far as they can be reached."""
        from pgusher.app.look import Looker
        from pgusher.app.request import Request
        from pgusher.errors import PgusherError

        looker = Looker(Request(dsn=self._dsn, timeout=_TIMEOUT))
        try:
            return looker.look().snapshots
        except (PgusherError, OSError):
            return ()
        finally:
            looker.close()


def _doing(session: Session, now: int) -> str:
    """ "active for 3 s: select pg_sleep($1)"."""
    since = session.query_start if session.state == "active" else session.state_change
    seconds = None if since is None else max(0, now - since) // 1_000_000
    state = session.state or "state not shown"
    query = " ".join((session.query or "").split())[:_QUERY]
    return f"{state}{'' if seconds is None else f' for {seconds} s'}{f': {query}' if query else ''}"
