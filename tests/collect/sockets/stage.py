"""The stage of these tests: a stand-in for a server, and clients, all real processes with real sockets.

The stand-in accepts and hands each connection to a process of its own, as PostgreSQL does; it speaks no protocol. What
PostgreSQL itself does is tested in test_postgres.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import pgusher
from pgusher.collect.sockets import SocketFacts
from pgusher.model import codec
from pgusher.model.server import Server
from pgusher.model.sockets import ClientSocket

SOURCES = os.path.dirname(os.path.dirname(os.path.abspath(pgusher.__file__)))
HERE = os.path.dirname(os.path.abspath(__file__))
NOBODY = 65534


class Actor:
    """A process that does what it is told; it ends with its `with` block."""

    def __init__(
        self,
        *,
        netns: int | str | None = None,
        uid: int | None = None,
        dumpable: bool = True,
        first: str = "",
        inside: Sequence[str] = (),
    ) -> None:
        """`netns`: "new", or the pid of a process whose network namespace it enters. `uid`: whom it becomes then.

        `inside`: a command that runs it ("unshare -p -f"): `pid` is its own, as we see it.
        `first`: what it executes before, as that user may not be allowed to read what is imported.
        """
        self._process = subprocess.Popen(
            [*inside, sys.executable, os.path.join(HERE, "actor.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
        )
        self.pid = self._process.pid
        self.do(f"import os, signal, socket, struct, sys, time; sys.path.insert(0, {SOURCES!r})")
        if inside:
            self.pid = int(self.ask("os.readlink('/proc/self')"))
        self.do(first)
        if netns == "new":
            self.do("unshare_network()")
        elif netns is not None:
            self.do(f"enter_network({netns})")
        if uid is not None:
            self.do(f"become({uid}, dumpable={dumpable})")

    def do(self, statements: str) -> None:
        """Execute Python statements in it. Raises AssertionError with its traceback."""
        self._tell(statements, "None")

    def ask(self, expression: str) -> Any:
        """The value of a Python expression in it."""
        return self._tell("", expression)

    def _tell(self, run: str, value: str) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"run": run, "value": value}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the actor has ended"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer["value"]

    def kill(self) -> None:
        """End it at once; its children too."""
        self._process.kill()
        self._process.wait(30)

    def close(self) -> None:
        """End it and its children."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(30)
        finally:
            self._process.kill()
            self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Looker(Actor):
    """A process, of another user or in another place, that looks."""

    def __init__(self, **more: Any) -> None:
        # All that a look imports on its way: as another user it may not be allowed to.
        super().__init__(
            first="import ctypes, encodings.idna, marshal, resource, select\n"
            "from pgusher.collect.sockets import SocketSource\n"
            "from pgusher.model import codec\n"
            "from pgusher.model.server import Server\n",
            **more,
        )
        self.do("source = SocketSource()")

    def look(self, server: Server, backends: Iterable[int], *, full: bool = True) -> SocketFacts:
        """What it saw."""
        words = f"codec.load(Server, {codec.dump(server)!r}), {list(backends)!r}, full={full}"
        return codec.load(SocketFacts, self.ask(f"codec.dump(source.look({words}))"))


@dataclass(frozen=True)
class Session:
    """One session, as both sides know it."""

    backend: int
    """The server's process."""
    host: str | None
    """The client's address as the server sees it; None for a unix socket."""
    port: int | None
    inode: int
    """Of the client's end."""
    client: int
    """The process that connected."""
    fd: int
    name: str
    """Of the client's socket in its actor."""
    server_fd: int


class Postmaster(Actor):
    """A stand-in for a server: it listens, and each accepted connection gets a process."""

    def __init__(self, address: str = "127.0.0.1", *, path: str = "", **more: Any) -> None:
        """`path`: a unix socket beside the TCP one; "@name" for an abstract one. `address` "" for no TCP."""
        super().__init__(**more)
        self.address = address
        self.path = path
        self.port = 5432
        self._number = 0
        if address:
            family = "AF_INET6" if ":" in address else "AF_INET"
            self.do(
                f"tcp = keep(socket.socket(socket.{family}))\n"
                f"if socket.{family} == socket.AF_INET6: tcp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)\n"
                f"tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
                f"tcp.bind(({address!r}, 0)); tcp.listen(512)"
            )
            self.port = self.ask("tcp.getsockname()[1]")

    def listen_unix(self, directory: str) -> str:
        """Listen on a unix socket with PostgreSQL's name; "@" before it makes it abstract. Gives its path."""
        self.path = f"{directory}/.s.PGSQL.{self.port}"
        bound = "\0" + self.path[1:] if self.path.startswith("@") else self.path
        self.do(f"unix = keep(socket.socket(socket.AF_UNIX)); unix.bind({bound!r}); unix.listen(512)")
        if not self.path.startswith("@"):
            os.chmod(self.path, 0o777)  # noqa: S103 - other users of the test go through it
        return self.path

    def accept(self, listener: str = "tcp", client: int | None = None) -> tuple[int, int, list[Any]]:
        """Accept one: the pid of its backend, the descriptor there, and the client's address.

        `client`: the process that connected to a unix socket, or the port that it connected from. Others are turned
        away: whoever looks for servers on this machine may try ours.
        """
        self.do(
            f"conn, who = {listener}.accept()\n"
            f"while {client} and caller(conn, who) != {client}:\n"
            f"    conn.close(); conn, who = {listener}.accept()\n"
            "fd = conn.fileno(); pid = backend(conn)"
        )
        pid, fd, who = self.ask("[pid, fd, who if isinstance(who, tuple) else [None, None]]")
        return pid, fd, who

    def session(self, client: Actor, to: str | None = None, *, family: str = "", prepare: str = "") -> Session:
        """A client connects. `to`: the address; "unix"; by default the one it listens on."""
        self._number += 1
        name = f"s{self.port}_{self._number}"
        if to == "unix":
            bound = "\0" + self.path[1:] if self.path.startswith("@") else self.path
            client.do(f"{name} = keep(socket.socket(socket.AF_UNIX)); {name}.connect({bound!r})")
        else:
            to = to or {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.address, self.address)  # noqa: S104 - on purpose
            family = family or ("AF_INET6" if ":" in to else "AF_INET")
            client.do(
                f"{name} = keep(socket.socket(socket.{family}))\n{prepare.format(s=name)}\n"
                f"{name}.connect(({to!r}, {self.port}))"
            )
        _, own_port, fd, inode = client.ask(f"name({name})")
        pid, server_fd, who = self.accept(*(("unix", client.pid) if to == "unix" else ("tcp", own_port)))
        host, port = who[:2]
        if host and host.startswith("::ffff:"):
            host = host.removeprefix("::ffff:")
        return Session(pid, host, port, inode, client.pid, fd, name, server_fd)

    def server(self, **more: Any) -> Server:
        """As a caller would describe it."""
        return Server(
            **{
                "port": self.port,
                "local": True,
                "postmaster_pid": self.pid,
                "listens": (self.address,) if self.address else (),
                "socket_paths": (self.path,) if self.path else (),
                **more,
            }
        )


def of(sockets: Iterable[ClientSocket], session: Session) -> ClientSocket:
    """What was told of this session; exactly one."""
    found = [s for s in sockets if s.backend_pid == session.backend]
    assert len(found) == 1, (session, list(sockets))
    if session.host is not None:
        assert (found[0].host, found[0].port) == (session.host, session.port)
    return found[0]


def pids(socket: ClientSocket) -> set[int]:
    """The processes that are named."""
    return {holder.pid for holder in socket.holders}
