"""Where a holder is looked for, in which order, and how a wrong memory is corrected."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from pgusher.collect.sockets.cgroups import Cgroups
from pgusher.collect.sockets.owners import Clue, Owners
from pgusher.collect.sockets.scan import FdScanner, Scan, Wanted, wanted_of
from pgusher.collect.sockets.watch import Watch
from tests.collect.sockets.stage import Actor


class Spy(FdScanner):
    """Notes in which processes it was told to look."""

    def __init__(self) -> None:
        super().__init__()
        self.looked: list[list[str]] = []
        self.links: list[tuple[int, int]] = []

    def scan(self, pids: Iterable[str], wanted: Wanted, *, first: bool = False) -> Scan:
        chosen = list(pids)
        self.looked.append(chosen)
        return super().scan(chosen, wanted, first=first)

    def at(self, pid: int | str, fd: int) -> str:
        self.links.append((int(str(pid).partition("/")[0]), fd))  # PID, or PID/task/TID
        return super().at(pid, fd)


@pytest.fixture
def spy() -> Spy:
    return Spy()


@pytest.fixture
def owners(spy: Spy) -> Iterator[Owners]:
    made = Owners(spy)
    yield made
    made.close()


@pytest.fixture
def actor() -> Iterator[Actor]:
    with Actor() as made:
        yield made


def opened(actor: Actor, name: str = "s") -> tuple[int, int]:
    """A new socket of the actor: (inode, descriptor)."""
    actor.do(f"{name} = socket.socket()")
    inode, fd = actor.ask(f"[os.fstat({name}.fileno()).st_ino, {name}.fileno()]")
    return inode, fd


def test_a_reconnect_is_found_in_the_descriptor_of_the_closed_one(spy: Spy, owners: Owners, actor: Actor) -> None:
    first, fd = opened(actor)
    owners.some_of({first: Clue(os.geteuid())}, (), (), 0.0)
    assert owners.holders == {first: [(actor.pid, fd)]}
    actor.do("s.close()")
    second, again = opened(actor, "t")
    assert again == fd
    slots = owners.keep({second})
    assert slots == [(actor.pid, fd)]
    spy.looked.clear()
    owners.some_of({second: Clue(os.geteuid())}, slots, (), 1.0)
    assert owners.holders == {second: [(actor.pid, fd)]}
    assert spy.looked == []  # no process was searched


def test_a_new_process_is_searched_before_the_old_ones(spy: Spy, owners: Owners, actor: Actor) -> None:
    inode, _ = opened(actor)
    owners.some_of({inode: Clue(os.geteuid())}, (), (), 0.0)
    with Actor() as fresh:
        other, fd = opened(fresh)
        spy.looked.clear()
        owners.some_of({other: Clue(os.geteuid())}, (), (), 1.0)
        assert owners.holders[other] == [(fresh.pid, fd)]
        searched = [pid for pids in spy.looked for pid in pids]
        assert str(fresh.pid) in searched
        assert str(actor.pid) not in searched


def test_the_process_that_connected_is_searched_first_and_need_not_be_it(
    spy: Spy, owners: Owners, actor: Actor
) -> None:
    inode, fd = opened(actor)
    owners.some_of({inode: Clue()}, (), (), 0.0, lambda asked: actor.pid if asked == inode else None)
    assert owners.holders == {inode: [(actor.pid, fd)]}
    assert spy.looked == []
    other, fd = opened(actor, "t")
    owners.some_of({other: Clue()}, (), (), 0.0, lambda _: os.getpid())
    assert owners.holders[other] == [(actor.pid, fd)]


def test_the_processes_of_its_cgroup_are_searched_before_those_of_its_user(
    spy: Spy, owners: Owners, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    inode, fd = opened(actor)
    monkeypatch.setattr(Cgroups, "pids", lambda self, number: [str(actor.pid)] if number == 77 else [])  # noqa: ARG005 - the method of a class
    owners.some_of({inode: Clue(os.geteuid(), 77)}, (), (), 0.0)
    assert owners.holders == {inode: [(actor.pid, fd)]}
    assert spy.looked[0] == [str(actor.pid)]


def test_a_backend_is_searched_last(spy: Spy, owners: Owners, actor: Actor) -> None:
    inode, fd = opened(actor)
    owners.some_of({inode: Clue(os.geteuid())}, (), {str(actor.pid)}, 0.0)
    assert owners.holders == {inode: [(actor.pid, fd)]}
    assert spy.looked[-1] == [str(actor.pid)]


def test_a_socket_that_nobody_holds_is_looked_for_ever_more_seldom(spy: Spy, owners: Owners) -> None:
    nobody = 1  # no socket has this inode
    now, searches = 0.0, []
    while now < 300:
        if owners.due([nobody], now):
            searches.append(now)
            owners.some_of({nobody: Clue(0)}, (), (), now)
        now += 0.5
    waits = [b - a for a, b in zip(searches, searches[1:], strict=False)]  # noqa: RUF007 - each with the one after it
    assert waits[:6] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0]
    assert max(waits) == 60.0
    owners.keep(())
    assert owners.due([nobody], 0.0) == [nobody]  # a new socket of that number begins anew


def test_who_closed_it_is_found_out_within_ten_ticks(owners: Owners, actor: Actor) -> None:
    inodes = []
    for number in range(10):
        inode, _ = opened(actor, f"s{number}")
        inodes.append(inode)
    child = actor.ask("fork()")
    owners.replace(FdScanner().scan([str(actor.pid), str(child)], wanted_of(inodes)), [])
    actor.do("\n".join(f"s{number}.close()" for number in range(10)))
    for _ in range(10):
        owners.check()
    assert {inode: [pid for pid, _ in holders] for inode, holders in owners.holders.items()} == {
        inode: [child] for inode in inodes
    }
    assert owners.touched == set(inodes)


@pytest.mark.parametrize("watched", [True, False], ids=["by pidfd", "by looking"])
def test_who_died_is_found_out_at_once(
    owners: Owners, actor: Actor, monkeypatch: pytest.MonkeyPatch, watched: bool
) -> None:
    if not watched:
        monkeypatch.setattr(Watch, "add", lambda self, pid: False)  # noqa: ARG005 - on purpose
    inodes = []
    for number in range(10):
        inode, _ = opened(actor, f"s{number}")
        inodes.append(inode)
    child = actor.ask("fork()")
    owners.replace(FdScanner().scan([str(actor.pid), str(child)], wanted_of(inodes)), [])
    actor.do(f"end({child})")
    for _ in range(1 if watched else 10):
        owners.check()
    assert all([pid for pid, _ in owners.holders[inode]] == [actor.pid] for inode in inodes)


def test_a_pid_that_became_another_processs_is_not_believed(owners: Owners, actor: Actor) -> None:
    """Between the reading of a link and the pidfd the process may have ended and its pid been given away."""
    inode, fd = opened(actor)
    owners.replace(Scan({inode: [(os.getpid(), fd), (actor.pid, fd)]}), [])
    owners.check()
    assert owners.holders == {inode: [(actor.pid, fd)]}


def test_the_watch_tells_each_death_once() -> None:
    watch = Watch()
    with Actor() as one:
        assert watch.add(one.pid)
        assert watch.add(one.pid)
        assert watch.ended() == set()
    assert watch.ended() == {one.pid}
    assert watch.ended() == set()
    assert not watch.add(99999999)
    before = len(os.listdir("/proc/self/fd"))
    watch.add(os.getpid())
    watch.close()
    assert len(os.listdir("/proc/self/fd")) <= before


def test_the_watch_takes_a_quarter_of_the_open_files_at_most() -> None:
    watch = Watch()
    watch._most = 1
    with Actor() as one, Actor() as two:
        assert watch.add(one.pid)
        assert not watch.add(two.pid)
        watch.keep({two.pid})
        assert watch.add(two.pid)
    watch.close()


def test_cgroups_by_their_number(tmp_path: Path) -> None:
    inner = tmp_path / "system.slice" / "app.service"
    inner.mkdir(parents=True)
    (inner / "cgroup.procs").write_text("12\n0\n13\n")
    proc = tmp_path / "proc"
    (proc / "self").mkdir(parents=True)
    (proc / "self" / "mountinfo").write_text(
        f"25 1 0:22 / / rw - ext4 /dev/vda rw\n31 25 0:27 / {tmp_path} rw,nosuid - cgroup2 cgroup2 rw\n"
    )
    cgroups = Cgroups(str(proc))
    assert cgroups.pids(os.stat(inner).st_ino) == ["12", "13"]  # 0: a process of another PID namespace
    assert cgroups.pids(1) == []
    (inner / "cgroup.procs").unlink()
    assert cgroups.pids(os.stat(inner).st_ino) == []


def test_no_hierarchy_no_processes(tmp_path: Path) -> None:
    assert Cgroups(str(tmp_path)).pids(1) == []
    assert Cgroups().pids(2**60) == []
