"""Which process of the server has which session, and by which number the server knows it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from pgusher.collect.sockets import SocketSource
from pgusher.collect.sockets.backends import Numbering, children, connector, is_elder, prove, start_of, strange_sockets
from pgusher.collect.sockets.scan import FdScanner, wanted_of
from tests.bed.requirements import needs_root
from tests.collect.sockets.stage import Actor, Postmaster, of, pids


@needs_root
def test_a_server_in_a_pid_namespace() -> None:
    """SQL gives its pids as they are inside, /proc as they are outside; each caller gets its own back."""
    source = SocketSource()
    with Postmaster("127.0.0.1", inside=["unshare", "-p", "-f"]) as postmaster, Actor() as client:
        sessions = [postmaster.session(client) for _ in range(3)]
        inner = [session.backend for session in sessions]
        assert max(inner) < 100 < postmaster.pid
        outer = children("/proc", postmaster.pid)
        assert len(outer) == 3
        for full in (True, False):
            facts = source.look(postmaster.server(), inner, full=full)
            for session in sessions:
                assert pids(of(facts.sockets, session)) == {client.pid}
        source.close()
        for full in (True, False):
            facts = source.look(postmaster.server(), outer, full=full)
            assert {s.backend_pid for s in facts.sockets} == set(outer)
            assert {s.port for s in facts.sockets} == {session.port for session in sessions}
    source.close()


@needs_root
def test_numbers_of_both_kinds() -> None:
    with Postmaster("127.0.0.1", inside=["unshare", "-p", "-f"]) as postmaster:
        inner = [postmaster.ask("fork()") for _ in range(3)]
        outer = children("/proc", postmaster.pid)
        numbering = Numbering("/proc", postmaster.pid)
        assert numbering.foreign
        assert sorted(numbering.ours(inner, postmaster.pid).values()) == sorted(inner)
        assert set(numbering.ours(inner, postmaster.pid)) == set(outer)
        assert numbering.ours(outer, postmaster.pid) == {pid: pid for pid in outer}
        # Nobody tells: the server's own numbers.
        assert sorted(numbering.ours((), postmaster.pid).values()) == sorted(inner)


def test_a_server_beside_us_is_numbered_as_we_number() -> None:
    with Actor() as postmaster:
        child = postmaster.ask("fork()")
        numbering = Numbering("/proc", postmaster.pid)
        assert not numbering.foreign
        assert numbering.ours([5], postmaster.pid) == {5: 5, child: child}
        assert Numbering("/proc", None).ours([5, 6], None) == {5: 5, 6: 6}
        assert not Numbering("/proc", 99999999).foreign


def test_proof_by_the_descriptor() -> None:
    scanner = FdScanner()
    with Postmaster() as postmaster, Actor() as client:
        sessions = [postmaster.session(client) for _ in range(3)]
        links = wanted_of(os.stat(f"/proc/{s.backend}/fd/{s.server_fd}").st_ino for s in sessions)
        asked = [s.backend for s in sessions]
        proofs, without, denied = prove(scanner, [*asked, client.pid, 99999999], links)
        assert [(pid, fd) for pid, fd, _ in proofs] == [(s.backend, s.server_fd) for s in sessions]
        assert (without, denied) == ([client.pid, 99999999], [])


def test_what_all_server_processes_have_inherited_is_no_session() -> None:
    with Actor() as postmaster:
        postmaster.do("common = socket.socket()")
        first = postmaster.ask("fork()")
        postmaster.do("own = socket.socket()")
        second = postmaster.ask("fork()")
        inode, fd = postmaster.ask("[os.fstat(own.fileno()).st_ino, own.fileno()]")
        assert strange_sockets(FdScanner(), [first, second]) == {inode: (second, fd, inode)}


def test_who_connected_and_that_the_copy_is_closed(tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o755)  # noqa: S103 - other users of the test go through it
    with Postmaster("") as postmaster, Actor() as client:
        postmaster.listen_unix(str(tmp_path))
        session = postmaster.session(client, "unix")
        link = f"/proc/{session.backend}/fd/{session.server_fd}"
        inode = os.stat(link).st_ino
        flags = Path(f"/proc/{session.backend}/fdinfo/{session.server_fd}").read_text().splitlines()[1]
        before = len(os.listdir("/proc/self/fd"))
        proof = (session.backend, session.server_fd, inode)
        assert connector(proof) == client.pid
        assert connector((session.backend, 99, inode)) is None
        assert connector((99999999, 1, 1)) is None
        assert connector((session.backend, session.server_fd, inode + 1)) is None  # another socket by now
        assert len(os.listdir("/proc/self/fd")) == before
        # The mode of the file is the server's too: it was left as it was.
        assert Path(f"/proc/{session.backend}/fdinfo/{session.server_fd}").read_text().splitlines()[1] == flags


def test_the_mode_of_the_servers_socket_is_left_alone_whatever_python_was_told(tmp_path: Path) -> None:
    socket.setdefaulttimeout(3.0)  # Python makes every socket that it meets non-blocking then
    try:
        test_who_connected_and_that_the_copy_is_closed(tmp_path)
    finally:
        socket.setdefaulttimeout(None)


def test_who_is_younger_did_not_connect() -> None:
    with Actor() as elder:
        child = elder.ask("(time.sleep(0.05), fork())[1]")
        assert is_elder("/proc", elder.pid, child)
        assert not is_elder("/proc", child, elder.pid)
        assert is_elder("/proc", child, child)
        assert not is_elder("/proc", 99999999, child)
        assert not is_elder("/proc", child, 99999999)


def test_a_torn_stat(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    for text in ("", "7 (x) S 1", "7 (a) b) S " + "1 " * 18 + "4711 0", "7 (x) S " + "x " * 30):
        (tmp_path / "7" / "stat").write_text(text)
        assert start_of(str(tmp_path), 7) in (None, 4711)
    assert children(str(tmp_path), 7) == []
