"""From inodes to the processes that have them open: the links in /proc/PID/fd.

Most of the time of an attribution is spent here, so this module counts system calls. The table of descriptors is
mostly dense, and the kernel tells how many are open (6.2 and later): reading the links 0, 1, 2 ... until that many were
found takes half the time of listing the directory first, for which the kernel makes an inode for each entry.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

Wanted = dict[str, int]
"""Links to inodes: {"socket:[4711]": 4711}."""
Found = dict[int, list[tuple[int, int]]]
"""Inodes to the processes that have them open: (pid, its lowest descriptor)."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NAMES = [str(number) for number in range(1024)]
_HINTS = 6
"""Descriptors that are tried first in processes that are alike."""


def wanted_of(inodes: Iterable[int]) -> Wanted:
    """The links that lead to these sockets."""
    return {f"socket:[{inode}]": inode for inode in inodes}


def _remember(hints: list[str], name: str) -> None:
    if name in hints:
        hints.remove(name)
    hints.insert(0, name)
    del hints[_HINTS:]


@dataclass
class Scan:
    """What reading the descriptors of processes gave."""

    found: Found = field(default_factory=dict)
    denied: list[str] = field(default_factory=list)
    """Processes whose descriptors may not be read."""
    empty: list[str] = field(default_factory=list)
    """Processes without any: kernel threads, zombies, and programs whose main thread has ended before the others."""

    def merge(self, other: Scan) -> None:
        """Take over what another scan found."""
        for inode, holders in other.found.items():
            known = self.found.setdefault(inode, [])
            pids = {pid for pid, _ in known}
            known += [holder for holder in holders if holder[0] not in pids]
        self.denied += other.denied
        self.empty += other.empty


class FdScanner:
    """Reads the descriptors of processes below a /proc."""

    def __init__(self, proc: str = "/proc") -> None:
        self._proc = proc
        self._server_hints: list[str] = []
        self._client_hints: list[str] = []
        try:
            self._counted = os.stat(f"{proc}/self/fd").st_size > 0
        except OSError:
            self._counted = False

    def pids(self) -> list[str]:
        """All processes that are to be seen. Raises OSError."""
        return [name for name in os.listdir(self._proc) if name.isdigit()]

    def holds(self, pid: int, fd: int, inode: int) -> bool:
        """Whether that process still has that socket open at that descriptor."""
        wanted = f"socket:[{inode}]"
        if self.at(pid, fd) == wanted:
            return True
        return any(self.at(thread, fd) == wanted for thread in self.threads(str(pid)))

    def at(self, pid: int | str, fd: int) -> str:
        """What that descriptor leads to; "" when it does not exist or may not be read."""
        try:
            return os.readlink(f"{self._proc}/{pid}/fd/{fd}")
        except OSError:
            return ""

    def threads(self, pid: str) -> list[str]:
        """The threads of a process but its first, for `scan`: they go on when that one has ended (pthread_exit(3))."""
        try:
            return [f"{pid}/task/{name}" for name in os.listdir(f"{self._proc}/{pid}/task") if name != pid]
        except OSError:
            return []

    def scan(self, pids: Iterable[str], wanted: Wanted, *, first: bool = False) -> Scan:
        """Look for the sockets in these processes ("4711") or threads of processes ("4711/task/4712"), in this order.

        `first`: one holder of each is enough; what was found is taken out of `wanted`, and with the last one it ends.
        """
        scan = Scan()
        found, get = scan.found, wanted.get
        for pid in pids:
            if first and not wanted:
                break
            directory = self._open(pid, scan)
            if directory is None:
                continue
            number = int(pid.partition("/")[0])
            try:
                for name, link in self._links(pid, directory, scan):
                    inode = get(link)
                    if inode is None:
                        continue
                    holders = found.get(inode)
                    if holders is None:
                        found[inode] = [(number, int(name))]
                    elif holders[-1][0] != number:
                        holders.append((number, int(name)))
                    if first:
                        wanted.pop(f"socket:[{inode}]", None)
            except PermissionError:
                # The directory belongs to its uid, but the links ask for more (ptrace(2): access mode checking).
                scan.denied.append(pid)
            except OSError:
                continue
            finally:
                os.close(directory)
        return scan

    def first_of(self, pid: str, wanted: Mapping[str, int]) -> tuple[int, int] | None:
        """The first of these sockets in one process: (descriptor, inode). Raises PermissionError.

        Meant for processes that are alike, as the server's are: where the last ones had it is tried first.
        """
        for name, link in self._hinted(pid, self._server_hints):
            inode = wanted.get(link)
            if inode is not None:
                return int(name), inode
        for name, link in self._all_links(pid):
            inode = wanted.get(link)
            if inode is not None:
                _remember(self._server_hints, name)
                return int(name), inode
        return None

    def expected(self, pid: int, inodes: Collection[int]) -> list[tuple[int, int]]:
        """Which of these sockets a process has, and where: (inode, descriptor). Meant for one that should have them."""
        wanted, found = wanted_of(inodes), []
        for hinted in (True, False):
            if not wanted:
                break
            try:
                links = self._hinted(str(pid), self._client_hints) if hinted else self._all_links(str(pid))
                for name, link in links:
                    inode = wanted.pop(link, None)
                    if inode is not None:
                        found.append((inode, int(name)))
                        if not hinted:
                            _remember(self._client_hints, name)
                        if not wanted:
                            break
            except PermissionError:
                break
        return found

    def sockets(self, pid: int) -> list[tuple[int, int]]:
        """(descriptor, inode) of all sockets of a process; none when it may not be read."""
        try:
            links = list(self._all_links(str(pid)))
        except PermissionError:
            return []
        found = [(int(name), link[8:-1]) for name, link in links if link.startswith("socket:[")]
        return [(fd, int(inode)) for fd, inode in found if inode.isdigit()]

    def _hinted(self, pid: str, hints: list[str]) -> Iterator[tuple[str, str]]:
        """(name, link) of a few descriptors. Raises PermissionError."""
        for name in list(hints):
            try:
                yield name, os.readlink(f"{self._proc}/{pid}/fd/{name}")
            except PermissionError:
                raise
            except OSError:
                continue

    def _all_links(self, pid: str) -> Iterator[tuple[str, str]]:
        """(name, link) of all descriptors. Raises PermissionError."""
        scan = Scan()
        directory = self._open(pid, scan)
        if directory is None:
            if scan.denied:
                raise PermissionError(pid)
            return
        try:
            yield from self._links(pid, directory, scan)
        except PermissionError:
            raise
        except OSError:
            return  # it has ended
        finally:
            os.close(directory)

    def _open(self, pid: str, scan: Scan) -> int | None:
        try:
            return os.open(f"{self._proc}/{pid}/fd", _DIRECTORY)
        except PermissionError:
            scan.denied.append(pid)
        except OSError:
            pass  # it has ended
        return None

    def _links(self, pid: str, directory: int, scan: Scan) -> Iterator[tuple[str, str]]:
        """(name, link) of its descriptors, in rising order. Raises OSError."""
        readlink = os.readlink
        if not self._counted:
            names = os.listdir(directory)
            if not names:
                scan.empty.append(pid)
            yield from self._listed(names, directory)
            return
        count = os.fstat(directory).st_size
        if not count:
            scan.empty.append(pid)
            return
        # Each hole in the table puts one descriptor above the count: a few are stepped over, once.
        at, end, left = 0, count, count
        for _ in range(2):
            if end > len(_NAMES):
                _NAMES.extend(str(number) for number in range(len(_NAMES), end))
            for name in _NAMES[at:end]:
                try:
                    link = readlink(name, dir_fd=directory)
                except FileNotFoundError:
                    continue
                left -= 1
                yield name, link
            at, end = end, end + 2 * left + 2
            if left <= 0:
                return
        # A sparse table; or some were closed while we looked.
        yield from self._listed([name for name in os.listdir(directory) if int(name) >= at], directory)

    @staticmethod
    def _listed(names: list[str], directory: int) -> Iterator[tuple[str, str]]:
        for name in names:
            try:
                yield name, os.readlink(name, dir_fd=directory)
            except FileNotFoundError:
                continue
