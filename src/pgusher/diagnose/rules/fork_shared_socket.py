"""several processes hold the socket of one session: it was inherited over a fork."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pgusher.diagnose.case import Held
from pgusher.diagnose.crowd import is_pooler
from pgusher.diagnose.text import SECOND, count, listed
from pgusher.model.address import Micros
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Evidence, Finding, Remedy, Safety, Severity
from pgusher.model.holder import HolderKind
from pgusher.model.process import Process
from pgusher.model.session import Session
from pgusher.model.sockets import ClientSocket, Sight

WORST = Severity.WARNING

_MOMENT = 2 * SECOND
"""Between fork and exec a child has what its parent has: that is over in a moment."""


def check(
    holders: tuple[Held, ...],
    sockets: Mapping[int, ClientSocket],
    processes: Mapping[int, Process],
    now: Micros,
) -> Iterator[Finding]:
    """One finding for each holder with such sessions. Poolers pass sockets on when they are updated: that is well."""
    for held in holders:
        if is_pooler(held):
            continue
        shared: list[Session] = []
        pids: set[int] = set()
        for session in held.sessions:
            socket = sockets.get(session.pid)
            if socket is None or socket.sight is not Sight.SHARED:
                continue
            grown = {h.pid for h in socket.holders if h.pid in processes and _settled(processes[h.pid], now)}
            if len(grown) > 1:
                shared.append(session)
                pids |= grown
        if shared:
            yield _finding(held, shared, sorted(pids, key=lambda pid: (processes[pid].start_ticks, pid)), processes)


def _settled(process: Process, now: Micros) -> bool:
    return now - process.start_time >= _MOMENT


def _severity(held: Held, shared: list[Session], pids: list[int], processes: Mapping[int, Process]) -> Severity:
    """A danger that nobody has met yet, as in a script whose forked helpers have work of their own, is a note.

    It is more where the workers of a service have it in common, each of which serves clients; and where the process
    that opened the session has let go of it, so that only its children keep the slot.
    """
    began = [s.backend_start for s in shared if s.backend_start is not None]
    left = bool(began) and processes[pids[0]].start_time > min(began) + _MOMENT
    helpers = held.holder.kind in (HolderKind.SCRIPT, HolderKind.CRON, HolderKind.TERMINAL)
    return Severity.NOTE if helpers and not left else Severity.WARNING


def _finding(held: Held, shared: list[Session], pids: list[int], processes: Mapping[int, Process]) -> Finding:
    number = count(len(shared), "session")
    return Finding(
        "fork-shared-socket",
        _severity(held, shared, pids, processes),
        Certainty.PROVEN,
        held.name,
        f"{held.name}: {number} open in {len(pids)} processes at once",
        detail=(
            f"The processes, oldest first: {listed(pids, 8)}.",
            "Two of them that use one session read each other's rows; one that closes it ends it for the others.",
            "The session stays until the last of them has ended.",
        ),
        evidence=(Evidence(f"the kernel shows the same socket in each of the {len(pids)} processes"),),
        remedies=(
            Remedy(
                "open the pool after the fork: in gunicorn's post_fork, in the initializer of multiprocessing",
                Safety.SAFE,
            ),
            Remedy(
                "start children anew instead of forking them: multiprocessing.set_start_method('spawn')", Safety.SAFE
            ),
        ),
        holder=held.name,
        sessions=tuple(s.pid for s in shared),
        processes=tuple(pids),
        since=min((s.backend_start for s in shared if s.backend_start is not None), default=None),
    )
