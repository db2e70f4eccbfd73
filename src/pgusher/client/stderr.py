"""Writing what must be said when anything may be stuck: stderr may be a full pipe, its lock may be another thread's."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable

_AT_ONCE = 512
"""Bytes that a pipe takes whole once poll(2) says that it can be written (PIPE_BUF is at least that: pipe(7))."""


def say(text: str, timeout: float = 0.5, fd: int = 2) -> bool:
    """Write lines to stderr, past its Python object; what it does not take in time is lost. True when all was said."""
    raw = (text + "\n").encode("utf-8", "backslashreplace")
    deadline = time.monotonic() + timeout
    try:
        poll = select.poll()
        poll.register(fd, select.POLLOUT)
        while raw:
            left = deadline - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                return False
            raw = raw[os.write(fd, raw[:_AT_ONCE]) :]
    except OSError:
        return False
    return True


def bounded(what: Callable[[], object], seconds: float) -> None:
    """Call it, but wait no longer than so many seconds; what it raises is of no use any more.

    When no thread can be started, as when Python 3.12 is on its way out, it is called and waited for.
    """

    def run() -> None:
        try:
            what()
        except Exception:  # noqa: BLE001 - the process ends next, and has told why
            return

    thread = threading.Thread(target=run, name="pgusher-closing", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        run()
    else:
        thread.join(seconds)
