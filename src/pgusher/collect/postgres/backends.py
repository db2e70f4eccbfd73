"""The server's processes by their titles: what is left to be seen when it lets nobody in. Needs no privilege."""

from __future__ import annotations

import os
from collections.abc import Iterable

from pgusher.collect import procfs
from pgusher.collect.postgres.postmaster import children, ticks_to_micros
from pgusher.collect.postgres.titles import Title, TitleKind, cluster_of, parse_title
from pgusher.model.address import Micros
from pgusher.model.evidence import Gap
from pgusher.model.pattern import pattern
from pgusher.model.redact import redact_text
from pgusher.model.session import SeenBy, Session
from pgusher.model.text import decode
from pgusher.model.values import dataclass, replace

INITIALIZING = "initializing"
"""What a process does until it asks for a slot, or is told that there is none (source: BackendInitialize)."""

_EXEC_START = pattern(rb"se\.exec_start\s*:\s*(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class Backend:
    """One child of the postmaster."""

    pid: int
    start_ticks: int
    cpu: int | None
    """The processor it last ran on."""
    title: Title | None
    """None when it has no title yet: it has not been told who is there, and holds no slot (before 18: no session)."""


def read_backends(pid: int, proc: str = "/proc", cluster: str | None = None) -> tuple[list[Backend], str | None]:
    """The children of the postmaster `pid`, and the server's cluster_name ("" for none), which is found if not given.

    A child that ends meanwhile is left out.
    """
    found: list[tuple[int, int, int | None, str]] = []
    for child in children(pid, proc):
        try:
            raw = procfs.read(f"{proc}/{child}/stat")
            title = decode(procfs.read(f"{proc}/{child}/cmdline", limit=1 << 14).rstrip(b"\0"))
        except OSError:
            continue
        stat = procfs.parse_stat(raw)
        if stat is not None and stat.ppid == pid:
            found.append((child, stat.start_ticks, _processor(raw), title))
    if cluster is None:
        cluster = cluster_of(title for *_, title in found)
    return [Backend(a, b, c, parse_title(title, cluster)) for a, b, c, title in found], cluster


def sessions_of(
    backends: Iterable[Backend], boot: Micros, idle: dict[int, int] | None = None
) -> tuple[list[Session], list[Gap]]:
    """Sessions as the titles show them, and what they do not show. `boot`: when the host was booted. `idle`: by pid."""
    sessions, gaps = [], []
    unclear, stateless = 0, 0
    reasons: set[str] = set()
    for backend in backends:
        title = backend.title
        if title is None or title.kind is TitleKind.OTHER or title.activity == INITIALIZING:
            continue
        if title.unclear:
            unclear += 1
            reasons.add(title.unclear)
        stateless += title.activity == ""
        sessions.append(
            Session(
                pid=backend.pid,
                backend_type=title.kind.value,
                user=None if title.user is None else redact_text(title.user),
                database=None if title.database is None else redact_text(title.database),
                client=title.client,
                state=title.state,
                wait_event_type="Lock" if title.waiting else None,
                seen_by=SeenBy.TITLE,
                start_ticks=backend.start_ticks,
                started_about=ticks_to_micros(backend.start_ticks, boot),
                idle_ms_estimate=(idle or {}).get(backend.pid),
            )
        )
    if unclear:
        gaps.append(
            Gap(
                "postgres",
                f"the user, database or address of {unclear} of {len(sessions)} sessions",
                f"a process title is not plain: {'; '.join(sorted(reasons))}",
                "connect with SQL: a reserved slot is enough",
                unclear,
            )
        )
    if stateless:
        gaps.append(
            Gap(
                "postgres",
                f"the state of {stateless} of {len(sessions)} sessions",
                "update_process_title is off",
                "ALTER SYSTEM SET update_process_title = on; SELECT pg_reload_conf()",
                stateless,
            )
        )
    return sessions, gaps


def no_session(backend: Backend) -> bool:
    """Whether it serves no client after all: a background worker of an extension, to a role that is not told so."""
    return backend.title is not None and backend.title.kind is TitleKind.OTHER


def with_title(session: Session, backend: Backend, boot: Micros) -> Session:
    """The session with what its role may not see filled in from its process title, where the two do not contradict."""
    title = backend.title
    session = replace(
        session, start_ticks=backend.start_ticks, started_about=ticks_to_micros(backend.start_ticks, boot)
    )
    if title is None or no_session(backend):
        return session
    for known, told in ((session.user, title.user), (session.database, title.database)):
        if known is not None and told is not None and known != redact_text(told):
            return session
    return replace(
        session,
        backend_type=title.kind.value,
        user=session.user or (redact_text(title.user) if title.user else None),
        database=session.database or (redact_text(title.database) if title.database else None),
        client=title.client,
        state=session.state or title.state,
        wait_event_type=session.wait_event_type or ("Lock" if title.waiting else None),
    )


def idle_estimates(backends: Iterable[Backend], proc: str = "/proc") -> dict[int, int]:
    """For each backend, at least so many milliseconds it has not run; without those that the kernel does not tell of.

    /proc/PID/sched, readable for everybody, has the time at which a process last ran, by the clock of the processor on
    which it did. Those clocks stand still while a virtual machine's processor is taken away, so they differ between
    processors by seconds: each is read by running there for a moment (this thread alone, put back afterwards).
    """
    wanted = {b.pid: b.cpu for b in backends if b.cpu is not None and b.title and (b.title.state or "")[:4] == "idle"}
    now: dict[int, float] = {}
    before = os.sched_getaffinity(0)
    try:
        for cpu in set(wanted.values()):
            try:
                os.sched_setaffinity(0, {cpu})
            except OSError:
                continue  # a processor that is not ours to run on
            last = _exec_start("thread-self", proc)
            if last is not None:
                now[cpu] = last
    finally:
        os.sched_setaffinity(0, before)
    found = {}
    for pid, cpu in wanted.items():
        last = _exec_start(pid, proc) if cpu in now else None
        # 0: it was moved to another processor since, and has not run there yet.
        if last and now[cpu] >= last:
            found[pid] = int(now[cpu] - last)
    return found


def _exec_start(pid: int | str, proc: str) -> float | None:
    """In milliseconds of the processor's own clock (source: proc_sched_show_task in kernel/sched/debug.c)."""
    try:
        match = _EXEC_START.search(procfs.read(f"{proc}/{pid}/sched"))
    except OSError:
        return None
    return float(b"%s.%s" % match.groups()) if match else None


def _processor(stat: bytes) -> int | None:
    """Field 39 of /proc/PID/stat."""
    fields = stat[stat.rfind(b") ") + 2 :].split()
    try:
        return int(fields[36])
    except (IndexError, ValueError):
        return None
