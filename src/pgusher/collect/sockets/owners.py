"""Which processes have which client sockets open, remembered from look to look.

A one-shot look and every 30th second read the descriptors of all processes (`all_of`). In between (`some_of`) only new
sockets are looked for, and where they most likely are: the descriptor of a socket that was just closed (a process
takes its lowest free one, so a reconnect is one link to read), the process that connected, new processes, the
socket's cgroup, processes that hold sessions already, those of the socket's uid, then everybody. What nobody holds is
looked for ever more seldom.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from pgusher.collect.sockets.cgroups import Cgroups
from pgusher.collect.sockets.scan import FdScanner, Found, Scan, Wanted, wanted_of
from pgusher.collect.sockets.watch import Watch

_FIRST_WAIT, _LONGEST_WAIT = 0.5, 60.0
_SHARE = 10
"""One in so many known holdings is looked at again in each tick."""


class Clue(NamedTuple):
    """What is known of a socket whose holder is sought."""

    uid: int | None = None
    cgroup_id: int | None = None


Connector = Callable[[int], int | None]
"""From the inode of a client's socket to the process that connected it, when that can be told."""


class Owners:
    """From the inode of a client's socket to its holders."""

    def __init__(self, scanner: FdScanner, proc: str = "/proc") -> None:
        self._scanner = scanner
        self._proc = proc
        self._cgroups = Cgroups(proc)
        self._watch = Watch()
        self.holders: Found = {}
        self.denied: set[str] = set()
        """Processes whose descriptors could not be read in the last full pass or since."""
        self._listed: set[str] = set()
        self._bad: dict[int, tuple[float, float]] = {}
        self._unwatched: Found = {}
        self._unfollowed = False
        """Some processes could not be watched."""
        self._turn = 0
        self.touched: set[int] = set()
        """Sockets of which something else is known than before; whoever has taken note of them empties it."""

    def close(self) -> None:
        """Forget everything."""
        self._watch.close()
        self.holders.clear()

    def replace(self, scan: Scan, listed: Iterable[str]) -> None:
        """Take over the result of a full pass."""
        self.holders = scan.found
        self._unfollowed = False
        self.denied = set(scan.denied)
        self._listed = set(listed)
        self._bad.clear()
        self._unwatched = dict(scan.found)

    def _follow(self, found: Found) -> None:
        """Watch the processes of these holdings, and only those of all holdings."""
        watched = {pid for holders in self.holders.values() for pid, _ in holders}
        self._watch.keep(watched)
        for inode, holders in list(found.items()):
            for pid, fd in holders:
                # Between the reading of the link and now the pid may have become another process's.
                if pid in self._watch:
                    continue
                self._unfollowed = not self._watch.add(pid) or self._unfollowed
                if not self._scanner.holds(pid, fd, inode):
                    self._remove(inode, pid)

    def _add(self, found: Found) -> None:
        self.holders.update(found)
        self.touched.update(found)
        # Watched from the next tick on: a single look needs no watch.
        self._unwatched.update(found)

    def _remove(self, inode: int, pid: int) -> None:
        self.touched.add(inode)
        left = [holder for holder in self.holders.get(inode, ()) if holder[0] != pid]
        if left:
            self.holders[inode] = left
        else:
            self.holders.pop(inode, None)

    def keep(self, inodes: Collection[int]) -> list[tuple[int, int]]:
        """Forget all other sockets: gives the descriptors that they had, for reconnects take them."""
        slots: list[tuple[int, int]] = []
        for inode in [inode for inode in self.holders if inode not in inodes]:
            slots += self.holders.pop(inode)
        for inode in [inode for inode in self._bad if inode not in inodes]:
            del self._bad[inode]
        return slots

    def check(self) -> None:
        """Drop holders that have ended, and look at a tenth of the others again.

        A process that is not watched is looked at each time.
        """
        if self._unwatched:
            self._follow(self._unwatched)
            self._unwatched = {}
        ended = self._watch.ended()
        holds = self._scanner.holds
        doubtful = self._doubtful(ended) if ended or self._unfollowed else []
        turn = self._turn = (self._turn + 1) % _SHARE
        due = [inode for inode in self.holders if inode % _SHARE == turn]
        doubtful += [(inode, pid, fd) for inode in due for pid, fd in self.holders[inode]]
        lost = [(inode, pid) for inode, pid, fd in doubtful if not holds(pid, fd, inode)]
        for inode, pid in lost:
            self._remove(inode, pid)

    def _doubtful(self, ended: Collection[int]) -> list[tuple[int, int, int]]:
        """(inode, pid, descriptor) of all that the ended processes had, and of one of each that is not watched."""
        found: list[tuple[int, int, int]] = []
        seen: set[int] = set()
        for inode, holders in self.holders.items():
            for pid, fd in holders:
                if pid in ended or (pid not in self._watch and pid not in seen):
                    seen.add(pid)
                    found.append((inode, pid, fd))
        return found

    def due(self, inodes: Iterable[int], now: float) -> list[int]:
        """Those of these sockets without a known holder that it is time to look for."""
        bad = self._bad
        return [i for i in inodes if i not in self.holders and (i not in bad or bad[i][0] <= now)]

    def some_of(
        self,
        clues: Mapping[int, Clue],
        slots: Iterable[tuple[int, int]],
        backends: Collection[str],
        now: float,
        connector: Connector = lambda inode: None,  # noqa: ARG005 - a caller gives it
    ) -> None:
        """Look for one holder of each of these sockets, the likeliest places first. `backends` come last."""
        wanted = wanted_of(clues)
        found: Found = {}
        self._in_slots(slots, wanted, found)
        self._in_connectors(connector, wanted, found)
        if wanted:
            self._in_stages(clues, wanted, found, backends)
        self._add(found)
        for inode in clues:
            if inode in self.holders:
                self._bad.pop(inode, None)
            else:
                wait = min(self._bad.get(inode, (0.0, _FIRST_WAIT / 2))[1] * 2, _LONGEST_WAIT)
                self._bad[inode] = now + wait, wait

    def _in_slots(self, slots: Iterable[tuple[int, int]], wanted: Wanted, found: Found) -> None:
        for pid, fd in slots:
            if not wanted:
                return
            inode = wanted.pop(self._scanner.at(pid, fd), None)
            if inode is not None:
                found[inode] = [(pid, fd)]

    def _in_connectors(self, connector: Connector, wanted: Wanted, found: Found) -> None:
        for inode in list(wanted.values()):
            # A process that connected one has connected others as well, and is asked for all of them.
            if inode not in found and (pid := connector(inode)) is not None:
                for seen, fd in self._scanner.expected(pid, inode, wanted):
                    found[seen] = [(pid, fd)]

    def _in_stages(self, clues: Mapping[int, Clue], wanted: Wanted, found: Found, backends: Collection[str]) -> None:
        done: set[str] = set()

        def look(pids: Iterable[str]) -> None:
            chosen = [pid for pid in pids if pid not in done and pid not in self.denied]
            done.update(chosen)
            scan = self._scanner.scan(chosen, wanted, first=True)
            found.update(scan.found)
            self.denied.update(scan.denied)

        try:
            names = [pid for pid in self._scanner.pids() if pid not in backends]
        except OSError:
            return
        fresh, self._listed = set(names) - self._listed, set(names)
        if len(fresh) < len(names):  # else it is the first look, and all are new
            look(pid for pid in names if pid in fresh)
        for number in {clues[inode].cgroup_id for inode in wanted.values()} - {None, 1}:  # 1 is the root: everybody
            if wanted and number is not None:
                look(pid for pid in self._cgroups.pids(number) if pid not in backends)
        if wanted:
            owners = {str(pid) for holders in (*self.holders.values(), *found.values()) for pid, _ in holders}
            uids = {clues[inode].uid for inode in wanted.values()}
            theirs = [pid for pid in names if self._uid(pid) in uids] if None not in uids else names
            look(pid for pid in theirs if pid in owners)
            look(theirs)
        if wanted:
            look(names)
        if wanted:
            look(backends)  # a server that is its own client: dblink, postgres_fdw, a loopback subscription

    def missed(self, inodes: Iterable[int], backends: Iterable[str], empty: Iterable[str]) -> None:
        """Look for what a full pass did not find, where it does not look.

        That is in processes that began meanwhile, in the threads of processes whose first one has ended, and in the
        server's own processes, which are clients when they use dblink, postgres_fdw or a loopback subscription.
        """
        wanted = wanted_of(inodes)
        try:
            names = set(self._scanner.pids())
        except OSError:
            return
        places: tuple[Iterable[str], ...] = (
            names - self._listed,
            (thread for pid in empty for thread in self._scanner.threads(pid)),
            backends,
        )
        found: Found = {}
        for pids in places:
            if wanted:
                found.update(self._scanner.scan(pids, wanted, first=True).found)
        self._listed |= names
        self._add(found)

    def _uid(self, pid: str) -> int:
        try:
            # Of the directory itself: it bears the effective uid also where everything below it is root's.
            return os.stat(f"{self._proc}/{pid}").st_uid
        except OSError:
            return -1
