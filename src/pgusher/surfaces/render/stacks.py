"""The threads of a process on a screen: the one that matters frame by frame, the others by a word each."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pgusher.model.findings import Finding
from pgusher.model.snapshot import Snapshot
from pgusher.model.stacks import Frame, ProcessStacks, ThreadStack, is_foreign
from pgusher.surfaces.render import cells, words
from pgusher.surfaces.render.chains import labelled
from pgusher.surfaces.render.screen import BLANK, Line, Screen
from pgusher.surfaces.render.table import Column, table

Seen = tuple[ProcessStacks, ThreadStack]
"""A thread, and the process it belongs to."""

_ABOVE, _BELOW = 6, 4
"""Frames that a terminal shows within and outside of the line that matters."""
_OTHERS = 4
_START = frozenset({"_bootstrap", "_bootstrap_inner", "run"})
"""The outermost calls of a thread (threading.py)."""
_MARGIN = 12
_POOLS = re.compile(r"pool-\d+-(?:worker-\d+|scheduler)", re.ASCII)
"""What psycopg_pool calls its own threads: they wait for work whatever else goes wrong."""
_IN_A_PIPE = tuple(
    Column(title)
    for title in (
        "pid", "thread", "native id", "frame", "function", "file", "line", "matters", "state", "syscall", "moved",
        "text",
    )
)  # fmt: skip


def stack_of(snapshot: Snapshot, finding: Finding) -> Seen | None:
    """The thread that a finding is about; None when it is about none, or its stack was not taken."""
    if finding.line is None and finding.thread is None:
        return None
    every = {stacks.pid: stacks for stacks in snapshot.facts.stacks}
    for pid in finding.processes:
        if pid in every and (thread := _thread(every[pid], finding)) is not None:
            return every[pid], thread
    return None


def _thread(stacks: ProcessStacks, finding: Finding) -> ThreadStack | None:
    at = [thread for thread in stacks.threads if any(_is_line(frame, finding) for frame in thread.frames)]
    named = [thread for thread in stacks.threads if thread.name and thread.name in (finding.thread or "")]
    both = [thread for thread in at if thread in named]
    return next(iter(both or at or named), None)


def _is_line(frame: Frame, finding: Finding) -> bool:
    return finding.line is not None and (frame.file, frame.line) == (finding.file, finding.line)


def main_thread(snapshot: Snapshot, pid: int) -> Seen | None:
    """The main thread of a process, if its threads were looked at."""
    stacks = next((one for one in snapshot.facts.stacks if one.pid == pid), None)
    return (stacks, stacks.main) if stacks is not None and stacks.main is not None else None


def stack_lines(screen: Screen, seen: Seen, finding: Finding | None, everything: bool) -> list[Line]:
    """One thread, innermost frame first, the line that matters marked; then what the others do."""
    stacks, thread = seen
    lines = labelled(screen, "thread", f"{_called(thread)} of pid {stacks.pid}{_waits(stacks, thread)}", "", True)
    mark = _mark(thread, finding)
    first, last = 0, len(thread.frames)
    if not everything:
        centre = mark or 0
        last = _without_start(thread.frames)
        first, last = max(0, centre - _ABOVE), min(last, max(centre + _BELOW + 1, _ABOVE + _BELOW))
    shown = thread.frames[first:last]
    wide = max((cells.width(screen.text(_place(frame, everything))) for frame in shown), default=0)
    if first:
        lines.append([(" " * _MARGIN + f"{screen.sign('more')} {words.count(first, 'frame')} further in", "dim")])
    for index, frame in enumerate(shown, first):
        marked = index == mark
        place = cells.pad(screen.text(_place(frame, everything)), wide)
        lead = " " * (_MARGIN - 2) + ("> " if marked else "  ")
        lines.append([(lead, ""), (place, "name" if marked else "dim"),
                      ("  ", ""), (frame.function, "bold" if marked else "dim")])  # fmt: skip
        if frame.text and (marked or everything):
            lines.append([(" " * (_MARGIN + 4), ""), (frame.text, "command" if marked else "dim")])
    if outside := (len(thread.frames) if everything else _without_start(thread.frames)) - last:
        more = words.count(outside, "frame")
        lines.append([(" " * _MARGIN + f"{screen.sign('more')} {more} further out: --all shows them", "dim")])
    return lines + _others(screen, stacks, thread, everything)


def _without_start(frames: Sequence[Frame]) -> int:
    """How many frames there are without those with which Python starts any thread: they say nothing."""
    last = len(frames)
    while last > 1 and _is_start(frames[last - 1]):
        last -= 1
    return last


def _is_start(frame: Frame) -> bool:
    return frame.function.rpartition(".")[2] in _START and frame.file.rpartition("/")[2] == "threading.py"


def _mark(thread: ThreadStack, finding: Finding | None) -> int | None:
    """The frame that matters: that of the finding, else the innermost that is the user's own."""
    at = [i for i, frame in enumerate(thread.frames) if finding is not None and _is_line(frame, finding)]
    own = [i for i, frame in enumerate(thread.frames) if not is_foreign(frame.file)]
    return next(iter(at or own), None)


def _called(thread: ThreadStack) -> str:
    name = thread.name or "a thread without a name"
    return f"{name} (thread {thread.native_id})" if not thread.main else name


def _waits(stacks: ProcessStacks, thread: ThreadStack) -> str:
    """ ", in futex without a time limit; it did not move in 500 ms"."""
    text = ""
    if thread.syscall:
        limit = {True: " without a time limit", False: " with a time limit", None: ""}[thread.endless]
        text = f", in {thread.syscall}{limit}"
    if thread.switched is not None and stacks.sampled_ms:
        moved = "it did not move" if not thread.switched and not thread.busy else "it moved"
        span = f"{stacks.sampled_ms} ms" if stacks.sampled_ms < 1000 else f"{stacks.sampled_ms / 1000:.1f} s"
        text += f"; {moved} in {span}"
    return text


def _place(frame: Frame, whole: bool) -> str:
    file = frame.file if whole else frame.file.rpartition("/")[2]
    return f"{file}:{frame.line}" if frame.line else file


def _others(screen: Screen, stacks: ProcessStacks, thread: ThreadStack, everything: bool) -> list[Line]:
    others = [one for one in stacks.threads if one is not thread]
    own = others if everything else [one for one in others if not _POOLS.fullmatch(one.name or "")]
    shown = own if everything else own[:_OTHERS]
    told = [f"{_called(one)} {_inner(one)}" for one in shown]
    if rest := len(own) - len(shown):
        told.append(f"{rest} more")
    if pools := len(others) - len(own):
        told.append(f"{words.count(pools, 'thread')} of connection pools")
    return labelled(screen, "others", "; ".join(told), "dim", True) if told else []


def _inner(thread: ThreadStack) -> str:
    """ "in Queue.get at job.py:17": the user's own line, and what is called there."""
    if not thread.frames:
        return f"in {thread.syscall}" if thread.syscall else "at work" if thread.state == "R" else "not read"
    own = next((at for at, frame in enumerate(thread.frames) if not is_foreign(frame.file)), None)
    if own is None:
        return f"in {thread.frames[0].function}"
    inner = f"in {thread.frames[own - 1].function} " if own else ""
    return f"{inner}at {_place(thread.frames[own], False)}"


def stack_table(screen: Screen, shown: Sequence[Seen], findings: Sequence[Finding]) -> list[Line]:
    """Every frame of these threads, for a program."""
    marks = {(f.file, f.line) for f in findings if f.line is not None}
    rows = []
    for stacks, thread in {(stacks.pid, thread.native_id): (stacks, thread) for stacks, thread in shown}.values():
        moved = "" if thread.switched is None else "yes" if thread.switched or thread.busy else "no"
        for depth, frame in enumerate(thread.frames or (Frame("", "", 0),)):
            rows.append(
                (
                    str(stacks.pid), thread.name or "", str(thread.native_id), str(depth), frame.function, frame.file,
                    str(frame.line or ""), "yes" if (frame.file, frame.line) in marks else "", thread.state,
                    thread.syscall or "", moved, frame.text,
                )
            )  # fmt: skip
    return [BLANK, *table(screen, _IN_A_PIPE, rows)] if rows else []
