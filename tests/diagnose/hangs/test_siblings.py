"""A family of processes around a multiprocessing queue: it hangs when none of them does anything but wait."""

from __future__ import annotations

import pytest

from pgusher.diagnose.hangs import find_hangs
from pgusher.model.stacks import MOST_CHILDREN, ProcessStacks, ThreadStack
from pgusher.model.values import replace
from tests.diagnose.hangs.test_find_hangs import LIB, QUERY, process, waiting

MP = LIB + "multiprocessing/"
CHILD = (("BaseProcess.run", MP + "process.py", 108), ("BaseProcess._bootstrap", MP + "process.py", 314))
GET = (("Connection._recv", MP + "connection.py", 395), ("Queue.get", MP + "queues.py", 103))
JOIN = (("Popen.poll", MP + "popen_fork.py", 27), ("BaseProcess.join", MP + "process.py", 149))


def consumer(pid: int, *inner: tuple[str, str, int], **more: object) -> ProcessStacks:
    thread = waiting(*(inner or GET), **({"syscall": "read"} | more))  # type: ignore[arg-type]  # by name
    from pgusher.model.stacks import Frame

    return process(replace(thread, frames=(*thread.frames, *(Frame(*one) for one in CHILD))), pid=pid, ppid=5)


def parent(*inner: tuple[str, str, int], asked: bool = False, **more: object) -> ProcessStacks:
    thread = waiting(*(inner or JOIN), line=20, **({"syscall": "wait4"} | more))  # type: ignore[arg-type]  # by name
    return process(thread, pid=5, asked=asked)


def told(*family: ProcessStacks) -> list[tuple[int, str, int | None]]:
    return [(hang.pid, hang.mechanism, hang.line) for hang in find_hangs(family)]


def test_consumers_whose_parent_waits_for_their_ends_hang() -> None:
    assert told(parent(), consumer(6), consumer(7)) == [(6, "mp-queue-no-process", 7), (7, "mp-queue-no-process", 7)]


def test_a_parent_that_waits_for_what_its_children_would_put_is_told_once() -> None:
    family = (parent(*GET, asked=True, syscall="read"), replace(consumer(6), asked=False))
    assert told(*family) == [(5, "mp-queue-no-process", 20)]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(consumer(7, *QUERY, syscall="poll", endless=False, switched=9), id="a sibling in a statement"),
        pytest.param(consumer(7, ("sleep", "/srv/job.py", 3), endless=False), id="a sibling that sleeps"),
        pytest.param(consumer(7, ("accept", LIB + "socket.py", 3), syscall="accept"), id="a sibling that serves"),
        pytest.param(replace(consumer(7), threads=()), id="a sibling that was not seen"),
        pytest.param(consumer(7, switched=1), id="a sibling that moved"),
    ],
)
def test_nobody_hangs_while_one_of_the_family_may_put(other: ProcessStacks) -> None:
    assert told(parent(), consumer(6), other) == []


def test_nobody_hangs_while_the_parent_may_put() -> None:
    assert told(parent(("sleep", "/srv/job.py", 3), endless=False), consumer(6)) == []
    assert told(parent(("Event.wait", LIB + "threading.py", 629), syscall="futex"), consumer(6)) == []
    assert told(consumer(6)) == [], "nor where the parent was not seen"


def test_an_item_on_its_way_is_waited_for() -> None:
    feeder = ThreadStack(
        8, name="QueueFeederThread", frames=waiting(("Queue._feed", MP + "queues.py", 231)).frames[:1], syscall="write",
        endless=True, switched=0, busy=False, state="S",
    )  # fmt: skip
    writing = replace(consumer(7), threads=(*consumer(7).threads, feeder))
    assert told(parent(), consumer(6), writing) == []


def test_of_a_family_too_large_to_be_seen_whole_nothing_is_said() -> None:
    others = [replace(consumer(100 + number), asked=False) for number in range(MOST_CHILDREN)]
    assert told(parent(), consumer(6), *others) == []
