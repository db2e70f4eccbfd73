"""Waiting for a child process: the reason is in the child, or the child that would have answered is gone."""

from __future__ import annotations

from pgusher.diagnose.hangs.calls import bare
from pgusher.diagnose.hangs.scene import Draft, Judge, Scene
from pgusher.diagnose.hangs.siblings import is_helper
from pgusher.diagnose.hangs.waits import Wait
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Evidence
from pgusher.model.stacks import ProcessStacks, ThreadStack
from pgusher.model.values import replace

_DEPTH = 4
_WAITS = frozenset({"child.wait", "mp.pool", "mp.recv", "pipe.read", "mp.queue.get", "mp.queue.join", "future.result"})


def judge(scene: Scene, inner: Judge, depth: int = 0) -> Draft | None:
    """The mechanism, when a thread waits for a child. `inner` judges a child that runs Python."""
    if depth > _DEPTH:
        return None
    for wait in scene.threads:
        if wait.what not in _WAITS or not _may_wait(scene, wait):
            continue
        draft = (_pool if wait.what == "mp.pool" else _child)(scene, wait, inner)
        draft = draft or _kept_open(scene, wait)
        if draft is not None:
            return draft
    return None


def _kept_open(scene: Scene, wait: Wait) -> Draft | None:
    """A child that has ended, whose output another process still has open."""
    ended = [one for one in scene.everyone.values() if one.ppid == scene.process.pid and one.state == "Z"]
    pipes = [one for one in wait.thread.files if one.kind == "pipe"]
    if wait.what != "child.wait" or scene.children or not ended or not pipes or not scene.stuck(wait):
        return None
    return Draft(
        "child-output-kept-open",
        Certainty.LIKELY,
        wait,
        f"waits for the end of the output of child {ended[0].pid}, which has ended: another process has it open",
        pipes[0].name,
        "the end of a background process that the child has started",
        (Evidence(f"child {ended[0].pid} is a zombie, and {pipes[0].name} is still open"),),
        pids=(ended[0].pid,),
    )


def _may_wait(scene: Scene, wait: Wait) -> bool:
    # communicate() and multiprocessing poll with a limit at times: then the child's standing still is what counts
    return scene.stuck(wait) or (wait.what == "child.wait" and not wait.thread.busy)


def _pool(scene: Scene, wait: Wait, inner: Judge) -> Draft | None:
    if any(bare(frame) == "worker" and frame.file.endswith("/multiprocessing/pool.py")
           for one in scene.waits for frame in one.thread.frames):  # fmt: skip
        return None  # a ThreadPool: its workers are threads of this process
    workers = [child for child in scene.children if _is_pool_worker(child)]
    for child in workers:
        if _is_idle(child):
            continue
        draft = _within(scene, wait, child, inner)
        if draft is not None:
            return draft
    if not workers or not all(_is_idle(child) for child in workers):
        return None
    return Draft(
        "mp-pool-worker-killed",
        Certainty.LIKELY,
        wait,
        "waits for a task of a multiprocessing pool, all of whose workers are idle: one was killed with the task",
        "the result of a task that nobody works on",
        "the worker process that took the task",
        (Evidence(f"all {len(workers)} workers of the pool wait for a task"),),
        pids=tuple(child.pid for child in workers),
    )


def _is_pool_worker(child: ProcessStacks) -> bool:
    main = child.main
    return main is not None and any(
        bare(frame) == "worker" and frame.file.endswith("/multiprocessing/pool.py") for frame in main.frames
    )


def _is_idle(child: ProcessStacks) -> bool:
    """Whether a pool's worker waits for its next task: it reads its queue, and runs nothing."""
    main = child.main
    if main is None or main.switched:
        return False
    at = next(i for i, f in enumerate(main.frames) if bare(f) == "worker" and f.file.endswith("/pool.py"))
    return at > 0 and main.frames[at - 1].file.endswith("/multiprocessing/queues.py")


def _child(scene: Scene, wait: Wait, inner: Judge) -> Draft | None:
    asked = wait.thread.waits_pid
    children = [child for child in scene.children if asked in (None, -1, child.pid) and not is_helper(child)]
    drafts = [_within(scene, wait, child, inner) for child in children]
    if wait.what == "child.wait" and None in drafts:
        return None  # where it is not told which child is waited for, one of them may be at work
    return next((draft for draft in drafts if draft is not None), None)


def _within(scene: Scene, wait: Wait, child: ProcessStacks, inner: Judge) -> Draft | None:
    below = Scene(child, scene.everyone, scene.facts)
    draft = _flush(scene, wait, child) or _forked(below) or _plain(scene, wait, child)
    if draft is None and child.python is not None:
        draft = inner(below)
    elif draft is None:
        draft = _grandchild(below, inner)
    if draft is None:
        return None
    inside = draft.inside if draft.inside is not None else (None if draft.leaf is wait else child.pid)
    pids = tuple(dict.fromkeys((child.pid, *draft.pids)))
    return replace(draft, inside=inside, pids=pids, others=(wait, *draft.others) if draft.leaf is not wait else ())


def _grandchild(below: Scene, inner: Judge) -> Draft | None:
    """Through a shell: the child waits for its own child."""
    main = below.process.main
    if main is None or main.syscall not in ("wait4", "waitid") or len(below.children) != 1:
        return None
    stand_in = Wait(main, "child.wait", endless=True)
    return _within(below, stand_in, below.children[0], inner)


def _flush(scene: Scene, wait: Wait, child: ProcessStacks) -> Draft | None:
    """A child that ends only when its queue has been read, by the parent that waits for its end."""
    feeding = any(
        bare(frame) == "_feed" and frame.file.endswith("/multiprocessing/queues.py")
        for thread in child.threads
        if thread.syscall == "write"
        for frame in thread.frames
    )
    main = child.main
    ending = main is not None and any(bare(frame) in ("_finalize_join", "_exit_function") for frame in main.frames)
    if not feeding or not ending:
        return None
    del scene
    return Draft(
        "mp-join-before-drain",
        Certainty.PROVEN,
        wait,
        f"waits for child {child.pid}, which waits until its multiprocessing queue is read, by this process",
        f"process {child.pid}",
        "get() on the queue before join()",
        (Evidence(f"child {child.pid} is at its end, and its feeder thread writes to a full pipe"),),
    )


def _forked(below: Scene) -> Draft | None:
    """The child of a fork, in which a lock is held by a thread that was not copied."""
    child, main = below.process, below.main
    if child.python is None or main is None or main.what != "lock" or not below.stuck(main):
        return None
    if len([thread for thread in child.threads if thread.frames]) != 1:
        return None
    return Draft(
        "fork-with-held-lock",
        Certainty.LIKELY,
        main,
        "waits for a lock that another thread of its parent held when it was forked",
        "a lock",
        "the thread that held the lock: fork() copies the calling thread alone",
        (Evidence(f"process {child.pid} has a single thread, and that waits for a lock", Certainty.LIKELY),),
    )


def _plain(scene: Scene, wait: Wait, child: ProcessStacks) -> Draft | None:
    """A child in any language that waits for its parent, or for a peer."""
    for thread in child.threads:
        if thread.switched or thread.busy or not thread.endless:
            continue
        ours = [one for one in thread.files if one.kind == "pipe" and scene.process.pid in one.holders]
        if not ours:
            continue
        if thread.syscall in ("write", "writev"):
            return _full(wait, child, thread)
        if thread.syscall in ("read", "poll", "ppoll", "select", "pselect6") and len(child.threads) == 1:
            return Draft(
                "child-waits-for-input",
                Certainty.LIKELY,
                wait,
                f"waits for {_name(child)}, which waits for input from this process",
                _name(child),
                "the end of the child's standard input",
                (Evidence(f"process {child.pid} reads {ours[0].name}, which this process has open"),),
            )
    return None


def _full(wait: Wait, child: ProcessStacks, thread: ThreadStack) -> Draft:
    return Draft(
        "child-pipe-full",
        Certainty.PROVEN,
        wait,
        f"waits for {_name(child)}, which waits to write to a full pipe that this process does not read",
        _name(child),
        "somebody who reads the child's output",
        (Evidence(f"process {child.pid} sits in write({thread.files[0].fd}), {thread.files[0].name}"),),
    )


def _name(child: ProcessStacks) -> str:
    word = child.argv[0].rpartition("/")[2] if child.argv else child.comm
    return f"process {child.pid} ({word})"
