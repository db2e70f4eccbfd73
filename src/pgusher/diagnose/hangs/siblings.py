"""A multiprocessing queue's other end: a child, the parent, or another child of the same parent."""

from __future__ import annotations

from collections.abc import Sequence

from pgusher.diagnose.hangs.calls import bare
from pgusher.diagnose.hangs.scene import Draft, Scene
from pgusher.diagnose.hangs.waits import Wait
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Evidence
from pgusher.model.stacks import MOST_CHILDREN, ProcessStacks

_ENDS = frozenset({"child.wait", "thread.join", "main.exit"})
_QUEUES = frozenset({"mp.queue.get", "mp.queue.put", "mp.queue.join"})


def queue_of_processes(scene: Scene, leaf: Wait, _waiting: Sequence[Wait]) -> Draft | None:
    """A wait on such a queue when none of the processes that could have its other end is left, or able to."""
    if not scene.children and not _is_child(scene.process):
        return _draft(leaf, "no child process is left", Evidence("the process has no child"))
    if _is_child(scene.process) and scene.process.ppid == 1 and not scene.children:
        return _draft(leaf, "its parent is gone", Evidence("its parent is gone", Certainty.LIKELY))
    if sum(not one.asked for one in scene.everyone.values()) >= MOST_CHILDREN:
        return None  # not all of the family may have been looked at
    top = scene.everyone.get(scene.process.ppid) if _is_child(scene.process) else scene.process
    if top is None:
        return None
    root = scene if top is scene.process else Scene(top, scene.everyone, scene.facts)
    if root is not scene and top.asked and any(wait.what in _QUEUES for wait in root.threads):
        return None  # told of the parent, which waits for what the children do
    rest = [child for child in root.children if not is_helper(child)]
    if root.serves or not _only_waits(root) or not all(
        _only_waits(Scene(child, scene.everyone, scene.facts)) for child in rest
    ):  # fmt: skip
        return None  # who puts, or may
    gone = sorted(one.pid for one in scene.everyone.values() if one.ppid == top.pid and one.state in ("Z", "X"))
    facts = [Evidence(f"{root.process.pid} and all {len(rest)} children wait for queues or ends", Certainty.LIKELY)]
    if gone:
        facts.append(Evidence(f"its child {gone[0]} has ended, and was not replaced"))
    if root is scene:
        many = "its only child waits" if len(rest) == 1 else f"all {len(rest)} children wait"
        return _draft(leaf, f"{many} on one too" if rest else "no child process is left", *facts, pids=(*gone,))
    what = "waits for its end" if len(rest) == 1 else f"waits for the ends of its {len(rest)} children, which all wait"
    if any(wait.what in _QUEUES for wait in root.threads):
        what = "waits on one too"
    return _draft(leaf, f"its parent, process {top.pid}, {what}", *facts, pids=(top.pid, *gone))


def _draft(leaf: Wait, who: str, *facts: Evidence, pids: tuple[int, ...] = ()) -> Draft:
    return Draft(
        "mp-queue-no-process",
        Certainty.LIKELY,
        leaf,
        f"waits on a multiprocessing queue, and {who}",
        "a process at the queue's other end",
        "a process that has the queue's other end",
        facts,
        pids=pids,
    )


def _is_child(process: ProcessStacks) -> bool:
    """Whether multiprocessing started it: its frames begin so, or its command line says so."""
    if any("multiprocessing" in word for word in process.argv):
        return True
    return any(
        bare(frame) == "_bootstrap" and frame.file.endswith("/multiprocessing/process.py")
        for thread in process.threads
        for frame in thread.frames
    )


def is_helper(child: ProcessStacks) -> bool:
    """A process that multiprocessing keeps beside a program: it listens until the program ends, as it should."""
    return any(name in word for word in child.argv for name in ("multiprocessing.resource_tracker", "forkserver"))


def _only_waits(scene: Scene) -> bool:
    """Whether a process does nothing but wait, for ever, on queues between processes or for the ends of others."""
    if not scene.threads or any(wait.what == "mp.feed" and wait.thread.syscall == "write" for wait in scene.waits):
        return False
    return all(wait.what in _ENDS | _QUEUES and scene.stuck(wait) for wait in scene.threads)
