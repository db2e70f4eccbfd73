"""A multiprocessing queue's other end: a child, the parent, or another child of the same parent."""

from __future__ import annotations

from collections.abc import Sequence

from pgusher.diagnose.hangs.calls import bare
from pgusher.diagnose.hangs.scene import Draft, Scene
from pgusher.diagnose.hangs.waits import Wait
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Evidence
from pgusher.model.stacks import ProcessStacks

_ENDS = frozenset({"child.wait", "thread.join", "main.exit"})


def queue_of_processes(scene: Scene, leaf: Wait, _waiting: Sequence[Wait]) -> Draft | None:
    """A wait on such a queue when none of the processes that could have its other end is left, or able to."""
    if scene.children:
        return None
    who, fact = "no child process is left", Evidence("the process has no child")
    if _is_child(scene.process):
        parent = scene.everyone.get(scene.process.ppid)
        if scene.process.ppid != 1 and (parent is None or not _only_waits(scene, parent)):
            return None  # the parent puts, or one that it started beside this
        who = (
            f"its parent, process {scene.process.ppid}, waits for its end"
            if parent is not None
            else "its parent is gone"
        )
        fact = Evidence(who, Certainty.LIKELY)
    return Draft(
        "mp-queue-no-process",
        Certainty.LIKELY,
        leaf,
        f"waits on a multiprocessing queue, and {who}",
        "a process at the queue's other end",
        "a process that has the queue's other end",
        (fact,),
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


def _only_waits(scene: Scene, parent: ProcessStacks) -> bool:
    """Whether the parent waits for the ends of its children, and has none but this."""
    above = Scene(parent, scene.everyone, scene.facts)
    if len(above.children) != 1 or not above.threads:
        return False
    return all(wait.what in _ENDS and above.stuck(wait) for wait in above.threads)
