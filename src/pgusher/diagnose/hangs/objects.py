"""Waiting on an object of Python's that no thread is left to change: queues, events, barriers, semaphores, futures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pgusher.diagnose.hangs.loans import pool
from pgusher.diagnose.hangs.locks import held_across, held_elsewhere, locked
from pgusher.diagnose.hangs.scene import JOINING, OBJECTS, Draft, Scene, first
from pgusher.diagnose.hangs.siblings import queue_of_processes
from pgusher.diagnose.hangs.waits import Wait, at_line, held_at, threads
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Evidence
from pgusher.model.stacks import AT_SIGTERM, ClueKind

_SIGTERM = 15
_COUNTERPARTS = {
    "queue.join": frozenset({"task_done"}),
    "queue.get": frozenset({"put", "put_nowait"}),
    "queue.put": frozenset({"get", "get_nowait"}),
    "event.wait": frozenset({"set"}),
    "condition.wait": frozenset({"notify", "notify_all"}),
    "barrier.wait": frozenset({"wait", "abort"}),
    "semaphore.acquire": frozenset({"release"}),
}
"""What ends each. Of the others (a future, a lock, a pool) any thread that goes on may be the one."""
# Of several threads that wait, the one whose waiting tells most: an idle consumer waits because of the others.
_RANK = ("log.put", "queue.put", "barrier.wait", "condition.wait", "semaphore.acquire", "event.wait", "pool.getconn",
         "mp.queue.put", "mp.lock", "mp.event", "future.result", "future.wait", "queue.join", "lock", "mp.queue.get",
         "mp.queue.join", "queue.get")  # fmt: skip


def judge(scene: Scene) -> Draft | None:
    """The mechanism, when every thread of the user's waits on an object or for another thread."""
    waiting = [wait for wait in scene.threads if wait.what in OBJECTS and scene.stuck(wait)]
    moving = scene.moving()
    across = held_across(scene, waiting)
    if across is not None:
        return across
    if held_elsewhere(scene, waiting):
        waiting = [wait for wait in waiting if wait.what != "lock"]
    if not waiting:
        return None
    leaf = _leaf(scene, waiting)
    certainty = Certainty.LIKELY
    if (
        leaf is scene.main
        and leaf.what == "event.wait"
        and _SIGTERM in scene.process.catches
        and not _only_exits(scene)
    ):
        return None  # a service waits so for the signal that ends it
    if leaf.what in ("semaphore.acquire", "condition.wait") and any(_in_block(scene, wait) for wait in moving):
        return None  # the end of a with block gives back too
    if moving:
        names = _COUNTERPARTS.get(leaf.what)
        if names is None or any(scene.calls(wait, names) is not False for wait in moving):
            return None  # who moves may be the one that is waited for
        certainty = Certainty.GUESSED
    other = [w for w in scene.threads if w.what not in OBJECTS | JOINING and scene.stuck(w) and w.what != "mp.inside"]
    if other:
        return None  # one of another family, or nothing that has a name here: the chain may end there
    make = _MAKERS.get(leaf.what)
    draft = make(scene, leaf, waiting) if make is not None else None
    if draft is None or certainty is Certainty.LIKELY:
        return draft
    from pgusher.model.values import replace

    gone = f"{len(moving)} more threads move, but nothing in their functions could end this wait"
    return replace(draft, certainty=certainty, evidence=(*draft.evidence, Evidence(gone, Certainty.GUESSED)))


def _only_exits(scene: Scene) -> bool:
    """Whether the source says that what is called at SIGTERM ends the program, and sets nothing."""
    found = [clue.what for clue in scene.clues if clue.kind is ClueKind.CALLS and clue.function == AT_SIGTERM]
    return bool(found) and all(what == "exit" for what in found)


def _in_block(scene: Scene, wait: Wait) -> bool:
    said = at_line(scene.clues, wait.user)
    return bool(held_at(scene.clues, wait.thread)) or any(one.startswith("with ") for one in said)


def _leaf(scene: Scene, waiting: Sequence[Wait]) -> Wait:
    main = scene.main
    others = [wait for wait in waiting if wait is not main]
    telling = [wait for wait in others if wait.what != "queue.get"]
    if main in waiting and main is not None and main.what in ("future.result", "future.wait"):
        telling = others  # a future waits for a task, and that for whatever it waits for
    if main in waiting and main is not None and not telling:
        return main
    pool = telling or others or list(waiting)
    return min(pool, key=lambda wait: _RANK.index(wait.what))


def _idle(waiting: Sequence[Wait], leaf: Wait) -> tuple[Wait, ...]:
    return tuple(wait for wait in waiting if wait.what == "queue.get" and wait is not leaf)


def _queue_join(scene: Scene, leaf: Wait, waiting: Sequence[Wait]) -> Draft:
    idle = _idle(waiting, leaf)
    if idle:
        return Draft(
            "queue-join-task-not-done",
            Certainty.LIKELY,
            leaf,
            f"waits in queue.join(), and all {len(idle)} workers are idle in queue.get(): task_done() was skipped",
            "task_done() of an item that was taken",
            "a call of task_done()",
            (Evidence(f"{threads(len(idle))} in queue.get() for more work, none has any"),),
            others=idle,
        )
    del scene
    return Draft(
        "queue-join-no-worker",
        Certainty.LIKELY,
        leaf,
        "waits in queue.join() for a worker thread that has ended",
        "task_done() of the items that are left",
        "a thread that takes from the queue and calls task_done()",
        (Evidence("no thread is left in queue.get() or at work", Certainty.LIKELY),),
    )


def _queue_get(scene: Scene, leaf: Wait, waiting: Sequence[Wait]) -> Draft:
    count = 1 + len(_idle(waiting, leaf))
    over = scene.main is not None and scene.main.what == "main.exit"
    who = "main, which has ended" if over else "a producer that is gone"
    return Draft(
        "queue-get-no-producer",
        Certainty.LIKELY,
        leaf,
        f"waits in queue.get() for an item from {who}",
        "an item, or the sentinel that ends the loop",
        "a thread that calls put()",
        (Evidence(f"{threads(count)} in queue.get(), and none is left that could call put()", Certainty.LIKELY),),
        others=_idle(waiting, leaf),
    )


def _queue_put(_scene: Scene, leaf: Wait, _waiting: Sequence[Wait]) -> Draft:
    if leaf.what == "log.put" or any("/logging/" in frame.file for frame in leaf.thread.frames):
        return Draft(
            "logging-queue-full",
            Certainty.LIKELY,
            leaf,
            "waits to log: the queue of a logging listener that has ended is full",
            "room in the logging queue",
            "the listener thread (QueueListener._monitor)",
            (Evidence("logging calls put() on a queue, and no thread is in QueueListener._monitor"),),
        )
    return Draft(
        "queue-put-full",
        Certainty.LIKELY,
        leaf,
        "waits in queue.put() for room in a full queue whose consumer is gone",
        "room in the queue",
        "a thread that takes from the queue",
        (Evidence("no thread is left that could take an item from this queue", Certainty.LIKELY),),
    )


def _simple(mechanism: str, says: str, waits_for: str, missing: str) -> Callable[..., Draft]:
    def make(_scene: Scene, leaf: Wait, waiting: Sequence[Wait]) -> Draft:
        same = tuple(wait for wait in waiting if wait.what == leaf.what and wait is not leaf)
        fact = f"every thread waits or is gone: nobody is left to provide {missing}"
        return Draft(
            mechanism, Certainty.LIKELY, leaf, says, waits_for, missing, (Evidence(fact, Certainty.LIKELY),),
            others=same,
        )  # fmt: skip

    return make


def _future(scene: Scene, leaf: Wait, waiting: Sequence[Wait]) -> Draft | None:
    if any("/concurrent/futures/process.py" in f.file for wait in scene.waits for f in wait.thread.frames):
        return None  # processes work on it
    workers = [wait for wait in scene.threads if wait.in_executor]
    own = [wait for wait in workers if wait.what in ("future.result", "future.wait")]
    if own and len(own) == len(workers):
        return Draft(
            "executor-waits-on-itself",
            Certainty.LIKELY,
            own[0],
            f"waits in Future.result() for a task of its own executor, all of whose {len(own)} threads do the same",
            "a free worker of the executor it runs in",
            "a free thread in the executor",
            (Evidence(f"all {len(own)} busy threads of the executor wait in Future.result()"),),
            others=tuple(own[1:]),
        )
    return _simple(
        "future-never-done",
        "waits in Future.result() without a timeout for a future that nobody works on",
        "a future's result",
        "a thread that completes the future",
    )(scene, leaf, waiting)


_MAKERS: dict[str, Callable[[Scene, Wait, Sequence[Wait]], Draft | None]] = {
    "queue.join": _queue_join,
    "queue.get": _queue_get,
    "queue.put": _queue_put,
    "log.put": _queue_put,
    "event.wait": _simple(
        "event-never-set",
        "waits in Event.wait() without a timeout, and no thread is left that could set it",
        "an Event",
        "a thread that calls set()",
    ),
    "condition.wait": _simple(
        "condition-never-notified",
        "waits in Condition.wait() without a timeout, and no thread is left that could notify it",
        "a Condition",
        "a thread that calls notify()",
    ),
    "barrier.wait": _simple(
        "barrier-never-full",
        "waits at a Barrier for a party that is gone",
        "the other parties of a Barrier",
        "a thread that arrives at the barrier",
    ),
    "semaphore.acquire": _simple(
        "semaphore-not-released",
        "waits for a Semaphore whose holders have ended without release()",
        "a Semaphore",
        "a thread that calls release()",
    ),
    "future.result": _future,
    "future.wait": _future,
    "pool.getconn": pool,
    "lock": locked,
    "mp.queue.get": queue_of_processes,
    "mp.queue.put": queue_of_processes,
    "mp.queue.join": queue_of_processes,
    "mp.event": queue_of_processes,
}


def has_object(waits: Sequence[Wait]) -> bool:
    """Whether any thread waits on an object."""
    return first(waits, *OBJECTS) is not None
