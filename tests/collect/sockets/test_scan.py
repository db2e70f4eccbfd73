"""From an inode to the processes that have it open."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgusher.collect.sockets.scan import FdScanner, Scan, wanted_of
from tests.bed.requirements import needs_root
from tests.collect.sockets.stage import NOBODY, Actor


@pytest.fixture(params=["counted", "listed"])
def scanner(request: pytest.FixtureRequest) -> FdScanner:
    """As on this kernel, and as on one before 6.2, that does not tell how many descriptors there are."""
    made = FdScanner()
    made._counted = made._counted and request.param == "counted"
    return made


@pytest.fixture
def actor() -> Iterator[Actor]:
    with Actor() as made:
        yield made


def test_one_of_many_descriptors(scanner: FdScanner, actor: Actor) -> None:
    actor.do("many = [socket.socket() for _ in range(300)]")
    fd, inode = actor.ask("[many[217].fileno(), os.fstat(many[217].fileno()).st_ino]")
    assert scanner.scan([str(actor.pid)], wanted_of([inode])).found == {inode: [(actor.pid, fd)]}


@pytest.mark.parametrize(
    "layout",
    [
        "[os.dup2(s.fileno(), 900)]",
        "[os.dup2(s.fileno(), n) for n in range(20, 400, 7)]",
        "s.close(); os.close(2); s = socket.socket(); s3 = socket.socket()",
        "os.dup2(s.fileno(), 1000); s.close()",
    ],
)
def test_sparse_tables(scanner: FdScanner, actor: Actor, layout: str) -> None:
    """Every descriptor is seen, and the lowest one of the socket is told."""
    actor.do(f"s = socket.socket(); s2 = socket.socket()\n{layout}")
    expected: dict[int, list[tuple[int, int]]] = {}
    for name in sorted(os.listdir(f"/proc/{actor.pid}/fd"), key=int):
        link = os.readlink(f"/proc/{actor.pid}/fd/{name}")
        if link.startswith("socket:["):
            expected.setdefault(int(link[8:-1]), [(actor.pid, int(name))])
    assert len(expected) >= 2
    assert scanner.scan([str(actor.pid)], wanted_of(expected)).found == expected


def test_processes_that_do_not_exist_and_are_none(scanner: FdScanner) -> None:
    scan = scanner.scan(["99999999", "self", "sys"][:1], wanted_of([1]))
    assert scan == Scan()


def test_the_first_holder_is_enough_when_asked(scanner: FdScanner) -> None:
    with Actor() as one, Actor() as two:
        one.do("s = socket.socket()")
        inode = one.ask("os.fstat(s.fileno()).st_ino")
        child = one.ask("fork()")
        wanted = wanted_of([inode])
        order = [str(two.pid), str(child), str(one.pid)]
        scan = scanner.scan(order, wanted, first=True)
        assert [pid for pid, _ in scan.found[inode]] == [child]
        assert wanted == {}
        assert {pid for pid, _ in scanner.scan(order, wanted_of([inode])).found[inode]} == {child, one.pid}


def test_hints_are_tried_first_and_forgotten_when_wrong(scanner: FdScanner) -> None:
    with Actor() as one, Actor() as two, Actor() as three:
        inodes = {}
        for number, actor in enumerate((one, two, three)):
            actor.do(f"pad = [socket.socket() for _ in range({number % 2})]; s = socket.socket()")
            inodes[actor.pid] = actor.ask("os.fstat(s.fileno()).st_ino")
        wanted = wanted_of(inodes.values())
        for _ in range(2):
            for pid, inode in inodes.items():
                found = scanner.first_of(pid, wanted)
                assert found is not None
                assert found[1] == inode
                assert scanner.at(pid, found[0]) == f"socket:[{inode}]"
                left = wanted_of([*inodes.values(), 1])
                assert scanner.expected(pid, inode, left) == [(inode, found[0])]
                assert left == wanted_of([*(other for other in inodes.values() if other != inode), 1])
        assert scanner.first_of(one.pid, wanted_of([1])) is None
        assert scanner.first_of(99999999, wanted) is None


def test_a_descriptor_is_looked_at_again(scanner: FdScanner, actor: Actor) -> None:
    actor.do("s = socket.socket()")
    fd, inode = actor.ask("[s.fileno(), os.fstat(s.fileno()).st_ino]")
    assert scanner.holds(actor.pid, fd, inode)
    assert not scanner.holds(actor.pid, fd, inode + 1)
    actor.do("s.close()")
    assert not scanner.holds(actor.pid, fd, inode)
    assert not scanner.holds(99999999, fd, inode)


@needs_root
@pytest.mark.parametrize("dumpable", [True, False])
def test_who_may_not_be_read_is_counted(scanner: FdScanner, dumpable: bool) -> None:
    """Told by a process of another user, as root may read all."""
    first = "from pgusher.collect.sockets.scan import FdScanner, wanted_of"
    with (
        Actor() as rooted,
        Actor(uid=NOBODY, dumpable=dumpable) as own,
        Actor(uid=NOBODY, first=first) as asker,
    ):
        asker.do("scanner = FdScanner()")
        pids = [str(rooted.pid), str(own.pid), str(asker.pid)]
        denied = asker.ask(f"scanner.scan({pids!r}, wanted_of([1])).denied")
        assert denied == pids[: 1 if dumpable else 2]


def test_a_proc_that_is_not_there(tmp_path: Path) -> None:
    scanner = FdScanner(str(tmp_path / "none"))
    with pytest.raises(FileNotFoundError):
        scanner.pids()
    assert scanner.scan(["1"], wanted_of([1])) == Scan()


def test_only_processes_are_listed(tmp_path: Path) -> None:
    for name in ("1", "4711", "self", "sys", "12x"):
        (tmp_path / name).mkdir()
    assert sorted(FdScanner(str(tmp_path)).pids()) == ["1", "4711"]


def test_merging_keeps_each_process_once() -> None:
    one = Scan({1: [(10, 3)], 2: [(11, 4)]}, ["5"], ["6"])
    one.merge(Scan({1: [(10, 3), (12, 7)], 3: [(13, 1)]}, ["7"], []))
    assert one == Scan({1: [(10, 3), (12, 7)], 2: [(11, 4)], 3: [(13, 1)]}, ["5", "7"], ["6"])


def test_a_socket_that_is_open_twice_in_one_process_is_one_holder(scanner: FdScanner) -> None:
    with socket.socket() as sock:
        copy = os.dup(sock.fileno())
        try:
            inode = os.fstat(copy).st_ino
            found = scanner.scan([str(os.getpid())], wanted_of([inode])).found
        finally:
            os.close(copy)
        assert found == {inode: [(os.getpid(), sock.fileno())]}
