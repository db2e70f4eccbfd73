"""A process that is hard to end, started by the tests: `python bad.py HOW...`.

It prints "ready" and the pids of all its processes, and then waits for ever. HOW, any number of:
wait        one process
ignore      it ignores TERM
child       a child that waits
stubborn    a child in a session of its own that ignores TERM
orphan      a grandchild whose parent has ended; it is in our session still
daemon      the same in a session that the parent led; nobody has waited for that parent
stopped     a child that is stopped
many        forks children without end, each of which waits; at most 400
chain       a child that forks and ends, again and again; at most 4,000 times
backup      a child that calls itself pg_dump and has no session
rescue      at TERM it starts such a child, in its own group, and ends when that is up
late        at TERM it starts a child in a session of its own, and ends a moment later
"""

from __future__ import annotations

import os
import signal
import sys
import time


def wait() -> None:
    while True:
        time.sleep(3600)


def child(*, session: bool = False, ignore: bool = False) -> int:
    ready, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        if session:
            os.setsid()
        if ignore:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.write(told, b"1")
        wait()
    os.read(ready, 1)
    return pid


def orphan(*, daemon: bool = False) -> int:
    reading, writing = os.pipe()
    middle = os.fork()
    if middle == 0:
        if daemon:
            os.setsid()
        os.write(writing, str(child()).encode())
        os._exit(0)
    os.waitid(os.P_PID, middle, os.WEXITED | (os.WNOWAIT if daemon else 0))
    return int(os.read(reading, 20))


def many() -> int:
    pid = os.fork()
    if pid == 0:
        for _ in range(400):
            if os.fork() == 0:
                wait()
            time.sleep(0.0005)
        wait()
    return pid


def chain() -> int:
    pid = os.fork()
    if pid == 0:
        for _ in range(4000):
            if os.fork():
                os._exit(0)
        wait()
    return pid


def backup() -> int:
    """Its pid; 0 when it has ended before it was that program."""
    ready, told = os.pipe()
    os.set_inheritable(told, True)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        code = f"import os, time; os.write({told}, b'1'); time.sleep(3600)"
        os.execv(sys.executable, ["pg_dump", "-I", "-S", "-c", code])  # noqa: S606 - a name of its own is the point
    os.close(told)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    up = os.read(ready, 1)
    os.close(ready)
    return pid if up else 0


def rescue(*_: object) -> None:
    while not backup():
        pass
    os._exit(0)


def late(*_: object) -> None:
    if os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        wait()
    time.sleep(1.0)  # long enough for a look on a busy machine
    os._exit(0)


def main() -> None:
    pids = []
    for word in sys.argv[1:]:
        if word == "ignore":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        elif word == "backup":
            pids.append(backup())
        elif word == "rescue":
            signal.signal(signal.SIGTERM, rescue)
        elif word == "late":
            signal.signal(signal.SIGTERM, late)
        elif word == "child":
            pids.append(child())
        elif word == "stubborn":
            pids.append(child(session=True, ignore=True))
        elif word in {"orphan", "daemon"}:
            pids.append(orphan(daemon=word == "daemon"))
        elif word == "stopped":
            pids.append(child())
            os.kill(pids[-1], signal.SIGSTOP)
            os.waitpid(pids[-1], os.WUNTRACED)
        elif word == "many":
            pids.append(many())
        elif word == "chain":
            pids.append(chain())
    sys.stdout.write(f"ready {os.getpid()} {' '.join(map(str, pids))}\n")
    sys.stdout.flush()
    wait()


main()
