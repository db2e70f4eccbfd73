"""Servers to show: snapshots built by hand, as attribution would give them; for the tests and for docs/commands.md.

`incident` is the one of DESIGN.md: PostgreSQL at 100 connections, Grafana's data source at its default limit, three
cron jobs whose runs never ended, a back end, a person's psql.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from pgusher.model.address import UNIX, ClientAddress, Micros, Transport
from pgusher.model.evidence import Certainty, Gap
from pgusher.model.facts import Facts
from pgusher.model.holder import Chain, ChainEnd, Holder, HolderKind, Link, LinkKind
from pgusher.model.process import Host
from pgusher.model.server import Ceilings, Limit, Rung, Server, View
from pgusher.model.session import Session
from pgusher.model.snapshot import Snapshot

SECOND: Micros = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86400 * SECOND
NOW: Micros = 1_769_224_320_123_456
"""2026-01-24 03:12:00 UTC."""
POOLS = "the pools in its code (psycopg_pool: max_size; SQLAlchemy: pool_size + max_overflow, 5 + 10)"


@dataclass
class World:
    """Collects sessions, chains and holders; `snapshot` freezes them."""

    sessions: list[Session] = field(default_factory=list)
    chains: list[Chain] = field(default_factory=list)
    holders: dict[str, Holder] = field(default_factory=dict)
    next_pid: int = 20100
    next_port: int = 41000

    def seat(
        self,
        name: str,
        count: int = 1,
        *,
        age: Micros,
        end: ChainEnd = ChainEnd.HOLDER,
        links: tuple[Link, ...] = (),
        conflicts: tuple[str, ...] = (),
        spread: Micros = 7 * SECOND,
        **session: Any,
    ) -> list[int]:
        """Gives `count` sessions to a holder; the oldest is `age` old, each further one `spread` younger."""
        pids = []
        for index in range(count):
            start = NOW - age + index * spread
            base: dict[str, Any] = {
                "backend_start": start,
                "user": "app",
                "database": "orders",
                "state": "idle",
                "state_change": start + 3 * SECOND,
                "query_start": start + 3 * SECOND,
                "query": "ROLLBACK",
                "client": ClientAddress(Transport.TCP, "127.0.0.1", self.next_port),
                "superuser": False,
            }
            made = Session(self.next_pid, **{**base, **session})
            self.sessions.append(made)
            self.chains.append(Chain(made.pid, made.backend_start, end, name, self._own(made, links, index), conflicts))
            pids.append(made.pid)
            self.next_pid += 1
            self.next_port += 2
        return pids

    def _own(self, session: Session, links: tuple[Link, ...], index: int) -> tuple[Link, ...]:
        """The links of one session: its own socket, and at which descriptor its process has it open."""
        if not links or links[0].kind is LinkKind.REMOTE:
            return tuple(replace(link, subject=str(session.client)) for link in links)
        socket = Link(LinkKind.SOCKET, str(session.client), Certainty.PROVEN, "the kernel names its server process")
        evidence = f"inode {880000 + session.pid} is open as fd {6 + index}"
        return (socket, replace(links[0], evidence=evidence) if not links[0].evidence else links[0], *links[1:])

    def snapshot(self, **facts: Any) -> Snapshot:
        """The frozen world; `facts` go into `Facts`."""
        base: dict[str, Any] = {
            "taken_at": NOW,
            "host": Host("db1", boot_id="b", uid=0, user="root", pid=30000),
            "server": SERVER,
            "view": View(Rung.RESERVED, role="postgres", superuser=True, sees_all=True, own_pid=20099),
            "ceilings": Ceilings(100),
        }
        found = Facts(**{**base, **facts}, sessions=tuple(self.sessions))
        holders = sorted(self.holders.values(), key=lambda h: (-len(h.sessions), h.name))
        return Snapshot(found, tuple(self.chains), tuple(holders))


SERVER = Server(
    5432,
    local=True,
    version="15.18",
    version_num=150018,
    postmaster_pid=600,
    started=NOW - 142 * DAY,
    data_directory="/var/lib/postgresql/15/main",
    socket_paths=("/run/postgresql/.s.PGSQL.5432",),
    listens=("127.0.0.1", "::1"),
    os_user="postgres",
    cluster_name="15/main",
)


def process_link(subject: str, pid: int, evidence: str = "") -> Link:
    """Without evidence it is, for each session, the descriptor at which its socket is open."""
    return Link(LinkKind.PROCESS, f"{subject} (pid {pid})", Certainty.PROVEN, evidence, pid)


def cron_job(world: World, name: str, line: int, schedule: str, runs: list[tuple[int, Micros, int]]) -> None:
    """A job whose runs hang: each (pid, age, sessions)."""
    command = f"cd /opt/jobs && python3 {name}.py"
    title = f"cron job {schedule} {command} (root, /etc/cron.d/jobs:{line})"
    pids: list[int] = []
    for pid, age, count in runs:
        links = (
            process_link(f"python3 {name}.py", pid),
            Link(LinkKind.PARENT, f"sh -c {command} (pid {pid - 1})", Certainty.PROVEN, "its parent", pid - 1),
            Link(
                LinkKind.CRON,
                title,
                Certainty.PROVEN,
                f"pid {pid - 1} is a child of CRON (pid {pid - 2}), and its command is that of /etc/cron.d/jobs:{line}",
                pid - 1,
            ),
        )
        pids += world.seat(f"cron/{name}", count, age=age, links=links, application_name="")
    world.holders[f"cron/{name}"] = Holder(
        f"cron/{name}",
        HolderKind.CRON,
        title,
        tuple(pids),
        tuple(pid for pid, _, _ in runs),
        runs=len(runs),
        limit=POOLS,
        stop=f"end the run itself, not the shell above it: kill {' '.join(str(pid) for pid, _, _ in runs)}",
        since=NOW - max(age for _, age, _ in runs),
    )


def incident(**facts: Any) -> Snapshot:
    """The incident, seen from a reserved slot by root: 97 ordinary slots and 3 reserved ones are taken."""
    world = World()
    grafana = (
        process_link("/usr/share/grafana/bin/grafana server", 1204),
        Link(
            LinkKind.PROGRAM,
            "Grafana",
            Certainty.PROVEN,
            "the kernel says that /usr/share/grafana/bin/grafana is executed",
        ),
        Link(
            LinkKind.UNIT,
            "unit grafana-server.service",
            Certainty.PROVEN,
            "its cgroup is /system.slice/grafana-server.service",
        ),
    )
    shape: dict[str, Any] = {"user": "grafana", "application_name": "", "links": grafana}
    pids = world.seat(
        "unit/grafana-server", 57, age=11 * DAY, query="SELECT $1::timestamptz, avg(ms) FROM visits", **shape
    )
    pids += world.seat(
        "unit/grafana-server", 5, age=9 * MINUTE, state="active", wait_event_type="IO", wait_event="DataFileRead",
        query="SELECT date_trunc('***', at) AS time, count(*) FROM visits GROUP BY 1", **shape,
    )  # fmt: skip
    world.holders["unit/grafana-server"] = Holder(
        "unit/grafana-server",
        HolderKind.UNIT,
        "systemd unit grafana-server.service (Grafana instance)",
        tuple(pids),
        (1204,),
        program="Grafana",
        limit='data source > "Max open" (maxOpenConns), default 100 since 9.5, no limit in 5.4-9.4;'
        " [sql_datasources] max_open_conns_default in grafana.ini",
        stop="systemctl stop grafana-server",
        since=NOW - 11 * DAY,
    )
    cron_job(world, "version_history", 3, "*/10 * * * *",
             [(4711, 23 * DAY, 3), (5120, 16 * DAY, 2), (9033, 9 * DAY, 2), (15022, 2 * DAY, 1)])  # fmt: skip
    cron_job(world, "mail_digest", 7, "0 6 * * *", [(3307, 61 * DAY, 3), (7781, 30 * DAY, 2)])
    cron_job(world, "stock_sync", 5, "*/30 * * * *", [(6650, 40 * DAY, 3), (11876, 5 * DAY, 1)])
    pids = []
    for pid, count in ((2210, 10), (2211, 8)):
        links = (
            process_link("gunicorn: worker [orders.app:app]", pid),
            Link(LinkKind.PARENT, "gunicorn: master [orders.app:app] (pid 2204)", Certainty.PROVEN, "its parent", 2204),
            Link(
                LinkKind.UNIT,
                "unit orders-api.service",
                Certainty.PROVEN,
                "its cgroup is /system.slice/orders-api.service",
            ),
        )
        shape = {"user": "orders", "application_name": "orders-api", "links": links}
        pids += world.seat("unit/orders-api", count - 2, age=3 * HOUR, query="SELECT $1", **shape)
        pids += world.seat("unit/orders-api", 1, age=5 * MINUTE, state="active", wait_event_type="Lock",
                           wait_event="transactionid", blocked_by=(pids[0] + 9,),
                           query="UPDATE stock SET left = left - $1 WHERE item = $2", **shape)  # fmt: skip
        pids += world.seat("unit/orders-api", 1, age=48 * MINUTE, state="idle in transaction",
                           xact_start=NOW - 41 * MINUTE,
                           query="SELECT item FROM stock WHERE item = $1 FOR UPDATE", **shape)  # fmt: skip
    world.holders["unit/orders-api"] = Holder(
        "unit/orders-api",
        HolderKind.UNIT,
        "systemd unit orders-api.service (Orders API)",
        tuple(pids),
        (2210, 2211),
        program="gunicorn",
        limit="--workers x the pool of each (psycopg_pool: max_size; SQLAlchemy: pool_size + max_overflow, 5 + 10)",
        stop="systemctl stop orders-api",
        since=NOW - 3 * HOUR,
    )
    psql = (
        process_link("psql -d orders", 28810),
        Link(LinkKind.TERMINAL, "terminal pts/3 of anna", Certainty.PROVEN, "its controlling terminal", 28644),
    )
    pids = world.seat("terminal/anna@pts3", 2, age=26 * MINUTE, user="postgres", superuser=True,
                      client=UNIX, links=psql, application_name="psql",
                      query="SELECT count(*) FROM pg_stat_activity")  # fmt: skip
    world.holders["terminal/anna@pts3"] = Holder(
        "terminal/anna@pts3", HolderKind.TERMINAL, "terminal pts/3 of anna: psql", tuple(pids), (28810,),
        program="psql",
        limit="one each; ALTER ROLE ... SET idle_session_timeout ends forgotten ones (14+)",
        stop="ask anna; or end it: kill 28810", since=NOW - 26 * MINUTE,
    )  # fmt: skip
    own = (Link(LinkKind.PROGRAM, "pgusher itself", Certainty.PROVEN, "it is pgusher's own session"),)
    pids = world.seat("pgusher", 1, age=0, end=ChainEnd.OWN, user="postgres", database="postgres", superuser=True,
                      own=True, client=UNIX, state="active", application_name="pgusher", query="SELECT",
                      links=own)  # fmt: skip
    world.holders["pgusher"] = Holder("pgusher", HolderKind.OWN, "pgusher itself", tuple(pids), (30000,), since=NOW)
    view = View(
        Rung.RESERVED,
        role="postgres",
        superuser=True,
        sees_all=True,
        own_pid=pids[0],
        refuses="remaining connection slots are reserved for non-replication superuser connections",
    )
    return world.snapshot(**{"view": view, **facts})


def half_blind() -> Snapshot:
    """The incident on a server where not even a superuser gets in, seen by nobody in particular."""
    base = incident()
    facts = base.facts
    sessions = tuple(
        replace(s, own=False, query=None, backend_start=None, application_name=None, seen_by=s.seen_by)
        for s in facts.sessions
    )
    gaps = (
        Gap("sockets", "the open files of 9 processes", "permission denied", "run pgusher as root", 9),
        Gap("postgres", "statements and exact states of 100 sessions", "no slot was left to ask from", "", 100),
        Gap("cron", "/var/spool/cron/crontabs", "permission denied", "run pgusher as root"),
    )
    hidden = tuple(
        replace(chain, backend_start=None, end=ChainEnd.HIDDEN, holder="hidden/root", links=chain.links[:1])
        if chain.holder.startswith("cron/") else replace(chain, backend_start=None)
        for chain in base.chains
    )  # fmt: skip
    pids = tuple(chain.pid for chain in hidden if chain.end is ChainEnd.HIDDEN)
    holders = [replace(h, since=None) for h in base.holders if h.kind not in {HolderKind.CRON, HolderKind.OWN}]
    own = base.holder("pgusher")
    assert own is not None
    holders.append(Holder("hidden/root", HolderKind.HIDDEN, "processes of root that may not be read", pids))
    holders.append(
        replace(
            own, name="terminal/root@pts1", kind=HolderKind.TERMINAL, title="terminal pts/1 of root: psql", since=None
        )
    )
    hidden = tuple(
        replace(c, holder="terminal/root@pts1", end=ChainEnd.HOLDER) if c.holder == "pgusher" else c for c in hidden
    )
    new = replace(
        facts,
        sessions=sessions,
        gaps=gaps,
        host=replace(facts.host, uid=1000, user="anna"),
        view=View(Rung.TITLES, refuses="sorry, too many clients already", refuses_all=True),
        ceilings=Ceilings(100, certainty=Certainty.LIKELY, source="/var/lib/postgresql/15/main/postgresql.conf"),
    )
    holders.sort(key=lambda h: -len(h.sessions))
    return Snapshot(new, hidden, tuple(holders))


def quiet(port: int = 5433, limits: bool = False) -> Snapshot:
    """A healthy server: a back end with a few idle sessions, one remote client, room to spare."""
    world = World(next_pid=52000, next_port=51000)
    links = (
        process_link("uvicorn shop:app", 3100),
        Link(LinkKind.UNIT, "unit shop.service", Certainty.PROVEN, "its cgroup is /system.slice/shop.service"),
    )
    pids = world.seat("unit/shop", 8, age=2 * HOUR, user="shop", database="shop", application_name="shop", links=links)
    world.holders["unit/shop"] = Holder(
        "unit/shop", HolderKind.UNIT, "systemd unit shop.service (Shop)", tuple(pids), (3100,), program="uvicorn",
        limit="workers x the pool's max_size", stop="systemctl stop shop", since=NOW - 2 * HOUR,
    )  # fmt: skip
    evidence = "the server says so, and no interface of db1 has this address"
    remote = (Link(LinkKind.REMOTE, "", Certainty.PROVEN, evidence),)
    pids = []
    for number in (60112, 60118, 60210):
        pids += world.seat("remote/10.0.0.7", 1, age=4 * DAY, end=ChainEnd.REMOTE, links=remote,
                           application_name="metabase",
                           client=ClientAddress(Transport.TCP, "10.0.0.7", number))  # fmt: skip
    world.holders["remote/10.0.0.7"] = Holder(
        "remote/10.0.0.7",
        HolderKind.REMOTE,
        "host 10.0.0.7",
        tuple(pids),
        since=NOW - 4 * DAY,
        stop="look on 10.0.0.7: pgusher there shows which process it is",
    )
    pids = world.seat("pgusher", 1, age=0, end=ChainEnd.OWN, user="monitor", own=True, state="active",
                      application_name="pgusher")  # fmt: skip
    world.holders["pgusher"] = Holder("pgusher", HolderKind.OWN, "pgusher itself", tuple(pids), (30000,), since=NOW)
    ceilings = Ceilings(100, 3, 5)
    if limits:
        ceilings = replace(
            ceilings, roles=(Limit("shop", 8, 8), Limit("report", 20, 2)), databases=(Limit("orders", 4, 3),)
        )
    return world.snapshot(
        server=replace(SERVER, port=port, version="17.10", cluster_name=None, started=NOW - 4 * DAY),
        view=View(Rung.ORDINARY, role="monitor", superuser=False, sees_all=True, own_pid=pids[0]),
        ceilings=ceilings,
    )


def crowd(slots: int, holders: int, taken: float = 0.95) -> Snapshot:
    """A big server: `holders` services that share `slots`, each with half of what the one before it has left over."""
    world = World(next_pid=100_000, next_port=1024)
    left = int(slots * taken)
    for index in range(holders):
        share = left if index == holders - 1 else max(1, left * 2 // 5)
        left -= share
        name = f"unit/service-{chr(97 + index % 26)}{index}"
        links = (process_link(f"/opt/{name}/run", 5000 + index),)
        pids = world.seat(name, share - share // 8, age=(index + 1) * DAY, links=links, spread=1)
        pids += world.seat(name, share // 8, age=3 * MINUTE, links=links, state="active", spread=1)
        title = f"systemd unit {name[5:]}.service"
        world.holders[name] = Holder(
            name, HolderKind.UNIT, title, tuple(pids), (5000 + index,), since=NOW - (index + 1) * DAY
        )
        if not left:
            break
    return world.snapshot(ceilings=Ceilings(slots))


HOSTILE = "\x1b[31m\x1b]0;owned\x07\x9b2J\r\n\t\x00\u202eevil\u202c\u200b\u061c\x7f'\"<b>&\udc80 \u4e2d\u6587 \x1b[2J"
"""What a stranger may put into a name: escapes, a title change, C1, newlines, bidi, zero width, a lone surrogate."""


def hostile() -> Snapshot:
    """A server where every text that somebody else can choose is hostile."""
    bad = HOSTILE
    world = World()
    links = tuple(Link(kind, bad, Certainty.GUESSED, bad, 77) for kind in LinkKind)
    pids = world.seat(bad, 3, age=DAY, links=links, conflicts=(bad,), user=bad, database=bad, application_name=bad,
                      state=bad, query=bad, wait_event=bad, wait_event_type=bad,
                      client=ClientAddress(Transport.TCP, bad, 5))  # fmt: skip
    world.holders[bad] = Holder(
        bad, HolderKind.SERVICE, bad, tuple(pids), (77, 78), 2, program=bad, limit=bad, stop=bad, since=NOW - DAY
    )
    return world.snapshot(
        host=Host(bad, user=bad, uid=1000),
        server=replace(SERVER, version=bad, cluster_name=bad, host=bad),
        view=View(Rung.ORDINARY, role=bad, refuses=bad),
        ceilings=Ceilings(
            3, 1, 1, roles=(Limit(bad, 1, 1),), databases=(Limit(bad, 1, 1),), certainty=Certainty.LIKELY, source=bad
        ),
        gaps=(Gap(bad, bad, bad, f"{bad} run as root"),),
    )
