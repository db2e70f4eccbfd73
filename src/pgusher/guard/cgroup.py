"""A cgroup of its own for a run, where there may be one: what is in it is stopped, and ended, by one write.

Nothing leaves a cgroup by a fork, a session or an environment of its own, and `cgroup.kill` ends also what forks
meanwhile. It needs version 2 and a directory in which we may make another one: root has that, and who runs in a subtree
that was delegated to him. It is in addition to everything else: without it a run ends whole, too.
Documentation/admin-guide/cgroup-v2.rst of the kernel: "Core Interface Files", "Delegation Containment".
"""

from __future__ import annotations

import contextlib
import errno
import os
import select


class Cgroup:
    """The cgroup of one run."""

    def __init__(self, path: str) -> None:
        """Makes it. Raises OSError."""
        self.path = path
        os.mkdir(path, 0o755)
        try:
            os.stat(f"{path}/cgroup.events")  # else it is none of version 2
            self.entry = os.open(f"{path}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            os.rmdir(path)
            raise

    def enter(self) -> None:
        """Move the calling process, the child that becomes the job. It goes without where it may not."""
        with contextlib.suppress(OSError):
            os.write(self.entry, b"0")

    def freeze(self, frozen: bool, seconds: float = 1.0) -> bool:
        """Stop all of it, or let it go on; whether that is so by then. What is frozen can be read, and killed."""
        try:
            _write(f"{self.path}/cgroup.freeze", b"1" if frozen else b"0")
        except OSError:
            return False
        return self._wait(f"frozen {frozen:d}", seconds)

    def kill(self) -> bool:
        """KILL to all of it at once; whether the kernel can (5.14)."""
        return kill(self.path)

    def remove(self) -> None:
        """It goes with the run. Where something is in it still, it stays and the next run finds it."""
        os.close(self.entry)
        self._wait("populated 0", 1.0)
        with contextlib.suppress(OSError):
            os.rmdir(self.path)

    def _wait(self, line: str, seconds: float) -> bool:
        try:
            fd = os.open(f"{self.path}/cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            poll = select.poll()
            poll.register(fd, select.POLLPRI)
            for _ in range(20):
                if line.encode() in os.pread(fd, 200, 0).splitlines():
                    return True
                poll.poll(max(1, int(seconds * 50)))
        except OSError:
            pass  # it has been removed
        finally:
            os.close(fd)
        return False


def make(name: str, proc: str = "/proc") -> Cgroup:
    """A cgroup of that name below our own. Raises OSError, which says why there is none."""
    with open(f"{proc}/self/cgroup", encoding="utf-8", errors="surrogateescape") as file:
        own = next((line[3:].rstrip("\n") for line in file if line.startswith("0::")), None)
    mount = None
    with open(f"{proc}/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            words = line.split()
            if "-" in words and words[words.index("-") + 1] == "cgroup2":
                mount = (words[3], words[4].replace("\\040", " "))
    if own is None or mount is None:
        raise OSError(errno.EOPNOTSUPP, "no cgroups of version 2 are mounted")
    below = os.path.relpath(own, mount[0]) if mount[0] != "/" else own.lstrip("/")
    if below.startswith(".."):
        raise OSError(errno.EACCES, "our cgroup is not below the one that is mounted")
    path = os.path.normpath(os.path.join(mount[1], below, name))
    _sweep(os.path.dirname(path))
    return Cgroup(path)


def _sweep(above: str) -> None:
    """Remove the empty ones of guards that were killed: their jobs may never run again. Others the kernel keeps."""
    with contextlib.suppress(OSError):
        for name in os.listdir(above):
            words, _, pid = name.rpartition("-")
            if words.startswith("pgusher.") and pid.isdecimal() and not os.path.exists(f"/proc/{pid}"):
                with contextlib.suppress(OSError):
                    os.rmdir(f"{above}/{name}")


def members(path: str) -> list[int]:
    """The processes of a cgroup and of those below it; none when it is gone."""
    found: list[int] = []
    for place, _, _ in os.walk(path):
        with contextlib.suppress(OSError, ValueError), open(f"{place}/cgroup.procs", encoding="ascii") as file:
            found += [pid for word in file.read().split() if (pid := int(word))]
    return found


def kill(path: str) -> bool:
    """KILL to all processes of a cgroup and of those below it; whether it was there and the kernel can."""
    try:
        _write(f"{path}/cgroup.kill", b"1")
    except OSError:
        return False
    return True


def _write(path: str, text: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text)
    finally:
        os.close(fd)
