"""END_BACKEND: a server process without SQL, by TERM through its pidfd. Never KILL: that restarts the whole server.

SIGTERM is what pg_terminate_backend sends, too (PostgreSQL documentation, "Server Signaling Functions"): the session
ends, the postmaster and the other sessions do not notice.
"""

from __future__ import annotations

import signal

from pgusher.collect import procfs
from pgusher.collect.postgres.postmaster import children
from pgusher.collect.postgres.titles import TitleKind, cluster_of, parse_title
from pgusher.model.address import Micros
from pgusher.model.plan import OutcomeKind, ProcessIdentity, SessionIdentity
from pgusher.model.redact import redact_text
from pgusher.model.text import decode
from pgusher.remedy.act.pinned import Pinned, pin, read_stat
from pgusher.remedy.act.processes import JUST_STARTED, hold, too_young
from pgusher.remedy.act.result import Result
from pgusher.remedy.act.tree import denied


def check(
    session: SessionIdentity, postmaster: ProcessIdentity | None, made_at: Micros, proc: str = "/proc"
) -> Pinned | Result:
    """The server process of that session, held, when it still is what it was; else what became of it, or why not."""
    if postmaster is None or session.start_ticks is None:
        return Result(
            OutcomeKind.REFUSED, f"the plan does not tell which process of this host session {session.pid} is"
        )
    if too_young(session.start_ticks, made_at, proc):
        return Result(OutcomeKind.REFUSED, JUST_STARTED.format(session.pid), "make a new plan")
    above = hold(postmaster, proc)
    if isinstance(above, Result):
        if above.kind is OutcomeKind.GONE:
            return Result(OutcomeKind.GONE, f"session {session.pid} is gone already: the server was restarted")
        return above
    try:
        held = pin(session.pid, proc, session.start_ticks)
        if not isinstance(held, Pinned):
            return Result(OutcomeKind.GONE, f"session {session.pid} is gone already")
        why = _changed(session, postmaster.pid, proc)
        if why is None and not (held.alive() and above.alive()):
            why = Result(OutcomeKind.GONE, f"session {session.pid} is gone already")
        if why is None:
            why = _denied(held, proc)
        if why is not None:
            held.close()
    except OSError as error:
        return Result(OutcomeKind.FAILED, f"process {session.pid} could not be held: {(error.strerror or '').lower()}")
    finally:
        above.close()
    return why or held


def end(session: SessionIdentity, held: Pinned, postmaster: int, proc: str = "/proc") -> Result | None:
    """TERM, when it still is what it was at this moment; None when it was sent."""
    why = _changed(session, postmaster, proc)
    if why is not None:
        return why
    try:
        if not held.send(signal.SIGTERM):
            return Result(OutcomeKind.GONE, f"session {session.pid} is gone already")
    except PermissionError:
        return _denied(held, proc)
    return None


def title_of(pid: int, proc: str = "/proc") -> str:
    """The title of a process; "" when it has none, or is gone."""
    try:
        return decode(procfs.read(f"{proc}/{pid}/cmdline", limit=1 << 14).rstrip(b"\0"))
    except OSError:
        return ""


def _changed(session: SessionIdentity, postmaster: int, proc: str) -> Result | None:
    pid = session.pid
    stat = read_stat(pid, proc)
    if stat is None:
        return Result(OutcomeKind.GONE, f"session {pid} is gone already")
    if stat.ppid != postmaster:
        return Result(OutcomeKind.REFUSED, f"process {pid} is no child of the server's postmaster")
    raw = title_of(pid, proc)
    title = parse_title(raw)
    if title is not None and title.unclear:
        title = parse_title(raw, cluster_of(title_of(child, proc) for child in children(postmaster, proc)))
    if title is None or title.unclear or title.kind is not TitleKind.CLIENT:
        what = (
            "has no title of a session"
            if title is None
            else f"may be no client's session ({title.unclear or title.kind})"
        )
        return Result(OutcomeKind.REFUSED, f"process {pid} {what}")
    for told, was in ((title.user, session.user), (title.database, session.database)):
        if was is not None and (told is None or redact_text(told) != was):
            return Result(
                OutcomeKind.REFUSED, f"session {pid} has changed: it is role {title.user} on {title.database}"
            )
    if title.user in {None, "postgres"}:
        # A title does not tell who is a superuser.
        return Result(OutcomeKind.REFUSED, f"session {pid} may be a superuser's: those are never ended")
    if title.state is None or title.state != session.state:
        now = title.state or "of a hidden state"
        return Result(OutcomeKind.REFUSED, f"session {pid} has changed: it was {session.state}, it is {now}")
    return None


def _denied(held: Pinned, proc: str) -> Result | None:
    try:
        held.send(0)
    except PermissionError:
        found = denied(held, proc)
        return Result(found.kind, found.text, "run it as root, or as the user of the server")
    return None
