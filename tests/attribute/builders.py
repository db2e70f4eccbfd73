"""Facts in a few words: processes, sessions and sockets as a test needs them, each with values that make sense."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from pgusher.model.address import UNIX, ClientAddress, Transport
from pgusher.model.evidence import Gap
from pgusher.model.facts import Facts
from pgusher.model.holder import Chain, Holder
from pgusher.model.jobs import Container, CronEntry, CronKind, Unit
from pgusher.model.process import Host, Process
from pgusher.model.server import Rung, Server, View
from pgusher.model.session import Session
from pgusher.model.snapshot import Snapshot
from pgusher.model.sockets import ClientSocket, FdHolder, Sight

SECOND = 1_000_000
BOOT = 1_700_000_000 * SECOND
PTS3 = (136 << 8) | 3
PTS4 = (136 << 8) | 4

USERS = {0: "root", 33: "www-data", 112: "postgres", 1000: "bob", 1001: "alice"}


class World:
    """Facts in the making. Pids count up, so that a parent that is made first is older than its children."""

    def __init__(self, *, local: bool = True) -> None:
        self.processes: list[Process] = []
        self.sessions: list[Session] = []
        self.sockets: list[ClientSocket] = []
        self.cron: list[CronEntry] = []
        self.units: list[Unit] = []
        self.containers: list[Container] = []
        self.gaps: list[Gap] = []
        self.own_pid: int | None = None
        self.local = local
        self._pids = count(1000)
        self._backends = count(500_001)
        self._ports = count(40_001)
        self._inodes = count(80_001)
        self.init = self.process("/sbin/init", pid=1, ppid=0, comm="systemd", cgroup="/init.scope")

    def process(
        self,
        *argv: str,
        parent: Process | None = None,
        pid: int | None = None,
        ppid: int | None = None,
        comm: str | None = None,
        uid: int = 0,
        cgroup: str | None = "inherit",
        sid: int | None = None,
        tty: int = 0,
        cwd: str | None = "/",
        exe: str | None = "of cron",
        audit: int | None = None,
        user: str | None = "of uid",
        after: float = 0,
    ) -> Process:
        """One process. `after` is how many seconds later than its pid says it started.

        Without `exe` a cron daemon has the one of its name, and of all others it is not known.
        """
        if exe == "of cron":
            daemon = argv[0].rpartition("/")[2].lower() if argv else ""
            exe = f"/usr/sbin/{daemon}" if daemon in {"cron", "crond", "atd", "anacron", "supercronic"} else None
        if pid is None:
            pid = next(self._pids)
        up = parent if parent is not None else (self.processes[0] if self.processes else None)
        ticks = (0 if pid == 1 else pid) + int(after * 100)
        if cgroup == "inherit":
            cgroup = up.cgroup if parent is not None and up is not None else "/system.slice"
        made = Process(
            pid=pid,
            start_ticks=ticks,
            start_time=BOOT + ticks * SECOND // 100,
            ppid=ppid if ppid is not None else (up.pid if up is not None else 0),
            comm=comm if comm is not None else (argv[0].rpartition("/")[2][:15] if argv else "?"),
            uid=uid,
            user=USERS.get(uid) if user == "of uid" else user,
            argv=argv,
            state="S",
            sid=sid if sid is not None else (up.sid if parent is not None and up is not None else pid),
            tty=tty,
            cwd=cwd,
            exe=exe,
            cgroup=cgroup,
            audit_session=audit if audit is not None else (up.audit_session if parent is not None and up else None),
        )
        self.processes.append(made)
        return made

    def holds(
        self,
        *processes: Process | int,
        app: str | None = None,
        host: str = "127.0.0.1",
        unix: bool = False,
        sight: Sight | None = None,
        kernel: bool = False,
        began: float = 100,
        uid: int | None = None,
        cgroup_id: int | None = None,
        own: bool = False,
        backend_type: str = "client backend",
        fd: int = 7,
        user: str = "app",
        database: str = "shop",
    ) -> Session:
        """A session whose socket these processes hold; it began `began` seconds after the last of them."""
        pids = [p if isinstance(p, int) else p.pid for p in processes]
        ticks = max((p.start_time for p in processes if isinstance(p, Process)), default=BOOT)
        backend = next(self._backends)
        port = next(self._ports)
        client = UNIX if unix else ClientAddress(Transport.TCP, host, port)
        made = Session(
            backend,
            ticks + int(began * SECOND),
            backend_type,
            user,
            database,
            app,
            client,
            "idle",
            own=own,
        )
        self.sessions.append(made)
        if sight is None:
            sight = Sight.EXACT if len(pids) == 1 else Sight.SHARED
        self.sockets.append(
            ClientSocket(
                Transport.UNIX if unix else Transport.TCP,
                sight,
                None if unix else host,
                None if unix else port,
                backend if unix or kernel else None,
                inode=next(self._inodes),
                uid=uid,
                cgroup_id=cgroup_id,
                tcp_state=None if unix else "established",
                active_at=12,
                holders=tuple(FdHolder(pid, fd) for pid in pids),
            )
        )
        return made

    def alone(self, **values: object) -> Session:
        """A session without a socket."""
        made = Session(next(self._backends), BOOT, **values)  # type: ignore[arg-type]
        self.sessions.append(made)
        return made

    def line(
        self,
        command: str,
        file: str = "/etc/crontab",
        line: int = 3,
        user: str | None = "root",
        schedule: str = "*/10 * * * *",
        kind: CronKind = CronKind.SYSTEM,
        name: str | None = None,
    ) -> CronEntry:
        """A line of a crontab."""
        made = CronEntry(kind, file, line, schedule, command, user, None, name)
        self.cron.append(made)
        return made

    def cron_run(self, command: str, *job: str, uid: int = 0, shell: str = "/bin/sh") -> Process:
        """A run as Debian's cron makes it: cron -f, CRON -f, /bin/sh -c COMMAND, the job. Gives the job's process."""
        daemon = next((p for p in self.processes if p.comm == "cron" and p.ppid == 1), None)
        cgroup = "/system.slice/cron.service"
        if daemon is None:
            daemon = self.process("/usr/sbin/cron", "-f", comm="cron", cgroup=cgroup)
        child = self.process("/usr/sbin/CRON", "-f", parent=daemon, comm="cron")
        session = child.pid + 1
        run = self.process(shell, "-c", command, parent=child, uid=uid, sid=session)
        return self.process(*job, parent=run, uid=uid)

    def facts(self) -> Facts:
        """What was made so far."""
        return Facts(
            taken_at=BOOT + 10_000 * SECOND,
            host=Host("db1", "boot", BOOT, uid=0, user="root", addresses=("127.0.0.1", "::1", "10.0.0.5"), pid=999),
            server=Server(5432, local=self.local),
            view=View(Rung.ORDINARY, own_pid=self.own_pid),
            sessions=tuple(self.sessions),
            sockets=tuple(self.sockets),
            processes=tuple(self.processes),
            cron=tuple(self.cron),
            units=tuple(self.units),
            containers=tuple(self.containers),
            gaps=tuple(self.gaps),
        )


def only(items: Sequence[Holder]) -> Holder:
    """The one holder there is."""
    assert len(items) == 1, [item.name for item in items]
    return items[0]


def chain_of(snapshot: Snapshot, session: Session) -> Chain:
    """The chain of a session."""
    return next(chain for chain in snapshot.chains if chain.pid == session.pid)


def told(chain: Chain) -> str:
    """All that a chain says, to look for a word in it."""
    links = [f"{link.kind.value}: {link.subject} [{link.certainty.value}] {link.evidence}" for link in chain.links]
    return "\n".join((*links, *(f"conflict: {conflict}" for conflict in chain.conflicts)))
