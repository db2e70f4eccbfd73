"""The two views of a process's threads put together: the kernel's tasks and Python's frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pgusher.collect.stacks.spy import SpiedThread
from pgusher.collect.stacks.tasks import Sample, Task
from pgusher.model.redact import redact_text
from pgusher.model.stacks import ThreadStack, WaitedFile
from pgusher.model.values import replace

_NEAR = 1 << 27
"""A thread's descriptor lies within its own stack, whose size is 8 MiB unless somebody wanted more."""


def match(tasks: Sequence[Task], spied: Sequence[SpiedThread], pid: int) -> dict[int, SpiedThread]:
    """Which of Python's threads each task is, by its number.

    Up to Python 3.10 the interpreter does not know the kernel's number of a thread. But pthread_self() is an address
    at the upper end of that thread's stack, so the stack pointer of a waiting thread lies just below its own.
    """
    found: dict[int, SpiedThread] = {}
    inner = {task.inner: task.tid for task in tasks}
    left = []
    for thread in spied:
        tid = inner.get(thread.native) if thread.native is not None else None
        if tid is not None and tid not in found:
            found[tid] = thread
        else:
            left.append(thread)
    named = [thread for thread in left if thread.name == "MainThread"]
    if pid not in found and named:
        found[pid] = named[0]
        left.remove(named[0])
    for task in tasks:
        if task.tid in found or task.stack is None or not left:
            continue
        near = min(left, key=lambda thread: _distance(task.stack, thread.ident))
        if _distance(task.stack, near.ident) < _NEAR:
            found[task.tid] = near
            left.remove(near)
    free = [task.tid for task in tasks if task.tid not in found]
    if len(left) == 1 and len(free) == 1:
        found[free[0]] = left[0]
    return found


def _distance(stack: int | None, ident: int) -> int:
    return ident - stack if stack is not None and ident >= stack else 1 << 64


def thread_stacks(
    tasks: Sequence[Task],
    spied: Sequence[SpiedThread],
    pid: int,
    files: Mapping[int, tuple[WaitedFile, ...]],
    left: Mapping[int, int | None],
) -> tuple[ThreadStack, ...]:
    """One value for each thread, the main one first."""
    python = match(tasks, spied, pid)
    found = []
    for task in tasks:
        thread, call = python.get(task.tid), task.call
        name = thread.name if thread is not None and thread.name else task.comm
        if thread is not None and task.tid == pid:
            name = "MainThread"  # in the child of a fork it may still bear the name of the parent's thread
        child = None
        if call is not None and call.name in {"wait4", "waitid"}:
            child = _child(call.name, call.args)
        found.append(
            ThreadStack(
                task.tid,
                thread.ident if thread is not None else None,
                redact_text(name),
                thread.frames if thread is not None else (),
                task.tid == pid,
                task.state,
                task.wchan,
                call.name if call is not None else None,
                call.endless if call is not None else None,
                call.args[0] if call is not None and call.name == "futex" else None,
                files.get(task.tid, ()),
                child,
                task.sample.switches,
                left_ms=left.get(task.tid),
            )
        )
    return tuple(found)


def _child(name: str, args: Sequence[int]) -> int:
    """The pid that is waited for; -1 for any (wait4(2); waitid(2) has it in its second argument, for P_PID = 1)."""
    if name == "waitid":
        return args[1] if args[0] == 1 else -1
    asked = args[0] & 0xFFFFFFFF
    return asked if 0 < asked < 1 << 31 else -1


def moved(
    threads: Sequence[ThreadStack], before: Mapping[int, Sample], after: Mapping[int, Sample]
) -> tuple[ThreadStack, ...]:
    """The same with what happened between two samples; a thread that ended or came has none."""
    found = []
    for thread in threads:
        first, second = before.get(thread.native_id), after.get(thread.native_id)
        if first is None or second is None or first.switches is None or second.switches is None:
            found.append(thread)
        else:
            found.append(replace(thread, switched=second.switches - first.switches, busy=second.ticks > first.ticks))
    return tuple(found)
