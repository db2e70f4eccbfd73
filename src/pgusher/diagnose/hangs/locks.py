"""Locks: whose holder is gone, taken in opposite order, taken twice, or held by a thread that waits elsewhere.

A lock does not say who holds it. Threads that wait for one lock sit on one futex address; what the source says of the
with statements that a thread's lines stand in tells who holds which.
"""

from __future__ import annotations

from collections.abc import Sequence

from pgusher.diagnose.hangs.scene import JOINING, Draft, Scene
from pgusher.diagnose.hangs.waits import Wait, at_line, held_at, threads
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Evidence


def locked(scene: Scene, leaf: Wait, waiting: Sequence[Wait]) -> Draft | None:
    """The mechanism behind threads that wait for locks."""
    lockers = [wait for wait in waiting if wait.what == "lock"]
    wanted = {wait.thread.native_id: _wanted(scene, wait) for wait in lockers}
    held = {wait.thread.native_id: held_at(scene.clues, wait.thread) for wait in scene.threads}
    for one in lockers:
        name = wanted[one.thread.native_id]
        if name and name in held[one.thread.native_id]:
            return _twice(one, name)
        for other in lockers:
            theirs = wanted[other.thread.native_id]
            if other is one or one.thread.address == other.thread.address:
                continue
            crossed = name in held[other.thread.native_id] and theirs in held[one.thread.native_id]
            if name and theirs and crossed:
                return _opposite(one, other, f"{one.name} has {theirs} and wants {name}, {other.name} the reverse")
    addresses = {wait.thread.address for wait in lockers}
    if len(addresses) > 1 and len(lockers) == len(addresses):
        other = next(wait for wait in lockers if wait is not leaf)
        fact = f"{len(lockers)} threads wait for {len(addresses)} different locks, and no other thread is left"
        if len(lockers) == 2 and all(_kin(held[w.thread.native_id], wanted[w.thread.native_id]) for w in lockers):
            return _opposite(leaf, other, fact)
        return _of_either(leaf, other, fact)
    return Draft(
        "lock-holder-gone",
        Certainty.LIKELY,
        leaf,
        "waits for a lock whose holder has ended without releasing it",
        wanted[leaf.thread.native_id] or "a lock",
        "the thread that acquired the lock",
        (Evidence(f"{threads(len(lockers))} for it, and no live thread is seen inside of it", Certainty.LIKELY),),
        others=tuple(wait for wait in lockers if wait is not leaf),
    )


def _kin(held: frozenset[str], wanted: str) -> bool:
    """Whether a thread is inside of another lock of the same kind as the one it wants: "a.lock" and "b.lock"."""
    last = wanted.rpartition(".")[2]
    return bool(last) and any(name != wanted and name.rpartition(".")[2] == last for name in held)


def _of_either(one: Wait, other: Wait, fact: str) -> Draft:
    """Who holds the locks is not seen: both threads that have them, or two that have ended."""
    return Draft(
        "locks-never-released",
        Certainty.LIKELY,
        one,
        f"waits for a lock, {other.name} for another, and no thread goes on that could release either:"
        " they were taken in opposite order, or their holders have ended",
        "a lock",
        "the thread that acquired the lock",
        (Evidence(fact, Certainty.LIKELY),),
        others=(other,),
    )


def _wanted(scene: Scene, wait: Wait) -> str:
    for said in at_line(scene.clues, wait.user):
        if said.startswith("with "):
            return said[5:]
        if said.endswith(".acquire"):
            return said[: -len(".acquire")]
    return ""


_FOR_OTHERS = JOINING | {"future.result", "future.wait"}


def held_across(scene: Scene, waiting: Sequence[Wait]) -> Draft | None:
    """A thread that has a lock, and waits within it for the very threads that want it to end."""
    for one in (wait for wait in waiting if wait.what == "lock"):
        name = _wanted(scene, one)
        for holder in scene.threads:
            if holder is one or holder.what not in _FOR_OTHERS or not scene.stuck(holder):
                continue
            if name and name in held_at(scene.clues, holder.thread) and not scene.moving():
                return Draft(
                    "lock-held-while-waiting",
                    Certainty.LIKELY,
                    one,
                    f"waits for the lock {name}, which {holder.name} holds while it waits for that thread to end",
                    name,
                    None,
                    (Evidence(f"{holder.name} is inside of a with statement on {name}", Certainty.LIKELY),),
                    others=(holder,),
                )
    return None


def held_elsewhere(scene: Scene, waiting: Sequence[Wait]) -> bool:
    """Whether a thread that waits for something else has the lock that others wait for."""
    lockers = [wait for wait in waiting if wait.what == "lock"]
    names = {_wanted(scene, wait) for wait in lockers} - {""}
    others = (wait for wait in scene.threads if wait not in lockers)
    return any(names & held_at(scene.clues, wait.thread) for wait in others)


def _twice(one: Wait, name: str) -> Draft:
    return Draft(
        "lock-taken-twice",
        Certainty.LIKELY,
        one,
        f"waits for the lock {name}, which it holds itself",
        name,
        "a second thread: a Lock is not reentrant",
        (Evidence(f"its own stack is inside of a with statement on {name} already", Certainty.LIKELY),),
    )


def _opposite(one: Wait, other: Wait, fact: str) -> Draft:
    return Draft(
        "lock-order",
        Certainty.LIKELY,
        one,
        f"waits for a lock that {other.name} holds, which waits for one that this thread holds",
        "a lock",
        None,
        (Evidence(fact, Certainty.LIKELY),),
        others=(other,),
    )
