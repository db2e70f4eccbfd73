"""The threads behind all pools of a process: one that keeps the time, and helpers for as long as there is work.

psycopg_pool starts four threads for each pool. Here one thread, "pgusher", does everything that is due at a time; work
that may block (a connect, a hook) is done by helpers, at most `num_workers` for each pool, that end when there is none.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from time import monotonic

LINGER = 0.5
"""Seconds that a helper waits for more work: a pool with a `reset` hook has some for each return of a loan."""

logger = logging.getLogger("psycopg.pool")


class Timekeeper:
    """Calls functions when they are due, in a thread that lives while there are any. They must not block."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.RLock()
        # Its put may be called in the midst of a collection (source: Python documentation, "queue").
        self._news: SimpleQueue[tuple[float, Callable[[], object]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._numbers = itertools.count()

    def after(self, delay: float, action: Callable[[], object]) -> None:
        """Call it in `delay` seconds. Safe from any thread, and from the midst of a collection."""
        self._news.put((monotonic() + delay, action))
        if self._thread is None and not sys.is_finalizing():  # up to 3.11 it would wait for ever for its start
            # From Python 3.12 on an interpreter that exits starts no thread. Nothing is due any more then.
            with suppress(RuntimeError):
                self._start()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="pgusher", daemon=True)
                thread.start()
                self._thread = thread

    def _run(self) -> None:
        due: list[tuple[float, int, Callable[[], object]]] = []
        news, numbers = self._news, self._numbers
        while True:
            try:
                item = news.get(timeout=max(0.0, due[0][0] - monotonic()) if due else None)
                if item is not None:
                    heapq.heappush(due, (item[0], next(numbers), item[1]))
                    continue
            except Empty:
                pass
            now = monotonic()
            while due and due[0][0] <= now:
                action = heapq.heappop(due)[2]
                try:
                    action()
                except Exception as error:  # noqa: BLE001  # as psycopg_pool: the next action must not suffer
                    logger.warning("scheduled task run %s failed: %s: %s", action, error.__class__.__name__, error)
                del action

    def forked(self) -> None:
        """The child has no thread; what was due belonged to the parent."""
        self._reset()


TIMEKEEPER = Timekeeper()


class Ticket:
    """Whether work was taken."""

    __slots__ = ("taken",)

    def __init__(self) -> None:
        self.taken = False


class Post:
    """The work of one pool: done in order of arrival by up to `most` helpers at a time.

    It looks like a thread to whoever wants to join it, as psycopg_pool does when a pool is closed.
    """

    def __init__(self, name: str, most: int) -> None:
        self.name = name
        self.most = most
        # Taken by itself where a signal may strike: a Condition's own `__enter__` can be interrupted with it held.
        self._mutex = threading.RLock()
        self._lock = threading.Condition(self._mutex)
        self._work: deque[Callable[[], object]] = deque()
        self._helpers: set[threading.Thread] = set()
        self._idle = 0
        self._numbers = itertools.count()
        self._stopped = False

    def put(self, work: Callable[[], object], ticket: Ticket | None = None) -> None:
        """Have it done. Dropped once stopped, and at the interpreter's end, when threads do not run any more.

        `ticket`: tells who is interrupted in this call whether the work was taken; `nudge` then does the rest.
        """
        if sys.is_finalizing():
            return
        ticket = ticket or Ticket()
        with self._mutex:
            if self._stopped:
                return
            ticket.taken = True
            self._work.append(work)  # between these two no signal comes through: they call nothing else
            self._staff()

    def nudge(self) -> None:
        """See to it that what waits is done."""
        with self._mutex:
            if self._work and not self._stopped:
                self._staff()

    def _staff(self) -> None:
        """With the lock held: a helper for the work that came last."""
        # One whose start was interrupted by a signal is none.
        self._helpers = {helper for helper in self._helpers if helper.is_alive()}
        if self._idle >= len(self._work):
            self._lock.notify()
        elif len(self._helpers) < self.most:
            # Daemons: the process may end while a connect takes its time.
            helper = threading.Thread(target=self._help, name=f"{self.name}-worker-{next(self._numbers)}", daemon=True)
            self._helpers.add(helper)
            try:
                helper.start()
            except RuntimeError:  # the interpreter exits (3.12 and later): a function at its exit wants a session
                self._helpers.discard(helper)
                self._work.pop()()

    def _help(self) -> None:
        me = threading.current_thread()
        while True:
            with self._lock:
                while not self._work:
                    self._idle += 1
                    told = not self._stopped and self._lock.wait(LINGER)
                    self._idle -= 1
                    if not self._work and (self._stopped or not told):
                        self._helpers.discard(me)
                        self._lock.notify_all()
                        return
                work = self._work.popleft()
            try:
                work()
            except Exception as error:  # noqa: BLE001  # as psycopg_pool: the next work must not suffer
                logger.warning("task run %s failed: %s: %s", work, error.__class__.__name__, error)
            del work

    def stop(self) -> None:
        """No more work is taken; what waits is dropped."""
        with self._lock:
            self._stopped = True
            self._work.clear()
            self._lock.notify_all()

    def is_alive(self) -> bool:
        """Whether work is taken or under way."""
        with self._lock:
            return not self._stopped or bool(self._helpers - {threading.current_thread()})

    def done(self) -> bool:
        """The contrary, under the name that a task has for it."""
        return not self.is_alive()

    def join(self, timeout: float | None = None) -> None:
        """Wait until what is under way is done, except by the calling thread itself."""
        with self._lock:
            me = {threading.current_thread()}
            self._lock.wait_for(lambda: not (self._helpers - me), timeout)
