"""The threads of a process as /proc/PID/task tells them, for a program in any language.

Formats: proc_pid_stat(5), proc_pid_status(5), proc_pid_wchan(5), proc_pid_syscall(5). State and context switches need
no privilege; wchan and syscall are for who may trace the process (ptrace(2), PTRACE_MODE_READ and _ATTACH).
"""

from __future__ import annotations

import os
from typing import NamedTuple

from pgusher.collect import procfs
from pgusher.collect.stacks import calls
from pgusher.model.text import decode

_MOST = 256
"""Threads of a process that are looked at; a program with more hangs no differently."""


class Sample(NamedTuple):
    """What shows whether a thread moved."""

    switches: int | None
    """Voluntary context switches."""
    ticks: int
    """CPU time used, user and system, in clock ticks."""


class Task(NamedTuple):
    """One thread."""

    tid: int
    comm: str
    state: str
    wchan: str | None
    call: calls.Call | None
    stack: int | None
    """Its stack pointer, when the kernel tells."""
    sample: Sample
    denied: bool
    """Its system call may not be seen."""
    inner: int
    """Its number in the innermost pid namespace: what a program in a container calls itself by."""


def thread_ids(proc: str, pid: int) -> list[int]:
    """The threads, the main one first. Raises OSError when the process is gone."""
    found = sorted(int(name) for name in os.listdir(f"{proc}/{pid}/task") if name.isdigit())
    return sorted(found, key=lambda tid: tid != pid)[:_MOST]


def read_task(proc: str, pid: int, tid: int, machine: str) -> Task | None:
    """One thread as it is now; None when it has ended. Never raises."""
    at = f"{proc}/{pid}/task/{tid}"
    raw = _read(f"{at}/stat")
    stat = procfs.parse_stat(raw) if raw else None
    if stat is None:
        return None
    denied = False
    try:
        line = procfs.read(f"{at}/syscall", limit=512)
    except PermissionError:
        line, denied = b"", True
    except OSError:
        line = b""
    wchan = decode(_read(f"{at}/wchan").strip())
    return Task(
        tid,
        stat.comm,
        stat.state,
        wchan if wchan not in {"", "0"} else None,  # "0" for a thread that runs, or when it may not be seen
        calls.parse(line, machine),
        calls.stack_pointer(line),
        _sample(raw, status := _read(f"{at}/status")),
        denied,
        _inner(status) or tid,
    )


def read_sample(proc: str, pid: int, tid: int) -> Sample | None:
    """The second sample of a thread; None when it has ended."""
    at = f"{proc}/{pid}/task/{tid}"
    raw = _read(f"{at}/stat")
    return _sample(raw, _read(f"{at}/status")) if raw else None


def _sample(stat: bytes, status: bytes) -> Sample:
    fields = stat[stat.rfind(b") ") + 2 :].split(b" ", 14)
    try:
        ticks = int(fields[11]) + int(fields[12])  # fields 14 and 15 of stat: utime, stime
    except (ValueError, IndexError):
        ticks = 0
    at = status.find(b"\nvoluntary_ctxt_switches:")
    if at < 0:
        return Sample(None, ticks)
    return Sample(procfs.parse_number(status[at + 25 :].split(b"\n", 1)[0]), ticks)


def _inner(status: bytes) -> int | None:
    at = status.find(b"\nNSpid:")
    return procfs.parse_number(status[at + 7 :].split(b"\n", 1)[0].split()[-1]) if at >= 0 else None


def _read(path: str) -> bytes:
    try:
        return procfs.read(path)
    except OSError:
        return b""
