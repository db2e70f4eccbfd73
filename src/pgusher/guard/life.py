"""The life of one run: start, watch, evidence, end, and nothing left."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from pgusher.guard import cgroup, kernel, trail
from pgusher.guard.output import Relay
from pgusher.guard.start import ENDING as ASKED
from pgusher.guard.start import PASSED, start

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pgusher.guard.records import Job, Sessions, Traffic

EVIDENCE_SECONDS = 10.0
_LOOKED_AT = 20
"""Processes that are asked what they wait for: those next to the main one."""
_KILLING = 10.0
"""Seconds after KILL in which one more must have ended; who is in an uninterruptible sleep may take for ever."""
_REPORT = 2.0
"""Seconds between two looks at the size of the report of dead threads."""
_AFTER_A_DEATH = 8.0
"""Seconds, on top of the grace of its process, after which a run with a dead thread should have ended by itself."""
_SLOW = 0.3
"""Seconds of a look at the job's processes after which we are short of processor time, and might miss the limit."""
_SWARM = 100
"""Processes that are stopped before anything else is done about them: they would take the time that it needs."""
_SAMPLE = 30.0
"""Seconds between two looks at what the job uses: a look takes some 30 ms where a thousand processes run."""
_BUSY_TICKS = 0.005
"""The part of one processor below which a job does nothing: a wait that wakes ten times a second takes less."""


class Life:
    """One run of a job, from its start until nothing of it is left. Only in the main thread."""

    def __init__(
        self,
        job: Job,
        environ: Mapping[str, str],
        output: str,
        step: Callable[[str], None],
        sessions: Sessions | None = None,
        traffic: Traffic | None = None,
        report: str = "",
    ) -> None:
        """`output`: the file for the last part of the output. `step` is told each step, for tests that end us there.

        `report`: what the job's Python processes write when a thread dies; "" when they are not watched.
        """
        self.job = job
        self._traffic = traffic
        self._report = report
        self._report_size = 0
        self._died: float | None = None
        self._sessions = sessions
        self.status: int | None = None
        self.asked: int | None = None
        """The first signal that told us to end."""
        self.idle_since: float | None = None
        self.peak_memory = 0
        self.end_took: float | None = None
        """Seconds from the first signal until nothing was left; None when nothing had to be ended."""
        self.cgroup: cgroup.Cgroup | None = None
        self.no_cgroup = ""
        """Why there is none."""
        self._run, self._trail = "", ""
        self._gone = self._inside = self._many = self._stopped = False
        self._priority = os.getpriority(os.PRIO_PROCESS, 0)
        self._environ = environ
        self._step = step
        self._pid = 0
        self._helper = 0
        self._flushed = 0.0
        self._wake, self._waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.relay = Relay(output)
        self._handlers: dict[int, object] = {}
        for number in (*ASKED, *PASSED, signal.SIGCHLD):
            # What nohup has switched off stays so.
            if number == signal.SIGCHLD or signal.getsignal(number) is not signal.SIG_IGN:
                self._handlers[number] = signal.signal(number, _nothing)
        self._old_waker = signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)

    def start(self, run: str = "", path: str = "") -> None:
        """`path`: the file for what the run is known by when we are killed. Raises NotStarted and OSError."""
        kernel.become_subreaper()
        self._step("subreaper")
        self._run, self._trail = run, path
        if run:
            try:
                self.cgroup = cgroup.make(f"pgusher.{self.job.name}.{run}")
            except OSError as error:
                self.no_cgroup = (error.strerror or str(error)).lower()
            # Before there is anything: we may be killed as soon as there is.
            self._note(())
            self._step("noted")
        outputs = {fd: stream.job for fd, stream in self.relay.streams.items()}
        try:
            self._pid = start(self.job.argv, self._environ, outputs, isolate=self.job.isolate, cgroup=self.cgroup)
        finally:
            self.relay.started()
        self.started = time.monotonic()
        main = kernel.read_stat(self._pid)
        self._note((main,) if main else ())
        if self.cgroup is not None:
            # One that has ended already is in none, and then nothing is known.
            self._inside = self._pid in cgroup.members(self.cgroup.path)
            if not self._inside and main is not None and main.state not in "ZX":
                self.no_cgroup = "the job could not be moved into its own"
        self._step("started")

    def watch(self) -> str:
        """Until the job has "ended", its "limit" is there, a "signal" tells us to end, or it is "idle".

        "thread" when one has died in a process of it, and the run goes on although that process has had its grace:
        its parent waits for what that should have done.
        """
        limit = self.started + self.job.limit if self.job.limit is not None else None
        sample = self.started + min(1.0, (self.job.idle or 2.0) / 4)
        activity = (self.started, 0, 0, 0)
        active = self.started
        while self.status is None and self.asked is None:
            now = time.monotonic()
            if limit is not None and now >= limit:
                return "limit"
            if self._thread_died(now):
                return "thread"
            if now >= sample:
                kernel.hurry()
                latest = self._activity()
                took = time.monotonic() - now
                if took < _SLOW:
                    kernel.hurry(self._priority)
                if _busy(activity, latest):
                    active, self.idle_since = now, None
                    activity = latest
                elif self.job.idle is not None and now - active >= self.job.idle and self.idle_since is None:
                    self.idle_since = active
                    return "idle"
                # Often at first, so that a short run has been looked at, too.
                sample = now + min(_SAMPLE, self.job.idle / 6 if self.job.idle else now - self.started)
                if took >= _SLOW:
                    sample = max(sample, now + 10 * took)
                    if limit is not None and sample + took > limit:
                        sample = limit
                continue
            wait = min(sample, limit if limit is not None else sample) - now
            self._pump(min(wait, _REPORT) if self._report else wait)
        return "ended" if self.status is not None else "signal"

    def evidence(self, *asks: Callable[[tuple[int, ...]], Iterable[str]]) -> list[str]:
        """What the job waits for and holds."""
        kernel.hurry()
        if self._many:
            self._stop()
        family = [stat.pid for stat in self._left()]  # with `isolate` without our own two about it
        if self._sessions is not None:
            with contextlib.suppress(Exception):  # as the other evidence: the job ends with it or without
                self._sessions.count(family, now=True)
        if len(family) >= _SWARM and not self._stopped:
            self._stop()
        pids = tuple(family[:_LOOKED_AT])
        lines: list[str] = []
        for ask in asks:
            lines += self.ask(lambda ask=ask: ask(pids))  # type: ignore[misc]
        return lines

    def ask(
        self, ask: Callable[[], Iterable[str]], seconds: float = EVIDENCE_SECONDS, late_is: str = "evidence"
    ) -> list[str]:
        """Lines that take time. A child asks: it may hang or fail, and its memory goes with it."""
        told, tell = os.pipe2(os.O_CLOEXEC)
        self._helper = os.fork()
        if self._helper == 0:
            with contextlib.suppress(BaseException):
                kernel.die_with_parent(signal.SIGKILL)  # it has the lock, too
                signal.set_wakeup_fd(-1)
                for number in (*ASKED, *PASSED, signal.SIGCHLD):
                    signal.signal(number, signal.SIG_DFL)
                room = 30000  # what a pipe holds
                for line in ask():
                    raw = f"{line}\n".encode("utf-8", "backslashreplace")[:room]
                    room -= os.write(tell, raw)
            os._exit(0)
        os.close(tell)
        helper = self._helper
        deadline = time.monotonic() + seconds
        while self._helper and (left := deadline - time.monotonic()) > 0:
            self._pump(left)
        late = bool(self._helper)
        if late:
            with contextlib.suppress(ProcessLookupError):
                os.kill(helper, signal.SIGKILL)
        os.set_blocking(told, False)
        raw = b""
        with contextlib.suppress(BlockingIOError):
            raw = os.read(told, 1 << 16)
        os.close(told)
        lines = raw.decode("utf-8", "replace").splitlines()
        return [*lines, *([f"the {late_is} was not there within {seconds:g} seconds"] if late else [])]

    def end(self, first: int = signal.SIGTERM) -> tuple[int, ...]:
        """End all that is left: the signal, the grace, KILL, looked for anew until there is none. Gives who is left."""
        kernel.hurry()
        first_of_all = began = time.monotonic()
        told: set[tuple[int, int]] = set()
        while found := self._left():
            if time.monotonic() - began >= self.job.grace:
                break
            new = [stat for stat in found if (stat.pid, stat.ticks) not in told]
            kernel.end(new, first)
            kernel.end(new, signal.SIGCONT)
            if self._stopped and self.cgroup is not None:
                self.cgroup.freeze(False, 0.0)
            self._stopped = False
            told.update((stat.pid, stat.ticks) for stat in new)
            self._pump(min(0.1, max(0.0, began + self.job.grace - time.monotonic())))
        self._step("terminated")
        began = time.monotonic()
        known: set[tuple[int, int]] = set()
        while found := self._left(everybody=True):
            there = {(stat.pid, stat.ticks) for stat in found}
            if known - there:
                began = time.monotonic()  # it goes on, if slowly
            known = there
            if time.monotonic() - began > _KILLING:
                break
            if self.cgroup is None or not self.cgroup.kill() or not self._inside:
                # Stopped first: who has that signal pending forks no more, so the second look shows every child.
                kernel.stop(found)
                found = self._left(everybody=True)
            kernel.end(found, signal.SIGKILL)
            self._pump(0.01 if len(found) < _SWARM else 0.1)
        if told:
            self.end_took = time.monotonic() - first_of_all
        self._gone = not found
        self._step("killed")
        return tuple(stat.pid for stat in found)

    def drain(self, seconds: float | None) -> None:
        """Pass on the rest of the output. Whoever reads it may take as long as the job could have waited for it."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while not self.relay.drained():
            left = 60.0 if deadline is None else deadline - time.monotonic()
            if left <= 0 or (self.asked is not None and deadline is None):
                break
            self._pump(left)

    def close(self) -> None:
        """Everything as it was before."""
        self.relay.close()
        if self.cgroup is not None:
            self.cgroup.remove()
        if self._trail and self._gone:
            with contextlib.suppress(OSError):
                os.unlink(self._trail)
        kernel.hurry(self._priority)
        signal.set_wakeup_fd(self._old_waker)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        os.close(self._wake)
        os.close(self._waker)

    # -- the parts

    def _left(self, *, everybody: bool = False) -> list[kernel.Stat]:
        """The job's processes. With `isolate` our own two about it come last: they end when it has."""
        if self._reap():
            return []
        found = kernel.family(os.getpid())
        if everybody or not self.job.isolate:
            return found
        return [stat for stat in found if self._pid not in (stat.pid, stat.ppid)]

    def _thread_died(self, now: float) -> bool:
        """Whether one has, so long ago that nothing is to be waited for any more."""
        if self._died is None and self._report:
            with contextlib.suppress(OSError):
                size = os.stat(self._report).st_size
                if size != self._report_size:
                    from pgusher.guard.inside.report import read

                    self._report_size = size
                    deaths = read(self._report).deaths
                    self._died = now + min(deaths[0].grace, self.job.grace) if deaths else None
        return self._died is not None and now - self._died >= _AFTER_A_DEATH

    def _stop(self) -> None:
        self._stopped = True
        kernel.hurry()
        if self.cgroup is None or not self.cgroup.freeze(True):
            # Twice: what was forked before its parent was stopped.
            for _ in range(2):
                kernel.stop(self._left())

    def _note(self, family: Iterable[kernel.Stat], stamp: int | None = None) -> None:
        if self._trail:
            place = self.cgroup.path if self.cgroup else ""
            trail.write(self._trail, self._run, place, trail.now() if stamp is None else stamp, family)

    def _pump(self, seconds: float) -> None:
        """Pass on output and take note of signals, until something happens or that time is over."""
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        masks: dict[int, int] = {}
        for fd, mask in self.relay.fds():
            masks[fd] = masks.get(fd, 0) | mask
        for fd, mask in masks.items():
            poll.register(fd, mask)
        if self.relay.dirty:
            seconds = min(seconds, max(0.0, self._flushed + 1.0 - time.monotonic()))
        events = poll.poll(max(0, int(seconds * 1000 + 0.999)))
        if any(fd != self._wake for fd, _ in events):
            self.relay.move()
        if self.relay.dirty and time.monotonic() - self._flushed >= 1.0:
            self._flushed = time.monotonic()
            self.relay.flush()
        with contextlib.suppress(BlockingIOError):
            for number in os.read(self._wake, 4096):
                if number in ASKED and self.asked is None:
                    self.asked = number
                if number in PASSED:
                    self._pass_on(number)
        self._reap()

    def _pass_on(self, number: int) -> None:
        """To the main process alone, as the job would have got it without us."""
        if self.status is not None or not self._pid:
            return
        main = kernel.read_stat(self._pid)
        for _ in range(2 if self.job.isolate else 0):  # below the two of ours
            main = next((one for one in kernel.family(os.getpid()) if main and one.ppid == main.pid), None)
        if main is not None:
            kernel.send(main.pid, main.ticks, number)

    def _reap(self) -> bool:
        """Whether we have no child any more. Then there is no descendant either: an orphan would be our child."""
        while True:
            try:
                pid, status, usage = os.wait3(os.WNOHANG)
            except ChildProcessError:
                return True
            if pid == 0:
                return False
            if pid == self._pid and self.status is None:
                self.status = status
            if pid == self._helper:
                self._helper = 0
            else:
                self.peak_memory = max(self.peak_memory, usage.ru_maxrss * 1024)

    def _activity(self) -> tuple[float, int, int, int]:
        """Time, ticks of processor, bytes of output, bytes read and written by it and its descendants."""
        stamp = trail.now()
        found = kernel.family(os.getpid())
        self._many = len(found) >= _SWARM
        self._note(found, stamp)
        if self._sessions is not None:
            with contextlib.suppress(Exception):  # a figure for the history is no reason to end a job
                self._sessions.count([stat.pid for stat in found])
        self.peak_memory = max(self.peak_memory, sum(stat.rss for stat in found) * _PAGE)
        moved = 0
        if self.job.idle is not None:
            for stat in found:
                with contextlib.suppress(OSError, ValueError), open(f"/proc/{stat.pid}/io", "rb") as file:
                    moved += sum(int(line.split()[1]) for line in file.read().splitlines()[:2])
            if self._traffic is not None:
                with contextlib.suppress(Exception):  # as above
                    moved += self._traffic([stat.pid for stat in found]) or 0
        return time.monotonic(), sum(stat.cpu for stat in found), self.relay.total, moved


def _busy(before: tuple[float, int, int, int], now: tuple[float, int, int, int]) -> bool:
    spent = (now[1] - before[1]) / _TICKS
    return spent > max(2 / _TICKS, _BUSY_TICKS * (now[0] - before[0])) or before[2:] != now[2:] or now[1] < before[1]


def _nothing(_number: int, _frame: object) -> None:
    """The wakeup descriptor tells."""


_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")
