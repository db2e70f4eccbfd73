"""Small servers written down in TOML, as the pages of the rules have them: facts are made of them, and attributed.

    slots = 100                    # max_connections; 3 of them are reserved for superusers
    near = false                   # the look is through SQL as a superuser, unless `view` says "titles" or "ordinary"

    [[process]]                    # a client process, with all that is above it
    argv = "python3 version_history.py"
    cron = "*/10 * * * * root cd /opt/jobs && python3 version_history.py"
    age = "23d"
    sessions = [{ count = 3, idle = "23d" }]

What a process belongs to is told by `cron`, `unit`, `tty` ("pts/3 anna"), `container` or `title` of its parent. Its
sessions say `count`, `state`, `idle` (since its state changed), `age` (since it began, as old as the process else),
`used = false` (no statement yet), `app`, `user`, `database`, `query`, `id` and `blocked_by` (an id), `superuser`.
[process.hang] is what its stack would have shown, `pools` what its files say of its limits.
`copies` makes several such processes, `share` forked children that have the same sockets. Beside [[process]] there are
[[grafana]] (`version`, `replicas`, `sources` in the words of its API with `open`, `idle` and `lifetime`, `own`),
[[remote]] (`host`), [[gone]], [[hidden]] (`uid`) and [[unknown]] with sessions alone. [earlier] is a look before, which
differs in what the server had counted. [[past]] is what was recorded of a holder. [[budget]] is what was declared for
one.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from dataclasses import replace
from itertools import count
from typing import Any

from pgusher.attribute import attribute
from pgusher.collect.grafana.sources import Setting as Around
from pgusher.collect.grafana.sources import source_of, where
from pgusher.model.address import UNKNOWN, ClientAddress, Micros, Transport
from pgusher.model.budget import Declared
from pgusher.model.evidence import Certainty, Gap
from pgusher.model.facts import Facts
from pgusher.model.findings import Evidence
from pgusher.model.grafana import Figure, Grafana, OwnDatabase, Seen
from pgusher.model.jobs import CronEntry, CronKind, Unit
from pgusher.model.past import Past
from pgusher.model.pools import PoolLimit
from pgusher.model.process import Host, Process
from pgusher.model.server import Ceilings, Limit, Rung, Server, Setting, View
from pgusher.model.session import SeenBy, Session
from pgusher.model.snapshot import Snapshot
from pgusher.model.sockets import ClientSocket, FdHolder, Sight
from pgusher.model.stacks import Hang, Raised
from tests.diagnose.pasts import past_of

SECOND: Micros = 1_000_000
NOW: Micros = 1_775_963_520_000_000
"""2026-04-12 03:12:00 UTC."""
BOOT: Micros = NOW - 400 * 86400 * SECOND
_UNITS = {"ms": 1000, "s": SECOND, "min": 60 * SECOND, "h": 3600 * SECOND, "d": 86400 * SECOND}
_CRON = "/usr/sbin/cron"
_UIDS = {"root": 0, "www-data": 33, "postgres": 112, "grafana": 113, "anna": 1000, "bob": 1001}


def span(text: str) -> Micros:
    """ "23d", "10min", "250ms" in microseconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?(ms|s|min|h|d)", text)
    assert match, f"no length of time: {text!r}"
    return int(float(match[1]) * _UNITS[match[2]])


class World:
    """One server in the making."""

    def __init__(self, text: str) -> None:
        self._told = tomllib.loads(text)
        self._pids = count(1000)
        self._backends = count(50_001)
        self._ports = count(41_000)
        self._inodes = count(880_000)
        self._lines = count(3)
        self.processes: dict[int, Process] = {}
        self.sessions: list[Session] = []
        self.sockets: list[ClientSocket] = []
        self.cron: dict[str, CronEntry] = {}
        self.units: dict[str, Unit] = {}
        self._named: dict[str, int] = {}
        self._blocked: list[tuple[int, str]] = []
        self._pools: list[tuple[Any, ...]] = []
        self._grafana: list[Grafana] = []
        self._daemon: int | None = None
        self._parents: dict[str, int] = {}
        self.before: Snapshot | None = None
        """The look before, where the world tells of one."""
        self.past: Past | None = None
        """What was recorded, where the world tells of it."""
        self.budgets = tuple(Declared(place="pgusher.toml: budget", **one) for one in self._told.pop("budget", []))
        """What was declared."""
        self.hangs: list[dict[str, Any]] = []
        self._make(1, 0, ("/sbin/init",), BOOT, comm="systemd", cgroup="/init.scope")

    def snapshot(self) -> Snapshot:
        """The whole of it, attributed."""
        told = self._told
        self.earlier = self._earlier(told.pop("earlier", None))
        self.past = past_of(told.pop("past", []), NOW)
        for each in told.pop("process", []):
            self._process(each)
        self._grafana += [_grafana_of(dict(each)) for each in told.pop("grafana", [])]
        for kind in ("remote", "gone", "hidden", "unknown"):
            for each in told.pop(kind, []):
                self._without_process(kind, each)
        facts = self._facts(told)
        assert not told, f"unknown keys of a world: {sorted(told)}"
        snapshot = attribute(facts)
        if self.earlier is not None:
            ago, opened, empty = self.earlier
            before = replace(facts, taken_at=NOW - ago, server=replace(facts.server, opened=opened))
            self.before = attribute(replace(before, sessions=(), sockets=()) if empty else before)
        return snapshot

    def _earlier(self, told: dict[str, Any] | None) -> tuple[Micros, int, bool] | None:
        return None if told is None else (span(told["ago"]), told["opened"], told.get("empty", False))

    def found_hangs(self) -> list[Hang] | None:
        """What its processes hang in, as their stacks would have told; None where nobody looked at their threads."""
        return [self._hang(dict(told)) for told in self.hangs] or None

    def _hang(self, told: dict[str, Any]) -> Hang:
        raised = told.pop("raised", None)
        likely = Certainty(told.pop("certainty", "proven"))
        still = Certainty(told.pop("still_certainty", likely.value))
        words = {"still": True, "thread": "MainThread", **told}
        if raised is not None:
            how = f"task_done() at line {raised} is skipped by an error"
            words["raised"] = Raised(words["file"], raised, Certainty.LIKELY, how)
        evidence = (Evidence(f"the stack of {words['thread']}"), Evidence("it did not move", likely))
        ticks = self.processes[words["pid"]].start_ticks
        return Hang(start_ticks=ticks, certainty=likely, still_certainty=still, evidence=evidence, **words)

    def _facts(self, told: dict[str, Any]) -> Facts:
        view = told.pop("view", "superuser")
        by_sql = view != "titles"
        own = Session(
            next(self._backends), NOW - SECOND, user="postgres", database="postgres", application_name="pgusher",
            state="active", query_start=NOW, state_change=NOW, own=True, superuser=True,
        )  # fmt: skip
        sessions = tuple(self._with_blockers(session) for session in self.sessions)
        slots, reserved = told.pop("slots", 100), told.pop("superuser_reserved", 3)
        limits = [told.pop(kind, {}) for kind in ("roles", "databases")]
        used = [
            tuple(Limit(name, most, sum(getattr(s, field) == name for s in sessions)) for name, most in each.items())
            for each, field in zip(limits, ("user", "database"), strict=True)
        ]
        gaps = tuple(Gap(*each) for each in told.pop("gaps", []))
        refuses = told.pop("refuses", "")
        settings = {**_DEFAULTS, **told.pop("settings", {})} if by_sql else {}
        return Facts(
            taken_at=NOW,
            host=Host("db1", "boot", BOOT, uid=0, user="root", addresses=("127.0.0.1", "::1", "10.0.0.5"), pid=99_999),
            server=Server(
                5432, local=told.pop("local", True), version="18.6", version_num=180_006, started=NOW - span("142d"),
                opened=told.pop("opened", None),
            ),
            view=View(
                Rung.RESERVED if by_sql else Rung.TITLES, role="postgres" if by_sql else None, superuser=by_sql,
                sees_all=view == "superuser" if by_sql else None, own_pid=own.pid if by_sql else None,
                refuses=refuses or None, refuses_all=told.pop("refuses_all", False),
            ),
            ceilings=Ceilings(slots, reserved, told.pop("reserved", 0), used[0], used[1]) if slots else None,
            sessions=(*(sessions if by_sql else map(_as_titled, sessions)), *((own,) if by_sql else ())),
            sockets=tuple(self.sockets),
            processes=tuple(self.processes.values()),
            cron=tuple(self.cron.values()),
            units=tuple(self.units.values()),
            gaps=gaps,
            pools=tuple(PoolLimit(*each) for each in self._pools),
            grafana=tuple(self._grafana),
            settings=tuple(Setting(name, str(value)) for name, value in settings.items()),
        )  # fmt: skip

    # -- processes

    def _make(self, pid: int, ppid: int, argv: tuple[str, ...], started: Micros, **more: Any) -> Process:
        up = self.processes.get(ppid)
        base: dict[str, Any] = {
            "comm": argv[0].rpartition("/")[2][:15],
            "uid": up.uid if up else 0,
            "user": up.user if up else "root",
            "sid": up.sid if up and ppid > 1 else pid,
            "cgroup": up.cgroup if up else "/",
            "tty": up.tty if up else 0,
            "cwd": up.cwd if up else "/",
        }
        ticks = (started - BOOT) // 10_000
        made = Process(pid, ticks, started, ppid, argv=argv, state="S", **{**base, **more})
        self.processes[pid] = made
        return made

    def _process(self, told: dict[str, Any]) -> None:
        told = dict(told)
        hang = told.pop("hang", None)
        pools = told.pop("pools", [])
        for _ in range(told.pop("copies", 1)):
            process, session_told = self._one(dict(told))
            children = [self._child(process) for _ in range(told.get("share", 0))]
            for each in session_told:
                self._sessions(dict(each), (process, *children))
            self._pools += [(process.pid, *each) for each in pools]
            if hang is not None:
                self.hangs.append({"pid": process.pid, **hang})

    def _child(self, parent: Process) -> Process:
        return self._make(next(self._pids), parent.pid, parent.argv, parent.start_time + SECOND)

    def _one(self, told: dict[str, Any]) -> tuple[Process, list[dict[str, Any]]]:
        started = NOW - span(told.pop("age", "2h"))
        argv = tuple(shlex.split(told.pop("argv")))
        user = told.pop("os_user", None)
        sessions = told.pop("sessions", [])
        told.pop("share", None)
        more: dict[str, Any] = {"cwd": told.pop("cwd", "/opt/app"), "exe": told.pop("exe", None)}
        parent = 1
        if cron := told.pop("cron", None):
            parent = self._cron(cron, started)
        elif unit := told.pop("unit", None):
            name = f"{unit}.service"
            more["cgroup"] = f"/system.slice/{name}"
            self.units.setdefault(name, Unit(name, cgroup=more["cgroup"], timers=tuple(told.pop("timers", ()))))
            more["sid"] = 900
        elif tty := told.pop("tty", None):
            line, person = tty.split()
            parent = self._terminal(line, person, started)
        if title := told.pop("parent", None):
            if title not in self._parents:
                above = self._make(next(self._pids), parent, (title,), started - SECOND, **{**more, "exe": None})
                self._parents[title] = above.pid
            parent = self._parents[title]
        if user is not None:
            more |= {"user": user, "uid": _UIDS[user]}
        assert not told, f"unknown keys of a process: {sorted(told)}"
        return self._make(next(self._pids), parent, argv, started, **more), sessions

    def _cron(self, line: str, started: Micros) -> int:
        schedule, user, command = re.fullmatch(r"(@\w+|(?:\S+ ){4}\S+) (\S+) (.*)", line).groups()  # type: ignore[union-attr]  # a world that is written well
        if line not in self.cron:
            self.cron[line] = CronEntry(CronKind.SYSTEM, "/etc/cron.d/jobs", next(self._lines), schedule, command, user)
        if self._daemon is None:
            daemon = self._make(
                next(self._pids), 1, ("/usr/sbin/cron", "-f"), BOOT, cgroup="/system.slice/cron.service", exe=_CRON
            )
            self._daemon = daemon.pid
        runner = self._make(next(self._pids), self._daemon, ("/usr/sbin/CRON", "-f"), started, comm="cron", exe=_CRON)
        pid = next(self._pids)
        uid = _UIDS[user]
        return self._make(pid, runner.pid, ("/bin/sh", "-c", command), started, sid=pid, uid=uid, user=user).pid

    def _terminal(self, line: str, user: str, started: Micros) -> int:
        pid, number = next(self._pids), int(line.rpartition("/")[2])
        more = {"tty": 136 << 8 | number, "uid": _UIDS[user], "user": user, "sid": pid}
        cgroup = f"/user.slice/user-{_UIDS[user]}.slice/session-4.scope"
        return self._make(pid, 1, ("-bash",), started, cgroup=cgroup, **more).pid

    # -- sessions

    def _sessions(self, told: dict[str, Any], holders: tuple[Process, ...]) -> None:
        for _ in range(told.pop("count", 1)):
            session = self._session(dict(told), NOW - holders[0].start_time)
            sight = Sight.EXACT if len(holders) == 1 else Sight.SHARED
            self._socket(session, sight, tuple(FdHolder(process.pid, 7) for process in holders))

    def _session(self, told: dict[str, Any], oldest: Micros, host: str = "127.0.0.1") -> Session:
        began = NOW - (span(told.pop("age")) if "age" in told else oldest)
        state = told.pop("state", "idle")
        changed = max(began, NOW - span(told.pop("idle", "1s")))
        used = told.pop("used", True)
        if used is False:
            changed = began
        session = Session(
            next(self._backends),
            began,
            user=told.pop("user", "app"),
            database=told.pop("database", "app"),
            application_name=told.pop("app", ""),
            client=ClientAddress(Transport.TCP, host, next(self._ports)),
            state=state,
            state_change=None if state == "authenticating" else changed,
            query_start=changed if used else None,
            xact_start=changed if "transaction" in state else None,
            wait_event_type="Lock" if "blocked_by" in told else None,
            query=told.pop("query", "SELECT $1" if used else ""),
            superuser=told.pop("superuser", False),
        )
        if state == "authenticating":
            # Before 18 pg_stat_activity does not show it; only its lock tells that it is there.
            session = replace(
                session, backend_type="authenticating", backend_start=None, started_about=began, user=None,
                database=None, query=None, query_start=None, seen_by=SeenBy.LOCKS,
            )  # fmt: skip
        if "id" in told:
            self._named[told.pop("id")] = session.pid
        if "blocked_by" in told:
            self._blocked.append((session.pid, told.pop("blocked_by")))
        assert not told, f"unknown keys of sessions: {sorted(told)}"
        self.sessions.append(session)
        return session

    def _with_blockers(self, session: Session) -> Session:
        names = [name for pid, name in self._blocked if pid == session.pid]
        blockers = tuple(0 if name == "prepared" else self._named[name] for name in names)
        return replace(session, blocked_by=blockers) if blockers else session

    def _socket(self, session: Session, sight: Sight, holders: tuple[FdHolder, ...] = (), **more: Any) -> None:
        base: dict[str, Any] = {
            "host": session.client.host,
            "port": session.client.port,
            "backend_pid": session.pid,
            "inode": next(self._inodes) if sight in (Sight.EXACT, Sight.SHARED, Sight.UID) else 0,
            "tcp_state": "close-wait" if sight is Sight.GONE else "established",
            "holders": holders,
        }
        self.sockets.append(ClientSocket(Transport.TCP, sight, **{**base, **more}))

    def _without_process(self, kind: str, told: dict[str, Any]) -> None:
        host = told.get("host", "127.0.0.1")
        for each in told["sessions"]:
            for _ in range(each.pop("count", 1)):
                session = self._session(dict(each), span(each.get("age", "2h")), host)
                if kind == "remote":
                    self._socket(session, Sight.REMOTE)
                elif kind == "gone":
                    self._socket(session, Sight.GONE)
                elif kind == "hidden":
                    self._socket(session, Sight.UID, uid=told.get("uid", 33))


def _grafana_of(told: dict[str, Any]) -> Grafana:
    """One Grafana, as its API would have told."""
    version, replicas, own = told.pop("version", "12.1.0"), told.pop("replicas", 1), told.pop("own", None)
    words = {"open": "maxOpenConns", "idle": "maxIdleConns", "lifetime": "connMaxLifetime"}
    sources = []
    for number, each in enumerate(told.pop("sources"), 1):
        data = {word: each.pop(key) for key, word in words.items() if key in each}
        fields = {"uid": f"u{number}", "type": "postgres", "url": "localhost:5432", "user": "grafana", "jsonData": data}
        source = source_of({"name": f"Source {number}", "database": "app", **fields, **each}, Around(version, {}))
        assert source is not None
        sources.append(source)
    assert not told, f"unknown keys of a Grafana: {sorted(told)}"
    if own is not None:
        host, port, directory = where(own.get("host", "localhost:5432"))
        most, idle, life = (Figure(own.get(key), "grafana.ini:9", key not in own) for key in ("open", "idle", "life"))
        own = OwnDatabase(host, port, "grafana", "grafana", most, idle, life, directory)
    from_ = "one process" if replicas == 1 else f"{replicas} processes"
    return Grafana("http://grafana:3000", version, Seen.API, tuple(sources), replicas, from_, own=own)


_DEFAULTS: dict[str, Any] = {
    "idle_in_transaction_session_timeout": 0,
    "idle_session_timeout": 0,
    "client_connection_check_interval": 0,
    "tcp_keepalives_idle": 7200,
    "authentication_timeout": 60,
    "transaction_timeout": 0,
}


def _as_titled(session: Session) -> Session:
    """What a process title tells of a session: no times, no statement, no name."""
    idle = (NOW - session.state_change) // 1000 if session.state_change and session.state != "active" else None
    return replace(
        session, backend_start=None, application_name=None, state_change=None, query_start=None, xact_start=None,
        query=None, superuser=None, blocked_by=(), wait_event_type=None, seen_by=SeenBy.TITLE, idle_ms_estimate=idle,
        started_about=session.backend_start, client=session.client if session.client is not UNKNOWN else UNKNOWN,
    )  # fmt: skip


def read(text: str) -> tuple[Snapshot, list[dict[str, Any]]]:
    """The snapshot of a world, and what its processes hang in."""
    world = World(text)
    return world.snapshot(), world.hangs
