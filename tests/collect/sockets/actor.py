"""A process that does what a test tells it, line by line: so the test knows the truth of every socket.

Run by `stage.Actor`. Each line of stdin is a JSON object {"run": Python statements, "value": an expression}; each
answer on stdout is {"value": ...} or {"error": ...}. It ends, with the children it forked, when its stdin ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import struct
import sys
import traceback
from typing import Any

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _CLONE_NEWNET = 1, 4, 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)

children: list[int] = []
kept: list[Any] = []


def fork(work: Any = None) -> int:
    """A child that does `work` and then waits for a signal; it dies with this process."""
    ready_r, ready_w = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            os.close(0)
            os.open("/dev/null", os.O_RDONLY)
            if work is not None:
                work()
            os.close(ready_r)
            os.write(ready_w, b"x")
            os.close(ready_w)
            while True:
                signal.pause()
        finally:
            os._exit(1)
    os.close(ready_w)
    assert os.read(ready_r, 1) == b"x", "the child failed"
    os.close(ready_r)
    children.append(pid)
    return pid


def backend(conn: socket.socket) -> int:
    """As a postmaster: a child that keeps the accepted socket, which is closed here."""
    listeners = [sock for sock in kept if sock.fileno() >= 0 and sock is not conn]

    def work() -> None:
        for sock in listeners:
            sock.close()

    pid = fork(work)
    conn.close()
    return pid


def caller(conn: socket.socket, who: Any) -> int:
    """Who connected: the port, or the process over a unix socket."""
    if isinstance(who, tuple):
        return int(who[1])
    return int(struct.unpack("iII", conn.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0])


def end(pid: int) -> None:
    """End a child."""
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    children.remove(pid)


def become(uid: int, *, dumpable: bool) -> None:
    """Another user, as a program that was executed as that user (dumpable) or one that changed while it ran."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    _libc.prctl(_PR_SET_DUMPABLE, int(dumpable), 0, 0, 0)


def unshare_network() -> None:
    """A network namespace of its own."""
    if _libc.unshare(_CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")


def enter_network(pid: int) -> None:
    """The network namespace of another process."""
    fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    if _libc.setns(fd, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
    os.close(fd)


def keep(*things: Any) -> Any:
    """Hold things until the end; gives the last."""
    kept.extend(things)
    return things[-1]


def name(sock: socket.socket) -> list[Any]:
    """The socket's own address, descriptor and inode."""
    own = sock.getsockname()
    return [*(own[:2] if isinstance(own, tuple) else (None, None)), sock.fileno(), os.fstat(sock.fileno()).st_ino]


def main() -> None:
    space: dict[str, Any] = {**globals()}
    for line in sys.stdin:
        order = json.loads(line)
        try:
            exec(order["run"], space)  # noqa: S102 - code of the test itself
            answer: dict[str, Any] = {"value": eval(order["value"], space)}  # noqa: S307 - code of the test itself
        except BaseException:  # noqa: BLE001 - whatever it was, it is told
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), flush=True)  # noqa: T201 - it tells the test
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
