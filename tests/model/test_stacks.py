"""Stacks and hangs survive the way through JSON, within a snapshot too."""

from __future__ import annotations

import json

from pgusher.model import codec
from pgusher.model.evidence import Certainty, Gap
from pgusher.model.findings import Evidence
from pgusher.model.stacks import (
    Clue,
    ClueKind,
    Frame,
    Hang,
    ProcessStacks,
    Raised,
    StackOrigin,
    ThreadStack,
    WaitedFile,
)

STACKS = ProcessStacks(
    812,
    4711,
    1_790_000_000_000_000,
    StackOrigin.PY_SPY,
    (
        ThreadStack(
            812,
            140_000_000_000_000,
            "MainThread",
            (Frame("Queue.join", "/usr/lib/python3.11/queue.py", 90), Frame("main", "job.py", 29)),
            main=True,
            state="S",
            wchan="futex_wait_queue",
            syscall="futex",
            endless=True,
            address=0x7F00,
            switches=12,
            switched=0,
        ),
        ThreadStack(813, files=(WaitedFile(5, "tcp", peer="127.0.0.1:5432", local_port=4242, holders=(1,)),)),
    ),
    gap=Gap("stacks", "the frames of process 812", "permission denied", "run pgusher as root"),
    clues=(Clue(ClueKind.NOT_IN_FINALLY, "q.task_done", "job.py", 19, "worker", 15, (17,)),),
)
HANG = Hang(
    812,
    4711,
    "queue-join-no-worker",
    Certainty.LIKELY,
    "MainThread waits in queue.join() for a worker that has ended",
    raised=Raised("job.py", 19, Certainty.GUESSED, "task_done() is not in a finally", last=20),
    evidence=(Evidence("no context switch in 1.0 s"),),
)


def test_stacks_and_hangs_survive_the_round_trip() -> None:
    assert codec.load(ProcessStacks, json.loads(json.dumps(codec.dump(STACKS)))) == STACKS
    assert codec.load(Hang, json.loads(json.dumps(codec.dump(HANG)))) == HANG


def test_the_main_thread_is_the_one_that_is_marked() -> None:
    main = STACKS.main
    assert main is not None
    assert main.name == "MainThread"
    assert ProcessStacks(1, 2, 3, StackOrigin.PROCFS).main is None
