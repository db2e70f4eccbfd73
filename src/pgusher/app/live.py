"""A look every second or two, kept for whoever wants the newest: what the screens that stay open are fed by."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from pgusher.app.config import Config
from pgusher.app.look import Look
from pgusher.app.why import diagnose, unchanged
from pgusher.errors import PgusherError, UsageError
from pgusher.model.address import Micros
from pgusher.model.findings import Diagnosis
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import dataclass

_JUDGE_EVERY = 10.0
"""Seconds after which what has not changed is judged anew: only ages have grown meanwhile."""
_KEPT = 3600
"""Looks whose sums are kept: an hour of one a second."""
_STOP_WITHIN = 10.0


class Looks(Protocol):
    """What looks, as `pgusher.app.look.Looker`."""

    def look(self) -> Look:
        """One look. Raises PgusherError when nothing at all could be seen."""

    def close(self) -> None:
        """Gives every slot back."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What was known at one moment. The newest look stays when a later one fails: `error` says that, and why."""

    number: int
    """Grows by one with each look, also one that failed."""
    at: Micros
    """When it was looked, or tried to."""
    look: Look | None = None
    diagnoses: tuple[Diagnosis, ...] = ()
    """One for each snapshot of the look."""
    error: PgusherError | None = None
    """Why the last look failed; `look` is then an older one."""
    refusals: int = 0
    """Looks since the start at which a server refused us for lack of slots."""
    failures: int = 0
    """Looks since the start that showed nothing."""


@dataclass(frozen=True, slots=True)
class Sum:
    """What is kept of a look when the next one has come: who held how many slots of the fullest server."""

    at: Micros
    port: int
    holders: tuple[tuple[str, int], ...]
    ordinary: int | None


class Live:
    """Looks again and again in a thread of its own, at most once at a time, and keeps the newest.

    Whoever waits for news is woken; whoever is slow misses looks and gets the newest.
    """

    def __init__(
        self,
        looker: Looks,
        config: Config,
        *,
        every: float = 2.0,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        told: Callable[[Moment], None] | None = None,
    ) -> None:
        """`every`: seconds from the beginning of a look to the next; `told` gets each moment, in that thread."""
        self._looker = looker
        self._config = config
        self._every = every
        self._clock = clock
        self._monotonic = monotonic
        self._told = told
        self._news = threading.Condition()
        self._moment = Moment(0, 0)
        self._sums: deque[Sum] = deque(maxlen=_KEPT)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._judged: tuple[float, Look, tuple[Diagnosis, ...]] | None = None

    def start(self) -> None:
        """Looks once here, so that a mistake in the request is raised to whoever made it, then goes on by itself.

        Raises UsageError and ConfigError; a server that cannot be reached now is a moment like any other.
        """
        self.step()
        self._thread = threading.Thread(target=self._run, name="pgusher-live", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread, and gives every slot back."""
        self._stop.set()
        with self._news:
            self._news.notify_all()
        if self._thread is not None:
            self._thread.join(_STOP_WITHIN)
        self._looker.close()

    def newest(self) -> Moment:
        """What is known now."""
        return self._moment

    def sums(self) -> tuple[Sum, ...]:
        """What is kept of the looks of the last hour, the oldest first."""
        with self._news:
            return tuple(self._sums)

    def wait(self, after: int, timeout: float) -> Moment:
        """The newest moment, as soon as its number is over `after`; the old one when `timeout` seconds have gone."""
        with self._news:
            self._news.wait_for(lambda: self._moment.number > after or self._stop.is_set(), timeout)
            return self._moment

    def step(self) -> Moment:
        """One look, now."""
        before = self._moment
        at = int(self._clock() * 1_000_000)
        try:
            look = self._looker.look()
            moment = Moment(
                before.number + 1,
                at,
                look,
                self._judge(look),
                refusals=before.refusals + any(_refused(snapshot) for snapshot in look.snapshots),
                failures=before.failures,
            )
        except PgusherError as error:
            if before.number == 0 and isinstance(error, UsageError):  # a mistake of whoever asked: it would stay
                raise
            look = None
            moment = Moment(
                before.number + 1, at, before.look, before.diagnoses, error, before.refusals, before.failures + 1
            )
        with self._news:
            self._moment = moment
            if look is not None:
                self._sums.extend(_sums(look))
            self._news.notify_all()
        if self._told is not None:
            self._told(moment)
        return moment

    def _run(self) -> None:
        began = self._monotonic()
        while not self._stop.wait(max(self._every / 10, self._every - (self._monotonic() - began))):
            began = self._monotonic()
            self.step()

    def _judge(self, look: Look) -> tuple[Diagnosis, ...]:
        now = self._monotonic()
        if self._judged is not None:
            at, before, diagnoses = self._judged
            if now - at < _JUDGE_EVERY and unchanged(look, before):
                self._judged = at, look, diagnoses
                return diagnoses
        diagnoses = diagnose(look, self._config, self._judged[1] if self._judged is not None else None)
        self._judged = now, look, diagnoses
        return diagnoses


def _refused(snapshot: Snapshot) -> bool:
    view = snapshot.facts.view
    return bool(view.refuses or view.refuses_all or view.lacked is not None)


def _sums(look: Look) -> list[Sum]:
    found = []
    for snapshot in look.snapshots:
        ceilings = snapshot.facts.ceilings
        held = tuple((holder.name, len(holder.sessions)) for holder in snapshot.holders if holder.sessions)
        found.append(
            Sum(snapshot.facts.taken_at, snapshot.facts.server.port, held, ceilings.ordinary if ceilings else None)
        )
    return found
