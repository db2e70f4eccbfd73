"""Session to socket: by the kernel's word, else by address, and never by chance."""

from __future__ import annotations

from dataclasses import replace

from pgusher.attribute import attribute
from pgusher.model.address import UNIX, UNKNOWN, ClientAddress, Transport
from pgusher.model.evidence import Certainty, Gap
from pgusher.model.holder import ChainEnd, HolderKind
from pgusher.model.jobs import Container, Unit
from pgusher.model.sockets import ClientSocket, FdHolder, Sight
from tests.attribute.builders import BOOT, SECOND, World, chain_of, only, told


def tcp(host: str | None, port: int | None) -> ClientAddress:
    return ClientAddress(Transport.TCP, host, port)


def test_by_address() -> None:
    world = World()
    process = world.process("python", "/srv/a.py")
    world.holds(process)
    snapshot = attribute(world.facts())
    holder = only(snapshot.holders)
    assert holder.name == "script/a.py"
    assert holder.processes == (process.pid,)
    assert "inode 80001 is open as fd 7" in told(snapshot.chains[0])


def test_a_unix_socket_by_its_server_process() -> None:
    world = World()
    process = world.process("python", "/srv/a.py")
    session = world.holds(process, unix=True)
    chain = chain_of(attribute(world.facts()), session)
    assert chain.end is ChainEnd.HOLDER
    assert chain.links[0].subject == "unix socket"
    assert chain.links[0].certainty is Certainty.PROVEN


def test_a_host_name_in_a_title_is_joined_by_the_kernel() -> None:
    world = World()
    session = world.holds(world.process("python", "/srv/a.py"), kernel=True)
    world.sessions[0] = replace(session, client=tcp("db.example", session.client.port))
    chain = attribute(world.facts()).chains[0]
    assert chain.end is ChainEnd.HOLDER
    assert chain.conflicts == ()
    assert chain.certainty is Certainty.LIKELY  # of a script's name; the join itself is proven
    assert chain.links[0].certainty is Certainty.PROVEN


def test_a_host_name_without_the_kernel_is_unknown_and_says_why() -> None:
    world = World()
    world.alone(client=tcp("db.example", 5))
    snapshot = attribute(world.facts())
    assert only(snapshot.holders).name == "unknown"
    assert "log_hostname" in told(snapshot.chains[0])


def test_an_address_that_the_kernel_contradicts_is_told() -> None:
    world = World()
    session = world.holds(world.process("python", "/srv/a.py"), kernel=True)
    world.sessions[0] = replace(session, client=tcp("127.0.0.1", 9))
    chain = attribute(world.facts()).chains[0]
    assert chain.end is ChainEnd.HOLDER
    assert chain.links[0].certainty is Certainty.LIKELY
    assert chain.conflicts == ("the server says that it came from 127.0.0.1:9, the kernel shows 127.0.0.1:40001",)


def test_an_address_that_the_kernel_gives_to_another_server_process_is_not_taken() -> None:
    world = World()
    session = world.holds(world.process("python", "/srv/a.py"), kernel=True)
    other = replace(session, pid=77)
    world.sessions.append(other)
    snapshot = attribute(world.facts())
    assert snapshot.chains[0].end is ChainEnd.HOLDER
    assert snapshot.chains[1].end is ChainEnd.UNKNOWN
    assert snapshot.chains[1].conflicts


def test_two_sockets_of_one_address_are_not_chosen_from() -> None:
    world = World()
    first, second = world.process("python", "/srv/a.py"), world.process("python", "/srv/b.py")
    session = world.holds(first)
    world.sockets.append(replace(world.sockets[0], inode=5, holders=(FdHolder(second.pid, 3),)))
    chain = chain_of(attribute(world.facts()), session)
    assert chain.end is ChainEnd.UNKNOWN
    assert chain.certainty is Certainty.GUESSED
    assert "2 sockets have the address" in told(chain)


def test_a_socket_that_is_listed_twice_is_one() -> None:
    world = World()
    session = world.holds(world.process("python", "/srv/a.py"))
    world.sockets.append(world.sockets[0])
    assert chain_of(attribute(world.facts()), session).end is ChainEnd.HOLDER


def test_of_two_sockets_of_a_server_process_the_one_that_fits_is_taken() -> None:
    world = World()
    first, second = world.process("python", "/srv/a.py"), world.process("python", "/srv/b.py")
    session = world.holds(first, kernel=True)
    world.sockets.append(replace(world.sockets[0], port=6, inode=5, holders=(FdHolder(second.pid, 3),)))
    assert chain_of(attribute(world.facts()), session).holder == "script/a.py"
    world.sessions[0] = replace(session, client=UNKNOWN)
    chain = attribute(world.facts()).chains[0]
    assert chain.end is ChainEnd.UNKNOWN
    assert "2 sockets of its server process" in told(chain)


def test_two_sessions_that_state_one_address_are_both_unknown() -> None:
    world = World()
    session = world.holds(world.process("python", "/srv/a.py"))
    world.sessions.append(replace(session, pid=77))
    snapshot = attribute(world.facts())
    assert [chain.end for chain in snapshot.chains] == [ChainEnd.UNKNOWN] * 2
    assert all(chain.conflicts for chain in snapshot.chains)


def test_equal_ports_of_two_addresses_are_told_apart() -> None:
    world = World()
    first, second = world.process("python", "/srv/a.py"), world.process("python", "/srv/b.py")
    one, two = world.holds(first), world.holds(second, host="::1")
    world.sessions[1] = two = replace(two, client=tcp("::1", one.client.port))
    world.sockets[1] = replace(world.sockets[1], port=one.client.port)
    snapshot = attribute(world.facts())
    assert [chain.holder for chain in snapshot.chains] == ["script/a.py", "script/b.py"]


def test_no_socket_is_unknown_with_the_gap_that_would_show_it() -> None:
    world = World()
    world.alone(client=tcp("127.0.0.1", 5))
    world.gaps.append(Gap("sockets", "the sockets of 3 processes", "permission denied", "run pgusher as root"))
    snapshot = attribute(world.facts())
    assert only(snapshot.holders).kind is HolderKind.UNKNOWN
    assert "run pgusher as root" in told(snapshot.chains[0])
    assert snapshot.chains[0].certainty is Certainty.GUESSED


def test_a_hidden_address_says_what_would_show_it() -> None:
    world = World()
    world.alone(client=UNKNOWN)
    world.alone(client=UNIX)
    world.alone(client=UNKNOWN, backend_type="parallel worker")
    snapshot = attribute(world.facts())
    assert "pg_monitor" in told(snapshot.chains[0])
    assert "no unix socket" in told(snapshot.chains[1])
    assert "parallel worker" in told(snapshot.chains[2])
    assert only(snapshot.holders).sessions == (snapshot.chains[0].pid, snapshot.chains[1].pid)


def test_remote_ends_at_the_address() -> None:
    world = World()
    for _ in range(2):
        world.holds(sight=Sight.REMOTE, host="10.0.0.7", app="web")
    world.holds(sight=Sight.REMOTE, host="10.0.0.7", app="batch\x1b[31m")
    world.holds(sight=Sight.REMOTE, host="fd00::7")
    snapshot = attribute(world.facts())
    first, second = snapshot.holders
    assert (first.name, second.name) == ("remote/10.0.0.7", "remote/fd00::7")
    assert first.title == "host 10.0.0.7: its sessions say that they are 'web', 'batch\\x1b[31m'"
    assert first.certainty is Certainty.PROVEN
    assert snapshot.chains[0].links[0].subject == "10.0.0.7:40001"
    assert snapshot.chains[0].end is ChainEnd.REMOTE


def test_what_a_remote_client_says_never_names_it() -> None:
    world = World()
    world.holds(sight=Sight.REMOTE, host="10.0.0.7", app="psql")
    snapshot = attribute(world.facts())
    assert only(snapshot.holders).program is None
    assert snapshot.chains[0].conflicts == ()


def test_an_address_of_no_interface_is_likely_remote_when_no_socket_was_seen() -> None:
    world = World()
    world.alone(client=tcp("10.0.0.9", 5))
    snapshot = attribute(world.facts())
    assert only(snapshot.holders).name == "remote/10.0.0.9"
    assert snapshot.chains[0].certainty is Certainty.LIKELY


def test_of_a_server_elsewhere_the_address_is_what_it_says() -> None:
    world = World(local=False)
    world.alone(client=tcp("10.0.0.9", 5))
    world.alone(client=tcp("127.0.0.1", 5))
    world.alone(client=UNIX)
    snapshot = attribute(world.facts())
    assert [chain.holder for chain in snapshot.chains] == ["remote/10.0.0.9", "unknown", "unknown"]
    assert snapshot.chains[0].certainty is Certainty.PROVEN
    assert "run pgusher there" in told(snapshot.chains[1])


def test_gone() -> None:
    world = World()
    world.holds(sight=Sight.GONE, uid=33)
    snapshot = attribute(world.facts())
    holder = only(snapshot.holders)
    assert (holder.name, holder.kind, snapshot.chains[0].end) == ("gone", HolderKind.GONE, ChainEnd.GONE)
    assert "uid 33" in told(snapshot.chains[0])
    assert "terminated" in (holder.stop or "")


def test_a_hidden_process_is_named_by_its_user() -> None:
    world = World()
    world.process("x", uid=33)
    world.holds(sight=Sight.UID, uid=33)
    world.holds(sight=Sight.UID, uid=4711)
    world.holds(sight=Sight.UID, uid=None)
    world.processes.pop(0)
    world.holds(sight=Sight.UID, uid=0)
    snapshot = attribute(world.facts())
    names = [chain.holder for chain in snapshot.chains]
    assert names == ["hidden/www-data", "hidden/uid4711", "hidden/unknown", "hidden/root"]
    assert {chain.end for chain in snapshot.chains} == {ChainEnd.HIDDEN}
    assert "root" in (snapshot.holders[0].stop or "")


def test_a_hidden_process_is_named_by_its_unit_or_container_too() -> None:
    world = World()
    world.process("x", uid=33)
    world.units.append(Unit("orders-api.service", cgroup="/system.slice/orders-api.service", cgroup_id=71))
    world.units.append(Unit("cron.service", cgroup="/system.slice/cron.service", cgroup_id=72))
    world.containers.append(Container("docker", "ab" * 32, "web-1", cgroup_id=73))
    for number in (71, 72, 73, 99):
        world.holds(sight=Sight.UID, uid=33, cgroup_id=number)
    snapshot = attribute(world.facts())
    assert [chain.holder for chain in snapshot.chains] == [
        "hidden/www-data:orders-api", "hidden/www-data", "hidden/www-data:web-1", "hidden/www-data",
    ]  # fmt: skip
    assert snapshot.chains[0].certainty is Certainty.LIKELY
    assert snapshot.chains[1].certainty is Certainty.PROVEN


def test_the_maker_of_a_unix_socket_is_likely_its_holder() -> None:
    world = World()
    maker = world.process("python", "/srv/a.py", uid=33)
    world.holds(sight=Sight.UID, uid=33, unix=True)
    world.sockets[0] = replace(world.sockets[0], connected_by=maker.pid)
    snapshot = attribute(world.facts())
    assert only(snapshot.holders).name == "script/a.py"
    assert snapshot.chains[0].certainty is Certainty.LIKELY
    world.sockets[0] = replace(world.sockets[0], connected_by=4)
    assert only(attribute(world.facts()).holders).name == "hidden/www-data"


def test_unix_sockets_that_are_all_alike_need_not_be_told_apart() -> None:
    world = World()
    world.process("x", uid=33)
    for _ in range(3):
        world.holds(sight=Sight.UID, uid=33, unix=True)
    world.sockets[:] = [replace(socket, backend_pid=None) for socket in world.sockets]
    snapshot = attribute(world.facts())
    assert only(snapshot.holders).name == "hidden/www-data"
    assert snapshot.holders[0].certainty is Certainty.LIKELY
    world.sockets[0] = replace(world.sockets[0], uid=1000)
    assert only(attribute(world.facts()).holders).name == "unknown"


def test_fewer_unix_sockets_than_sessions_prove_nothing() -> None:
    world = World()
    for _ in range(3):
        world.holds(sight=Sight.UID, uid=33, unix=True)
    world.sockets[:] = [replace(socket, backend_pid=None) for socket in world.sockets[:2]]
    snapshot = attribute(world.facts())
    assert only(snapshot.holders).name == "unknown"
    assert "of 2 unix sockets it is not told whose they are" in told(snapshot.chains[0])


def test_another_namespace_ends_at_its_address_as_unknown() -> None:
    world = World()
    world.holds(sight=Sight.OTHER_NAMESPACE, host="172.17.0.2")
    snapshot = attribute(world.facts())
    assert only(snapshot.holders).name == "unknown/172.17.0.2"
    assert snapshot.chains[0].end is ChainEnd.UNKNOWN
    assert "namespace" in told(snapshot.chains[0])


def test_a_process_that_has_ended_meanwhile_is_not_made_up() -> None:
    world = World()
    world.holds(4711)
    world.holds(sight=Sight.EXACT)
    snapshot = attribute(world.facts())
    assert [chain.end for chain in snapshot.chains] == [ChainEnd.UNKNOWN] * 2
    assert "4711" in told(snapshot.chains[0])


def test_pgushers_own_session() -> None:
    world = World()
    world.holds(world.process("python", "pgusher", pid=999), own=True)
    session = world.alone(client=UNIX)
    world.own_pid = session.pid
    world.holds(999)
    snapshot = attribute(world.facts())
    holder = only(snapshot.holders)
    assert (holder.name, holder.kind, holder.stop) == ("pgusher", HolderKind.OWN, None)
    assert len(holder.sessions) == 3
    assert {chain.end for chain in snapshot.chains} == {ChainEnd.OWN}


def test_what_takes_no_slot_has_a_chain_and_does_not_count() -> None:
    world = World()
    process = world.process("/usr/bin/pg_receivewal", "-D", "/x", exe="/usr/bin/pg_receivewal")
    session = world.holds(process, backend_type="walsender")
    snapshot = attribute(world.facts())
    holder = only(snapshot.holders)
    assert holder.name == "pg_receivewal"
    assert holder.sessions == ()
    assert holder.processes == (process.pid,)
    assert holder.since == session.backend_start


def test_a_shared_socket_names_all_its_processes() -> None:
    world = World()
    parent = world.process("python", "/srv/a.py")
    child = world.process("python", "/srv/a.py", parent=parent)
    session = world.holds(parent, child)
    snapshot = attribute(world.facts())
    holder = only(snapshot.holders)
    assert holder.processes == (parent.pid, child.pid)
    chain = chain_of(snapshot, session)
    assert [link.pid for link in chain.links if link.kind.value == "process"] == [parent.pid, child.pid]
    assert any("open in 2 processes" in conflict for conflict in chain.conflicts)
    assert chain.links[1].certainty is Certainty.PROVEN


def test_a_socket_shared_by_two_holders_is_likely_the_elders() -> None:
    world = World()
    elder = world.process("python", "/srv/a.py", cgroup="/system.slice/a.service")
    younger = world.process("python", "/srv/b.py", cgroup="/system.slice/b.service")
    session = world.holds(younger, elder)
    snapshot = attribute(world.facts())
    holder = only(snapshot.holders)
    assert (holder.name, holder.certainty) == ("unit/a", Certainty.LIKELY)
    assert holder.processes == (elder.pid,)
    chain = chain_of(snapshot, session)
    assert any("several holders: unit/a, unit/b" in conflict for conflict in chain.conflicts)


def test_of_a_shared_socket_the_missing_process_is_told() -> None:
    world = World()
    process = world.process("python", "/srv/a.py")
    world.holds(process, 4711)
    snapshot = attribute(world.facts())
    assert only(snapshot.holders).name == "script/a.py"
    assert any("4711" in conflict for conflict in snapshot.chains[0].conflicts)


def test_two_descriptors_of_one_process_are_no_sharing() -> None:
    world = World()
    process = world.process("python", "/srv/a.py")
    world.holds(process)
    world.sockets[0] = replace(world.sockets[0], holders=(FdHolder(process.pid, 9), FdHolder(process.pid, 7)))
    chain = attribute(world.facts()).chains[0]
    assert chain.conflicts == ()
    assert "fd 7, 9" in told(chain)


def test_a_process_younger_than_its_session_has_not_opened_it() -> None:
    world = World()
    process = world.process("python", "/srv/a.py", after=60)
    world.holds(process, began=-30)
    chain = attribute(world.facts()).chains[0]
    assert chain.end is ChainEnd.HOLDER
    assert any("started 30 s after its session" in conflict for conflict in chain.conflicts)
    assert "inherited or passed" in told(chain)


def test_a_coarse_clock_makes_no_conflict() -> None:
    world = World()
    world.holds(world.process("python", "/srv/a.py", after=60), began=-1.5)
    assert attribute(world.facts()).chains[0].conflicts == ()


def test_clocks_of_two_hosts_are_not_compared() -> None:
    world = World(local=False)
    world.holds(world.process("python", "/srv/a.py", after=600), began=-300)
    assert attribute(world.facts()).chains[0].conflicts == ()


def test_an_application_name_that_contradicts_the_process_is_told() -> None:
    world = World()
    script = world.process("python", "/srv/a.py")
    psql = world.process("/usr/bin/psql", exe="/usr/lib/postgresql/15/bin/psql")
    world.holds(script, app="psql")
    world.holds(psql, app="psql")
    world.holds(script, app="web")
    world.holds(script, app="DBeaver 24.1 - Main <x>")
    world.holds(script, app="psqlish")
    conflicts = [chain.conflicts for chain in attribute(world.facts()).chains]
    assert conflicts[0] == (f"application_name says 'psql', the process is python /srv/a.py (pid {script.pid})",)
    assert conflicts[1] == conflicts[2] == conflicts[4] == ()
    assert "DBeaver" in conflicts[3][0]


def test_what_a_pooler_passes_on_contradicts_nothing() -> None:
    world = World()
    world.holds(world.process("/usr/sbin/pgbouncer", "/etc/pgbouncer.ini"), app="psql")
    world.holds(world.process("sshd: bob@pts/3", comm="sshd", uid=1000), app="psql")
    assert [chain.conflicts for chain in attribute(world.facts()).chains] == [(), ()]


def test_a_socket_on_the_way_between_transports_is_a_conflict() -> None:
    world = World()
    session = world.holds(world.process("python", "/srv/a.py"), unix=True)
    world.sessions[0] = replace(session, client=tcp("127.0.0.1", 5))
    chain = attribute(world.facts()).chains[0]
    assert chain.conflicts == (
        "the server says that it came from 127.0.0.1:5, the kernel shows unix socket inode 80001",
    )


def test_a_session_that_began_before_time_itself_is_no_trouble() -> None:
    world = World()
    session = world.holds(world.process("python", "/srv/a.py"))
    world.sessions[0] = replace(session, backend_start=-(10**18))
    world.sockets.append(ClientSocket(Transport.TCP, Sight.EXACT))
    snapshot = attribute(world.facts())
    assert snapshot.chains[0].holder == "script/a.py"
    assert snapshot.holders[0].since == -(10**18)
    assert BOOT + SECOND > 0
