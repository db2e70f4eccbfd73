"""System calls as /proc/PID/task/TID/syscall shows them: which one, what it waits for, and whether it ever ends.

Format: proc_pid_syscall(5). Numbers: arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h (which
aarch64 uses). Of another machine the numbers are not known, and a call is named by its number alone.
"""

from __future__ import annotations

from typing import NamedTuple

_X86_64 = {
    0: "read", 1: "write", 7: "poll", 17: "pread64", 19: "readv", 20: "writev", 23: "select", 34: "pause",
    35: "nanosleep", 42: "connect", 43: "accept", 44: "sendto", 45: "recvfrom", 46: "sendmsg", 47: "recvmsg",
    61: "wait4", 65: "semop", 72: "fcntl", 73: "flock", 74: "fsync", 75: "fdatasync", 128: "rt_sigtimedwait",
    130: "rt_sigsuspend", 202: "futex", 208: "io_getevents", 220: "semtimedop", 230: "clock_nanosleep",
    232: "epoll_wait", 247: "waitid", 270: "pselect6", 271: "ppoll", 281: "epoll_pwait", 257: "openat", 288: "accept4",
    299: "recvmmsg", 426: "io_uring_enter", 441: "epoll_pwait2",
}  # fmt: skip
_AARCH64 = {
    22: "epoll_pwait", 25: "fcntl", 32: "flock", 56: "openat", 63: "read", 64: "write", 65: "readv", 66: "writev",
    67: "pread64", 72: "pselect6", 73: "ppoll", 82: "fsync", 83: "fdatasync", 95: "waitid", 98: "futex",
    101: "nanosleep", 115: "clock_nanosleep", 133: "rt_sigsuspend", 137: "rt_sigtimedwait", 192: "semtimedop",
    193: "semop", 202: "accept", 203: "connect", 206: "sendto", 207: "recvfrom", 211: "sendmsg", 212: "recvmsg",
    242: "accept4", 243: "recvmmsg", 260: "wait4", 426: "io_uring_enter", 441: "epoll_pwait2",
}  # fmt: skip
_NUMBERS = {"x86_64": _X86_64, "aarch64": _AARCH64}

READS = frozenset({"read", "readv", "pread64", "recvfrom", "recvmsg", "recvmmsg", "accept", "accept4"})
WRITES = frozenset({"write", "writev", "sendto", "sendmsg", "connect"})
POLLS = frozenset({"poll", "ppoll"})
SELECTS = frozenset({"select", "pselect6"})
EPOLLS = frozenset({"epoll_wait", "epoll_pwait", "epoll_pwait2"})
LOCKS = frozenset({"flock", "fcntl"})

_ENDLESS = READS | WRITES | {"pause", "wait4", "waitid", "flock", "fcntl", "semop", "rt_sigsuspend", "openat"}
_FINITE = frozenset({"nanosleep", "clock_nanosleep", "fsync", "fdatasync", "connect"})
# The argument that points to a time limit; without one the call has none.
_LIMIT_POINTER = {"ppoll": 2, "select": 4, "pselect6": 4, "epoll_pwait2": 3, "rt_sigtimedwait": 2, "semtimedop": 3}
_LIMIT_NUMBER = {"poll": 2, "epoll_wait": 3, "epoll_pwait": 3}  # milliseconds, negative for none

_FUTEX_FLAGS = 128 | 256  # FUTEX_PRIVATE_FLAG, FUTEX_CLOCK_REALTIME
_FUTEX_WAITS = frozenset({0, 6, 9, 11, 13})  # WAIT, LOCK_PI, WAIT_BITSET, WAIT_REQUEUE_PI, LOCK_PI2


class Call(NamedTuple):
    """What a thread sits in."""

    name: str
    args: tuple[int, ...]
    """Six, as unsigned numbers."""
    stack: int
    """The stack pointer: it tells one thread's stack from another's."""
    endless: bool | None
    """Whether it has no time limit of its own; None when that is not known."""


def parse(raw: bytes, machine: str) -> Call | None:
    """The call; None when the thread runs, is in none, or the line is torn. Raises nothing."""
    words = raw.split()
    if len(words) != 9:
        return None
    try:
        number = int(words[0])
        values = tuple(int(word, 16) for word in words[1:])
    except ValueError:
        return None
    name = _NUMBERS.get(machine, {}).get(number, f"syscall-{number}")
    return Call(name, values[:6], values[6], _endless(name, values))


def _endless(name: str, args: tuple[int, ...]) -> bool | None:
    if name == "futex":
        return args[3] == 0 if args[1] & ~_FUTEX_FLAGS in _FUTEX_WAITS else None
    if name in _LIMIT_POINTER:
        return args[_LIMIT_POINTER[name]] == 0
    if name in _LIMIT_NUMBER:
        return bool(args[_LIMIT_NUMBER[name]] & 0x80000000)
    if name in _FINITE:
        return False
    return True if name in _ENDLESS else None


def limit(call: Call) -> tuple[int, bool] | None:
    """Where in memory the moment lies at which a futex call ends, and whether that is by the clock on the wall.

    futex(2): the limit of FUTEX_WAIT_BITSET is a moment, by CLOCK_MONOTONIC unless FUTEX_CLOCK_REALTIME is set.
    """
    if call.name != "futex" or call.args[1] & ~_FUTEX_FLAGS != 9 or not call.args[3]:
        return None
    return call.args[3], bool(call.args[1] & 256)


def stack_pointer(raw: bytes) -> int | None:
    """The stack pointer alone, also of a thread that waits in no system call ("-1 sp pc")."""
    words = raw.split()
    if len(words) not in (3, 9):
        return None
    try:
        return int(words[-2], 16)
    except ValueError:
        return None
