"""The network namespaces of this host: which there are, which process is in which, and a way into each.

A netlink socket stays in the namespace in which it was made. So a thread enters one namespace after the other (setns(2)
moves the calling thread alone), makes its sockets there, and ends. They live for one look: a socket of ours would keep
a namespace alive after its last process.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence

from pgusher.collect.procfs import parse_namespace
from pgusher.collect.sockets import netlink, syscalls
from pgusher.collect.sockets.space import KernelSpace, ProcSpace, Space, mark_of
from pgusher.model.values import dataclass, field

_MOUNTED = ("/run/netns", "/run/docker/netns")
"""Where namespaces are bound to names, by `ip netns` and by Docker: one may have no process and yet have sockets."""


@dataclass
class Others:
    """The other namespaces of this host."""

    spaces: list[Space] = field(default_factory=list)
    refused: int = 0
    """How many may neither be entered nor be seen through /proc."""
    why: str = ""
    outside: int = 0
    """How many are seen through /proc only, as they may not be entered."""


class Spaces:
    """Opens namespaces; `leave` at the end of each look, `close` at last."""

    def __init__(self, proc: str = "/proc") -> None:
        self._proc = proc
        self._buffer = bytearray(netlink.BUFFER)
        self._own: Space | None = None
        self._open: dict[int, Space] = {}

    def own(self) -> Space:
        """Our own namespace. Raises OSError."""
        if self._own is None:
            self._own = KernelSpace(self._namespace("self"), self._buffer, self._proc)
        return self._own

    def own_by_files(self) -> Space:
        """Our own namespace through /proc/net, for kernels without socket diagnostics."""
        self.close()
        self._own = ProcSpace(f"{self._proc}/self", self._namespace("self"))
        return self._own

    def of(self, pid: int) -> Space:
        """The namespace of a process; our own when it cannot be told that it is another one. Raises OSError."""
        own = self.own()
        netns = self._namespace(str(pid))
        if netns is None:
            mark = self._mark(str(pid))
            if mark is None or mark == self._mark("self"):
                return own
            return ProcSpace(f"{self._proc}/{pid}")
        if netns == own.netns:
            return own
        space = self._open.get(netns)
        if space is None:
            entered, _ = self._enter([(netns, f"{self._proc}/{pid}/ns/net")])
            space = self._open[netns] = entered.get(netns) or ProcSpace(f"{self._proc}/{pid}", netns)
        return space

    def others(self, but: Space, pids: Sequence[str]) -> Others:
        """All namespaces but one, in which these processes are."""
        seen, hidden = self._by_links(pids)
        ways = {netns: f"{self._proc}/{pid}/ns/net" for netns, pid in seen.items()}
        if self._proc == "/proc":
            self._mounted(ways)
        found = Others()
        if self._own is not None and self._own is not but:
            found.spaces.append(self._own)
        for known in (self._own, but):
            if known is not None and known.netns is not None:
                ways.pop(known.netns, None)
        entered, refusal = self._enter([(netns, way) for netns, way in ways.items() if netns not in self._open])
        self._open.update(entered)
        for netns in ways:
            space = self._open.get(netns)
            if space is None and netns in seen:
                found.outside += 1
                space = ProcSpace(f"{self._proc}/{seen[netns]}", netns)
            if space is None:
                found.refused += 1
                found.why = refusal
            else:
                found.spaces.append(space)
        self._hidden(hidden, list(seen.values()), but, found)
        return found

    def _by_links(self, pids: Sequence[str]) -> tuple[dict[int, str], list[str]]:
        """One process of each namespace, and the processes whose namespace may not be read."""
        links: dict[str, str] = {}
        hidden: list[str] = []
        readlink, proc = os.readlink, self._proc
        for pid in pids:
            try:
                links.setdefault(readlink(f"{proc}/{pid}/ns/net"), pid)
            except PermissionError:
                hidden.append(pid)
            except OSError:
                continue
        named = ((parse_namespace(os.fsencode(link)), pid) for link, pid in links.items())
        return {netns: pid for netns, pid in named if netns is not None}, hidden

    def _hidden(self, hidden: Iterable[str], known: Iterable[str], but: Space, found: Others) -> None:
        """Processes whose namespace may not be read: /proc/PID/net shows it all the same."""
        marks = {self._mark(pid) for pid in known}
        marks.add(self._mark("self"))
        if isinstance(but, ProcSpace):
            marks.add(but.mark)
        for pid in hidden:
            mark = self._mark(pid)
            if mark is not None and mark not in marks:
                marks.add(mark)
                found.outside += 1
                found.spaces.append(ProcSpace(f"{self._proc}/{pid}"))

    def _mounted(self, ways: dict[int, str]) -> None:
        for directory in _MOUNTED:
            try:
                names = os.listdir(directory)
            except OSError:
                continue
            for name in names:
                try:
                    ways.setdefault(os.stat(f"{directory}/{name}").st_ino, f"{directory}/{name}")
                except OSError:
                    continue

    def _namespace(self, pid: str) -> int | None:
        try:
            return parse_namespace(os.readlink(os.fsencode(f"{self._proc}/{pid}/ns/net")))
        except OSError:
            return None

    def _mark(self, pid: str) -> int | None:
        return mark_of(f"{self._proc}/{pid}")

    def _enter(self, ways: Sequence[tuple[int, str]]) -> tuple[dict[int, Space], str]:
        """Open each of these namespaces: what could be opened, and the words of the last refusal."""
        if not ways:
            return {}, ""
        opened: dict[int, Space] = {}
        refusals: list[str] = []

        def work() -> None:
            for netns, path in ways:
                try:
                    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                    try:
                        syscalls.enter_network(fd)
                        opened[netns] = KernelSpace(netns, self._buffer, self._proc)
                    finally:
                        os.close(fd)
                except OSError as error:
                    refusals.append(error.strerror or str(error))

        syscalls.prepare()
        thread = threading.Thread(target=work, name="pgusher-setns")
        try:
            thread.start()
        except RuntimeError as error:  # no more threads are to be had
            return {}, str(error)
        thread.join()
        return opened, refusals[-1] if refusals else ""

    def leave(self) -> None:
        """Close all namespaces but our own."""
        for space in self._open.values():
            space.close()
        self._open.clear()

    def close(self) -> None:
        """Close all namespaces."""
        self.leave()
        if self._own is not None:
            self._own.close()
            self._own = None
