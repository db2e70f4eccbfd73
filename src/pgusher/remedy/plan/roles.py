"""Steps about roles: a limit, and timeouts by which the server ends what is idle. Only new sessions feel them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pgusher.diagnose.text import MINUTE, count
from pgusher.model.address import Micros
from pgusher.model.findings import Safety
from pgusher.model.plan import Lever, RoleSetting, Step
from pgusher.model.session import Session
from pgusher.model.values import dataclass

LIMIT = "CONNECTION LIMIT"
"""How the limit is called in a `RoleSetting`."""
TIMEOUTS: tuple[tuple[str, str, Micros, int], ...] = (
    ("idle_in_transaction_session_timeout", "5min", 5 * MINUTE, 90600),
    ("idle_session_timeout", "30min", 30 * MINUTE, 140000),
)
"""Parameter, value, the same in microseconds, and the version from which it is there (PostgreSQL's release notes)."""


@dataclass(frozen=True, slots=True)
class Role:
    """One role as the server has it."""

    name: str
    limit: int
    """rolconnlimit; -1 for none."""
    superuser: bool
    config: tuple[str, ...] = ()
    """rolconfig: "idle_session_timeout=5min" ..."""

    @property
    def settings(self) -> Mapping[str, str]:
        """The parameters that are set for it in every database."""
        return dict(one.partition("=")[::2] for one in self.config)


def limit_step(role: Role, most: int, sessions: Iterable[Session]) -> Step:
    """A step that limits a role, with what it would refuse now."""
    used = sum(session.user == role.name and session.takes_slot for session in sessions)
    over = used - most if most >= 0 else 0
    if over >= 0 and most >= 0:
        safety, loses = Safety.UNSAFE, f"each new session of {role.name}"
        loses += f" until {count(over + 1, 'session')} of it {'has' if over == 0 else 'have'} ended"
    else:
        safety, loses = Safety.SAFE, ""
    preview = f"it has {count(used, 'session')} now"
    if over > 0:
        preview += f", {over} more than that: they stay"
    before = "no limit" if role.limit < 0 else str(role.limit)
    now = "any number of slots" if most < 0 else f"{count(most, 'slot')} at most"
    return Step(
        0,
        Lever.LIMIT,
        f"let role {role.name} take {now}; before: {before}",
        safety,
        loses,
        preview,
        holder=f"role/{role.name}",
        settings=(RoleSetting(role.name, LIMIT, str(role.limit), str(most)),),
        undo=(f"ALTER ROLE {quoted(role.name)} CONNECTION LIMIT {role.limit}",),
    )


def timeouts_step(role: Role, version: int, sessions: Sequence[Session], quiet: Mapping[int, Micros]) -> Step:
    """A step by which the server ends the role's idle sessions itself, with those that are idle for so long now."""
    known = role.settings
    chosen = [one for one in TIMEOUTS if version >= one[3]]
    mine = [s for s in sessions if s.user == role.name and s.takes_slot]
    told = []
    for name, value, length, _ in chosen:
        inside = name.startswith("idle_in")
        alike = [s for s in mine if (s.state == "idle") is not inside and (s.state or "").startswith("idle")]
        number = sum(quiet.get(s.pid, 0) >= length for s in alike)
        told.append(f"{number} of its {count(len(mine), 'session')} would meet {name} = {value}")
    values = ", ".join(f"{name} = {value}" for name, value, *_ in chosen)
    return Step(
        0,
        Lever.TIMEOUTS,
        f"let the server end idle sessions of role {role.name}: {values}",
        Safety.UNSAFE,
        "what a new session of it has not committed when its client pauses for longer",
        "; ".join(told),
        holder=f"role/{role.name}",
        settings=tuple(RoleSetting(role.name, name, known.get(name), value) for name, value, *_ in chosen),
        undo=tuple(_back(role.name, name, known.get(name)) for name, *_ in chosen),
    )


def _back(role: str, name: str, before: str | None) -> str:
    if before is None:
        return f"ALTER ROLE {quoted(role)} RESET {name}"
    value = before.replace("'", "''")
    return f"ALTER ROLE {quoted(role)} SET {name} = '{value}'"


def quoted(name: str) -> str:
    """An identifier as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'
