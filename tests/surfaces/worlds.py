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
CRON, SYSTEMD = 612, 1


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
            socket = Link(
                LinkKind.SOCKET, f"{made.client}", Certainty.PROVEN, f"client socket, inode {880000 + made.pid}"
            )
            self.sessions.append(made)
            self.chains.append(
                Chain(made.pid, made.backend_start, end, name, (socket, *links) if links else (), conflicts)
            )
            pids.append(made.pid)
            self.next_pid += 1
            self.next_port += 2
        return pids

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


def process_link(subject: str, pid: int, fd: str = "as fd 7") -> Link:
    return Link(LinkKind.PROCESS, f"{subject} (pid {pid})", Certainty.PROVEN, f"has the socket open {fd}", pid)


def cron_job(world: World, name: str, line: int, schedule: str, runs: list[tuple[int, Micros, int]]) -> None:
    """A job whose runs hang: each (pid, age, sessions)."""
    command = f"python3 /opt/jobs/{name}.py"
    pids: list[int] = []
    for pid, age, count in runs:
        links = (
            process_link(command, pid, "as fds 6 to 9" if count > 1 else "as fd 6"),
            Link(
                LinkKind.PARENT, f"/bin/sh -c {command} (pid {pid - 1})", Certainty.PROVEN, f"parent of {pid}", pid - 1
            ),
            Link(LinkKind.PARENT, f"CRON -f (pid {pid - 2})", Certainty.PROVEN, f"parent of {pid - 1}", pid - 2),
            Link(
                LinkKind.CRON,
                f"/etc/cron.d/jobs line {line}: {schedule} root {command}",
                Certainty.LIKELY,
                "its command is the shell's, word for word",
            ),
        )
        pids += world.seat(f"cron/{name}", count, age=age, links=links, application_name="")
    world.holders[f"cron/{name}"] = Holder(
        f"cron/{name}",
        HolderKind.CRON,
        f"cron job {schedule} {command} (root)",
        tuple(pids),
        tuple(pid for pid, _, _ in runs),
        runs=len(runs),
        limit=f"max_size of each psycopg_pool pool in /opt/jobs/{name}.py",
        stop=f"kill {' '.join(str(pid) for pid, _, _ in runs)}",
        since=NOW - max(age for _, age, _ in runs),
        certainty=Certainty.LIKELY,
    )


def incident(**facts: Any) -> Snapshot:
    """The incident, seen from a reserved slot by root: 97 ordinary slots and 3 reserved ones are taken."""
    world = World()
    grafana = (
        process_link("/usr/share/grafana/bin/grafana server", 1204, "as fds 14 to 75"),
        Link(LinkKind.PROGRAM, "Grafana", Certainty.PROVEN, "the executable is grafana"),
        Link(LinkKind.UNIT, "grafana-server.service", Certainty.PROVEN, "cgroup /system.slice/grafana-server.service"),
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
        "systemd unit grafana-server.service (Grafana)",
        tuple(pids),
        (1204,),
        program="Grafana",
        limit="Max open of the data source (default 100); Connections, Data sources, the source, Connection limits",
        stop="systemctl stop grafana-server",
        since=NOW - 11 * DAY,
    )
    cron_job(world, "version_history", 3, "*/10 * * * *",
             [(4711, 23 * DAY, 3), (5120, 16 * DAY, 2), (9033, 9 * DAY, 2), (15022, 2 * DAY, 1)])  # fmt: skip
    cron_job(world, "mail_digest", 7, "0 6 * * *", [(3307, 61 * DAY, 3), (7781, 30 * DAY, 2)])
    cron_job(world, "stock_sync", 5, "*/30 * * * *", [(6650, 40 * DAY, 3), (11876, 5 * DAY, 1)])
    gunicorn = "/opt/orders/venv/bin/gunicorn -w 2 orders.app:app"
    pids = []
    for pid, count in ((2210, 10), (2211, 8)):
        links = (
            process_link(gunicorn, pid, "as fds 9 to 18"),
            Link(LinkKind.PARENT, f"{gunicorn} (pid 2204)", Certainty.PROVEN, f"parent of {pid}", 2204),
            Link(LinkKind.PROGRAM, "gunicorn", Certainty.PROVEN, "its own title says master"),
            Link(LinkKind.UNIT, "orders-api.service", Certainty.PROVEN, "cgroup /system.slice/orders-api.service"),
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
        "systemd unit orders-api.service (gunicorn)",
        tuple(pids),
        (2210, 2211),
        program="gunicorn",
        limit="workers (-w) x the pool's max_size",
        stop="systemctl stop orders-api",
        since=NOW - 3 * HOUR,
    )
    psql = (
        Link(LinkKind.PROCESS, "psql -d orders (pid 28810)", Certainty.PROVEN, "peer of the unix socket", 28810),
        Link(LinkKind.TERMINAL, "pts/3, bash of anna (pid 28644)", Certainty.PROVEN, "controlling terminal", 28644),
    )
    pids = world.seat("terminal/anna", 2, age=26 * MINUTE, user="postgres", superuser=True, client=UNIX, links=psql,
                      application_name="psql", query="SELECT count(*) FROM pg_stat_activity")  # fmt: skip
    world.holders["terminal/anna"] = Holder(
        "terminal/anna", HolderKind.TERMINAL, "psql on pts/3 (anna)", tuple(pids), (28810,), program="psql",
        stop="kill 28810", since=NOW - 26 * MINUTE,
    )  # fmt: skip
    own = (Link(LinkKind.PROCESS, "pgusher (pid 30000)", Certainty.PROVEN, "it is this process", 30000),)
    pids = world.seat("pgusher", 1, age=0, end=ChainEnd.OWN, user="postgres", database="postgres", superuser=True,
                      own=True, client=UNIX, state="active", application_name="pgusher", query="SELECT",
                      links=own)  # fmt: skip
    world.holders["pgusher"] = Holder("pgusher", HolderKind.OWN, "pgusher, this look", tuple(pids), (30000,), since=NOW)
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
        replace(chain, backend_start=None, end=ChainEnd.HIDDEN, holder="uid/root", links=chain.links[:1])
        if chain.holder.startswith("cron/") else replace(chain, backend_start=None)
        for chain in base.chains
    )  # fmt: skip
    pids = tuple(chain.pid for chain in hidden if chain.end is ChainEnd.HIDDEN)
    holders = [replace(h, since=None) for h in base.holders if h.kind not in {HolderKind.CRON, HolderKind.OWN}]
    own = base.holder("pgusher")
    assert own is not None
    holders.append(Holder("uid/root", HolderKind.HIDDEN, "processes of root that may not be read", pids))
    holders.append(
        replace(own, name="terminal/root", kind=HolderKind.TERMINAL, title="psql on pts/1 (root)", since=None)
    )
    hidden = tuple(
        replace(c, holder="terminal/root", end=ChainEnd.HOLDER) if c.holder == "pgusher" else c for c in hidden
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
        process_link("/opt/shop/venv/bin/uvicorn shop:app", 3100, "as fds 11 to 18"),
        Link(LinkKind.UNIT, "shop.service", Certainty.PROVEN, "cgroup /system.slice/shop.service"),
    )
    pids = world.seat("unit/shop", 8, age=2 * HOUR, user="shop", database="shop", application_name="shop", links=links)
    world.holders["unit/shop"] = Holder(
        "unit/shop", HolderKind.UNIT, "systemd unit shop.service (uvicorn)", tuple(pids), (3100,), program="uvicorn",
        limit="workers x the pool's max_size", stop="systemctl stop shop", since=NOW - 2 * HOUR,
    )  # fmt: skip
    remote = (Link(LinkKind.REMOTE, "10.0.0.7", Certainty.PROVEN, "the client's end is not on this host"),)
    pids = world.seat("remote/10.0.0.7", 3, age=4 * DAY, end=ChainEnd.REMOTE, links=remote, application_name="metabase",
                      client=ClientAddress(Transport.TCP, "10.0.0.7", 60112))  # fmt: skip
    world.holders["remote/10.0.0.7"] = Holder(
        "remote/10.0.0.7", HolderKind.REMOTE, "clients on 10.0.0.7", tuple(pids), since=NOW - 4 * DAY
    )
    pids = world.seat("pgusher", 1, age=0, end=ChainEnd.OWN, user="monitor", own=True, state="active",
                      application_name="pgusher")  # fmt: skip
    world.holders["pgusher"] = Holder("pgusher", HolderKind.OWN, "pgusher, this look", tuple(pids), (30000,), since=NOW)
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
