"""Any facts whatever, also such as contradict themselves: a chain for each session, and no exception."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from pgusher.attribute import Attributor, attribute
from pgusher.attribute.names import NAME
from pgusher.model import codec
from pgusher.model.address import ClientAddress, Transport
from pgusher.model.evidence import Certainty, Gap
from pgusher.model.facts import Facts
from pgusher.model.holder import ChainEnd
from pgusher.model.jobs import Container, CronEntry, CronKind, Unit
from pgusher.model.process import Host, Process
from pgusher.model.server import Rung, Server, View
from pgusher.model.session import Session
from pgusher.model.snapshot import Snapshot
from pgusher.model.sockets import ClientSocket, FdHolder, Sight

T = TypeVar("T")

# Few values, so that pids, addresses, sessions and cgroups meet again and again.
PIDS = st.sampled_from([0, 1, 2, 3, 4, 5, 6, 7, 99, -1])
BACKENDS = st.sampled_from([100, 101, 102, 103])
HOSTS = st.sampled_from(["127.0.0.1", "::1", "10.0.0.7", "db.example", "fe80::1%eth0", "", None])
PORTS = st.one_of(st.none(), st.sampled_from([5, 6, -1]))
TIMES = st.one_of(st.none(), st.integers(-(10**18), 10**18))
UIDS = st.sampled_from([0, 33, 1000])
TRANSPORTS = st.sampled_from(list(Transport))
NAMES = st.one_of(st.sampled_from(["bob", "root", "../x", "\x1b[31m"]), st.text(max_size=8))
ID = "a1" * 32
CGROUPS = st.one_of(
    st.sampled_from(
        [
            None, "", "/", "/system.slice/a.service", "/system.slice/cron.service", f"/system.slice/docker-{ID}.scope",
            "/user.slice/user-1000.slice/user@1000.service/app.slice/s.service", "/lxc/x", "//", "a.service",
        ]
    ),
    st.text(max_size=12),
)  # fmt: skip
ARGVS = st.one_of(
    st.sampled_from(
        [
            (), ("",), ("python", "a.py"), ("python", "b.py"), ("/usr/sbin/cron", "-f"), ("/usr/sbin/CRON", "-f"),
            ("/bin/sh", "-c", "python a.py"), ("/v/bin/python", "/v/bin/gunicorn", "x:y"), ("gunicorn: worker [x]",),
            ("run-parts", "/etc/cron.daily"), ("/etc/cron.daily/x",), ("sshd: bob@pts/1",), ("-bash",), ("psql",),
            ("/usr/bin/python3", "/usr/bin/supervisord"), ("runsv", "x"), ("atd",), ("sh",), ("grafana", "server"),
            ("/opt/idea/bin/idea",), ("PM2 v5: God Daemon",), ("busybox", "crond"), ("pgbouncer", "x.ini"),
        ]
    ),
    st.lists(st.text(max_size=6), max_size=4).map(tuple),
)  # fmt: skip
COMMS = st.sampled_from(["python", "cron", "bash", "sshd", "systemd", "tmux: server", "", "psql"])

processes = st.builds(
    Process,
    pid=PIDS,
    start_ticks=st.integers(0, 3),
    start_time=st.integers(-(10**17), 10**17),
    ppid=PIDS,
    comm=COMMS,
    uid=UIDS,
    user=st.one_of(st.none(), NAMES),
    argv=ARGVS,
    sid=PIDS,
    tty=st.sampled_from([0, 0, (136 << 8) | 3, -1, 10**12]),
    cwd=st.one_of(st.none(), st.sampled_from(["/", "/srv", "x", "/srv (deleted)"])),
    exe=st.one_of(st.none(), st.sampled_from(["/usr/bin/python3", "/usr/bin/psql", "", "/bin/busybox"])),
    cgroup=CGROUPS,
    audit_session=st.one_of(st.none(), st.integers(0, 2)),
)
sessions = st.builds(
    Session,
    pid=BACKENDS,
    backend_start=TIMES,
    backend_type=st.sampled_from(["client backend", "walsender", "parallel worker", "authenticating", ""]),
    application_name=st.one_of(st.none(), st.sampled_from(["psql", "web", "", "DBeaver 1"]), st.text(max_size=8)),
    client=st.builds(ClientAddress, TRANSPORTS, HOSTS, PORTS),
    own=st.sampled_from([False, False, False, True]),
)
sockets = st.builds(
    ClientSocket,
    transport=TRANSPORTS,
    sight=st.sampled_from(list(Sight)),
    host=HOSTS,
    port=PORTS,
    backend_pid=st.one_of(st.none(), BACKENDS),
    inode=st.integers(0, 3),
    uid=st.one_of(st.none(), UIDS),
    cgroup_id=st.one_of(st.none(), st.integers(0, 2)),
    tcp_state=st.one_of(st.none(), st.just("close-wait")),
    holders=st.lists(st.builds(FdHolder, PIDS, st.integers(0, 5)), max_size=3).map(tuple),
    connected_by=st.one_of(st.none(), PIDS),
)
entries = st.builds(
    CronEntry,
    kind=st.sampled_from(list(CronKind)),
    file=st.sampled_from(["/etc/crontab", "/etc/cron.daily/x", "x", ""]),
    line=st.integers(0, 2),
    schedule=st.just("* * * * *"),
    command=st.one_of(st.sampled_from(["python a.py", "python b.py &", "sh", ""]), st.text(max_size=20)),
    user=st.one_of(st.none(), NAMES),
    name=st.one_of(st.none(), NAMES),
)
units = st.builds(
    Unit,
    name=st.sampled_from(["a.service", "cron.service", "x\\x2dy.service", "init.scope", ""]),
    user_unit=st.booleans(),
    owner_uid=st.one_of(st.none(), UIDS),
    timers=st.sampled_from([(), ("a.timer",)]),
    cgroup=CGROUPS,
    cgroup_id=st.one_of(st.none(), st.integers(0, 2)),
)
containers = st.builds(
    Container,
    runtime=st.sampled_from(["docker", "podman", "", "kubernetes"]),
    id=st.sampled_from([ID, "", "x y"]),
    name=st.one_of(st.none(), NAMES),
    pod=st.one_of(st.none(), NAMES),
    cgroup=CGROUPS,
    cgroup_id=st.one_of(st.none(), st.integers(0, 2)),
)


def some(of: st.SearchStrategy[object], most: int) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(of, max_size=most).map(tuple)


all_facts: st.SearchStrategy[Facts] = st.builds(
    Facts,
    taken_at=st.just(0),
    host=st.builds(
        Host,
        name=st.just("h"),
        uid=UIDS,
        user=st.one_of(st.none(), NAMES),
        addresses=st.sampled_from([(), ("127.0.0.1",)]),
        pid=PIDS,
    ),
    server=st.builds(Server, port=st.just(5432), local=st.booleans()),
    view=st.builds(View, rung=st.just(Rung.ORDINARY), own_pid=st.one_of(st.none(), BACKENDS)),
    sessions=some(sessions, 6),
    sockets=some(sockets, 6),
    processes=some(processes, 9),
    cron=some(entries, 4),
    units=some(units, 3),
    containers=some(containers, 2),
    gaps=st.sampled_from([(), (Gap("sockets", "x", "y", "z"), Gap("sockets", "a", "b", ""))]),
)


def shuffled(facts: Facts, seed: int) -> Facts:
    """The same facts, listed in another order."""
    random = Random(seed)

    def mixed(items: tuple[T, ...]) -> tuple[T, ...]:
        return tuple(random.sample(items, len(items)))

    return replace(
        facts,
        sessions=mixed(facts.sessions),
        sockets=mixed(facts.sockets),
        processes=mixed(facts.processes),
        cron=mixed(facts.cron),
        units=mixed(facts.units),
        containers=mixed(facts.containers),
        gaps=mixed(facts.gaps),
    )


def sound(snapshot: Snapshot) -> None:
    """What is true of every snapshot."""
    facts = snapshot.facts
    assert len(snapshot.chains) == len(facts.sessions)
    names = [holder.name for holder in snapshot.holders]
    assert len(set(names)) == len(names)
    assert all(NAME.fullmatch(name) for name in names)
    assert sum(len(holder.sessions) for holder in snapshot.holders) == snapshot.taken
    by_name = {holder.name: holder for holder in snapshot.holders}
    for session, chain in zip(facts.sessions, snapshot.chains, strict=True):
        assert (chain.pid, chain.backend_start) == (session.pid, session.backend_start)
        assert chain.links
        holder = by_name[chain.holder]
        assert chain.certainty.rank <= holder.certainty.rank
        if session.takes_slot:
            assert session.pid in holder.sessions
        if chain.end is ChainEnd.UNKNOWN:
            assert chain.certainty is Certainty.GUESSED
    for holder in snapshot.holders:
        weakest = [chain.certainty for chain in snapshot.chains if chain.holder == holder.name]
        assert holder.certainty is Certainty.weakest(*weakest)
        assert set(holder.processes) <= {process.pid for process in facts.processes} | {facts.host.pid}
    json = codec.dump(snapshot)
    assert codec.load(Snapshot, json) == snapshot


@settings(max_examples=150, deadline=None)
@given(all_facts)
def test_any_facts_give_a_sound_snapshot(facts: Facts) -> None:
    sound(attribute(facts))


@settings(max_examples=150, deadline=None)
@given(all_facts, st.integers(0, 1000))
def test_the_order_of_the_facts_changes_nothing(facts: Facts, seed: int) -> None:
    one, other = attribute(facts), attribute(shuffled(facts, seed))
    assert one.holders == other.holders

    def listed(snapshot: Snapshot) -> list[str]:
        pairs = zip(snapshot.facts.sessions, snapshot.chains, strict=True)
        return sorted(f"{session!r} {chain!r}" for session, chain in pairs)

    assert listed(one) == listed(other)


@settings(max_examples=150, deadline=None)
@given(st.lists(all_facts, min_size=2, max_size=4), st.booleans())
def test_what_was_kept_of_earlier_looks_changes_nothing(looks: list[Facts], same_jobs: bool) -> None:
    attributor = Attributor()
    for facts in looks:
        seen = (
            replace(facts, cron=looks[0].cron, units=looks[0].units, containers=(), host=looks[0].host)
            if same_jobs
            else facts
        )
        snapshot = attributor.attribute(seen)
        assert snapshot == attribute(seen)
        sound(snapshot)
