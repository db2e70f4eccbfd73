"""Takes the stacks of several processes at once, within a deadline."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from pgusher.collect import argv as command
from pgusher.collect import procfs
from pgusher.collect.boot import boot_time
from pgusher.collect.stacks import denied, files, joblog, programs, sources, spy
from pgusher.collect.stacks.joining import moved, thread_stacks
from pgusher.collect.stacks.tasks import Sample, Task, read_sample, read_task, thread_ids
from pgusher.model.evidence import Gap
from pgusher.model.stacks import ProcessStacks, StackOrigin
from pgusher.model.values import replace

_WORKERS = 8
_RESERVE = 0.15
"""Seconds of the deadline kept for the second sample."""
_ENDED = frozenset("ZX")


class StackSource:
    """Looks at the threads of processes, twice, to tell those that stand still from those that are slow.

    `interval` is the least time in seconds between the two looks; what py-spy takes in between counts.
    """

    def __init__(
        self,
        proc: str = "/proc",
        *,
        interval: float = 1.0,
        find_spy: Callable[[], str | None] = spy.find_spy,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._proc = proc
        self._interval = interval
        self._find_spy = find_spy
        self._monotonic = monotonic
        self._clock = clock
        self._sleep = sleep

    def take(self, pids: Iterable[int], deadline: float = 2.5) -> tuple[ProcessStacks, ...]:
        """The stacks of these processes and of their children, within `deadline` seconds. Never raises.

        Those asked for come first, as they were asked; one that is gone is left out. What could not be seen is a gap
        of its process.
        """
        began = self._monotonic()
        ends = began + deadline
        chosen = programs.with_children(self._proc, pids)
        if not chosen:
            return ()
        look = _Look(self._proc, self._find_spy(), boot_time(self._proc), self._clock, self._monotonic, ends - _RESERVE)
        found: dict[int, ProcessStacks] = {}
        first: dict[int, dict[int, Sample]] = {}
        todo = list(chosen)
        # Sampled before anything else is done, so that what the two samples span is as long as the whole look.
        seen = {pid: look.tasks(pid) for pid in todo}
        sampled = self._monotonic()
        for pid, known in seen.items():
            first[pid] = {task.tid: task.sample for task in known}

        def work() -> None:
            while todo:
                try:
                    pid = todo.pop(0)
                except IndexError:
                    return
                try:
                    found[pid] = look.process(pid, *chosen[pid], seen[pid])
                except Exception as error:  # noqa: BLE001 - a thread that ends so would leave a process without a word
                    found[pid] = look.broken(pid, *chosen[pid], error)

        workers = [threading.Thread(target=work, daemon=True) for _ in range(min(_WORKERS, len(todo)))]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(max(0.0, ends - self._monotonic()) + 1.0)
        self._sleep(max(0.0, min(sampled + self._interval, ends) - self._monotonic()))
        spanned = round((self._monotonic() - sampled) * 1000)
        again = {pid: look.samples(pid, first[pid]) for pid in chosen}
        for pid in chosen.keys() - found.keys():  # to be left out would be to be taken for gone
            found[pid] = look.late(pid, *chosen[pid])
        done = [
            replace(found[pid], threads=moved(found[pid].threads, first[pid], again[pid]), sampled_ms=spanned)
            if found[pid].threads
            else found[pid]
            for pid in chosen
        ]
        return tuple(look.with_other_ends(done))


class _Look:
    """One look: what all processes of it share."""

    def __init__(
        self,
        proc: str,
        executable: str | None,
        booted: int,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        ends: float,
    ) -> None:
        self._proc = proc
        self._spy = executable
        self._booted = booted
        self._clock = clock
        self._monotonic = monotonic
        self._ends = ends
        self._machine = os.uname().machine
        self._sources = sources.Sources(proc)

    def tasks(self, pid: int) -> list[Task]:
        """The threads of a process as the kernel shows them."""
        try:
            numbers = thread_ids(self._proc, pid)
        except OSError:
            return []
        read = (read_task(self._proc, pid, tid, self._machine) for tid in numbers)
        return [task for task in read if task is not None]

    def samples(self, pid: int, before: Iterable[int]) -> dict[int, Sample]:
        """The second sample of those threads."""
        read = ((tid, read_sample(self._proc, pid, tid)) for tid in before)
        return {tid: sample for tid, sample in read if sample is not None}

    def process(self, pid: int, stat: procfs.Stat, asked: bool, known: list[Task]) -> ProcessStacks:
        """One process. Never raises: it is run in a thread."""
        start = self._booted + stat.start_ticks * 1_000_000 // os.sysconf("SC_CLK_TCK")
        told: dict[str, Any] = {
            "taken_at": int(self._clock() * 1_000_000),
            "ppid": stat.ppid,
            "state": stat.state,
            "comm": stat.comm,
            "argv": self._argv(pid),
            "uid": self._uid(pid),
            "catches": self._catches(pid),
            "asked": asked,
        }
        empty = ProcessStacks(pid, stat.start_ticks, start, StackOrigin.PROCFS, **told)
        if stat.state in _ENDED or not known:
            return empty  # py-spy fails on a zombie, and there is nothing to see
        waited, left = {}, {}
        for task in known:
            if task.call is not None:
                waited[task.tid] = self._waited(pid, task)
                left[task.tid] = files.left_ms(self._proc, pid, task.call)
        gap = denied.why_denied(self._proc, pid) if all(task.denied for task in known) else None
        version = programs.python_of(self._proc, pid)
        if version is None or gap is not None:
            return replace(empty, threads=thread_stacks(known, (), pid, waited, left), gap=gap)
        spied, gap, cost = self._frames(pid)
        threads = thread_stacks(known, spied.threads, pid, waited, left)
        clues = (*self._sources.clues(pid, start, threads), *joblog.tracebacks(self._proc, pid))
        origin = StackOrigin.PY_SPY if spied.threads else StackOrigin.PROCFS
        return replace(empty, source=origin, threads=threads, gap=gap, python=version, clues=tuple(clues), cost_ms=cost)

    def broken(self, pid: int, stat: procfs.Stat, asked: bool, error: Exception) -> ProcessStacks:
        """What is left of a process at which a look has failed in a way that nobody has foreseen."""
        start = self._booted + stat.start_ticks * 1_000_000 // os.sysconf("SC_CLK_TCK")
        why = f"pgusher failed: {type(error).__name__}"
        gap = Gap("stacks", f"the threads of process {pid}", why, "report it: pgusher report --redact")
        return ProcessStacks(
            pid, stat.start_ticks, start, StackOrigin.PROCFS, gap=gap, ppid=stat.ppid, comm=stat.comm, asked=asked
        )

    def late(self, pid: int, stat: procfs.Stat, asked: bool) -> ProcessStacks:
        """What is left of a process that nobody came to within the deadline."""
        start = self._booted + stat.start_ticks * 1_000_000 // os.sysconf("SC_CLK_TCK")
        gap = Gap("stacks", f"the threads of process {pid}", "no time was left", f"pgusher why {pid}")
        return ProcessStacks(
            pid, stat.start_ticks, start, StackOrigin.PROCFS, gap=gap, ppid=stat.ppid, comm=stat.comm, asked=asked
        )

    def _frames(self, pid: int) -> tuple[spy.Spied, Gap | None, float]:
        what = f"the frames of process {pid}"
        if self._spy is None:
            return spy.Spied(), Gap("stacks", what, "py-spy is not installed", "pip install 'pgusher[why]'"), 0.0
        began = self._monotonic()
        if began >= self._ends:
            return spy.Spied(), Gap("stacks", what, "no time was left", f"pgusher why {pid}"), 0.0
        spied = spy.spy(self._spy, pid, self._ends - began)
        cost = round((self._monotonic() - began) * 1000, 1)
        if spied.threads:
            return spied, None, cost
        if spied.denied:
            return spied, denied.why_denied(self._proc, pid), cost
        return spied, Gap("stacks", what, spied.error, f"{self._spy} dump --pid {pid}"), cost

    def _waited(self, pid: int, task: Task) -> tuple[Any, ...]:
        assert task.call is not None  # noqa: S101 - for the checker: the caller asked
        found = files.waited(self._proc, pid, task.call)
        if task.call.name in {"flock", "fcntl"}:
            return tuple(replace(one, holders=files.lock_holders(self._proc, pid, one.fd)) for one in found)
        return found

    def with_other_ends(self, done: list[ProcessStacks]) -> list[ProcessStacks]:
        """The same with who has the pipes open that threads wait for: of one family, nobody else can have them."""
        pids = [process.pid for process in done]
        found = []
        for process in done:
            threads = tuple(
                replace(thread, files=tuple(files.with_holders(self._proc, one, pids) for one in thread.files))
                if any(one.kind == "pipe" for one in thread.files)
                else thread
                for thread in process.threads
            )
            found.append(replace(process, threads=threads))
        return found

    def _argv(self, pid: int) -> tuple[str, ...]:
        try:
            return command.parse(procfs.read(f"{self._proc}/{pid}/cmdline"))
        except OSError:
            return ()

    def _catches(self, pid: int) -> tuple[int, ...]:
        """SigCgt of proc_pid_status(5): bit N - 1 for signal N."""
        try:
            status = procfs.read(f"{self._proc}/{pid}/status")
            mask = int(status[status.index(b"\nSigCgt:") + 8 :].split(b"\n", 1)[0], 16)
        except (OSError, ValueError):
            return ()
        return tuple(number for number in range(1, 32) if mask >> (number - 1) & 1)

    def _uid(self, pid: int) -> int:
        try:
            return os.stat(f"{self._proc}/{pid}").st_uid
        except OSError:
            return 0
