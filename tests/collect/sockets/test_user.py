"""What an ordinary user sees, and what stays closed: told as a gap, never as an error, never as a guess."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgusher.collect.sockets import SocketSource, netlink
from pgusher.collect.sockets.scan import FdScanner
from pgusher.collect.sockets.space import KernelSpace
from pgusher.model.address import Transport
from pgusher.model.server import Server
from pgusher.model.sockets import FdHolder, Sight
from tests.bed.requirements import needs_root
from tests.collect.sockets.stage import NOBODY, Actor, Looker, Postmaster, of, pids


@pytest.fixture
def postmaster(tmp_path: Path) -> Iterator[Postmaster]:
    os.chmod(tmp_path, 0o755)  # noqa: S103 - other users of the test go through it
    with Postmaster("127.0.0.1") as made:
        made.listen_unix(f"@pgusher-test/{os.getpid()}-{tmp_path.name}")
        yield made


@needs_root
@pytest.mark.parametrize("full", [True, False])
def test_processes_of_others_and_of_ones_own(postmaster: Postmaster, full: bool) -> None:
    with Actor() as roots, Actor(uid=NOBODY) as own, Looker(uid=NOBODY) as looker:
        theirs, mine = postmaster.session(roots), postmaster.session(own)
        facts = looker.look(postmaster.server(), [theirs.backend, mine.backend], full=full)
        by_port = {s.port: s for s in facts.sockets}
        assert set(by_port) == {theirs.port, mine.port}
        found = by_port[mine.port]
        assert (found.sight, found.holders, found.uid) == (Sight.EXACT, (FdHolder(own.pid, mine.fd),), NOBODY)
        found = by_port[theirs.port]
        assert (found.sight, found.holders, found.uid, found.inode) == (Sight.UID, (), 0, theirs.inode)
        assert found.active_at is not None  # tcp_info needs no privilege
        assert all(s.backend_pid is None for s in facts.sockets)  # the server's files are not ours to read
        (gap,) = facts.gaps
        assert gap.source == "sockets"
        assert "1 session" in gap.what
        assert gap.why == "permission denied"
        assert "CAP_SYS_PTRACE" in gap.opens
        assert "CAP_DAC_READ_SEARCH" in gap.opens
        assert gap.count >= 1


@needs_root
def test_no_gap_when_nothing_is_missing(postmaster: Postmaster) -> None:
    with Actor(uid=NOBODY) as own, Looker(uid=NOBODY) as looker:
        session = postmaster.session(own)
        assert looker.look(postmaster.server(), [session.backend]).gaps == ()


@needs_root
def test_the_servers_own_user() -> None:
    """As "postgres": which backend has which session is proven; of a unix socket also who connected."""
    with (
        Actor() as roots,
        Postmaster("127.0.0.1", uid=NOBODY) as postmaster,
        Looker(uid=NOBODY) as looker,
        Actor(uid=NOBODY) as own,
    ):
        postmaster.listen_unix(f"@pgusher-test/{os.getpid()}-user")
        tcp, unix, mine = postmaster.session(roots), postmaster.session(roots, "unix"), postmaster.session(own, "unix")
        backends = [tcp.backend, unix.backend, mine.backend]
        for full in (True, False, True):
            facts = looker.look(postmaster.server(os_uid=NOBODY), backends, full=full)
            assert len(facts.sockets) == 3
            assert of(facts.sockets, tcp).sight is Sight.UID
            found = of(facts.sockets, unix)
            assert (found.sight, found.uid, found.holders, found.connected_by) == (Sight.UID, 0, (), roots.pid)
            found = of(facts.sockets, mine)
            assert (found.sight, pids(found), found.connected_by) == (Sight.EXACT, {own.pid}, None)
        # Who connected is dead, and somebody else has the socket: the dead one is not named.
        roots.do("fork()")
        roots.kill()
        for full in (False, True):
            found = of(looker.look(postmaster.server(os_uid=NOBODY), backends, full=full).sockets, unix)
            assert found.connected_by is None
            assert found.holders == ()


@needs_root
def test_unix_sessions_of_which_the_backend_is_not_known(postmaster: Postmaster) -> None:
    with Actor(uid=NOBODY) as own, Actor() as roots, Looker(uid=NOBODY) as looker:
        mine, theirs = postmaster.session(own, "unix"), postmaster.session(roots, "unix")
        facts = looker.look(postmaster.server(), [mine.backend, theirs.backend])
        by_inode = {s.inode: s for s in facts.sockets if s.transport is Transport.UNIX}
        assert set(by_inode) == {mine.inode, theirs.inode}
        assert by_inode[mine.inode].holders == (FdHolder(own.pid, mine.fd),)
        assert (by_inode[theirs.inode].sight, by_inode[theirs.inode].uid) == (Sight.UID, 0)
        assert all(s.backend_pid is None for s in by_inode.values())
        assert any("2 unix-socket sessions" in gap.what for gap in facts.gaps)


@needs_root
def test_sessions_in_namespaces_that_may_not_be_entered_are_seen_through_proc() -> None:
    """The server is in a namespace of its own: its tables are readable in /proc/PID/net all the same."""
    with Postmaster("", netns="new") as postmaster, Looker(uid=NOBODY) as looker:
        postmaster.do("os.system('ip link set lo up')")
        postmaster.address = "127.0.0.1"
        postmaster.do("tcp = keep(socket.socket()); tcp.bind(('127.0.0.1', 0)); tcp.listen()")
        postmaster.port = postmaster.ask("tcp.getsockname()[1]")
        with Actor(netns=postmaster.pid) as theirs, Actor(netns=postmaster.pid, uid=NOBODY) as own:
            far, near = postmaster.session(theirs), postmaster.session(own)
            facts = looker.look(postmaster.server(), [far.backend, near.backend])
            by_port = {s.port: s for s in facts.sockets}
            assert (by_port[far.port].sight, by_port[far.port].uid) == (Sight.UID, 0)
            assert (by_port[near.port].sight, pids(by_port[near.port])) == (Sight.EXACT, {own.pid})


def refuse_netlink(monkeypatch: pytest.MonkeyPatch, code: int, words: str) -> None:
    """As under seccomp, or without the module."""

    def refuse(self: object, *args: object) -> None:
        raise OSError(code, words)

    monkeypatch.setattr(netlink.Netlink, "__init__", refuse)


@pytest.mark.parametrize(("code", "words"), [(1, "Operation not permitted"), (93, "Protocol not supported")])
def test_without_netlink_the_files_of_proc(
    postmaster: Postmaster, monkeypatch: pytest.MonkeyPatch, code: int, words: str
) -> None:
    refuse_netlink(monkeypatch, code, words)
    with Actor() as client:
        sessions = [postmaster.session(client), postmaster.session(client)]
        gone = postmaster.session(client)
        unix = postmaster.session(client, "unix")
        client.do(f"{gone.name}.close()")
        backends = [s.backend for s in (*sessions, gone, unix)]
        looks = SocketSource()
        for full in (True, False):
            facts = looks.look(postmaster.server(), backends, full=full)
            for session in sessions:
                found = of(facts.sockets, session)
                assert (found.sight, pids(found), found.active_at, found.cookie) == (Sight.EXACT, {client.pid}, None, 0)
            assert of(facts.sockets, gone).sight is Sight.GONE
            # /proc/net/unix tells no peer: who connected is asked of the server's own descriptor.
            found = of(facts.sockets, unix)
            assert (found.sight, found.connected_by, found.holders) == (Sight.UID, client.pid, ())
            assert words.lower() in facts.gaps[0].why.lower()
        looks.close()


def test_a_kernel_without_diagnostics_for_unix_sockets(postmaster: Postmaster, monkeypatch: pytest.MonkeyPatch) -> None:
    from pgusher.collect.sockets import unix as module

    def missing(*args: object) -> None:
        raise netlink.failure(2)

    monkeypatch.setattr(module, "dump", missing)
    with Actor() as client:
        tcp, unix = postmaster.session(client), postmaster.session(client, "unix")
        looks = SocketSource()
        facts = looks.look(postmaster.server(), [tcp.backend, unix.backend])
        looks.close()
        assert of(facts.sockets, tcp).sight is Sight.EXACT
        assert of(facts.sockets, unix).connected_by == client.pid


def test_a_kernel_that_refuses_the_unix_dump_costs_only_that(
    postmaster: Postmaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: KernelSpace, known: object) -> None:
        raise netlink.failure(105)

    monkeypatch.setattr(KernelSpace, "unix", refuse)
    with Actor() as client:
        tcp = postmaster.session(client)
        looks = SocketSource()
        facts = looks.look(postmaster.server(), [tcp.backend])
        looks.close()
        assert of(facts.sockets, tcp).sight is Sight.EXACT
        assert [gap.what for gap in facts.gaps] == ["the sessions over unix sockets"]


def test_a_netlink_that_breaks_in_the_middle_is_given_up_for_the_files(
    postmaster: Postmaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def torn(self: KernelSpace, *args: object, **more: object) -> None:
        raise netlink.failure(74, "message of 3 bytes at 0 of 20")

    monkeypatch.setattr(KernelSpace, "exact", torn)
    with Actor() as client:
        session = postmaster.session(client)
        looks = SocketSource()
        facts = looks.look(postmaster.server(), [session.backend])
        assert of(facts.sockets, session).sight is Sight.EXACT
        assert "message of 3 bytes" in facts.gaps[0].why
        monkeypatch.undo()  # the next look tries again
        assert looks.look(postmaster.server(), [session.backend]).gaps == ()
        looks.close()


def test_without_a_proc_the_sockets_alone(postmaster: Postmaster, tmp_path: Path) -> None:
    with Actor() as client:
        session = postmaster.session(client)
        looks = SocketSource(proc=str(tmp_path / "none"))
        for full in (True, False):
            facts = looks.look(postmaster.server(), [session.backend], full=full)
            (found,) = facts.sockets
            assert (found.host, found.port, found.sight, found.uid) == (
                session.host,
                session.port,
                Sight.UID,
                os.geteuid(),
            )
            assert found.inode == session.inode
            assert "mount /proc" in [gap.opens for gap in facts.gaps]
        looks.close()


def test_with_nothing_at_all(postmaster: Postmaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_netlink(monkeypatch, 1, "Operation not permitted")
    looks = SocketSource(proc=str(tmp_path / "none"))
    facts = looks.look(postmaster.server(), [])
    looks.close()
    assert facts.sockets == ()
    assert [gap.what for gap in facts.gaps] == ["the sockets of the sessions"]


@needs_root
def test_a_proc_that_hides_the_processes_of_others(postmaster: Postmaster) -> None:
    mount = (
        "import ctypes\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "assert libc.unshare(0x00020000) == 0\n"  # CLONE_NEWNS: the mount is seen by this process alone
        "assert libc.mount(None, b'/', None, (1 << 14) | (1 << 18), None) == 0\n"  # MS_REC | MS_PRIVATE
        "assert libc.mount(b'proc', b'/proc', b'proc', 0, b'hidepid=2') == 0, ctypes.get_errno()"
    )
    with Actor() as theirs, Actor(uid=NOBODY) as own, Looker() as looker:
        far, near = postmaster.session(theirs), postmaster.session(own)
        looker.do(mount)
        looker.do(f"become({NOBODY}, dumpable=True)")
        facts = looker.look(postmaster.server(), [far.backend, near.backend])
        by_port = {s.port: s for s in facts.sockets}
        assert (by_port[far.port].sight, by_port[far.port].uid) == (Sight.UID, 0)
        assert pids(by_port[near.port]) == {own.pid}
        (gap,) = facts.gaps
        assert "hidepid" in gap.why


def test_another_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    looks = SocketSource()
    facts = looks.look(Server(5432), [1])
    looks.close()
    assert facts.sockets == ()
    assert [gap.why for gap in facts.gaps] == ["darwin is not Linux"]


@pytest.mark.parametrize("port", [0, -1, 65536, 10**9])
def test_a_port_that_is_none(port: int) -> None:
    looks = SocketSource()
    facts = looks.look(Server(port), [1])
    looks.close()
    assert facts.sockets == ()
    assert len(facts.gaps) == 1


def test_a_postmaster_that_does_not_exist(postmaster: Postmaster) -> None:
    with Actor() as client:
        session = postmaster.session(client)
        looks = SocketSource()
        for pid in (99999999, None, 0):
            facts = looks.look(postmaster.server(postmaster_pid=pid), [session.backend])
            assert pids(of(facts.sockets, session)) == {client.pid}
        looks.close()


def test_paths_that_no_system_has(postmaster: Postmaster) -> None:
    with Actor() as client:
        session = postmaster.session(client)
        looks = SocketSource()
        odd = postmaster.server(socket_paths=("", "@", "/\0/x", "/" * 5000, "/\udcff"), os_uid=os.geteuid())
        assert pids(of(looks.look(odd, [session.backend]).sockets, session)) == {client.pid}
        looks.close()


def test_other_systems_can_import_it() -> None:
    """netlink is not in the socket module of every system, resource not in every Python."""
    code = (
        "import socket, sys\n"
        "del socket.AF_NETLINK\nsys.modules['resource'] = None\nsys.modules['_ctypes'] = None\nsys.platform = 'sunos5'\n"  # noqa: E501 - one literal
        "from pgusher.collect.sockets import SocketSource\nfrom pgusher.model.server import Server\n"
        "s = SocketSource(); print(len(s.look(Server(5432), []).gaps)); s.close()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("1\n", "")


@needs_root
def test_a_process_that_has_changed_its_user_since_is_found(postmaster: Postmaster) -> None:
    """The socket is of the user who made it; the process is root's again."""
    with Actor() as changing, Actor(uid=NOBODY) as other:
        changing.do("os.seteuid(4711)")
        session, plain = postmaster.session(changing), postmaster.session(other)
        changing.do("os.seteuid(0)")
        for full in (True, False, True):
            with contextlib.closing(SocketSource()) as source:
                facts = source.look(postmaster.server(), [session.backend, plain.backend], full=full)
            found = of(facts.sockets, session)
            assert (found.sight, found.uid, pids(found)) == (Sight.EXACT, 4711, {changing.pid})
            assert pids(of(facts.sockets, plain)) == {other.pid}


@needs_root
def test_a_socket_of_roots_that_is_shared_with_another_user(postmaster: Postmaster) -> None:
    """As a service does that opens a pool, forks its workers and lets them drop their privileges."""
    with Actor() as master:
        session = postmaster.session(master)
        worker = master.ask(f"fork(lambda: become({NOBODY}, dumpable=False))")
        with contextlib.closing(SocketSource()) as source:
            found = of(source.look(postmaster.server(), [session.backend]).sockets, session)
        assert (found.sight, pids(found)) == (Sight.SHARED, {master.pid, worker})


@needs_root
@pytest.mark.parametrize("dumpable", [True, False])
def test_whose_processes_are_read_first(dumpable: bool) -> None:
    scanner = FdScanner()
    with Actor() as root, Actor(uid=NOBODY, dumpable=dumpable) as other:
        both, gone = [str(root.pid), str(other.pid)], "4194305"  # above all pids
        assert scanner.likely([*both, gone], {NOBODY}) == ([str(other.pid)], [str(root.pid)])
        # A root may have changed its user after the socket was made: of the host, of a user namespace, or who knows.
        for uid in (0, 100_000, None):
            assert scanner.likely(both, {NOBODY, uid}) == (both, [])
