"""The start of a job: a process with a session of its own, that ends when the guard is killed."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pgusher.guard import kernel
from pgusher.guard.records import GUARD_FAILED, NOT_EXECUTABLE, NOT_FOUND

if TYPE_CHECKING:
    from pgusher.guard.cgroup import Cgroup


ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
"""Signals by which a guard is told to end its job."""
PASSED = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGWINCH)
"""Signals that mean something to the job alone: "write your figures", "reopen your log". By default they end a process,
and the guard with its job."""


class NotStarted(Exception):  # noqa: N818 - it is what happened, and no error of the guard's
    """The job could not be started, with the exit code that says so."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


def start(
    argv: Sequence[str],
    environ: Mapping[str, str],
    outputs: Mapping[int, int],
    *,
    isolate: bool = False,
    cgroup: Cgroup | None = None,
) -> int:
    """The pid of the job's main process; with `isolate` that of a process of ours, which ends as that one does.

    `outputs`: what becomes its descriptors 1 and 2, where those are not simply ours. Raises NotStarted.
    """
    guard = os.getpid()
    told, tell = os.pipe2(os.O_CLOEXEC)
    try:
        pid = os.fork()
        if pid == 0:
            _child(argv, environ, outputs, guard, tell, isolate=isolate, cgroup=cgroup)
        os.close(tell)
        tell = -1
        raw = b""
        while chunk := os.read(told, 1000):
            raw += chunk
    finally:
        os.close(told)
        if tell >= 0:
            os.close(tell)
    if raw:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
        code, _, text = raw.decode("utf-8", "replace").partition(" ")
        raise NotStarted(text, int(code))
    return pid


def _child(
    argv: Sequence[str],
    environ: Mapping[str, str],
    outputs: Mapping[int, int],
    guard: int,
    tell: int,
    *,
    isolate: bool,
    cgroup: Cgroup | None,
) -> None:
    """Never comes back."""
    code, text = GUARD_FAILED, "could not start the job"
    try:
        # Before anything else: the guard may be killed now, and nobody would know of us.
        kernel.die_with_parent(signal.SIGKILL if isolate else signal.SIGTERM)
        if os.getppid() != guard:
            os._exit(GUARD_FAILED)
        if cgroup is not None:
            cgroup.enter()
        signal.set_wakeup_fd(-1)
        for number in (*ENDING, signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ):
            # Python switches the last two off for itself; what nohup has switched off stays so.
            if signal.getsignal(number) is not signal.SIG_IGN or number in (signal.SIGPIPE, signal.SIGXFSZ):
                signal.signal(number, signal.SIG_DFL)
        for fd, ours in outputs.items():
            os.dup2(ours, fd)
        if isolate:
            text = _isolated(tell)
            if text:
                return
        os.setsid()
        os.execvpe(argv[0], list(argv), dict(environ))  # noqa: S606 - to run what it is given is what a guard is for
    except FileNotFoundError:
        code, text = NOT_FOUND, f"{argv[0]}: not found"
    except OSError as error:
        code, text = NOT_EXECUTABLE, f"{argv[0]}: {(error.strerror or str(error)).lower()}"
    except BaseException as error:  # noqa: BLE001 - whatever it is, this process must not run on as a second guard
        text = f"could not start the job: {error}"
    finally:
        with contextlib.suppress(OSError):
            if text:
                os.write(tell, f"{code} {text}".encode()[:900])
        os._exit(code)


def _isolated(tell: int) -> str:
    """Returns in a process of a new PID namespace, which becomes the job; or with why there is none.

    We stay as its parent, and its first process between us and the job: the namespace is for children only, and when
    the first process ends the kernel ends all others. KILL of the guard reaches us, ours that first process.
    """
    try:
        kernel.new_pid_namespace()
    except OSError as error:
        return f"cannot isolate the job: {(error.strerror or str(error)).lower()}"
    kernel.die_with_parent(signal.SIGKILL)  # the kernel forgets it with a new user namespace
    living, alive = os.pipe2(os.O_CLOEXEC)
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)  # they are for the job, which we are to outlive
    first = os.fork()
    if first:
        os.close(living)
        _outlive(first, tell)
    os.close(alive)
    kernel.die_with_parent(signal.SIGKILL)
    poll = select.poll()
    poll.register(living, select.POLLIN)
    if poll.poll(0):
        os._exit(GUARD_FAILED)  # our parent has gone before it would have taken us with it
    try:
        kernel.mount_proc()
    except OSError as error:
        return f"cannot isolate the job: {(error.strerror or str(error)).lower()}"
    main = os.fork()
    if main:
        _outlive(main, tell)
    for number in ENDING:
        signal.signal(number, signal.SIG_DFL)
    return ""


def _outlive(main: int, tell: int) -> None:
    """Reap until that process has ended, and end as it did. Never comes back."""
    os.close(tell)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    while True:
        pid, status = os.wait()
        if pid == main:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)
