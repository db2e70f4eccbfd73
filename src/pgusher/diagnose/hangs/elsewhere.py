"""The end of a chain of waiting that leaves the process: who has what it waits for, and whether that one works."""

from __future__ import annotations

from pgusher.diagnose.hangs.scene import Draft, Judge, Scene
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Evidence
from pgusher.model.values import dataclass


@dataclass(frozen=True, slots=True)
class End:
    """What is known of the process that has what another waits for."""

    works: bool = False
    """A thread of it goes on, or may: nobody hangs, the other has to wait for its turn."""
    draft: Draft | None = None
    """Why it hangs."""
    process: int | None = None

    @property
    def hung(self) -> bool:
        """Whether it hangs itself."""
        return self.draft is not None

    @property
    def certainty(self) -> Certainty:
        """How sure it is that waiting for it is in vain: as sure as its own hanging, a guess where it was not seen."""
        return self.draft.certainty if self.draft is not None else Certainty.GUESSED

    @property
    def says(self) -> str:
        """What the sentence about whoever waits goes on with."""
        return f" and which hangs itself: {self.draft.leaf.name} {self.draft.says}" if self.draft is not None else ""

    @property
    def pids(self) -> tuple[int, ...]:
        """Processes further along the chain."""
        return self.draft.pids if self.draft is not None else ()

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """What it rests on."""
        if self.draft is not None:
            return tuple(Evidence(f"process {self.process}: {one.fact}", one.certainty) for one in self.draft.evidence)
        return ()


def holder_of(scene: Scene, holders: tuple[int, ...], inner: Judge) -> End:
    """The end of the chain behind the first of `holders` whose threads were looked at.

    One of which a thread runs, sleeps for a time or waits with a limit works; one that stands still for a reason that
    is known hangs; of any other, and of one that was not looked at, it is not known.
    """
    for pid in holders:
        process = scene.everyone.get(pid)
        if process is None or not process.threads:
            continue
        below = Scene(process, scene.everyone, scene.facts)
        found = inner(below)
        if found is not None:
            return End(draft=found, process=pid)
        busy = any(thread.switched or thread.busy or thread.endless is False for thread in process.threads)
        if busy or below.serves or below.moving():
            return End(works=True, process=pid)
    return End()
