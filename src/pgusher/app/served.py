"""What the page of `pgusher serve` asks for beside the newest look: threads, plans, acts, runs of a job."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pgusher.app.alerting import Teller, Ways
from pgusher.app.alerts import Alerts
from pgusher.app.deep import DeepLooker
from pgusher.app.live import Live, Moment
from pgusher.app.look import Looker
from pgusher.app.past import Past, from_memory, from_store
from pgusher.app.recorded import past_of
from pgusher.app.refused import Refused
from pgusher.app.request import Request
from pgusher.app.served_holder import Panels, Share, Shown, share_of
from pgusher.app.then import Then, then
from pgusher.app.why import page
from pgusher.diagnose import engine
from pgusher.errors import PgusherError, RefusedError, UsageError
from pgusher.model.address import Micros
from pgusher.model.past import Past as Recorded
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import dataclass, replace
from pgusher.record.database import StoreError
from pgusher.record.place import stored
from pgusher.record.reading import Reader
from pgusher.record.recorder import Recorder
from pgusher.record.store import open_store

if TYPE_CHECKING:
    from pgusher.collect.postgres.connect import Connection
    from pgusher.guard.history_entry import Entry
    from pgusher.model.stacks import ProcessStacks

_THREADS_EVERY = 20.0
"""Seconds for which the threads of a holder are not looked at again, whoever asks."""
_COMMAND_WITHIN = 120.0
_RUNS = 20


def _nobody(_line: str) -> None:
    """Tells nobody."""


@dataclass(frozen=True, slots=True)
class Keep:
    """What becomes of the looks beside being shown."""

    store: str | None = None
    """The recorder's store, which is read; None for the usual one."""
    record: bool = False
    """They are written into it, too."""
    temporary: bool = False
    """Where there is no store they are written into one of our own, which goes when we end."""
    alert: Ways | None = None
    """How alerts are told; None: not at all."""
    narrate: Callable[[str], None] = _nobody
    """Gets what went wrong with that, a line each."""


class Served:
    """One server of pages: the looks, and what is done on demand, never two things at once."""

    def __init__(
        self,
        request: Request,
        *,
        every: float = 2.0,
        options: Sequence[str] = (),
        allow_actions: bool = False,
        looker: Looker | None = None,
        keep: Keep | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`options`: the connection options as they were typed, for the commands that are run on demand.

        `keep`: what becomes of the looks beside being shown.
        """
        self._request = request
        self._options = list(options)
        self._looker = looker or Looker(request)
        self._monotonic = monotonic
        self.allow_actions = allow_actions
        self._turn = threading.Lock()
        keep = keep or Keep()
        self._store = keep.store or request.config.store
        self._own: tempfile.TemporaryDirectory[str] | None = None
        if keep.temporary and not keep.record and not stored(self._store):
            self._own = tempfile.TemporaryDirectory(prefix="pgusher-")  # its owner's alone
            self._store = os.path.join(self._own.name, "record.db")
        self._refused = Refused()
        self._memory = Memory(self._store, every, self._refused) if keep.record or self._own is not None else None
        self._teller = Teller(keep.alert, keep.narrate) if keep.alert is not None and keep.alert.any else None
        self._alerts = Alerts()
        self._panels = Panels(request.config, monotonic)
        config = replace(request.config, store=self._store)
        self.live = Live(_OneAtATime(self._looker, self._turn), config, every=every, told=self._tell)
        self._threads: dict[str, tuple[float, tuple[ProcessStacks, ...]]] = {}

    @property
    def trouble(self) -> str:
        """Why looks are not kept just now; "" when they are, or are not to be."""
        return str(self._memory.error) if self._memory is not None and self._memory.error is not None else ""

    def close(self) -> None:
        """Ends the looks, and gives every slot back; what was recorded is kept."""
        self.live.close()
        self._refused.close()
        if self._memory is not None:
            self._memory.close()
        if self._teller is not None:
            self._teller.close()
        if self._own is not None:
            self._own.cleanup()

    def _tell(self, moment: Moment) -> None:
        """Each look is kept, and what is new about it told."""
        if moment.error is None and moment.look is not None:
            self._refused.look(moment.look.snapshots)
        if self._memory is not None:
            self._memory.take(moment)
        if self._teller is not None:
            for one in self._alerts.take(moment):
                self._teller.tell(one)

    def threads(self, snapshot: Snapshot, name: str, /) -> tuple[ProcessStacks, ...]:
        """The stacks of a holder's processes; the same for a while, so that asking often stops nobody often."""
        kept = self._threads.get(name)
        if kept is not None and self._monotonic() - kept[0] < _THREADS_EVERY:
            return kept[1]
        holder = snapshot.holder(name)
        pids = frozenset(holder.processes) if holder is not None else frozenset()
        with self._turn:
            deep = DeepLooker(self._request, lambda _: pids, looker=self._looker)
            look = deep.look()
        here = (s for s in look.snapshots if s.facts.server.label == snapshot.facts.server.label)
        found = tuple(stacks for one in here for stacks in one.facts.stacks if stacks.pid in pids or not stacks.asked)
        self._threads = {key: value for key, value in self._threads.items() if len(self._threads) < _RUNS}
        self._threads[name] = self._monotonic(), found
        return found

    def plan(self, name: str | None, server: str | None = None) -> dict[str, Any]:
        """The plan for a holder, or for all that is leaked: what `pgusher free --json` prints. Raises PgusherError.

        `server` is a port of this host: one of several servers that were found.
        """
        words = ["free", *self._options, "--json"]
        if server is not None and server.isdigit() and not self._options:
            words += ["--port", server]
        return self._command([*words, "--", name] if name else words)

    def apply(self, plan: str) -> dict[str, Any]:
        """Does the safe steps of a plan. Raises RefusedError unless acts were allowed; PgusherError."""
        if not self.allow_actions:
            raise RefusedError("this page only shows", hint="start it with --allow-actions, or type the command")
        return self._command(["free", *self._options, "--json", "--apply", plan])

    def runs(self, holder: str, /) -> list[Entry]:
        """The last runs of the job that a holder is, as its guard kept them; none where there is no history."""
        kind, _, name = holder.partition("/")
        if kind not in {"cron", "script", "unit"} or not name:
            return []
        from pgusher.guard.history import open_history  # late: only this page needs it

        try:
            return open_history().entries(name, _RUNS)
        except OSError:
            return []

    def share(self, snapshot: Snapshot, name: str, /) -> Share | None:
        """What a holder may take of the server's slots, and who says so."""
        return share_of(snapshot, self._request.config, name)

    def panels(self, snapshot: Snapshot, name: str, /) -> Shown | None:
        """The panels of a holder that is a Grafana; None for any other."""
        return self._panels.of(snapshot, name, lambda: self._asking(snapshot), self._request.timeout)

    @contextlib.contextmanager
    def _asking(self, snapshot: Snapshot) -> Iterator[Connection | None]:
        """The one connection while nothing else asks; None where there is none, or it is in use for long."""
        turn = self._turn.acquire(timeout=self._request.timeout)
        try:
            yield self._looker.connection(snapshot.facts.server) if turn else None
        finally:
            if turn:
                self._turn.release()

    def past(self, server: str, at: str, span: str, /) -> Past:
        """Who held what at that moment of a server: out of the store where it has that server, else out of memory."""
        now = int(time.time() * 1_000_000)
        if stored(self._store):
            reader = Reader(open_store(self._store))
            try:
                label = next((one for one in reader.servers() if one.removeprefix("port ") == server), None)
                if label is not None:
                    return from_store(reader, label, at, span, now)
            finally:
                reader.close()
        sums = [one for one in self.live.sums() if str(one.port) == server.rpartition(":")[2]]
        return from_memory(sums, at, now)

    def then(self, server: str, at: Micros, like: Snapshot, direction: int = 0, /) -> Then:
        """A moment of a server as the store has it. Raises StoreError."""
        if not stored(self._store):
            return Then(at, nothing="nothing is recorded: pgusher record, or --store")
        reader = Reader(open_store(self._store))
        try:
            return then(reader, server, at, like, direction)
        finally:
            reader.close()

    def recorded(self, snapshot: Snapshot, /) -> Recorded | None:
        """What was recorded of the last day of a server; None where nothing was, or it cannot be read."""
        past = past_of(snapshot, self._store)
        return past if isinstance(past, Recorded) else None

    def refused(self, label: str, /) -> dict[str | None, int] | None:
        """How often a server refused since the start by its own log, by the ceiling; None where none can be read."""
        return self._refused.totals(label)

    def rule(self, name: str) -> str:
        """The page of a rule, in Markdown. Raises UsageError for a name of none."""
        if name not in engine.names():
            raise UsageError("no rule is called so", hint="all rules: pgusher rules")
        return page(name)

    def _command(self, words: Sequence[str]) -> dict[str, Any]:
        """Runs pgusher as a terminal would, so that a page and a terminal say and do the same.

        It takes the one slot that our own looks leave meanwhile.
        """
        with self._turn:
            self._looker.close()
            command = [sys.executable, "-m", "pgusher", *words]
            try:
                done = subprocess.run(
                    command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_COMMAND_WITHIN, check=False
                )
            except subprocess.TimeoutExpired:
                raise PgusherError(f"pgusher free did not end within {_COMMAND_WITHIN:g} s") from None
        try:
            data = json.loads(done.stdout)
        except ValueError:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise PgusherError(f"pgusher free ended with {done.returncode}", detail=said[0] if said else None) from None
        if data.get("kind") == "error":
            raise PgusherError(data["message"], data.get("detail"), data.get("hint"))
        found: dict[str, Any] = data
        return found


class Memory:
    """Writes each look into the store. What goes wrong with that is remembered, and never ends a look."""

    def __init__(self, place: str | None, every: float, refused: Refused) -> None:
        """Raises StoreError when the store cannot be written, or another recorder has it."""
        self._recorder = Recorder(open_store(place, write=True), every=every, logged=refused.take)
        self._lock = threading.Lock()
        self.error: StoreError | None = None
        """Why the last look could not be stored."""

    def take(self, moment: Moment) -> None:
        """One look, also one that showed nothing."""
        with self._lock:
            try:
                if moment.error is None and moment.look is not None:
                    self._recorder.take(moment.look.snapshots)
                else:
                    self._recorder.blind()
                self.error = None
            except StoreError as error:
                self.error = error

    def close(self) -> None:
        """What was taken is kept."""
        with self._lock, contextlib.suppress(StoreError):
            self._recorder.close()


class _OneAtATime:
    """A looker whose looks wait for what is done on demand: it has the one connection then."""

    def __init__(self, looker: Looker, turn: threading.Lock) -> None:
        self._looker = looker
        self._turn = turn

    def look(self) -> Any:
        with self._turn:
            return self._looker.look()

    def close(self) -> None:
        with self._turn:
            self._looker.close()
