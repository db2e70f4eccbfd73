"""What rules may ask for: one snapshot, turned over so that each question is answered once, and only when asked.

The names below are those of a check's arguments. What is missing is a Gap, and the rule is skipped for that reason; an
argument with a default value is a need that the rule can do without.

| need | what it is | missing when |
|---|---|---|
| `snapshot`, `now`, `view`, `host` | the snapshot, its moment, from where the server was seen, and the host | never |
| `sessions` | the sessions that take a slot, pgusher's own left out | nothing of the server was seen |
| `activity` | the same, when their statements and times are known | it was seen without SQL, or without pg_monitor |
| `quiet` | by pid, for how long an idle session has been idle at least (microseconds) | never; some may be missing |
| `room` | how many slots there are, and how many are taken | the ceilings are not known |
| `limits` | limits of roles and databases that are set | it was seen without SQL |
| `settings` | the server's settings by name | it was seen without SQL |
| `chains` | the chain of each session, by pid | never |
| `holders` | the holders with their sessions, pgusher left out, most slots first | never |
| `sockets` | the client's end of sessions, by pid of the session | the server is on another host |
| `processes` | the processes that hold sessions, and their ancestors, by pid | the same |
| `runs` | runs of cron jobs that hold sessions | the same |
| `pools` | how many sessions programs may take, by their own files | never; mostly there are none |
| `grafana` | the Grafanas that were found, with their data sources | one holds sessions, and none was looked at |
| `stacks` | the threads of processes | they were not looked at |
| `hangs` | processes that hang, with mechanism, thread and line | their threads were not looked at |
| `earlier` | the snapshot before this one | there was no look before |
| `history` | who held how many slots, minute by minute | nothing was recorded |
| `budgets` | what was declared: [budget.NAME] of the configuration | never; mostly there are none |
| `own_pools` | the pools of pgusher's own, by the ledgers of their processes | the same |
| `gaps` | all that could not be read | never |
| `ratio` | the rule's threshold | never |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

from pgusher.diagnose.room import Room
from pgusher.diagnose.runs import Run, find_runs
from pgusher.model.address import Micros
from pgusher.model.budget import Declared
from pgusher.model.evidence import Gap
from pgusher.model.holder import Chain, Holder, HolderKind
from pgusher.model.past import Past
from pgusher.model.process import Process
from pgusher.model.server import Limit, Rung, Setting
from pgusher.model.session import Session
from pgusher.model.snapshot import Snapshot
from pgusher.model.sockets import ClientSocket
from pgusher.model.stacks import Hang
from pgusher.model.values import dataclass

IDLE = frozenset({"idle", "idle in transaction", "idle in transaction (aborted)"})
"""States in which a session waits for its client."""

_ELSEWHERE = Gap(
    "sockets", "the processes of the clients", "the server is on another host", "run pgusher on the server's own host"
)
_NO_GRAFANA = Gap("grafana", "Grafana's data sources", "none was looked at", "pgusher grafana")
_NO_HISTORY = Gap("history", "the past of this server", "nothing was recorded", "pgusher record")
_NO_STACKS = Gap("stacks", "the threads of the processes", "they were not looked at", "pgusher why")


@dataclass(frozen=True, slots=True)
class Held:
    """A holder with its sessions that take a slot, oldest first."""

    holder: Holder
    sessions: tuple[Session, ...]

    @property
    def name(self) -> str:
        """Its name."""
        return self.holder.name


class Case:
    """One snapshot with all that rules may ask for."""

    def __init__(
        self,
        snapshot: Snapshot,
        *,
        hangs: Sequence[Hang] | Gap | None = None,
        earlier: Snapshot | None = None,
        history: Past | Gap | None = None,
        budgets: Sequence[Declared] = (),
    ) -> None:
        self.snapshot = snapshot
        self._history = history
        self._facts = snapshot.facts
        self._hangs = hangs
        self._earlier = earlier
        self._known: dict[str, object] = {}
        self._by_sql = snapshot.facts.view.rung not in (Rung.TITLES, Rung.NONE)
        facts = snapshot.facts
        self._answers: dict[str, Callable[[], object]] = {
            "snapshot": lambda: snapshot,
            "now": lambda: facts.taken_at,
            "view": lambda: facts.view,
            "host": lambda: facts.host,
            "gaps": lambda: facts.gaps,
            "budgets": lambda: budgets,
            "own_pools": lambda: facts.own_pools,
            "sessions": self._sessions,
            "activity": self._activity,
            "quiet": self._quiet,
            "room": self._room,
            "limits": self._limits,
            "settings": self._settings,
            "chains": self._chains,
            "holders": self._holders,
            "sockets": self._sockets,
            "processes": self._processes,
            "runs": self._runs,
            "pools": lambda: facts.pools,
            "grafana": self._grafana,
            "stacks": self._stacks,
            "hangs": self._found_hangs,
            "earlier": self._before,
            "history": lambda: self._history or _NO_HISTORY,
        }

    @property
    def needs(self) -> frozenset[str]:
        """All names that a check's argument may have, but for `ratio`."""
        return frozenset(self._answers)

    def need(self, name: str) -> object:
        """What a check's argument of that name gets: a Gap when it is missing. Raises KeyError for an unknown name."""
        if name not in self._known:
            self._known[name] = self._answers[name]()
        return self._known[name]

    def _sessions(self) -> tuple[Session, ...] | Gap:
        if self._facts.view.rung is Rung.NONE and not self._facts.sessions:
            return Gap("postgres", "the sessions", "nothing of the server could be seen", "pgusher doctor")
        return tuple(s for s in self._facts.sessions if s.takes_slot and not self._is_own(s))

    def _is_own(self, session: Session) -> bool:
        return session.own or session.pid == self._facts.view.own_pid or session.pid in self._looks

    @cached_property
    def _looks(self) -> frozenset[int]:
        """The sessions of pgusher's looks, this one and others: they come and go, and are nobody's leak."""
        return frozenset(pid for h in self.snapshot.holders if h.kind is HolderKind.OWN for pid in h.sessions)

    def _activity(self) -> tuple[Session, ...] | Gap:
        if not self._by_sql:
            return self._without_sql("statements and times of the sessions")
        if self._facts.view.sees_all is False:
            return Gap(
                "postgres",
                "statements and times of other roles' sessions",
                f"role {self._facts.view.role} may not see them",
                f"GRANT pg_monitor TO {self._facts.view.role}",
            )
        return self._sessions()

    def _without_sql(self, what: str) -> Gap:
        attempts = self._facts.view.attempts
        if not attempts:
            opens = "ask the server by SQL as well (without --no-sql)"
        elif any(attempt.lacks_slots for attempt in attempts):
            opens = "free a slot, or let pgusher use a reserved one"
        else:
            opens = "pgusher -U ROLE, where ROLE may log in"
        return Gap("postgres", what, "the server was seen without SQL", opens)

    def _quiet(self) -> dict[int, Micros]:
        now = self._facts.taken_at
        active: dict[tuple[str | None, int | None], Micros] = {}
        for socket in self._facts.sockets:
            if socket.active_at is not None and socket.port is not None:
                active[socket.host, socket.port] = socket.active_at
        found = {}
        for s in self._facts.sessions:
            if s.state not in IDLE:
                continue
            if s.state_change is not None:
                found[s.pid] = max(0, now - s.state_change)
            else:
                last = active.get((s.client.host, s.client.port))
                if last is not None:
                    found[s.pid] = max(0, now - last)
                elif s.idle_ms_estimate is not None:
                    found[s.pid] = s.idle_ms_estimate * 1000
        return found

    def _room(self) -> Room | Gap:
        facts = self._facts
        if facts.ceilings is None:
            return Gap(
                "postgres", "how many slots there are", "neither SQL nor the server's files tell", "sudo pgusher"
            )
        return Room(facts.ceilings, self.snapshot.taken, bool(facts.view.refuses_all or facts.view.refuses))

    def _limits(self) -> tuple[tuple[str, Limit], ...] | Gap:
        ceilings = self._facts.ceilings
        if not self._by_sql or ceilings is None:
            return self._without_sql("the limits of roles and databases")
        found = [("role", limit) for limit in ceilings.roles]
        return (*found, *(("database", limit) for limit in ceilings.databases))

    def _settings(self) -> Mapping[str, Setting] | Gap:
        if not self._facts.settings:
            return self._without_sql("the server's settings")
        return {setting.name: setting for setting in self._facts.settings}

    def _chains(self) -> dict[int, Chain]:
        return {chain.pid: chain for chain in self.snapshot.chains}

    def _holders(self) -> tuple[Held, ...]:
        sessions = {s.pid: s for s in self._facts.sessions}
        held = (
            Held(holder, tuple(sessions[pid] for pid in holder.sessions if pid in sessions))
            for holder in self.snapshot.holders
            if holder.kind is not HolderKind.OWN
        )
        return tuple(one for one in held if one.sessions)

    def _local(self, value: object) -> object:
        return value if self._facts.server.local else _ELSEWHERE

    def _sockets(self) -> object:
        facts = self._facts
        by_address = {(s.client.host, s.client.port): s.pid for s in facts.sessions if s.client.port is not None}
        found: dict[int, ClientSocket] = {}
        for socket in facts.sockets:
            pid = socket.backend_pid
            if pid is None and socket.port is not None:
                pid = by_address.get((socket.host, socket.port))
            if pid is not None:
                found[pid] = socket
        return self._local(found)

    def _processes(self) -> object:
        found: dict[int, Process] = {process.pid: process for process in self._facts.processes}
        return self._local(found)

    def _runs(self) -> object:
        if not self._facts.server.local:
            return _ELSEWHERE
        found: tuple[Run, ...] = find_runs(self.snapshot)
        unreadable = [gap for gap in self._facts.gaps if gap.source == "cron"]
        if unreadable and not any(run.entries for run in found) and found:
            return unreadable[0]
        return found

    def _found_hangs(self) -> object:
        if self._hangs is None:
            facts = self._facts
            if facts.stacks:
                from pgusher.diagnose.hangs import find_hangs  # late: a look without stacks must start at once

                return find_hangs(facts.stacks, facts)
            return next((gap for gap in facts.gaps if gap.source == "stacks"), _NO_STACKS)
        return self._hangs if isinstance(self._hangs, Gap) else tuple(self._hangs)

    def _grafana(self) -> object:
        grafana = self._facts.grafana
        if not grafana and any(holder.program == "Grafana" for holder in self.snapshot.holders):
            return _NO_GRAFANA
        return grafana

    def _stacks(self) -> object:
        told = next((gap for gap in self._facts.gaps if gap.source == "stacks"), None)
        return self._facts.stacks or told or _NO_STACKS

    def _before(self) -> object:
        if self._earlier is None:
            return Gap("history", "an earlier look", "one look shows no coming and going", "pgusher --watch 2")
        return self._earlier
