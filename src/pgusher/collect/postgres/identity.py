"""To be another user of the host for the moment of one connect: the server's own, whom it lets in by `peer`.

The kernel tells the server who connected by the effective uid of the thread at that moment (source: unix(7),
SO_PEERCRED). libc's seteuid changes all threads of the process at once; the bare system call changes this thread alone,
so that no other thread opens a file as somebody else meanwhile.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

_SETRESUID = {"x86_64": 117, "aarch64": 147, "riscv64": 147, "ppc64le": 164, "s390x": 208}
"""Numbers of the system call setresuid (source: the kernel's syscall tables)."""


@contextmanager
def effective_uid(uid: int) -> Iterator[None]:
    """Run the body with this effective uid, in this thread alone.

    Raises OSError when that is not allowed (then the body does not run), and when it cannot be undone.
    """
    before = os.geteuid()
    if uid == before:
        yield
        return
    _change(uid)
    try:
        yield
    finally:
        _change(before)


def _change(uid: int) -> None:
    number = _SETRESUID.get(os.uname().machine)
    if number is None:
        # All threads change: on such a machine no other thread of pgusher may be at work meanwhile.
        os.seteuid(uid)
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(ctypes.c_long(number), ctypes.c_long(-1), ctypes.c_long(uid), ctypes.c_long(-1)) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
