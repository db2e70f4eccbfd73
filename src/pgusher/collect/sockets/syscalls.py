"""System calls that Python 3.11 has no function for: setns(2) and pidfd_getfd(2)."""

from __future__ import annotations

import errno
import os
from functools import cache
from typing import Any

_CLONE_NEWNET = 0x40000000
# asm/unistd.h of each; the number is one for all architectures since the unified numbering of 5.1, but for alpha.
_PIDFD_GETFD = 548 if os.uname().machine == "alpha" else 438


@cache
def _libc() -> Any:
    # Imported here: it takes milliseconds, and most looks need none of this.
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> int:
    import ctypes

    if result < 0:
        code = ctypes.get_errno() or errno.EPERM
        raise OSError(code, os.strerror(code))
    return result


def enter_network(fd: int) -> None:
    """Move the calling thread, and it alone, into the network namespace open as `fd`. Raises OSError."""
    _checked(_libc().setns(fd, _CLONE_NEWNET))


def prepare() -> None:
    """Load what the others need; an import within a thread may wait for another's."""
    try:
        _libc()
    except (ImportError, OSError):  # a Python without ctypes: the calls below say so
        return


def pidfd_getfd(pidfd: int, fd: int) -> int:
    """A copy of another process's descriptor, closed on exec. Raises OSError: EPERM, EBADF, ENOSYS before 5.6."""
    return _checked(_libc().syscall(_PIDFD_GETFD, pidfd, fd, 0))
