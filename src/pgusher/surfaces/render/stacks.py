"""The threads of a process on a screen: the one that matters frame by frame, the others by a word each."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pgusher.model.findings import Finding
from pgusher.model.snapshot import Snapshot
from pgusher.model.stacks import Frame, ProcessStacks, ThreadStack
from pgusher.surfaces.render import cells, words
from pgusher.surfaces.render.chains import labelled
from pgusher.surfaces.render.screen import BLANK, Line, Screen
from pgusher.surfaces.render.table import Column, table

Seen = tuple[ProcessStacks, ThreadStack]
"""A thread, and the process it belongs to."""

_ABOVE, _BELOW = 6, 4
"""Frames that a terminal shows within and outside of the line that matters."""
_OTHERS = 4
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
    mark = next((i for i, f in enumerate(thread.frames) if finding is not None and _is_line(f, finding)), None)
    first, last = 0, len(thread.frames)
    if not everything:
        centre = mark or 0
        first, last = max(0, centre - _ABOVE), min(last, max(centre + _BELOW + 1, _ABOVE + _BELOW))
    shown = thread.frames[first:last]
    wide = max((cells.width(screen.text(_place(frame, everything))) for frame in shown), default=0)
    if first:
        lines.append([(" " * _MARGIN + f"{screen.sign('more')} {words.count(first, 'frame')} further in", "dim")])
    for index, frame in enumerate(shown, first):
        marked = index == mark
        place = cells.pad(screen.text(_place(frame, everything)), wide)
        lead = " " * (_MARGIN - 2) + ("> " if marked else "  ")
        lines.append([(lead, "alarm" if marked and not screen.colour else ""), (place, "name" if marked else "dim"),
                      ("  ", ""), (frame.function, "bold" if marked else "dim")])  # fmt: skip
        if frame.text and (marked or everything):
            lines.append([(" " * (_MARGIN + 4), ""), (frame.text.strip(), "command" if marked else "dim")])
    if outside := len(thread.frames) - last:
        more = words.count(outside, "frame")
        lines.append([(" " * _MARGIN + f"{screen.sign('more')} {more} further out: --all shows them", "dim")])
    return lines + _others(screen, stacks, thread, everything)


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
        text += f"; {moved} in {stacks.sampled_ms} ms"
    return text


def _place(frame: Frame, whole: bool) -> str:
    file = frame.file if whole else frame.file.rpartition("/")[2]
    return f"{file}:{frame.line}" if frame.line else file


def _others(screen: Screen, stacks: ProcessStacks, thread: ThreadStack, everything: bool) -> list[Line]:
    others = [one for one in stacks.threads if one is not thread]
    own = others if everything else [one for one in others if not _POOLS.fullmatch(one.name or "")]
    shown = own if everything else own[:_OTHERS]
    told = [f"{_called(one)} in {_inner(one)}" for one in shown]
    if rest := len(own) - len(shown):
        told.append(f"{rest} more")
    if pools := len(others) - len(own):
        told.append(f"{words.count(pools, 'thread')} of connection pools")
    return labelled(screen, "others", "; ".join(told), "dim", True) if told else []


def _inner(thread: ThreadStack) -> str:
    if thread.frames:
        frame = thread.frames[0]
        return f"{frame.function} ({_place(frame, False)})"
    return thread.syscall or ("no system call" if thread.state == "R" else "a place that was not read")


def stack_table(screen: Screen, snapshot: Snapshot, findings: Sequence[Finding]) -> list[Line]:
    """Every frame of every thread that was looked at, for a program."""
    marks = {(f.file, f.line) for f in findings if f.line is not None}
    rows = []
    for stacks in snapshot.facts.stacks:
        for thread in stacks.threads:
            moved = "" if thread.switched is None else "yes" if thread.switched or thread.busy else "no"
            for depth, frame in enumerate(thread.frames or (Frame("", "", 0),)):
                rows.append(
                    (
                        str(stacks.pid), thread.name or "", str(thread.native_id), str(depth), frame.function,
                        frame.file, str(frame.line or ""), "yes" if (frame.file, frame.line) in marks else "",
                        thread.state, thread.syscall or "", moved, frame.text.strip(),
                    )
                )  # fmt: skip
    return [BLANK, *table(screen, _IN_A_PIPE, rows)] if rows else []
