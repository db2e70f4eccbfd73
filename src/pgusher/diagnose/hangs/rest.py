"""What has no better name: an event loop that nothing wakes, a join whose thread's reason is not known, unknown."""

from __future__ import annotations

from pgusher.diagnose.hangs.scene import JOINING, Draft, Scene, first
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Evidence

_WHOM = {
    "thread.join": ("join-waits-for-thread", "Thread.join()"),
    "main.exit": ("exit-waits-for-thread", "the interpreter's exit"),
    "executor.exit": ("executor-exit-waits", "the exit of the interpreter"),
    "executor.shutdown": ("executor-shutdown-waits", "the executor's shutdown"),
}
_SIGTERM = 15
_AT_REST = frozenset({"signal", "server"})


def loop(scene: Scene) -> Draft | None:
    """An asyncio loop with no timer and nothing to read: no task of it will ever go on."""
    wait = first(scene.threads, "loop")
    if wait is None or scene.serves or not scene.stuck(wait):
        return None
    if not wait.thread.files or any(one is not wait for one in scene.threads):
        return None
    outside = [one for one in wait.thread.files if one.kind not in ("unix", "other")]
    if any(scene.session_of(wait.thread) is None for _ in outside[:1]) and outside:
        return None
    return Draft(
        "asyncio-nothing-to-wake",
        Certainty.LIKELY,
        wait,
        "waits in its event loop, where no timer runs and no connection is waited for: its tasks wait for each other",
        "an asyncio task, which has no stack to see",
        "a task that can go on",
        (Evidence("the loop's epoll has no time limit, and only its own wake-up socket in it"),),
    )


def unknown(scene: Scene) -> Draft | None:
    """Everything stands still for ever, and no rule says why."""
    main = scene.main
    if main is None or scene.serves or not scene.threads or scene.moving():
        return None
    if main.what == "event.wait" and _SIGTERM in scene.process.catches:
        return None  # a service waits so for the signal that ends it
    if any(wait.what in _AT_REST or wait.what in ("pg.query", "pg.notifies") for wait in scene.threads):
        return None
    if any(thread.switched or thread.busy or not thread.endless for one in scene.children for thread in one.threads):
        return None  # a child is at work
    others = [wait for wait in scene.threads if wait.what not in JOINING]
    leaf = others[0] if others else main
    if leaf.what in (
        "loop",
        "input",
        "socket",
        "child.wait",
        "mp.pool",
        "mp.recv",
        "pipe.read",
        "flock",
        "mp.queue.get",
    ):
        return None  # to wait there is what many a healthy program does
    whom = _WHOM.get(main.what)
    if whom is not None and leaf is not main:
        key, words = whom
        return Draft(
            key,
            Certainty.GUESSED,
            leaf,
            f"does not go on, and {words} waits for it; what it waits for is not known",
            others=(main,),
            evidence=(Evidence(f"main waits in {words}", Certainty.PROVEN),),
        )
    return Draft("unknown", Certainty.GUESSED, leaf, "stands still, and why is not known")
