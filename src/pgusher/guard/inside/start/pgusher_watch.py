"""Runs inside the Python processes of a guarded job: a thread that died of an exception is a failed run.

Whoever waits for what the dead thread should have done waits for ever. So its death is written into the guard's report
at once; after a grace the stacks of all threads are, the main thread is interrupted, so that its `with` blocks and the
exit functions close what is open, and then the process ends with exit code 1, whatever still waits.

The job may run on any Python from 3.8 on, and pgusher need not be installed there: only the standard library, of 3.8,
and of that only what is there anyway. No thread, file or module of weight is made before something has died.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from _thread import allocate_lock, get_ident, start_new_thread  # as they are before anybody patches them
from time import monotonic, sleep, time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType
    from typing import Any

UNWIND = 3.0
"""Seconds that the main thread gets to close what is open once it has been interrupted."""
_STUCK = 0.5
"""Seconds after which a main thread that has not moved is interrupted again."""
_MOST_DEATHS = 50
_MOST_BYTES = 4 << 20
_ROOM_FOR_STARTS = 1 << 16
"""A job that starts a million Pythons fills no disk."""
_LIBRARY = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
_signal = __import__("_signal")  # the C module: `signal` would load `enum` into each process


class Ended(SystemExit):
    """Raised in the main thread of a run that has failed and does not end."""


class Watch:
    """What is known of the threads of this process."""

    def __init__(self, report: str, grace: float) -> None:
        self._report = report
        self._grace = grace
        self._lock = allocate_lock()
        self._deaths = 0
        self._ending = self._over = False
        self._interrupts = 0
        """The signal by which the main thread is interrupted; 0 when there is none."""
        self._main_noted = False

    def install(self) -> None:
        """From now on. Nothing of it is visible to the program, but for one real-time signal that is taken."""
        make = getattr(threading, "_make_invoke_excepthook", None)
        if make is not None:
            # Below threading.excepthook: a program may set its own, and its thread is dead all the same.
            setattr(threading, "_make_invoke_excepthook", self._noting(make))  # noqa: B010 - not declared anywhere
        else:
            threading.excepthook = self._excepthook(threading.excepthook)
        register = getattr(threading, "_register_atexit", None)
        if register is not None:
            register(self._main_is_over)
            setattr(threading, "_register_atexit", self._staying_first(register))  # noqa: B010 - as above
        else:  # 3.8
            sys.excepthook = self._main_excepthook(sys.excepthook)
        atexit.register(self._at_exit)  # registered before all others, so called after them
        os.register_at_fork(after_in_child=self._forked)
        self._take_signal()
        self._write(f'{{"kind": "seen", "pid": {os.getpid()}}}\n', _ROOM_FOR_STARTS)

    # -- the hooks

    def _noting(self, make: Callable[[], Callable[[Any], None]]) -> Callable[[], Callable[[Any], None]]:
        def make_noting() -> Callable[[Any], None]:
            invoke = make()

            def invoke_noting(thread: Any) -> None:
                # Noted before it is written: standard error may be a pipe that nobody reads.
                here = self._thread_died(thread)
                invoke(thread)
                if here:
                    self._end_after_grace()

            return invoke_noting

        return make_noting

    def _excepthook(self, before: Callable[[Any], object]) -> Callable[[Any], object]:
        def hook(args: Any) -> object:
            here = self._thread_died(args.thread)
            result = before(args)
            if here:
                self._end_after_grace()
            return result

        return hook

    def _main_excepthook(self, before: Callable[..., object]) -> Callable[..., object]:
        def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> object:
            self._main_died(error)
            return before(kind, error, trace)

        return hook

    def _staying_first(self, register: Callable[..., object]) -> Callable[..., object]:
        """What is registered last is called first, and an executor's own function waits for its workers there."""

        def register_before(function: Callable[..., object], *args: Any, **kwargs: Any) -> None:
            register(function, *args, **kwargs)
            register(self._main_is_over)

        return register_before

    def _take_signal(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        for number in range(getattr(_signal, "SIGRTMAX", 0) - 2, getattr(_signal, "SIGRTMIN", 1), -1):
            if _signal.getsignal(number) == _signal.SIG_DFL:
                _signal.signal(number, self._interrupted)
                self._interrupts = number
                return

    def _interrupted(self, _number: int, _frame: FrameType | None) -> None:
        if self._ending:
            raise Ended(1)

    def _forked(self) -> None:
        self._lock = allocate_lock()
        self._deaths = 0
        self._ending = self._over = self._main_noted = False

    # -- what died

    def _thread_died(self, thread: Any) -> bool:
        """Notes it; True when this thread is to wait for the end, as no other can be started."""
        try:
            kind, error, trace = sys.exc_info()
            if kind is None or error is None or issubclass(kind, SystemExit) or _interactive():
                return False
            # What is torn down at the end raises all sorts of things, after the run has done its work.
            if self._over and thread is not None and thread.daemon:
                return False
            return self._died(thread.name if thread is not None else "?", error, trace)
        except Exception:  # noqa: BLE001 - whatever happens here, the program's own hook comes next
            return False

    def _main_died(self, error: BaseException) -> None:
        if not self._main_noted and not isinstance(error, (SystemExit, KeyboardInterrupt)) and not _interactive():
            self._main_noted = True
            if self._died("MainThread", error, error.__traceback__):
                self._end_after_grace()

    def _main_is_over(self) -> None:
        """The main thread has ended; the interpreter begins to wait for the others."""
        if self._over:
            return
        self._over = True
        error = getattr(sys, "last_value", None)
        if error is not None and _ended_main(error):
            self._main_died(error)

    def _died(self, name: str, error: BaseException, trace: TracebackType | None) -> bool:
        """Tells of it, and starts the end. True when that could not get a thread of its own.

        Python 3.12 starts none once the main one has ended; this one has nothing else to do.
        """
        with self._lock:
            self._deaths += 1
            number = self._deaths
        if number <= _MOST_DEATHS:
            place = _raised_at(trace)
            self._tell(
                "death",
                thread=name,
                error=type(error).__name__,
                text=_text(error),
                file=place[0],
                line=place[1],
                traceback=_traceback(error),
                grace=self._grace,
            )
        if number == 1:
            try:
                start_new_thread(self._end_after_grace, ())
            except RuntimeError:
                return True
        return False

    # -- the end of it

    def _end_after_grace(self) -> None:
        me = get_ident()
        deadline = monotonic() + self._grace
        main = threading.main_thread()
        # In a thread of its own it is simply over when the process is; in one that is waited for, when all others are.
        waited_for = any(thread.ident == me for thread in threading.enumerate()) or main.ident == me
        while monotonic() < deadline:
            sleep(min(0.05, max(0.0, deadline - monotonic())))
            if waited_for and all(one.daemon or one.ident in (me, main.ident) for one in threading.enumerate()):
                break
        self._end()

    def _end(self) -> None:
        self._ending = True
        self._last_resort(UNWIND + 3.0)
        try:
            self._tell("stuck", threads=_stacks())
            sys.unraisablehook = self._quiet(sys.unraisablehook)
            main = threading.main_thread().ident
            if get_ident() == main:
                atexit._run_exitfuncs()  # noqa: SLF001 - the interpreter is past the point where it would call them
            elif self._interrupts and main is not None:
                self._unwind(main)
        finally:
            self._leave()

    def _unwind(self, main: int) -> None:
        deadline = monotonic() + UNWIND
        before: object = None
        while monotonic() < deadline:
            frame = sys._current_frames().get(main)  # noqa: SLF001 - documented, and the only way to see it
            now = (id(frame), frame.f_lasti) if frame is not None else None
            if now == before or before is None:
                # Anew where it is stuck anew: an executor's `with` waits for its workers while it is unwound.
                _signal.pthread_kill(main, self._interrupts)
            before = now
            sleep(_STUCK)

    def _quiet(self, before: Callable[[Any], object]) -> Callable[[Any], object]:
        def hook(unraisable: Any) -> object:
            # At the end of a process nobody is left to raise it to; it has done its work.
            return None if isinstance(unraisable.exc_value, Ended) else before(unraisable)

        return hook

    def _last_resort(self, seconds: float) -> None:
        """A thread of C, which no lock of Python holds up."""
        try:
            import faulthandler

            faulthandler.dump_traceback_later(seconds, exit=True, file=os.open(os.devnull, os.O_WRONLY))
        except (ImportError, OSError, RuntimeError, ValueError):
            pass

    def _at_exit(self) -> None:
        """The last of the exit functions: all pools are closed. The interpreter would give the main thread's code."""
        if self._deaths:
            self._leave()

    def _leave(self) -> None:
        self._last_resort(2.0)
        for stream in (sys.stdout, sys.stderr):
            try:
                if stream is not None:
                    stream.flush()
            except Exception:  # noqa: BLE001, S110 - a reader who left, a full disk: it ends all the same
                pass
        os._exit(1)

    # -- the report

    def _tell(self, kind: str, **facts: object) -> None:
        """A line into the guard's report. That it cannot be written holds nothing up."""
        try:
            import json

            line = json.dumps({"kind": kind, "pid": os.getpid(), "at": time(), **facts})
        except Exception:  # noqa: BLE001 - as told
            return
        self._write(line + "\n", _MOST_BYTES)

    def _write(self, line: str, room: int) -> None:
        try:
            # No O_CREAT: where the guard has made none, none is wanted.
            fd = os.open(self._report, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except (OSError, ValueError):
            return
        try:
            if os.fstat(fd).st_size < room:
                os.write(fd, line.encode("utf-8", "backslashreplace"))
        except OSError:
            pass
        finally:
            os.close(fd)


def _interactive() -> bool:
    return bool(sys.flags.interactive) or hasattr(sys, "ps1")


def _ended_main(error: BaseException) -> bool:
    """Whether it is what the main thread raised, and not what a test runner keeps there: by its outermost frame."""
    trace = error.__traceback__
    if trace is None:
        return False
    code = trace.tb_frame.f_code
    if code.co_name == "_run_module_as_main":
        return True
    return code.co_name == "<module>" and trace.tb_frame.f_globals.get("__name__") == "__main__"


def _is_library(filename: str) -> bool:
    return (
        filename.startswith((_LIBRARY, "<frozen "))
        or os.sep + "site-packages" + os.sep in filename
        or os.sep + "dist-packages" + os.sep in filename
    )


def _raised_at(trace: TracebackType | None) -> tuple[str, int]:
    """The innermost line of a traceback that is no library's."""
    found = ("", 0)
    while trace is not None:
        filename = trace.tb_frame.f_code.co_filename
        if not found[0] or not _is_library(filename):
            found = (filename, trace.tb_lineno)
        trace = trace.tb_next
    return found


def _text(error: BaseException) -> str:
    try:
        return " ".join(str(error).split())[:300]
    except Exception:  # noqa: BLE001 - a __str__ that raises
        return ""


def _traceback(error: BaseException) -> str:
    try:
        import traceback

        return "".join(traceback.format_exception(type(error), error, error.__traceback__))[-8000:]
    except Exception:  # noqa: BLE001 - as above, or it cannot be imported any more
        return ""


def _stacks() -> list[dict[str, object]]:
    """Each thread with its innermost frames, and what it waits in: the library's frame next to the user's line."""
    names = {thread.ident: thread for thread in threading.enumerate()}
    found = []
    for ident, innermost in list(sys._current_frames().items())[:100]:  # noqa: SLF001 - as above
        if ident == get_ident():
            continue
        frames: list[list[object]] = []
        frame: FrameType | None = innermost
        waits, user = "", ("", 0)
        while frame is not None and len(frames) < 60:
            code = frame.f_code
            name = getattr(code, "co_qualname", code.co_name)  # 3.11 on
            frames.append([code.co_filename, frame.f_lineno, name])
            if not user[0]:
                if _is_library(code.co_filename):
                    waits = name
                else:
                    user = (code.co_filename, frame.f_lineno)
            frame = frame.f_back
        thread = names.get(ident)
        found.append(
            {
                "thread": thread.name if thread is not None else "?",
                "daemon": bool(thread.daemon) if thread is not None else True,
                "main": thread is threading.main_thread(),
                "waits": waits,
                "file": user[0],
                "line": user[1],
                "frames": frames[:20],
            }
        )
    return found


def begin(told: str) -> None:
    """`told` is what the guard put into the environment: the grace in seconds, a colon, the path of its report."""
    grace, _, report = told.partition(":")
    Watch(report, float(grace)).install()
