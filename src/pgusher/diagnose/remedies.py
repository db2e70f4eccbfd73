"""Commands that several rules advise. Each can be pasted as it is, and hits nothing but what the finding is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pgusher.diagnose.text import HOUR, MINUTE, SECOND
from pgusher.model.address import Micros
from pgusher.model.findings import Finding, Remedy, Safety
from pgusher.model.pattern import pattern
from pgusher.model.session import Session
from pgusher.model.values import replace

_MOST = 24
"""Pids that one command lists."""
FREED = frozenset(
    {
        "blocked-by-idle",
        "dead-thread-holds-slots",
        "forgotten-session",
        "idle-in-transaction",
        "orphaned-session",
        "stuck-job",
    }
)
"""Rules of whose findings `pgusher free` can end something."""
_BY_HAND = ("kill ", "SELECT pg_terminate_backend", "SELECT pg_cancel_backend")
_TYPED = pattern(r"[\w@%+=:,./-]+")


def with_free(finding: Finding) -> Finding:
    """The finding with `pgusher free` before what ends it by hand, where that can plan its end."""
    if finding.rule not in FREED:
        return finding
    # A name that a shell would take apart is not printed to be typed.
    name = next((name for name in (finding.id, finding.holder) if name and _TYPED.fullmatch(name)), finding.rule)
    text = "plan what ends it: what comes back, what it loses, what is spared"
    plan = Remedy(text, Safety.SAFE, f"pgusher free {name}")
    hands = [at for at, one in enumerate(finding.remedies) if one.command.startswith(_BY_HAND)]
    at = hands[0] if hands else 0
    return replace(finding, remedies=(*finding.remedies[:at], plan, *finding.remedies[at:]))


def look(holder: str | None, why: bool = False) -> Remedy:
    """See more of it first."""
    verb, text = ("why", "see in which line it waits") if why else ("who", "see who holds them")
    return Remedy(text, Safety.SAFE, f"pgusher {verb} {holder or ''}".rstrip())


def terminate(sessions: Sequence[Session], quiet: Micros | None, loses: str = "", text: str = "end them") -> Remedy:
    """End these sessions, if they are still what they were: a pid alone may be somebody else's by now.

    `quiet` is for how long each of them has been idle at least; None for those that are not.
    """
    pids = ", ".join(str(session.pid) for session in sessions[:_MOST])
    same = f"state_change < now() - interval '{_interval(quiet)}'" if quiet is not None else _since(sessions)
    # Of numbers alone, and for a person to paste: it is not run here.
    command = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid IN ({pids}) AND {same}"  # noqa: S608 - see above
    return Remedy(text, Safety.UNSAFE if loses else Safety.SAFE, command, loses)


def _interval(quiet: Micros) -> str:
    """Half of that time, so that what was idle then, and is still, fits; and what woke up meanwhile does not."""
    half = quiet // 2
    if half >= HOUR:
        return f"{half // HOUR} h"
    return f"{half // MINUTE} min" if half >= MINUTE else f"{max(1, half // SECOND)} s"


def _since(sessions: Sequence[Session]) -> str:
    """That the session began before we looked, as all of these did."""
    starts = [session.backend_start for session in sessions if session.backend_start is not None]
    latest = max(starts, default=0) // SECOND + 1
    return f"backend_start < to_timestamp({latest})"


def end_processes(pids: Iterable[int], loses: str, text: str = "end it") -> Remedy:
    """End client processes."""
    return Remedy(text, Safety.UNSAFE, f"kill {' '.join(str(pid) for pid in list(pids)[:_MOST])}", loses)


def alter_role(role: str, setting: str, text: str, loses: str = "") -> Remedy:
    """A setting of one role: it holds for its new sessions."""
    named = role.replace('"', '""')
    return Remedy(text, Safety.UNSAFE if loses else Safety.SAFE, f'ALTER ROLE "{named}" {setting}', loses)


def alter_system(setting: str, text: str) -> Remedy:
    """A setting of the server, in force at once."""
    return Remedy(text, Safety.SAFE, f"ALTER SYSTEM SET {setting}; SELECT pg_reload_conf()")
