"""Two processes give what one gives; a child that is ended costs nothing but time; nobody forks among threads."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from pgusher.collect.sockets import parallel


def squares(part: int, parts: int) -> dict[int, list[int]]:
    return {n: [n * n] for n in range(part, 1000, parts)}


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_the_parts_are_the_whole(count: int) -> None:
    parts = parallel.divide(squares, count)
    assert len(parts) == count
    whole: dict[int, list[int]] = {}
    for part in parts:
        whole.update(part)
    assert whole == squares(0, 1)


def test_the_parts_are_made_in_processes_of_their_own() -> None:
    pids = parallel.divide(lambda part, parts: os.getpid(), 3)  # noqa: ARG005 - a caller gives it
    assert pids[0] == os.getpid()
    assert len(set(pids)) == 3
    for pid in pids[1:]:  # and they were waited for
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_more_than_a_pipe_holds() -> None:
    parts = parallel.divide(lambda part, parts: [str(part) * 300_000], 3)  # noqa: ARG005 - a caller gives it
    assert parts == [[str(n) * 300_000] for n in range(3)]


def test_what_a_killed_child_did_not_do_is_done_here() -> None:
    parent = os.getpid()

    def work(part: int, parts: int) -> tuple[int, int, bool]:
        if os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return part, parts, True

    assert parallel.divide(work, 3) == [(0, 3, True), (1, 3, True), (2, 3, True)]


def test_an_error_in_a_child_is_raised_here_and_the_child_ends_there() -> None:
    parent = os.getpid()

    def work(part: int, parts: int) -> int:
        if part == 1:
            raise KeyError("here" if os.getpid() == parent else "there")
        return parts

    with pytest.raises(KeyError, match="here"):
        parallel.divide(work, 2)


def test_without_processes_to_be_had_all_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuse)
    before = len(os.listdir("/proc/self/fd"))
    assert parallel.divide(lambda part, parts: (part, parts), 4) == [(n, 4) for n in range(4)]
    assert len(os.listdir("/proc/self/fd")) == before


def test_among_threads_nobody_forks() -> None:
    # Also among threads that Python does not count: what runs the tests may have one.
    assert parallel.can_fork() == (len(os.listdir("/proc/self/task")) == 1)
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        assert not parallel.can_fork()
        assert parallel.ways() == 1
    finally:
        done.set()
        thread.join()


def test_another_thread_than_the_first_does_not_fork() -> None:
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(parallel.can_fork()))
    thread.start()
    thread.join()
    assert found == [False]
