"""DRAIN: ask a process that uses pgusher's pools to give back what is idle in them.

The question is a number, written into the memory in which the process keeps book of its loans (`pgusher.model.loans`).
The kernel lets only the process's own user and root open it; no signal is sent, no port is open, and nothing waits in
the process for a question. The thread that keeps the time of its pools sees it within half a second, whatever the other
threads wait for.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence

from pgusher.collect import procfs
from pgusher.model import loans
from pgusher.model.plan import OutcomeKind, Step
from pgusher.model.text import clean
from pgusher.remedy.act.pinned import Pinned
from pgusher.remedy.act.processes import hold
from pgusher.remedy.act.result import Result
from pgusher.remedy.act.said import count

_WITHIN = 3.0
_NAME = b"/memfd:" + loans.MEMFD.encode()
_MOST_LINES = 5


class Box:
    """The ledger of a process, open for a question. `close` it whatever happens."""

    def __init__(self, fd: int, serial: int) -> None:
        """Take over `fd`. Use `open_box` instead."""
        self._fd = fd
        self._serial = serial

    def ask(self) -> None:
        """Write the question. Raises OSError."""
        os.pwrite(self._fd, loans.REQUEST.pack(self._serial, os.getpid() & 0xFFFFFFFF), loans.REQUEST_AT)

    def answer(self) -> loans.Answer | None:
        """The answer to this question, once it is there. Raises OSError."""
        return loans.parse_answer(os.pread(self._fd, loans.ANSWER.size, loans.ANSWER_AT), self._serial)

    def lent(self, pid: int) -> list[str]:
        """The lines that have a connection. Raises OSError."""
        header = loans.parse_header(os.pread(self._fd, loans.HEADER.size, 0))
        if header is None:
            return []
        raw = os.pread(self._fd, header[2] * loans.SIZE, loans.RECORDS_AT)
        records = (loans.parse_record(raw[at : at + loans.SIZE], pid) for at in range(0, len(raw), loans.SIZE))
        return [f"{clean(one.file or '?')}:{one.line or '?'}" for one in records if one is not None and one.lent]

    def close(self) -> None:
        """Let go of it."""
        os.close(self._fd)


def open_box(held: Pinned, proc: str = "/proc", serial: int | None = None) -> Box | Result:
    """The ledger of this process; or why there is none to ask."""
    pid = held.pid
    try:
        for number in range(loans.FIRST_FD, loans.FIRST_FD + loans.FDS):
            path = f"{proc}/{pid}/fd/{number}".encode()
            with contextlib.suppress(FileNotFoundError):
                if not os.readlink(path).startswith(_NAME):
                    continue
                # Its name may be a lie: whatever it is, it is opened without waiting, and only a plain file is written.
                fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
                why = _unfit(fd, held, proc)
                if why is None:
                    return Box(fd, serial or int.from_bytes(os.urandom(4), "little") | 1)
                os.close(fd)
                return Result(OutcomeKind.REFUSED, f"process {pid} cannot be asked: {why}")
    except PermissionError:
        return Result(
            OutcomeKind.REFUSED,
            f"process {pid} is another user's: uid {os.geteuid()} may not ask it",
            "run it as root, or as that user",
        )
    except OSError as error:
        return Result(OutcomeKind.FAILED, f"process {pid} could not be asked: {(error.strerror or str(error)).lower()}")
    return Result(
        OutcomeKind.REFUSED,
        f"process {pid} has no pool of pgusher's that could be asked",
        "only a program that uses pgusher.Database can be drained",
    )


def drain(
    steps: Sequence[Step],
    proc: str,
    clock: Callable[[], float],
    pause: Callable[[float], None],
    within: float = _WITHIN,
) -> Iterator[tuple[Step, Result]]:
    """Ask the processes of all these steps, then wait once; each with what came of it."""
    asked: list[tuple[Step, Pinned, Box]] = []
    try:
        for step in steps:
            found = _ask(step, proc)
            if isinstance(found, Result):
                yield step, found
            else:
                asked.append((step, *found))
        deadline = clock() + within
        while asked:
            late = clock() >= deadline
            for one in list(asked):
                result = _result(*one[1:], late=late, within=within)
                if result is not None:
                    asked.remove(one)
                    _close(*one[1:])
                    yield one[0], result
            if asked:
                pause(0.01)
    finally:
        for one in asked:
            _close(*one[1:])


def _ask(step: Step, proc: str) -> tuple[Pinned, Box] | Result:
    if step.process is None:
        return Result(OutcomeKind.REFUSED, "the plan does not name the process")
    held = hold(step.process, proc)
    if isinstance(held, Result):
        return held
    box = open_box(held, proc)
    if isinstance(box, Box):
        try:
            box.ask()
        except OSError as error:
            box.close()
            box = Result(OutcomeKind.FAILED, f"process {held.pid} could not be asked: {(error.strerror or '').lower()}")
        else:
            return held, box
    held.close()
    return box


def _result(held: Pinned, box: Box, *, late: bool, within: float) -> Result | None:
    try:
        answer = box.answer()
        if answer is None and held.alive() and not late:
            return None
        lines = box.lent(held.pid)
    except OSError as error:
        return Result(OutcomeKind.FAILED, f"process {held.pid}: no answer: {(error.strerror or '').lower()}")
    if answer is None and not held.alive():
        return Result(OutcomeKind.GONE, f"process {held.pid} has ended")
    if answer is None:
        text = f"process {held.pid} did not answer within {within:g} s"
        return Result(
            OutcomeKind.FAILED, text, "its interpreter is held up, or its event loop is: pgusher why shows where"
        )
    text = f"process {held.pid} gave back {count(answer.given_back, 'idle connection')}"
    if answer.lent:
        shown = ", ".join(sorted(set(lines))[:_MOST_LINES])
        text += f"; {answer.lent} on loan" + (f": {shown}" if shown else "")
    if answer.kept:
        text += f"; {answer.kept} kept as its min_size"
    if answer.silent:
        text += f"; {count(answer.silent, 'pool')} did not answer"
    seen = f"{count(answer.lent + answer.kept, 'connection')} left in its pools"
    return Result(OutcomeKind.FAILED if answer.silent else OutcomeKind.DONE, text, "", seen)


def _close(held: Pinned, box: Box) -> None:
    held.close()
    box.close()


def _unfit(fd: int, held: Pinned, proc: str) -> str | None:
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        return "what has the name of its ledger is none"
    raw = os.pread(fd, loans.HEADER.size, 0)
    header = loans.parse_header(raw)
    if header is None:
        return "its ledger has a form that is not known"
    pid, start, _ = header
    if start != held.start_ticks or pid not in {held.pid, _inner_pid(held.pid, proc)}:
        return "it has its parent's ledger open, and none of its own"
    if not loans.serves(raw):
        return "its pgusher is too old to be asked"
    return None


def _inner_pid(pid: int, proc: str) -> int | None:
    """The pid by which a process in a container knows itself (NSpid in proc_pid_status(5))."""
    try:
        raw = procfs.read(f"{proc}/{pid}/status")
    except OSError:
        return None
    words = raw.partition(b"\nNSpid:")[2].split(b"\n", 1)[0].split()
    return procfs.parse_number(words[-1]) if words else None
