"""Real sockets and real processes, whose truth is known from the making: all of it is found, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgusher.collect.sockets import SocketSource
from pgusher.model.address import Transport
from pgusher.model.sockets import FdHolder, Sight
from tests.bed.requirements import needs_ipv6, needs_root
from tests.collect.sockets.stage import NOBODY, Actor, Postmaster, of, pids


@pytest.fixture
def source() -> Iterator[SocketSource]:
    made = SocketSource()
    yield made
    made.close()


@pytest.fixture
def both(source: SocketSource) -> Iterator[tuple[SocketSource, SocketSource]]:
    """One that remembers what an earlier look of the test showed, and one that knows nothing."""
    made = SocketSource()
    yield source, made
    made.close()


@pytest.fixture
def postmaster() -> Iterator[Postmaster]:
    with Postmaster("0.0.0.0") as made:  # noqa: S104 - on purpose
        yield made


@pytest.fixture
def client() -> Iterator[Actor]:
    with Actor() as made:
        yield made


def test_a_session_over_tcp(source: SocketSource, postmaster: Postmaster, client: Actor) -> None:
    session = postmaster.session(client)
    facts = source.look(postmaster.server(), [session.backend])
    found = of(facts.sockets, session)
    assert found.transport is Transport.TCP
    assert found.sight is Sight.EXACT
    assert found.holders == (FdHolder(client.pid, session.fd),)
    assert found.inode == session.inode
    assert found.cookie > 0
    assert found.uid == os.geteuid()
    assert found.netns == os.stat("/proc/self/ns/net").st_ino
    assert found.tcp_state == "established"
    assert len(facts.sockets) == 1


@needs_ipv6
@pytest.mark.parametrize(
    ("listens", "to", "family", "host"),
    [
        ("::", "::1", "AF_INET6", "::1"),
        ("::", "127.0.0.1", "AF_INET", "127.0.0.1"),
        ("::", "::ffff:127.0.0.1", "AF_INET6", "127.0.0.1"),
        ("0.0.0.0", "::ffff:127.0.0.1", "AF_INET6", "127.0.0.1"),  # noqa: S104 - where the server of the test listens
        ("::1", "::1", "AF_INET6", "::1"),
    ],
)
def test_every_mixture_of_families(
    both: tuple[SocketSource, SocketSource], client: Actor, listens: str, to: str, family: str, host: str
) -> None:
    with Postmaster(listens) as postmaster:
        sessions = [postmaster.session(client, to, family=family) for _ in range(3)]
        backends = [session.backend for session in sessions]
        for full in (True, False):
            for source in both:
                facts = source.look(postmaster.server(), backends, full=full)
                assert len(facts.sockets) == 3
                for session in sessions:
                    found = of(facts.sockets, session)
                    assert (found.host, pids(found), found.inode) == (host, {client.pid}, session.inode)


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_sessions_over_a_unix_socket(source: SocketSource, client: Actor, tmp_path: Path, kind: str) -> None:
    os.chmod(tmp_path, 0o755)  # noqa: S103 - other users of the test go through it
    with Postmaster("") as postmaster:
        postmaster.listen_unix(str(tmp_path) if kind == "path" else f"@{tmp_path}")
        sessions = [postmaster.session(client, "unix") for _ in range(3)]
        backends = [session.backend for session in sessions]
        for full in (False, True, False):
            facts = source.look(postmaster.server(), backends, full=full)
            assert len(facts.sockets) == 3
            for session in sessions:
                found = of(facts.sockets, session)
                assert found.transport is Transport.UNIX
                assert found.sight is Sight.EXACT
                assert found.holders == (FdHolder(client.pid, session.fd),)
                assert (found.inode, found.uid, found.host) == (session.inode, os.geteuid(), None)


def test_all_sessions_of_one_process_and_one_each(source: SocketSource, postmaster: Postmaster) -> None:
    with Actor() as one, Actor() as two:
        sessions = [postmaster.session(one) for _ in range(12)] + [postmaster.session(two)]
        facts = source.look(postmaster.server(), [session.backend for session in sessions])
        assert len(facts.sockets) == 13
        assert all(pids(of(facts.sockets, session)) == {session.client} for session in sessions)


@pytest.mark.parametrize("over", ["tcp", "unix"])
def test_a_full_pass_names_everybody_who_shares(
    source: SocketSource, client: Actor, postmaster: Postmaster, tmp_path: Path, over: str
) -> None:
    os.chmod(tmp_path, 0o755)  # noqa: S103 - other users of the test go through it
    postmaster.listen_unix(str(tmp_path))
    session = postmaster.session(client, "unix" if over == "unix" else None)
    backends = [session.backend]
    assert of(source.look(postmaster.server(), backends, full=False).sockets, session).sight is Sight.EXACT
    child = client.ask("fork()")
    found = of(source.look(postmaster.server(), backends).sockets, session)
    assert found.sight is Sight.SHARED
    assert found.holders == tuple(sorted([FdHolder(client.pid, session.fd), FdHolder(child, session.fd)], key=_pid))


def _pid(holder: FdHolder) -> int:
    return holder.pid


@pytest.mark.parametrize("over", ["tcp", "unix"])
@pytest.mark.parametrize("full", [True, False])
def test_the_heir_of_a_socket_is_named_and_not_the_one_who_connected(
    source: SocketSource, postmaster: Postmaster, tmp_path: Path, full: bool, over: str
) -> None:
    os.chmod(tmp_path, 0o755)  # noqa: S103 - other users of the test go through it
    postmaster.listen_unix(str(tmp_path))
    with Actor() as parent:
        session = postmaster.session(parent, "unix" if over == "unix" else None)
        heir = parent.ask("fork()")
        source.look(postmaster.server(), [session.backend], full=full)  # may remember the parent
        parent.do(f"{session.name}.close()")
        # A tick looks again at a tenth of what it knows.
        facts = source.look(postmaster.server(), [session.backend], full=full)
        for _ in range(0 if full else 9):
            facts = source.look(postmaster.server(), [session.backend], full=full)
        assert pids(of(facts.sockets, session)) == {heir}
        assert of(facts.sockets, session).sight is Sight.EXACT


@pytest.mark.parametrize("over", ["tcp", "unix"])
def test_a_holder_that_died_is_not_named_in_the_next_tick(
    source: SocketSource, postmaster: Postmaster, client: Actor, tmp_path: Path, over: str
) -> None:
    os.chmod(tmp_path, 0o755)  # noqa: S103 - other users of the test go through it
    postmaster.listen_unix(str(tmp_path))
    # The one who connects is a child, and dies; its sibling lives on with the socket.
    client.do("a, b = socket.socketpair(); import array")
    session = postmaster.session(client, "unix" if over == "unix" else None)
    heir = client.ask("fork()")
    assert pids(of(source.look(postmaster.server(), [session.backend]).sockets, session)) == {client.pid, heir}
    client.do(f"end({heir})")
    facts = source.look(postmaster.server(), [session.backend], full=False)
    assert pids(of(facts.sockets, session)) == {client.pid}
    assert of(facts.sockets, session).sight is Sight.EXACT


@pytest.mark.parametrize("full", [True, False])
def test_a_socket_that_was_passed_to_a_process_that_never_connected(
    source: SocketSource, postmaster: Postmaster, tmp_path: Path, full: bool
) -> None:
    path = str(tmp_path / "pass")
    with Actor() as giver, Actor() as taker:
        taker.do(f"inbox = keep(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)); inbox.bind({path!r})")
        session = postmaster.session(giver)
        giver.do(
            "import array; post = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
            f"post.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,"
            f" array.array('i', [{session.name}.fileno()]))], 0, {path!r})\n"
            f"{session.name}.close()"
        )
        # On its way nobody has it open: the user is known, no process is invented.
        facts = source.look(postmaster.server(), [session.backend], full=full)
        found = of(facts.sockets, session)
        assert (found.sight, found.holders, found.inode) == (Sight.UID, (), session.inode)
        assert found.uid == os.geteuid()
        assert len(facts.gaps) == 1
        taker.do("_, got, _, _ = inbox.recvmsg(1, 64)\nfd = struct.unpack('i', got[0][2])[0]")
        facts = source.look(postmaster.server(), [session.backend])
        assert of(facts.sockets, session).holders == (FdHolder(taker.pid, taker.ask("fd")),)
        assert facts.gaps == ()


@needs_root
@pytest.mark.parametrize("dumpable", [True, False], ids=["dumpable", "not dumpable"])
def test_a_process_that_changed_its_user_after_connecting(
    both: tuple[SocketSource, SocketSource], postmaster: Postmaster, dumpable: bool
) -> None:
    with Actor() as client:
        session = postmaster.session(client)
        client.do(f"become({NOBODY}, dumpable={dumpable})")
        for full in (True, False):
            for source in both:
                found = of(source.look(postmaster.server(), [session.backend], full=full).sockets, session)
                assert (found.sight, pids(found), found.uid) == (Sight.EXACT, {client.pid}, 0)


@needs_root
def test_root_and_the_worker_it_forked_for_another_user(source: SocketSource, postmaster: Postmaster) -> None:
    with Actor() as client:
        session = postmaster.session(client)
        worker = client.ask(f"fork(lambda: become({NOBODY}, dumpable=False))")
        found = of(source.look(postmaster.server(), [session.backend]).sockets, session)
        assert (found.sight, pids(found)) == (Sight.SHARED, {client.pid, worker})


@needs_root  # its first thread's directory is root's from then on
def test_a_process_whose_main_thread_has_ended(source: SocketSource, postmaster: Postmaster) -> None:
    program = (
        "import ctypes, os, socket, sys, threading, time\n"
        "s = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
        "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
        "print(s.fileno(), flush=True)\n"
        "ctypes.CDLL(None).pthread_exit(None)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, "127.0.0.1", str(postmaster.port)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        fd = int(process.stdout.readline())
        pid, _, (host, port) = postmaster.accept()
        deadline = time.monotonic() + 30
        while os.listdir(f"/proc/{process.pid}/fd"):  # until its first thread is gone
            assert time.monotonic() < deadline
            time.sleep(0.01)
        found = source.look(postmaster.server(), [pid]).sockets
        assert [(s.host, s.port, s.holders) for s in found] == [(host, port, (FdHolder(process.pid, fd),))]
    finally:
        process.kill()
        process.wait(30)
        assert process.stdout is not None
        process.stdout.close()


def test_a_backend_that_is_a_client_of_its_own_server(source: SocketSource, postmaster: Postmaster) -> None:
    """As dblink and postgres_fdw do: the client's end is in a process of the server."""
    # Both ends in one child of the postmaster, which is a backend by another session.
    with Actor() as client:
        first = postmaster.session(client)
        postmaster.do("loop = keep(socket.create_connection(('127.0.0.1', tcp.getsockname()[1])))")
        pid, _, (host, port) = postmaster.accept()
        middle = postmaster.ask("fork()")
        postmaster.do("loop.close()")
        backends = [first.backend, pid, middle]
        for full in (True, False):
            other = SocketSource()
            by_port = {s.port: s for s in other.look(postmaster.server(), backends, full=full).sockets}
            other.close()
            assert {first.backend, pid} == {s.backend_pid for s in by_port.values()}
            # Forked in between, the backend has the socket too; both are told.
            assert pids(by_port[port]) <= {middle, pid}
            assert middle in pids(by_port[port]) or not full
            assert by_port[port].host == host


def test_two_servers_and_other_connections_are_kept_apart(source: SocketSource, client: Actor) -> None:
    with Postmaster() as one, Postmaster() as two:
        first = [one.session(client) for _ in range(3)]
        second = [two.session(client) for _ in range(4)]
        backends = [session.backend for session in first + second]
        for full in (True, False):
            of_one = source.look(one.server(), backends, full=full).sockets
            of_two = source.look(two.server(), backends, full=full).sockets
            assert {s.backend_pid for s in of_one} == {session.backend for session in first}
            assert {s.backend_pid for s in of_two} == {session.backend for session in second}


def test_another_server_at_the_same_port_of_another_address(source: SocketSource, client: Actor) -> None:
    with Postmaster("127.0.0.1") as one, Actor() as other:
        other.do(
            f"l = keep(socket.socket()); l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
            f"l.bind(('127.0.0.2', {one.port})); l.listen()"
        )
        session = one.session(client)
        client.do(f"x = keep(socket.create_connection(('127.0.0.2', {one.port})))")
        other.do("y = keep(l.accept()[0])")
        facts = source.look(one.server(), [session.backend])
        assert [s.backend_pid for s in facts.sockets] == [session.backend]


def test_clients_that_reach_the_server_at_different_addresses(
    source: SocketSource, postmaster: Postmaster, client: Actor
) -> None:
    """The same client address and port may be used twice, to two addresses of the server."""
    first = postmaster.session(client, "127.0.0.1", prepare="{s}.bind(('127.0.0.9', 0))")
    again = "{s}.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n{s}.bind(('127.0.0.9', 0))"
    with Actor() as other:
        second = postmaster.session(other, "127.0.0.2", prepare=again)
        third = _same_port(postmaster, other, first.port)
        sessions = [first, second, third]
        facts = source.look(postmaster.server(), [session.backend for session in sessions])
        assert {s.backend_pid: pids(s) for s in facts.sockets} == {s.backend: {s.client} for s in sessions}


def _same_port(postmaster: Postmaster, client: Actor, port: int | None):  # type: ignore[no-untyped-def]
    """A session from a port that another session, to another address, has already."""
    reuse = "{s}.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n{s}.bind(('127.0.0.8', %d))" % (port or 0)  # noqa: UP031 - the braces are for format
    return postmaster.session(client, "127.0.0.3", prepare=reuse)


def test_a_port_that_was_used_before(source: SocketSource, postmaster: Postmaster, client: Actor) -> None:
    """The client's port is remembered (TIME_WAIT) from an earlier connection to another server."""
    with Postmaster() as old:
        reuse = "{s}.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n{s}.bind(('127.0.0.1', %d))"
        before = old.session(client, prepare=reuse % 0)
        client.do(f"{before.name}.close()")  # closes first: its side goes into TIME_WAIT
        old.do(f"end({before.backend})")
        session = postmaster.session(client, prepare=reuse % (before.port or 0))
        assert session.port == before.port
        for full in (True, False):
            facts = source.look(postmaster.server(), [session.backend], full=full)
            assert pids(of(facts.sockets, session)) == {client.pid}
            assert len(facts.sockets) == 1


def test_a_client_that_closed_is_gone(source: SocketSource, postmaster: Postmaster, client: Actor) -> None:
    session = postmaster.session(client)
    lives = postmaster.session(client)
    backends = [session.backend, lives.backend]
    assert of(source.look(postmaster.server(), backends, full=False).sockets, session).sight is Sight.EXACT
    client.do(f"{session.name}.close()")
    for full in (False, True):
        facts = source.look(postmaster.server(), backends, full=full)
        found = of(facts.sockets, session)
        assert (found.sight, found.holders, found.inode) == (Sight.GONE, (), 0)
        assert found.tcp_state == "close-wait"
        assert of(facts.sockets, lives).sight is Sight.EXACT
        assert facts.gaps == ()


def test_a_client_that_was_killed_is_gone(source: SocketSource, postmaster: Postmaster) -> None:
    with Actor() as client:
        session = postmaster.session(client)
        client.kill()
        found = of(source.look(postmaster.server(), [session.backend]).sockets, session)
        assert (found.sight, found.holders) == (Sight.GONE, ())


def test_a_half_closed_client_still_holds_its_socket(
    source: SocketSource, postmaster: Postmaster, client: Actor
) -> None:
    session = postmaster.session(client)
    client.do(f"{session.name}.shutdown(socket.SHUT_WR)")
    found = of(source.look(postmaster.server(), [session.backend]).sockets, session)
    assert (found.sight, pids(found), found.tcp_state) == (Sight.EXACT, {client.pid}, "close-wait")


def test_a_unix_client_that_closed_is_gone(source: SocketSource, client: Actor, tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o755)  # noqa: S103 - other users of the test go through it
    with Postmaster("") as postmaster:
        postmaster.listen_unix(str(tmp_path))
        session = postmaster.session(client, "unix")
        lives = postmaster.session(client, "unix")
        backends = [session.backend, lives.backend]
        source.look(postmaster.server(), backends)
        client.do(f"{session.name}.close()")
        for full in (False, True):
            facts = source.look(postmaster.server(), backends, full=full)
            found = of(facts.sockets, session)
            assert (found.sight, found.holders, found.inode, found.connected_by) == (Sight.GONE, (), 0, None)
            assert pids(of(facts.sockets, lives)) == {client.pid}


def test_a_connection_that_nobody_accepted_is_no_session(
    source: SocketSource, postmaster: Postmaster, client: Actor
) -> None:
    client.do(f"waiting = keep(socket.create_connection(('127.0.0.1', {postmaster.port})))")
    assert source.look(postmaster.server(), []).sockets == ()


def test_idle_time_is_that_of_the_servers_end(source: SocketSource, postmaster: Postmaster, client: Actor) -> None:
    session = postmaster.session(client)
    time.sleep(0.3)
    quiet = of(source.look(postmaster.server(), [session.backend]).sockets, session)
    assert quiet.active_at is not None
    assert time.time() * 1e6 - quiet.active_at >= 250_000
    # One that is still silent is the same object: it is not even looked at by the stages behind.
    again = (of(source.look(postmaster.server(), [session.backend], full=False).sockets, session) for _ in range(9))
    assert any(one is quiet for one in again)  # a machine that is busy may be late once
    client.do(f"{session.name}.send(b'x')")
    for full in (False, True):
        busy = of(source.look(postmaster.server(), [session.backend], full=full).sockets, session)
        assert busy.active_at is not None
        assert busy.active_at > quiet.active_at


def test_the_server_process_is_proven_by_its_descriptor(
    source: SocketSource, postmaster: Postmaster, client: Actor
) -> None:
    """Without SQL and without any pid given: the postmaster's children are asked."""
    session = postmaster.session(client)
    facts = source.look(postmaster.server(), [])
    assert [(s.host, s.port, s.backend_pid) for s in facts.sockets] == [(session.host, session.port, session.backend)]


def test_a_pid_that_is_no_backend_is_not_left_out_of_the_search(
    source: SocketSource, postmaster: Postmaster, client: Actor
) -> None:
    """Wrong pids for backends (from another PID namespace, say) must not hide a holder."""
    session = postmaster.session(client)
    for full in (True, False):
        facts = source.look(postmaster.server(), [session.backend, client.pid, 1, 99999999], full=full)
        assert pids(of(facts.sockets, session)) == {client.pid}


def test_only_the_wanted_clients(source: SocketSource, postmaster: Postmaster, client: Actor) -> None:
    sessions = [postmaster.session(client) for _ in range(4)]
    wanted = [(str(sessions[n].host), int(sessions[n].port or 0)) for n in (1, 3)]
    for full in (True, False):
        facts = source.look(
            postmaster.server(), [s.backend for s in sessions], full=full, wanted=[*wanted, ("10.9.8.7", 1)]
        )
        assert {(s.host, s.port) for s in facts.sockets} == set(wanted)
        assert all(pids(s) == {client.pid} for s in facts.sockets)


def test_a_threaded_caller_gets_the_same_and_nothing_is_forked(
    source: SocketSource, postmaster: Postmaster, client: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pgusher.collect.sockets import source as module

    session = postmaster.session(client)
    monkeypatch.setattr(module, "_FORK_FROM", 0)
    forks: list[int] = []
    monkeypatch.setattr(os, "fork", lambda: forks.append(1))
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        facts = source.look(postmaster.server(), [session.backend])
    finally:
        done.set()
        thread.join()
    assert pids(of(facts.sockets, session)) == {client.pid}
    assert forks == []


def test_a_forked_pass_gives_the_same_as_one_alone(
    source: SocketSource, postmaster: Postmaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pgusher.collect.sockets import parallel
    from pgusher.collect.sockets import source as module

    with Actor() as one, Actor() as two:
        sessions = [postmaster.session(actor) for actor in (one, two) for _ in range(5)]
        shared = one.ask("fork()")
        backends = [session.backend for session in sessions]
        alone = source.look(postmaster.server(), backends).sockets
        monkeypatch.setattr(module, "_FORK_FROM", 0)
        forked = alone
        for count in (1, 2, 4):
            monkeypatch.setattr(parallel, "ways", lambda count=count: count)
            forked = source.look(postmaster.server(), backends).sockets
            assert {(s.port, s.backend_pid, s.holders) for s in forked} == {
                (s.port, s.backend_pid, s.holders) for s in alone
            }
        assert all(pids(of(forked, s)) == ({one.pid, shared} if s.client == one.pid else {two.pid}) for s in sessions)


def test_many_sessions_are_dumped_and_few_are_asked_for_with_one_result(
    source: SocketSource, postmaster: Postmaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pgusher.collect.sockets import pairing

    with Actor() as one, Actor() as two:
        sessions = [postmaster.session(actor) for actor in (one, two) for _ in range(4)]
        backends = [session.backend for session in sessions]
        for most in (0, 1000):
            monkeypatch.setattr(pairing, "_ASK_EACH", most)
            facts = source.look(postmaster.server(), backends)
            assert all(pids(of(facts.sockets, s)) == {s.client} for s in sessions)
            assert len(facts.sockets) == 8


def test_sessions_that_come_and_go_are_never_led_to_another_process(
    source: SocketSource, postmaster: Postmaster
) -> None:
    """Clients connect and leave all the time. Whatever is claimed is true: each address is only ever one process's."""
    churn = (
        "import random, threading\n"
        "def churn():\n"
        "    while True:\n"
        "        s = socket.socket()\n"
        "        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
        "        s.bind(({own!r}, 0)); s.connect(('127.0.0.1', {port})); time.sleep(random.choice([0.002, 0.05, 0.5])); s.close()\n"  # noqa: E501 - one literal
        "threading.Thread(target=churn, daemon=True).start()"
    )
    accept = (
        "import threading\n"
        "def serve():\n"
        "    while True:\n"
        "        c, _ = tcp.accept(); threading.Thread(target=lambda c=c: (c.recv(1), c.close()), daemon=True).start()\n"  # noqa: E501 - one literal
        "threading.Thread(target=serve, daemon=True).start()"
    )
    postmaster.do(accept)
    owners = {}
    actors = []
    try:
        for number in range(3):
            actor = Actor()
            actors.append(actor)
            owners[f"127.0.1.{number}"] = actor.pid
            actor.do(churn.format(own=f"127.0.1.{number}", port=postmaster.port))
        seen = 0
        deadline = time.monotonic() + 3.0
        turn = 0
        while time.monotonic() < deadline:
            turn += 1
            facts = source.look(postmaster.server(), [postmaster.pid], full=turn % 4 == 0)
            for found in facts.sockets:
                assert found.host is not None
                assert pids(found) <= {owners[found.host]}, found
                assert found.sight in (Sight.EXACT, Sight.GONE, Sight.UID), found
                seen += bool(found.holders)
        assert seen > 0
    finally:
        for actor in actors:
            actor.close()


def test_nothing_stays_open_and_no_child_is_left(postmaster: Postmaster, client: Actor) -> None:
    sessions = [postmaster.session(client) for _ in range(3)]
    before = os.listdir("/proc/self/fd")
    source = SocketSource()
    for full in (True, False, False, True):
        source.look(postmaster.server(), [session.backend for session in sessions], full=full)
    source.close()
    assert len(os.listdir("/proc/self/fd")) == len(before)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG) if not _children() else pytest.fail("a child is left")


def _children() -> list[int]:
    """Zombies among our children."""
    with open(f"/proc/self/task/{os.getpid()}/children", "rb") as file:
        found = [int(word) for word in file.read().split()]
    zombies = []
    for pid in found:
        with open(f"/proc/{pid}/stat", "rb") as file:
            if file.read().rpartition(b")")[2].split()[0] == b"Z":
                zombies.append(pid)
    assert not zombies
    if found:
        raise ChildProcessError  # only the actors, which are alive
    return found


def test_a_stopped_client_is_found_too(source: SocketSource, postmaster: Postmaster) -> None:
    with Actor() as client:
        session = postmaster.session(client)
        os.kill(client.pid, signal.SIGSTOP)
        try:
            found = of(source.look(postmaster.server(), [session.backend]).sockets, session)
        finally:
            os.kill(client.pid, signal.SIGCONT)
        assert pids(found) == {client.pid}
