"""A pool that gives no connection: which thread is seen to have one, and what that waits for."""

from __future__ import annotations

from collections.abc import Sequence

from pgusher.diagnose.hangs.scene import Draft, Scene
from pgusher.diagnose.hangs.waits import Wait, held_at, threads
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Evidence

_LENDS = (".connection()", ".getconn()", ".connect()", ".begin()")


def pool(scene: Scene, leaf: Wait, waiting: Sequence[Wait]) -> Draft | None:
    """Threads that wait for a connection: because one of them has one already, or one that waits elsewhere has it.

    What a thread has is known by the with statements that its lines stand in. That no thread has one is never known: a
    connection may be kept in a variable.
    """
    want = [wait for wait in waiting if wait.what == "pool.getconn"]
    nested = [wait for wait in want if _loan(scene, wait)]
    wait_for = "a connection of the pool"
    told = Evidence(f"{threads(len(want))} in the pool for a connection")
    if nested:
        first = nested[0]
        return Draft(
            "pool-second-loan",
            Certainty.LIKELY,
            first,
            "waits for a second connection of a pool while it keeps one, and no thread is left to give one back",
            wait_for,
            "a connection that is given back: each thread waits within its own loan",
            (told, Evidence(f"its own stack is inside of a with statement on {_loan(scene, first)}", Certainty.LIKELY)),
            others=tuple(wait for wait in want if wait is not first),
        )
    keeper = next((wait for wait in scene.threads if wait not in want and _loan(scene, wait)), None)
    if keeper is not None:
        return Draft(
            "pool-loan-kept",
            Certainty.LIKELY,
            keeper,
            f"keeps a connection of the pool that {leaf.name} waits for, and itself waits without a limit",
            "an end of what it waits for within its loan",
            "the end of its loan",
            (
                told,
                Evidence(f"{keeper.name} is inside of a with statement on {_loan(scene, keeper)}", Certainty.LIKELY),
            ),
            others=tuple(want),
        )
    return Draft(
        "pool-empty",
        Certainty.LIKELY,
        leaf,
        "waits for a connection from a pool whose connections were never given back",
        wait_for,
        "a thread that gives a connection back",
        (told, Evidence("no thread is seen to be inside of a loan; each stands still", Certainty.GUESSED)),
        others=tuple(wait for wait in want if wait is not leaf),
    )


def _loan(scene: Scene, wait: Wait) -> str:
    """The with statement of a loan that a thread's lines stand in; "" when there is none to see."""
    return next((name for name in sorted(held_at(scene.clues, wait.thread)) if name.endswith(_LENDS)), "")
