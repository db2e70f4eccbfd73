"""The runs of cron jobs that hold slots, with the lines they come from."""

from __future__ import annotations

import re

from pgusher.diagnose.schedule import in_words, longest_pause
from pgusher.model.address import Micros
from pgusher.model.evidence import Certainty
from pgusher.model.holder import Chain, LinkKind
from pgusher.model.jobs import CronEntry
from pgusher.model.session import Session
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import dataclass

_NEVER: Micros = 1 << 62
"""Later than any look: a run of which no start is known is of no age."""
_WORD = re.compile(r"[^\s,;()]+")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a cron job: what one start of it has left running, with the sessions that it holds."""

    holder: str
    """The name of the job, as of its holder."""
    top: int
    """The pid of its topmost process: the shell that cron started, or what has taken its place."""
    started: Micros
    """When that started; else, when its oldest session did."""
    sessions: tuple[Session, ...]
    processes: tuple[int, ...]
    """Those that hold its sessions."""
    entries: tuple[CronEntry, ...]
    """The crontab lines that it may come from; none when no line that was read fits."""
    pause: Micros | None
    """The longest time that its schedule leaves from one start to the next; None when that is not known."""
    certainty: Certainty
    """How sure it is that it is a run of this job."""

    @property
    def often(self) -> str:
        """How often it is started, in words; "" when that is not known."""
        return in_words(self.entries[0], self.pause) if len(self.entries) == 1 else ""


def find_runs(snapshot: Snapshot) -> tuple[Run, ...]:
    """The runs that hold sessions, by holder, oldest first."""
    sessions = {session.pid: session for session in snapshot.facts.sessions if session.takes_slot}
    chains: dict[tuple[str, int], list[Chain]] = {}
    for chain in snapshot.chains:
        top = next((link.pid for link in chain.links if link.kind is LinkKind.CRON), None)
        if top is not None and chain.pid in sessions:
            chains.setdefault((chain.holder, top), []).append(chain)
    if not chains:
        return ()
    starts = {process.pid: process.start_time for process in snapshot.facts.processes}
    entries = {place(entry): entry for entry in snapshot.facts.cron}
    found = [_run(name, top, group, sessions, starts, entries) for (name, top), group in chains.items()]
    return tuple(sorted(found, key=lambda run: (run.holder, run.started, run.top)))


def place(entry: CronEntry) -> str:
    """Where an entry is written, as the chains have it: "/etc/cron.d/jobs:3"."""
    return f"{entry.file}:{entry.line}" if entry.line else entry.file


def _run(
    name: str,
    top: int,
    group: list[Chain],
    sessions: dict[int, Session],
    starts: dict[int, Micros],
    entries: dict[str, CronEntry],
) -> Run:
    links = [link for chain in group for link in chain.links]
    job = next(link for link in links if link.kind is LinkKind.CRON)
    words = _WORD.findall(f"{job.evidence} {job.subject}")
    lines = tuple({word: entries[word] for word in words if word in entries}.values())
    pauses = [longest_pause(entry) for entry in lines]
    mine = tuple(sorted((sessions[chain.pid] for chain in group), key=lambda s: (s.backend_start or 0, s.pid)))
    pids = {link.pid for link in links if link.kind is LinkKind.PROCESS and link.pid is not None}
    began = [s.backend_start for s in mine if s.backend_start is not None]
    return Run(
        holder=name,
        top=top,
        started=starts.get(top) or min(began, default=_NEVER),
        sessions=mine,
        processes=tuple(sorted(pids)),
        entries=lines,
        # With several lines of one command it is not known whose run it is: the longest pause excuses most.
        pause=max((pause for pause in pauses if pause is not None), default=None) if None not in pauses else None,
        certainty=job.certainty,
    )
