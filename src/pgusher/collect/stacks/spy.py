"""Python's frames by py-spy: one process of it for each process that is looked at.

py-spy reads the interpreter's memory. It is first asked not to stop the process; only when that read a torn stack is it
asked again, and then it stops it for some milliseconds. It is never asked for the values of variables: they hold
passwords.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import NamedTuple

from pgusher.model.stacks import Frame

_FRAMES = 200
"""Frames of one thread that are kept, from the innermost: deeper ones tell of recursion only."""


class SpiedThread(NamedTuple):
    """What py-spy says of one thread."""

    ident: int
    """pthread_self() of it."""
    native: int | None
    """The kernel's number, up to Python 3.10 only known when it could be worked out."""
    name: str | None
    frames: tuple[Frame, ...]


class Spied(NamedTuple):
    """What py-spy says of a process, or why it does not."""

    threads: tuple[SpiedThread, ...] = ()
    error: str = ""
    denied: bool = False


def find_spy(path: str | None = None) -> str | None:
    """The py-spy to use: the one beside the running Python, else the first in `path` (PATH if not given)."""
    beside = os.path.join(os.path.dirname(sys.executable), "py-spy") if sys.executable else ""
    if beside and os.access(beside, os.X_OK):
        return beside
    for directory in (os.environ.get("PATH", os.defpath) if path is None else path).split(os.pathsep):
        candidate = os.path.join(directory, "py-spy")
        # A relative entry of PATH is whatever directory we are in: as root that is somebody's trap.
        if os.path.isabs(directory) and os.access(candidate, os.X_OK) and os.path.isfile(candidate):
            return candidate
    return None


def spy(executable: str, pid: int, seconds: float) -> Spied:
    """The threads of a Python process within `seconds`. Never raises."""
    half = max(seconds, 0.05)
    first = _run(executable, pid, half, "--nonblocking")
    if first.threads or first.denied or "timed out" in first.error:
        return first
    return _run(executable, pid, half)


def _run(executable: str, pid: int, seconds: float, *options: str) -> Spied:
    argv = [executable, "dump", "--json", *options, "--pid", str(pid)]
    try:
        done = subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return Spied(error=f"py-spy timed out after {seconds:.1f} s")
    except OSError as error:
        return Spied(error=f"py-spy could not be run: {error.strerror}")
    if done.returncode != 0:
        words = done.stderr.decode("utf-8", "replace")
        denied = "ermission denied" in words or "not permitted" in words
        lines = [line.strip() for line in words.splitlines() if line.strip()]
        return Spied(error=(lines[-1] if lines else f"py-spy ended with {done.returncode}")[:200], denied=denied)
    threads = parse(done.stdout)
    return Spied(threads) if threads else Spied(error="py-spy read no thread")


def parse(raw: bytes) -> tuple[SpiedThread, ...]:
    """The threads in what `py-spy dump --json` printed; what does not fit is left out. Raises nothing."""
    try:
        told = json.loads(raw)
    except (ValueError, RecursionError):
        return ()
    if not isinstance(told, list):
        return ()
    found = []
    for one in told:
        if isinstance(one, dict) and isinstance(one.get("frames"), list) and _is_int(one.get("thread_id")):
            native, name = one.get("os_thread_id"), one.get("thread_name")
            frames = tuple(frame for frame in map(_frame, one["frames"][:_FRAMES]) if frame is not None)
            found.append(
                SpiedThread(
                    one["thread_id"],
                    native if isinstance(native, int) and _is_int(native) else None,
                    name if isinstance(name, str) else None,
                    frames,
                )
            )
    return tuple(found)


def _frame(told: object) -> Frame | None:
    if not isinstance(told, dict):
        return None
    function, file, line = told.get("name"), told.get("filename"), told.get("line")
    if not isinstance(function, str) or not isinstance(file, str):
        return None
    return Frame(function[:200], file[:1000], line if isinstance(line, int) and 0 < line < 1 << 31 else 0)


def _is_int(value: object) -> bool:
    return type(value) is int and 0 < value < 1 << 63
