"""What runs below the processes that a plan would end: a look for the plan alone, as only it needs all of them.

The facts of a look have the processes that hold sessions, and what is above them. A child that holds none, as a backup
that was started a moment ago, goes with its parent all the same.
"""

from __future__ import annotations

from collections.abc import Iterable

from pgusher.collect.processes import ProcessSource
from pgusher.model.plan import Lever, Plan, ProcessIdentity
from pgusher.model.process import Process
from pgusher.remedy.act.pinned import Pinned, Stat, pin
from pgusher.remedy.act.table import descendants
from pgusher.remedy.act.tree import read_table


class Trees:
    """Looks below processes, each once."""

    def __init__(self, proc: str = "/proc") -> None:
        self._proc = proc
        self._source = ProcessSource(proc=proc)
        self.below: dict[int, tuple[Process, ...]] = {}
        """By the pid of the root, what goes with it, without itself; nothing for one that has ended."""

    def look(self, plan: Plan) -> bool:
        """Looks below what the plan would end; False when that was done for each of them before."""
        ends = (step.process for step in plan.steps if step.lever is Lever.END_PROCESS)
        new = [root for root in ends if root is not None and root.pid not in self.below]
        if new:
            self._look(new)
        return bool(new)

    def _look(self, roots: Iterable[ProcessIdentity]) -> None:
        table = read_table(self._proc)
        found = {
            root.pid: {one.key for one in descendants(table, (root.pid, root.start_ticks)) if self._lives(one)}
            for root in roots
        }
        every = {pid for keys in found.values() for pid, _ in keys}
        seen = {(one.pid, one.start_ticks): one for one in self._source.look(every).processes} if every else {}
        for root, keys in found.items():
            self.below[root] = tuple(seen[key] for key in sorted(keys) if key in seen)

    def _lives(self, one: Stat) -> bool:
        """A zombie is not ended any more; one whose first thread alone has ended is."""
        if one.state != "Z":
            return True
        held = pin(one.pid, self._proc, one.start_ticks)
        if not isinstance(held, Pinned):
            return False
        held.close()
        return True
