"""This process as one of those that share a budget: what it holds, what its pools want, what it is to give back."""

from __future__ import annotations

import os
import threading
import weakref

from pgusher.client.budget import table
from pgusher.client.budget.shares import Asker, Verdict, judge
from pgusher.client.budget.store import Store
from pgusher.client.directory import DirectoryError, find_directory, reason
from pgusher.errors import PgusherError

EPOCH = 1.0
"""Seconds after which what does not divide evenly goes on to others."""
ASK_AGAIN = 0.02
"""Seconds until a process that may have a slot, as soon as there is one, asks again."""
ASK_LATER = 0.1
"""Seconds until a process that has its share asks for more again."""
_HURRY = 0.1
"""Seconds that a session lives at least when another process has less than half of its share."""
_SILENT = 700_000_000
"""Nanoseconds after which a record that was not written again is held against the lock of its process."""
_PATIENCE = 0.1
"""Seconds for which a free slot is left to those it belongs to, before anybody may have it."""


class BudgetError(PgusherError):
    """A budget cannot be kept as it was asked for."""


class Wants:
    """What one pool has and wants, and what it is to give back to the other pools of its process."""

    __slots__ = ("__weakref__", "held", "idle", "leaving", "passed_over", "surplus", "urgent", "waiting", "whole",
                 "yields")  # fmt: skip

    def __init__(self, *, whole: bool = False) -> None:
        """`whole`: what wants all or none never had all if it stepped back for the others on its way there."""
        self.whole = whole
        self.clear()

    def clear(self) -> None:
        """Nothing is held."""
        self.held = self.idle = self.waiting = 0
        self.surplus = self.leaving = 0
        self.urgent = self.yields = False
        self.passed_over: float | None = None


class Member:
    """The part of this process in a budget: one for each file, whatever number of pools share it.

    Its methods take some ten microseconds and never wait for another process.
    """

    def __init__(self, name: str, total: int, minimum: int, place: str | None, min_hold: float) -> None:
        self.name = name
        self.total = total
        self.minimum = minimum
        self._file = f"{name}.budget"
        self._min_hold = min_hold
        self._place = place
        self._wants: weakref.WeakSet[Wants] = weakref.WeakSet()
        self._start_anew()
        self._open()

    def _start_anew(self) -> None:
        self._lock = threading.Lock()
        self._store: Store | None = None
        self._index: int | None = None
        self._slots: set[int] = set()
        self._owed = 0  # slots that we hold but could not lock in a file that was made anew
        self._effective = self.total
        self._written = 0
        self._free_since: float | None = None
        self._verdict = Verdict(self.total, 0, 0, False, self.total)
        self._surplus = 0
        self._leaving = 0  # sessions that are being given back, and not closed yet

    def forget(self) -> None:
        """This is the child of a fork: nothing of it is ours. To close the parent's file drops none of its locks."""
        store = self._store
        self._start_anew()
        for wants in self._wants:
            wants.clear()
        if store is not None:
            store.close()

    def join(self, wants: Wants) -> None:
        """A pool takes part."""
        with self._lock:
            self._wants.add(wants)

    @property
    def held(self) -> int:
        """Slots that this process holds."""
        return len(self._slots) + self._owed

    def presses(self, wants: Wants) -> bool:
        """Whether others wait for slots of that pool: other processes, or other pools of this one."""
        return self._surplus > 0 or wants.surplus > 0

    @property
    def share(self) -> int:
        """How many slots were its own at the last look."""
        return self._verdict.share

    def take(self, wants: Wants, now: float) -> float:
        """Take one slot for a pool: 0.0 when it has one now, else seconds until it may ask again."""
        with self._lock:
            wants.waiting = max(1, wants.waiting)
            verdict = self._look(now)
            delay = self._lock_one(verdict, now, wants)
            if delay == 0.0:
                wants.passed_over = None
                wants.held += 1
                wants.waiting -= 1
                self._publish(now)
            return delay

    def _lock_one(self, verdict: Verdict, now: float, wants: Wants) -> float:
        store = self._store
        if store is None:
            return 1.0
        if self.held >= self._effective:
            return ASK_LATER
        if self.held >= verdict.share:
            # Free, and for others: but should those be stopped or gone, it must not lie idle for ever.
            if verdict.free <= 0:
                self._free_since = None
            elif self._free_since is None:
                self._free_since = now
            if self._free_since is None or now - self._free_since < _PATIENCE:
                return ASK_LATER
        if wants.yields:
            # Free, and for another pool of ours; as above, it does not lie idle for ever.
            wants.passed_over = now if wants.passed_over is None else wants.passed_over
            if now - wants.passed_over < _PATIENCE:
                return ASK_AGAIN
        for slot in range(self._effective):
            if slot not in self._slots and store.lock(table.SLOT_LOCKS + slot):
                self._slots.add(slot)
                self._free_since = None
                return 0.0
        return ASK_AGAIN if self.held < verdict.share else ASK_LATER

    def release(self, wants: Wants, now: float) -> None:
        """A session of a pool has ended."""
        with self._lock:
            if not wants.held:
                return  # taken by the parent of a fork
            wants.held -= 1
            if wants.leaving:
                wants.leaving -= 1
            else:
                self._leaving = max(0, self._leaving - 1)
            if self._owed:
                self._owed -= 1
            elif self._slots and self._store is not None:
                slot = max(self._slots)
                self._slots.discard(slot)
                self._store.unlock(table.SLOT_LOCKS + slot)
            self._publish(now)

    def tick(self, wants: Wants, now: float, idle: int, waiting: int) -> None:
        """How things stand in a pool."""
        with self._lock:
            wants.idle, wants.waiting = idle, waiting
            self._look(now)

    def spare(self, wants: Wants, now: float, made: float) -> bool:
        """Whether a session that was made at `made` is to be closed for others; if so, it counts as given back."""
        with self._lock:
            if self._surplus > 0 and now - made >= (_HURRY if self._verdict.urgent else self._min_hold):
                self._surplus -= 1
                self._leaving += 1
                return True
            if wants.surplus > 0 and now - made >= (_HURRY if wants.urgent else self._min_hold):
                wants.surplus -= 1
                wants.leaving += 1
                return True
            return False

    def _look(self, now: float) -> Verdict:
        store = self._open()
        nanoseconds = int(now * 1e9)
        self._publish(now)
        askers: list[Asker] = []
        me = -1
        total = self.total
        for index, member in table.members(store.read()):
            if index == self._index:
                me = len(askers)
            elif nanoseconds - member.beat > _SILENT and not store.locked(table.MEMBER_LOCKS + index):
                continue  # it ended without a word
            askers.append(member.asker(nanoseconds))
            total = min(total, member.total)  # processes of an older and a newer configuration: the tighter counts
        self._effective = total
        if me < 0:  # there was no record left for us: we take what nobody else is short of
            me = len(askers)
            askers.append(self._mine())
        self._verdict = verdict = judge(total, askers, me, int(now / EPOCH))
        self._surplus = max(0, verdict.surplus - self._leaving)
        self._among_ours(int(now / EPOCH))
        return verdict

    def _among_ours(self, epoch: int) -> None:
        """What the process may have, shared out among its pools in the same way."""
        ours = list(self._wants)
        if len(ours) < 2:
            for wants in ours:  # another pool may have been there
                wants.surplus, wants.yields = 0, False
            return
        most = min(self._effective, max(self.held, self._verdict.share) + self._verdict.free)
        askers = [Asker(wants.held, min(wants.idle, wants.held), wants.waiting) for wants in ours]
        verdicts = [judge(most, askers, at, epoch) for at in range(len(ours))]
        short = [verdict.share - wants.held for verdict, wants in zip(verdicts, ours, strict=True)]
        for at, (verdict, wants) in enumerate(zip(verdicts, ours, strict=True)):
            wants.surplus = max(0, verdict.surplus - wants.leaving)
            wants.urgent = verdict.urgent
            wants.yields = not wants.whole and short[at] <= 0 and any(one > 0 for one in short)

    def others(self, now: float) -> list[table.Member]:
        """What the other living processes have written down."""
        with self._lock:
            store = self._open()
            return [
                member
                for index, member in table.members(store.read())
                if index != self._index
                and (int(now * 1e9) - member.beat <= _SILENT or store.locked(table.MEMBER_LOCKS + index))
            ]

    def _mine(self) -> Asker:
        idle = sum(wants.idle for wants in self._wants)
        return Asker(self.held, min(idle, self.held), sum(wants.waiting for wants in self._wants), self.minimum)

    def _publish(self, now: float) -> None:
        if self._store is not None and self._index is not None:
            held, idle, waiting, minimum = self._mine()
            self._store.write(
                self._index, table.Member(os.getpid(), self.total, minimum, held, idle, waiting, int(now * 1e9))
            )

    def _open(self) -> Store:
        old = self._store
        if old is not None and not old.removed():
            return old
        try:
            store = Store(find_directory(self._place), self._file)
        except (DirectoryError, OSError) as error:
            if old is not None:
                return old  # removed, and cannot be made again: it still holds among those that have it open
            raise self._cannot(error) from None
        self._store = store
        self._index = store.enlist()
        # After the file was removed under us: what we hold is locked again, as far as others have not taken it.
        held, self._slots = self.held, set()
        for slot in range(self.total):
            if len(self._slots) < held and store.lock(table.SLOT_LOCKS + slot):
                self._slots.add(slot)
        self._owed = held - len(self._slots)
        if old is not None:
            old.close()
        return store

    def _cannot(self, error: DirectoryError | OSError) -> BudgetError:
        if isinstance(error, DirectoryError):
            return BudgetError(f"budget {self.name!r} could not be kept: {error}", hint=error.hint)
        return BudgetError(
            f"budget {self.name!r} could not be kept: {error.filename}: {reason(error)}",
            hint="its file must be writable: free some space there, or name another place with directory=",
        )

    def close(self) -> None:
        """Leave: all slots are free, the record is cleared."""
        with self._lock:
            if self._store is not None:
                if self._index is not None:
                    self._store.write(self._index, None)
                self._store.close()
            self._start_anew()
