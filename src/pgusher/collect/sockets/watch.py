"""Which of the processes that hold sessions have ended: told by the kernel, not guessed from a pid."""

from __future__ import annotations

import os
import select


class Watch:
    """Keeps a pidfd for each process, as far as the limit of open files allows, and asks for all of them at once."""

    def __init__(self) -> None:
        self._epoll: select.epoll | None = None
        self._pidfds: dict[int, int] = {}
        self._pids: dict[int, int] = {}
        self._most = _most()

    def __contains__(self, pid: int) -> bool:
        return pid in self._pidfds

    def add(self, pid: int) -> bool:
        """Watch this process; False when it cannot be. Who asked has to look again whether it is still the same one."""
        if pid in self._pidfds:
            return True
        if len(self._pidfds) >= self._most:
            return False
        try:
            if self._epoll is None:
                self._epoll = select.epoll()
            pidfd = os.pidfd_open(pid)
        except (OSError, AttributeError):  # it has ended; no descriptors are left; a kernel before 5.3
            return False
        try:
            self._epoll.register(pidfd, select.EPOLLIN)
        except OSError:
            os.close(pidfd)
            return False
        self._pidfds[pid] = pidfd
        self._pids[pidfd] = pid
        return True

    def keep(self, pids: set[int]) -> None:
        """Watch none but these any longer."""
        for pid in self._pidfds.keys() - pids:
            self._drop(pid)

    def ended(self) -> set[int]:
        """Those that have ended since the last call; they are not watched any longer."""
        if self._epoll is None or not self._pidfds:
            return set()
        pids = {self._pids[pidfd] for pidfd, _ in self._epoll.poll(0, len(self._pidfds))}
        for pid in pids:
            self._drop(pid)
        return pids

    def _drop(self, pid: int) -> None:
        pidfd = self._pidfds.pop(pid)
        del self._pids[pidfd]
        os.close(pidfd)  # the last descriptor of it: epoll forgets it by itself

    def close(self) -> None:
        """Watch nothing."""
        self.keep(set())
        if self._epoll is not None:
            self._epoll.close()
            self._epoll = None


def _most() -> int:
    """A quarter of the open files that this process may have: the rest is for others in it."""
    import resource

    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 4096 if soft == resource.RLIM_INFINITY else min(4096, soft // 4)
