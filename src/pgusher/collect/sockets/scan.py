"""From inodes to the processes that have them open: the links in /proc/PID/fd.

Most of the time of an attribution is spent here, so this module counts system calls. The table of descriptors is
mostly dense, and the kernel tells how many are open (6.2 and later): reading the links 0, 1, 2 ... until that many were
found takes half the time of listing the directory first, for which the kernel makes an inode for each entry.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping

from pgusher.model.values import dataclass, field

Wanted = dict[str, int]
"""Links to inodes: {"socket:[4711]": 4711}."""
Found = dict[int, list[tuple[int, int]]]
"""Inodes to the processes that have them open: (pid, its lowest descriptor)."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NAMES = [str(number) for number in range(1024)]
_FIRST_MAPPED = 65_536
_HINTS = 4
"""Descriptors that are tried first in processes that are alike."""


def wanted_of(inodes: Iterable[int]) -> Wanted:
    """The links that lead to these sockets."""
    return {f"socket:[{inode}]": inode for inode in inodes}


def _name_up_to(count: int) -> None:
    _NAMES.extend(str(number) for number in range(len(_NAMES), count))


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

    def likely(self, pids: list[str], uids: Collection[int | None]) -> tuple[list[str], list[str]]:
        """Processes of the users of these sockets, and those of others, to be read only for what the first lack.

        A socket keeps the user who made it. Who shares one over fork under another user has changed its user since,
        which only a root can: that of the host, or that of a user namespace, whose users are numbered above 65,535
        here. With a socket of such a one, or of an unknown user, all processes are likely.
        """
        if not all(uid is not None and 0 < uid < _FIRST_MAPPED for uid in uids):
            return pids, []
        theirs: list[str] = []
        strangers: list[str] = []
        proc, stat = self._proc, os.stat
        for pid in pids:
            try:
                # Of the directory itself: it bears the effective uid also where everything below it is root's.
                (theirs if stat(f"{proc}/{pid}").st_uid in uids else strangers).append(pid)
            except OSError:
                continue  # it has ended
        return theirs, strangers

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
        found, close = scan.found, os.close
        for pid in pids:
            if first and not wanted:
                break
            directory = self._open(pid, scan)
            if directory is None:
                continue
            try:
                hits = self._hits(pid, directory, wanted, scan)
            except PermissionError:
                # The directory belongs to its uid, but the links ask for more (ptrace(2): access mode checking).
                scan.denied.append(pid)
                continue
            except OSError:
                continue
            finally:
                close(directory)
            if hits:
                number = int(pid.partition("/")[0])
                for inode, name in hits:
                    holders = found.setdefault(inode, [])
                    if not holders or holders[-1][0] != number:
                        holders.append((number, int(name)))
                    if first:
                        wanted.pop(f"socket:[{inode}]", None)
        return scan

    def _hits(self, pid: str, directory: int, wanted: Wanted, scan: Scan) -> list[tuple[int, str]]:
        """(inode, descriptor) of the wanted sockets in one process. Raises OSError."""
        count = os.fstat(directory).st_size if self._counted else 0
        if not count:
            return [(wanted[link], name) for name, link in self._links(pid, directory, scan) if link in wanted]
        _name_up_to(count)
        hits: list[tuple[int, str]] = []
        get, readlink, name = wanted.get, os.readlink, ""
        try:
            # Nothing but this in a dense table: it is done for every descriptor of the host.
            for name in _NAMES[:count]:
                inode = get(readlink(name, dir_fd=directory))
                if inode is not None:
                    hits.append((inode, name))
        except FileNotFoundError:  # a hole
            hits += self._hits_from(int(name), directory, wanted)
        return hits

    def _hits_from(self, start: int, directory: int, wanted: Wanted) -> list[tuple[int, str]]:
        """The sockets above this descriptor, which does not exist; below it all do."""
        try:
            return [(wanted[link], at) for at, link in self._links("", directory, Scan(), start) if link in wanted]
        except OSError:
            return []

    def first_of(self, pid: int, wanted: Mapping[str, int]) -> tuple[int, int] | None:
        """The first of these sockets in one process: (descriptor, inode). Raises PermissionError.

        Meant for processes that are alike, as the server's are: where the last ones had it is tried first.
        """
        start = f"{self._proc}/{pid}/fd/"
        for name in self._server_hints:
            try:
                inode = wanted.get(os.readlink(start + name))
            except (FileNotFoundError, ProcessLookupError):
                continue
            if inode is not None:
                return int(name), inode
        for name, link in self._all_links(str(pid)):
            inode = wanted.get(link)
            if inode is not None:
                _remember(self._server_hints, name)
                return int(name), inode
        return None

    def expected(self, pid: int, inode: int, wanted: Wanted) -> list[tuple[int, int]]:
        """Where a process has a socket that it should have, and which other ones were seen on the way to it.

        (inode, descriptor) of each; they are taken out of `wanted`. Where the last processes had theirs is tried first.
        """
        found: list[tuple[int, int]] = []
        start = f"{self._proc}/{pid}/fd/"
        for name in self._client_hints:
            try:
                seen = wanted.pop(os.readlink(start + name), None)
            except OSError:
                continue
            if seen is not None:
                found.append((seen, int(name)))
        if any(seen == inode for seen, _ in found):
            return found
        try:
            for name, link in self._all_links(str(pid)):
                seen = wanted.pop(link, None)
                if seen is not None:
                    found.append((seen, int(name)))
                    _remember(self._client_hints, name)
        except PermissionError:
            pass  # what was found is found
        return found

    def sockets(self, pid: int) -> list[tuple[int, int]]:
        """(descriptor, inode) of all sockets of a process; none when it may not be read."""
        try:
            links = list(self._all_links(str(pid)))
        except PermissionError:
            return []
        found = [(int(name), link[8:-1]) for name, link in links if link.startswith("socket:[")]
        return [(fd, int(inode)) for fd, inode in found if inode.isdigit()]

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

    def _links(self, pid: str, directory: int, scan: Scan, start: int = 0) -> Iterator[tuple[str, str]]:
        """(name, link) of its descriptors from `start` on, below which all exist; in rising order. Raises OSError."""
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
        at, end, left = start, count, count - start
        for _ in range(2):
            _name_up_to(end)
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
