"""Why processes do not go on: from the stacks, the set of the threads, and what is missing, one `Hang` each. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from pgusher.diagnose.hangs import children, database, objects, outside, rest
from pgusher.diagnose.hangs.raised import raised
from pgusher.diagnose.hangs.scene import JOINING, Draft, Scene
from pgusher.diagnose.hangs.stillness import stillness
from pgusher.model.facts import Facts
from pgusher.model.stacks import Hang, ProcessStacks

__all__ = ["find_hangs"]

_DEPTH = 6
"""Processes that a chain of waiting is followed over; two that wait for each other make it endless."""

_PREFIXES = {
    "main.exit": "main has ended, and the interpreter waits for {}, which ",
    "executor.exit": "main has ended, and the interpreter waits for the executor's thread {}, which ",
    "thread.join": "MainThread waits in Thread.join() for {}, which ",
    "executor.shutdown": "MainThread waits for the executor's thread {}, which ",
    "mp.pool": "MainThread waits for its pool's thread {}, which ",
}


def find_hangs(stacks: Iterable[ProcessStacks], facts: Facts | None = None) -> tuple[Hang, ...]:
    """A hang for each process asked for that does not go on; none for one that is at work, or waits as it should.

    `facts` are those of the server that the processes' sessions are of: without them what has to do with the server
    is not seen.
    """
    everyone = {process.pid: process for process in stacks}
    found = []
    for process in everyone.values():
        if not process.asked or not process.threads:
            continue
        scene = Scene(process, everyone, facts)
        draft = judge(scene) or rest.unknown(scene)
        if draft is not None:
            found.append(_hang(scene, draft))
    return tuple(found)


def judge(scene: Scene, depth: int = 0) -> Draft | None:
    """The mechanism of one process; None when it is at work, waits as it should, or nothing fits."""

    def inner(below: Scene) -> Draft | None:
        return judge(below, depth + 1)

    if depth > _DEPTH:
        return None
    found = database.judge(scene, inner)
    if found is not None or scene.serves:
        return found
    for family in (
        lambda one: outside.judge(one, inner),
        lambda one: children.judge(one, inner, depth),
        rest.loop,
        objects.judge,
    ):
        found = family(scene)
        if found is not None:
            return found
    return None


def _hang(scene: Scene, draft: Draft) -> Hang:
    leaf, main = draft.leaf, scene.main
    quiet = stillness(scene, draft)
    inside = scene.everyone.get(draft.inside) if draft.inside is not None else None
    clues = inside.clues if inside is not None else scene.clues
    where = f"{leaf.name} of process {draft.inside}" if draft.inside is not None else leaf.name
    sentence = f"{where} {draft.says}"
    if main is not None and leaf is not main and main.what in JOINING and main.what in _PREFIXES:
        sentence = _PREFIXES[main.what].format(where) + draft.says
    elif draft.inside is not None and main is not None:
        sentence = f"{main.name} waits for a child: {sentence}"
    threads = (leaf.thread.native_id, *(one.thread.native_id for one in draft.others))
    # A thread that has left the user's code (it writes its traceback) is named by the line that waits for it.
    user = leaf.user or next((one.user for one in (main, *draft.others) if one is not None and one.user), None)
    return Hang(
        scene.process.pid,
        scene.process.start_ticks,
        draft.mechanism,
        draft.certainty,
        sentence,
        leaf.thread.name,
        leaf.thread.native_id,
        user.function if user is not None else None,
        user.file if user is not None else None,
        user.line if user is not None and user.line else None,
        leaf.waits_in,
        draft.waits_for,
        draft.missing,
        raised(draft, clues),
        quiet.still,
        quiet.certainty,
        (*draft.evidence, *quiet.evidence),
        quiet.since,
        draft.pids,
        draft.sessions,
        tuple(dict.fromkeys(threads)),
    )
