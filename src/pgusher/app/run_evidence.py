"""What the processes of a job wait for, as lines for whoever is told that the job was ended."""

from __future__ import annotations

from pgusher.collect.stacks.lines import with_lines
from pgusher.collect.stacks.source import StackSource
from pgusher.model.stacks import ProcessStacks, ThreadStack, is_foreign

_MOST = 30


def evidence(pids: tuple[int, ...]) -> list[str]:
    """For each thread the line of its own program and the call that it waits in; none where nothing can be seen."""
    lines = []
    for process in with_lines(StackSource(interval=0.2).take(pids, deadline=5.0)):
        told = [_thread(process, thread) for thread in process.threads if thread.frames]
        lines += told or [f"pid {process.pid}: {_command(process)}"]
    if len(lines) > _MOST:
        lines = [*lines[:_MOST], f"and {len(lines) - _MOST} more threads"]
    return lines


def _thread(process: ProcessStacks, thread: ThreadStack) -> str:
    at = next((at for at, frame in enumerate(thread.frames) if not is_foreign(frame.file)), 0)
    own, called = thread.frames[at], thread.frames[max(0, at - 1)]
    where = f"{own.file}:{own.line}" + (f" ({own.text.strip()})" if own.text else "")
    what = f"waits in {called.function}" if at else f"is in {own.function}"
    return f"pid {process.pid}, thread {thread.name or thread.native_id} {what} at {where}"


def _command(process: ProcessStacks) -> str:
    return " ".join(process.argv)[:100] or "its threads cannot be seen"
