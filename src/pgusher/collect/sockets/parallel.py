"""Work in two processes at once, where that is safe: reading /proc is the kernel's work, and a thread would not help.

A thread of ours would hand the interpreter's lock over at each of tens of thousands of short system calls.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import threading
import time
from collections.abc import Callable
from typing import Any

MOST = 4
"""More processes than these gain nothing: what is left is one's own."""


def ways() -> int:
    """How many processes may work at once; 1 when this one may not fork."""
    if not can_fork():
        return 1
    try:
        return max(1, min(MOST, len(os.sched_getaffinity(0))))
    except (AttributeError, OSError):
        return 1


def can_fork() -> bool:
    """Whether this process has one thread alone: a lock that another one holds would be held for ever in a child."""
    if threading.active_count() != 1 or threading.current_thread() is not threading.main_thread():
        return False
    # Threads that Python does not know of count too. One that was joined a moment ago may still be on its way out.
    for _ in range(20):
        try:
            if len(os.listdir("/proc/self/task")) == 1:
                return True
        except OSError:
            return False
        time.sleep(0.0001)
    return False


def divide(work: Callable[[int, int], Any], count: int) -> list[Any]:
    """`work(n, count)` for each n below `count`, each in a process of its own but the first.

    The results must be made of dicts, lists, tuples, numbers and strings. What a child could not do (it was ended,
    there was no memory for it) is done here.
    """
    children: list[tuple[int, int, int]] = []
    for number in range(1, count):
        try:
            reader, writer = os.pipe()
        except OSError:
            break
        try:
            pid = os.fork()
        except OSError:
            os.close(reader)
            os.close(writer)
            break
        if pid == 0:
            _child(work, number, count, reader, writer)
        os.close(writer)
        children.append((number, pid, reader))
    results: list[Any] = [None] * count
    try:
        for number in range(count):
            if not any(number == child for child, _, _ in children):
                results[number] = work(number, count)
    finally:
        answers = {number: _collect(pid, reader) for number, pid, reader in children}
    for number, (good, answer) in answers.items():
        results[number] = answer if good else work(number, count)
    return results


def _child(work: Callable[[int, int], Any], number: int, count: int, reader: int, writer: int) -> None:
    """The life of a child: it leaves by _exit, so that nothing of the parent's is flushed, closed or run twice."""
    code = 1
    try:
        os.close(reader)
        raw = marshal.dumps(work(number, count))
        # Its length first: a child that was ended while it wrote is known by it.
        raw = len(raw).to_bytes(8, "little") + raw
        while raw:
            raw = raw[os.write(writer, raw) :]
        code = 0
    finally:
        os._exit(code)


def _collect(pid: int, reader: int) -> tuple[bool, Any]:
    """What a child wrote, and whether that is all of it."""
    parts: list[bytes] = []
    with open(reader, "rb", buffering=0) as pipe:
        while part := pipe.read(1 << 20):
            parts.append(part)
    with contextlib.suppress(ChildProcessError):  # somebody else in this process waits for children
        os.waitpid(pid, 0)
    raw = b"".join(parts)
    if len(raw) < 8 or int.from_bytes(raw[:8], "little") != len(raw) - 8:
        return False, None
    return True, marshal.loads(raw[8:])  # noqa: S302  # from our own child, over a pipe that nobody else has
