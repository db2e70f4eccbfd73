"""Threads that died and threads that keep a process alive: told, and on request the end of the run.

A worker thread that dies of an exception takes nobody with it: whoever waits for what it should have done waits for
ever, and a process ends only after all its non-daemon threads. `atexit` is no help, it comes after those. What is used:

- `threading.excepthook`, chained: whoever had set one is called as before.
- `threading._register_atexit` (3.9 on): called when the main thread has ended, before the others are joined. From
  there a daemon thread watches; it runs on while threads are joined and during `atexit`. Without that function nothing
  is told at exit, and all else works.
- `os._exit` as the last step of a run that has failed: nothing in the process can hold it up.
"""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Literal

from pgusher.client.stderr import bounded, say

PATIENCE = 1.0
"""Seconds after the end of the main thread until those that keep the process alive are named."""
_MOST_DEATHS = 100
_LAST_RESORT = 5.0
"""Seconds that saying goodbye may take."""
GRACE = 5.0
"""Seconds that the other threads of a failed run get to end by themselves."""

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_LIBRARY = os.path.dirname(os.path.abspath(os.__file__)) + os.sep


class Death(Exception):  # noqa: N818 - it is raised nowhere: an exception is what `__cause__` and a traceback want
    """A thread that has died of an exception."""

    def __init__(self, thread: str, error: BaseException | None, kind: str) -> None:
        super().__init__(thread, error, kind)
        self.thread = thread
        self.error = error
        self.kind = kind
        self.told = False
        """Whether the interpreter has written its traceback."""

    def __str__(self) -> str:
        what = " ".join(str(self.error).split())[:200]
        where = _raised_at(self.error.__traceback__ if self.error is not None else None)
        return f"thread {self.thread} died of {self.kind}{': ' if what else ''}{what}{where}"


class Watch:
    """What is known of the threads of this process. There is one, see `watch`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._installed = self._registered = self._before_executors = False
        self._previous: Callable[[threading.ExceptHookArgs], object] = threading.excepthook
        self.deaths: list[Death] = []
        self.exits: float | None = None
        """Seconds of grace after which a thread's death ends the process; None: it does not."""
        self.failed: tuple[BaseException, int, float] | None = None
        """What the main thread of a job has raised, the exit code for it, and the seconds of grace."""
        self.last_words: list[Callable[[str, int], None]] = []
        """Told why and with which exit code the process is ended, a second each before it is."""
        self._code: int | None = None
        self._ended = False
        self._ending: tuple[float, int, str] | None = None
        self._main_is_over = threading.Event()
        self._waits_for_main = False

    def install(self) -> None:
        """From now on deaths are noted, and threads that keep the process alive are named at its end."""
        with self._lock:
            if self._installed:
                self.stand_first()
                return
            self._installed = True
            self._previous = threading.excepthook
            threading.excepthook = self._hook
            # Registered early, so called late: by then the others have had their turn.
            atexit.register(self._at_exit)
        self.stand_first()

    def stand_first(self) -> None:
        """Be called before the executors' own hook, which waits for their workers: what is registered last comes first.

        So this is to be said again whenever an executor may have come since.
        """
        executors = "concurrent.futures.thread" in sys.modules
        register = getattr(threading, "_register_atexit", None)
        if register is None or (self._registered and self._before_executors >= executors):
            return
        self._registered, self._before_executors = True, executors
        with contextlib.suppress(RuntimeError):  # the interpreter is on its way out already
            register(self._main_ended)

    def forked(self) -> None:
        """This is the child of a fork: it has one thread, and nothing has happened to it."""
        self._lock = threading.Lock()
        self.deaths = []
        self.failed = self._code = None
        self._ended = self._waits_for_main = False
        self._ending = None
        self._main_is_over = threading.Event()

    def _hook(self, args: threading.ExceptHookArgs, /) -> None:
        if args.exc_type is SystemExit:
            self._previous(args)
            return
        self.stand_first()
        name = args.thread.name if args.thread is not None else "?"
        death = Death(name, args.exc_value, args.exc_type.__name__)
        if len(self.deaths) < _MOST_DEATHS:
            self.deaths.append(death)
        if self.exits is not None:
            # Before anything is written: stderr may be a pipe that nobody reads.
            self.end_within(self.exits, 1, str(death), death)
        self._previous(args)
        death.told = self._previous is threading.__excepthook__

    def _main_ended(self) -> None:
        if self._ended:  # it is registered twice
            return
        self._ended = True
        if self.failed is not None:
            error, code, grace = self.failed
            # Who has caught it has dealt with it. What nobody caught is there, or was a wish to exit.
            if isinstance(error, SystemExit) or getattr(sys, "last_value", None) is error:
                self._ending = (grace, code, f"the main thread raised {type(error).__name__}")
                self._main_is_over.set()
        if any(_keeps_alive(thread) for thread in threading.enumerate()) and not _start(self._tell_who_stays):
            # Python 3.12 starts no thread any more. The main one has nothing else to do than to wait for these, but
            # for the workers of executors, which end only when it goes on.
            workers = getattr(sys.modules.get("concurrent.futures.thread"), "_threads_queues", ())
            self._tell_who_stays([one for one in threading.enumerate() if _keeps_alive(one) and one not in workers])

    def main_failed(self, error: BaseException, code: int, grace: float) -> None:
        """The main thread of a job has raised: should that end the program, the others have so long to end."""
        self.failed = (error, code, grace)
        if not self._waits_for_main:
            self._waits_for_main = _start(self._end_after_main)

    def _end_after_main(self) -> None:
        self._main_is_over.wait()
        if self._ending is not None:
            self.end_within(*self._ending, here=True)

    def _tell_who_stays(self, awaited: list[threading.Thread] | None = None) -> None:
        if awaited is None:
            time.sleep(PATIENCE)
        else:
            deadline = time.monotonic() + PATIENCE
            for thread in awaited:
                thread.join(max(0.0, deadline - time.monotonic()))
        staying = [thread for thread in (awaited or threading.enumerate()) if _keeps_alive(thread)]
        if not staying or self._code is not None:
            return  # or it is ended in a moment, and all is said then
        who = f"{len(staying)} threads keep" if len(staying) > 1 else "a thread keeps"
        lines = [f"pgusher: the main thread has ended, {who} pid {os.getpid()} alive"]
        lines += [f"  {doing}" for doing in doings(staying)]
        lines += [f"  before that {death}" for death in self.deaths[:5]]
        say("\n".join(lines))

    def end_within(self, grace: float, code: int, why: str, death: Death | None = None, *, here: bool = False) -> None:
        """End the process after `grace` seconds with this exit code, whatever its threads wait for. Once.

        `here`: in this thread, which has nothing else to do.
        """
        with self._lock:
            if self._code is not None:
                return
            self._code = code
        if here:
            self._end_after(grace, code, why, death)
        elif not _start(lambda: self._end_after(grace, code, why, death)):
            # Python 3.12 on its way out. This thread is the one that died, and it would hold up the others' end.
            deadline = time.monotonic() + grace
            me = threading.current_thread()
            staying = [one for one in threading.enumerate() if _keeps_alive(one) and one is not me]
            for thread in staying:
                thread.join(max(0.0, deadline - time.monotonic()))
            if any(thread.is_alive() for thread in staying):
                self._end(grace, code, why, death)

    def _end_after(self, grace: float, code: int, why: str, death: Death | None) -> None:
        """Wait, and end the process."""
        time.sleep(grace)
        self._end(grace, code, why, death)

    def _end(self, grace: float, code: int, why: str, death: Death | None) -> None:
        # The last resort is a thread of C, which no lock of Python holds up: whatever follows, the process ends.
        with contextlib.suppress(OSError, RuntimeError):
            faulthandler.dump_traceback_later(_LAST_RESORT, exit=True, file=os.open(os.devnull, os.O_WRONLY))
        lines = []
        if death is not None and death.error is not None and not death.told:
            lines += [part.rstrip("\n") for part in traceback.format_exception(death.error)]
        lines.append(f"pgusher: {why}; the run has failed and is ended {grace:g} s later with exit code {code}")
        lines += [f"  {doing}" for doing in doings([one for one in threading.enumerate() if not one.daemon])]
        # In a thread of its own each: a terminal that was stopped lets nobody write, a lock may never be free.
        bounded(lambda: say("\n".join(lines)), 1.0)
        bounded(lambda: [words(why, code) for words in list(self.last_words)], 1.0)
        close_all()
        os._exit(code)

    def _at_exit(self) -> None:
        if self._code is not None and self.exits is not None and self.deaths:
            # The threads ended within the grace: the run has failed all the same.
            say(f"pgusher: {self.deaths[0]}; the run has failed, exit code {self._code}")
            close_all()
            os._exit(self._code)


def close_all() -> None:
    """Say goodbye to all servers and write out what is buffered: a second each at most, whatever is locked."""
    exits = sys.modules.get("pgusher.client.exits")
    if exits is not None:
        bounded(exits.say_goodbye, 1.0)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            bounded(stream.flush, 0.5)


def _keeps_alive(thread: threading.Thread) -> bool:
    return not thread.daemon and thread is not threading.main_thread() and thread.is_alive()


def _start(what: Callable[[], None]) -> bool:
    """In a daemon thread; False when none can be started."""
    try:
        threading.Thread(target=what, name="pgusher-watch", daemon=True).start()
    except RuntimeError:
        return False
    return True


def doings(threads: list[threading.Thread], most: int = 20) -> list[str]:
    """A line for each thread: what it waits for, and where."""
    frames = sys._current_frames()  # noqa: SLF001 - documented, and the only way to see another thread
    lines = []
    for thread in threads[:most]:
        frame = frames.get(thread.ident or 0)
        lines.append(f"thread {thread.name} " + (doing(frame) if frame is not None else "has no Python frame"))
    if len(threads) > most:
        lines.append(f"and {len(threads) - most} more")
    return lines


def doing(frame: FrameType) -> str:
    """What a thread is at: "waits in Queue.join at load.py:27", by its innermost line that is no library's."""
    inner: FrameType | None = None
    current: FrameType | None = frame
    while current is not None and _is_library(current.f_code.co_filename):
        inner, current = current, current.f_back
    if current is None:
        code = frame.f_code
        return f"is in {code.co_qualname} of {os.path.basename(code.co_filename)}:{frame.f_lineno}"
    line = f"{current.f_code.co_filename}:{current.f_lineno}"
    return f"waits in {inner.f_code.co_qualname} at {line}" if inner is not None else f"is at {line}"


def _is_library(filename: str) -> bool:
    return (
        filename.startswith((_LIBRARY, _HERE, "<frozen "))
        or f"{os.sep}site-packages{os.sep}" in filename
        or f"{os.sep}dist-packages{os.sep}" in filename
    )


def _raised_at(found: TracebackType | None) -> str:
    """The innermost line of a traceback that is no library's."""
    where = ""
    while found is not None:
        filename = found.tb_frame.f_code.co_filename
        if not where or not _is_library(filename):
            where = f" at {filename}:{found.tb_lineno}"
        found = found.tb_next
    return where


watch = Watch()
"""The one of this process."""

os.register_at_fork(after_in_child=watch.forked)


def on_thread_error(what: Literal["tell", "exit"], grace: float = GRACE) -> None:
    """What the death of a thread shall do: be told, or end the run after `grace` seconds with exit code 1."""
    if what not in {"tell", "exit"}:
        raise ValueError(f"on_thread_error is 'tell' or 'exit', not {what!r}")
    watch.install()
    if what == "exit":
        watch.exits = grace if watch.exits is None else min(watch.exits, grace)
