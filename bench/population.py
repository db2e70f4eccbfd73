"""Populations of processes with known truth: clients of a listener, its backends, and bystanders.

Most of the processes are `sleep infinity` with descriptors that were opened for them, so that thousands fit into a
small machine. The listener accepts and says nothing: it is no PostgreSQL. What is measured on it is how a session's
socket is led to a process, for which the kernel's tables are the same.

    python bench/population.py '{"sessions": 100, "clients": 50}'     makes one, prints its truth, ends with its stdin
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

UID_CLIENT, UID_OTHER, UID_SERVER = 61001, 61002, 61003
NETWORKS = "198.18"  # set aside for benchmarks (RFC 2544)


@dataclass
class Spec:
    """What to make."""

    sessions: int = 100
    clients: int = 50
    """Processes that hold the sessions, as evenly as it goes."""
    others: int = 0
    """Processes without any session."""
    backends: bool = True
    """One process for each session on the server's side, as PostgreSQL has; else one process accepted them all."""
    transport: str = "tcp"
    """tcp or unix"""
    lively: bool = False
    """Clients and backends that live: they reconnect when told to, and a backend ends with its client."""
    namespaces: int = 0
    """The clients are in so many network namespaces of their own, joined to ours by veth pairs (root only)."""
    client_files: int = 6
    """Descriptors of a client beside its sessions and the standard three."""
    other_files: int = 12
    backend_files: int = 12


@dataclass
class Truth:
    """What was made."""

    port: int
    path: str
    server: int
    backends: list[int] = field(default_factory=list)
    holders: dict[str, int] = field(default_factory=dict)
    """The client's pid by "host:port" as the server sees it, or by the inode of a unix client's end."""
    others: int = 0


def drop(uid: int) -> None:
    """Become that user, when we may."""
    if os.geteuid() == 0:
        os.setgid(uid)
        os.setuid(uid)


def furniture(count: int, *, keep: bool = False, sockets: bool = True) -> list[int]:
    """Descriptors of the kinds that processes have: files, pipes, event descriptors, sockets of other kinds.

    Moved up, to be given to processes that are spawned; or kept where they are. PostgreSQL's have no other `sockets`.
    """
    fds: list[int] = []
    while len(fds) < count:
        fds += [os.open("/etc/passwd", os.O_RDONLY), *os.pipe(), os.eventfd(0)]
        if sockets:
            fds += [sock.detach() for sock in socket.socketpair()]
    for fd in fds[count:]:
        os.close(fd)
    return fds[:count] if keep else [high(fd) for fd in fds[:count]]


def high(fd: int) -> int:
    """The same above all numbers that a spawned process gets, so that no dup2 overwrites what is still wanted."""
    top = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 4000)
    os.close(fd)
    return top


def spawn(fds: list[int]) -> int:
    """A process that sleeps with these descriptors, from 3 on."""
    null = os.open("/dev/null", os.O_RDWR)
    actions: list[tuple[int, ...]] = [(os.POSIX_SPAWN_DUP2, null, n) for n in range(3)]
    actions += [(os.POSIX_SPAWN_DUP2, fd, 3 + n) for n, fd in enumerate(fds)]
    pid = os.posix_spawn("/bin/sleep", ["sleep", "infinity"], {}, file_actions=actions)
    os.close(null)
    return pid


def end(pids: list[int]) -> None:
    """End children, by their pid."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


def share(total: int, parts: int) -> list[int]:
    """`total` in so many parts, as even as it goes."""
    return [total // parts + (n < total % parts) for n in range(parts)]


def connect(where: Any) -> tuple[socket.socket, str]:
    """One session, and the key by which it is known."""
    sock = socket.socket(socket.AF_UNIX if isinstance(where, str) else socket.AF_INET)
    sock.connect(where)
    if isinstance(where, str):
        return sock, str(os.fstat(sock.fileno()).st_ino)
    return sock, "{}:{}".format(*sock.getsockname())


class Role:
    """A process that makes others: it answers each line of JSON with one, and ends what it made with its stdin."""

    def __init__(self, work: Callable[[Any, Any], None]) -> None:
        read_order, self._order = os.pipe()
        self._answer, write_answer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(self._order)
                os.close(self._answer)
                with open(read_order) as orders, open(write_answer, "w", buffering=1) as answers:
                    work(orders, answers)
            finally:
                os._exit(0)
        os.close(read_order)
        os.close(write_answer)
        self._orders = os.fdopen(self._order, "w", buffering=1)
        self._answers = os.fdopen(self._answer)

    def ask(self, *words: Any) -> Any:
        """Tell it, and wait for its answer."""
        self._orders.write(json.dumps(words) + "\n")
        return self.hear()

    def tell(self, *words: Any) -> None:
        """Tell it, and go on."""
        self._orders.write(json.dumps(words) + "\n")

    def hear(self) -> Any:
        """Its next answer."""
        line = self._answers.readline()
        if not line:
            raise SystemExit("a maker of processes failed")
        return json.loads(line)

    def close(self) -> None:
        """End it and all that it made."""
        self._orders.close()
        os.waitpid(self.pid, 0)
        self._answers.close()


def serve(spec: Spec, listening: int) -> Callable[[Any, Any], None]:
    """The listener: it accepts so many sessions and tells the pids of their processes."""

    def work(orders: Any, answers: Any) -> None:
        drop(UID_SERVER)
        listener = socket.socket(fileno=listening)
        own = furniture(spec.backend_files, sockets=False)
        made: dict[int, int] = {}
        kept: list[socket.socket] = []
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for line in orders:
            (count,) = json.loads(line)
            for _ in range(count):
                conn = listener.accept()[0]
                if not spec.backends:
                    kept.append(conn)
                elif spec.lively:
                    pid = os.fork()
                    if pid == 0:
                        conn = socket.socket(fileno=os.dup2(conn.detach(), 3))
                        os.closerange(4, 1 << 16)
                        furniture(spec.backend_files, keep=True, sockets=False)
                        with contextlib.suppress(OSError):
                            conn.recv(1)
                        os._exit(0)
                    conn.close()
                    made[pid] = pid
                else:
                    fd = high(conn.detach())
                    pid = spawn([*own, fd])
                    os.close(fd)
                    made[pid] = pid
            with contextlib.suppress(ChildProcessError):
                while spec.lively and (pid := os.waitpid(-1, os.WNOHANG)[0]):
                    made.pop(pid, None)
            answers.write(json.dumps(list(made)) + "\n")
        end(list(made))

    return work


def sleeping_clients(spec: Spec, where: Any) -> Callable[[Any, Any], None]:
    """Clients that sleep: each order is (their number, their sessions)."""

    def work(orders: Any, answers: Any) -> None:
        drop(UID_CLIENT)
        own = furniture(spec.client_files)
        pids: list[int] = []
        for line in orders:
            clients, sessions = json.loads(line)
            holders: dict[str, int] = {}
            for part in share(sessions, clients):
                made = [connect(where) for _ in range(part)]
                fds = [high(sock.detach()) for sock, _ in made]
                pids.append(spawn([*own, *fds]))
                holders.update((key, pids[-1]) for _, key in made)
                for fd in fds:
                    os.close(fd)
            answers.write(json.dumps(holders) + "\n")
        end(pids)

    return work


@dataclass
class Lively:
    """A client that does what it is told."""

    pid: int
    orders: Any
    answers: Any

    def end(self) -> None:
        """End it, and nothing of it stays open."""
        end([self.pid])
        with contextlib.suppress(BrokenPipeError):
            self.orders.close()
        self.answers.close()


def lively_clients(spec: Spec, where: Any) -> Callable[[Any, Any], None]:
    """Clients that reconnect: an order is (sessions to reconnect in place, clients to replace by new processes)."""

    def client(count: int) -> Lively:
        order_r, order_w = os.pipe()
        answer_r, answer_w = os.pipe()
        pid = os.fork()
        if pid == 0:
            # What the makers have open is not a client's.
            os.dup2(order_r, 0)
            os.dup2(answer_w, 1)
            os.closerange(3, 1 << 16)
            furniture(spec.client_files, keep=True)
            with os.fdopen(0) as orders, os.fdopen(1, "w", buffering=1) as answers:
                socks = [connect(where) for _ in range(count)]
                answers.write(json.dumps([key for _, key in socks]) + "\n")
                for _ in orders:  # close the first one and connect again
                    socks.pop(0)[0].close()
                    socks.append(connect(where))
                    answers.write(json.dumps([key for _, key in socks]) + "\n")
            os._exit(0)
        os.close(order_r)
        os.close(answer_w)
        return Lively(pid, os.fdopen(order_w, "w", buffering=1), os.fdopen(answer_r))

    def work(orders: Any, answers: Any) -> None:
        drop(UID_CLIENT)
        made: list[Lively] = []
        keys: dict[int, list[str]] = {}
        parts = share(spec.sessions, spec.clients)
        turn = 0
        for line in orders:
            reconnect, replace = json.loads(line)
            changed: list[Lively] = []
            if not made:
                made = changed = [client(part) for part in parts]
            else:
                changed = [made[(turn + n) % len(made)] for n in range(reconnect)]
                for one in changed:
                    one.orders.write("again\n")
                for n in range(replace):
                    place = (turn + reconnect + n) % len(made)
                    made[place].end()
                    del keys[made[place].pid]
                    made[place] = client(parts[place])
                    changed.append(made[place])
                turn += reconnect + replace
            for one in changed:
                keys[one.pid] = json.loads(one.answers.readline())
            holders = {key: pid for pid, own_keys in keys.items() for key in own_keys}
            answers.write(json.dumps(holders) + "\n")
        for one in made:
            one.end()

    return work


def clients_in_namespaces(spec: Spec, port: int) -> Callable[[Any, Any], None]:
    """Clients in network namespaces, in each as many."""

    def inside(number: int, sessions: int, talk: socket.socket) -> None:
        libc().unshare(0x40000000)  # CLONE_NEWNET
        talk.send(b"made")
        talk.recv(16)  # joined by now
        drop(UID_CLIENT)
        keys = []
        own = furniture(spec.client_files)
        for _ in range(sessions):
            sock, key = connect((f"{NETWORKS}.{number}.1", port))
            own.append(high(sock.detach()))
            keys.append(key)
        pid = spawn(own)
        for fd in own:
            os.close(fd)
        talk.send(json.dumps([pid, keys]).encode())
        talk.recv(16)
        end([pid])

    def work(orders: Any, answers: Any) -> None:
        started: list[tuple[int, socket.socket, int]] = []
        for line in orders:
            (sessions,) = json.loads(line)
            outside, within = [], []
            for number, part in enumerate(share(sessions, spec.namespaces)):
                ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                pid = os.fork()
                if pid == 0:
                    inside(number, part, theirs)
                    os._exit(0)
                started.append((pid, ours, part))
                ours.recv(16)
                outside += [
                    f"link add pgb{number}a type veth peer name pgb{number}b netns {pid}",
                    f"address add {NETWORKS}.{number}.1/30 dev pgb{number}a",
                    f"link set pgb{number}a up",
                ]
                within.append(
                    (pid, [f"address add {NETWORKS}.{number}.2/30 dev pgb{number}b", f"link set pgb{number}b up"])
                )
            subprocess.run(["ip", "-batch", "-"], input="\n".join(outside), text=True, check=True)
            for pid, commands in within:
                enter = ["nsenter", "-t", str(pid), "-n", "ip", "-batch", "-"]
                subprocess.run(enter, input="\n".join(commands), text=True, check=True)
            for _, talk, _ in started:
                talk.send(b"joined")
            told = [json.loads(talk.recv(1 << 16)) for _, talk, _ in started]
            answers.write(json.dumps({key: pid for pid, keys in told for key in keys}) + "\n")
        for _, talk, _ in started:
            talk.send(b"end")  # to close it is not enough: those that were forked later have it too
        for pid, _, _ in started:
            os.waitpid(pid, 0)

    return work


def libc() -> Any:
    """The C library."""
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


def bystanders(spec: Spec) -> Callable[[Any, Any], None]:
    """Processes that have nothing to do with it."""

    def work(orders: Any, answers: Any) -> None:
        drop(UID_OTHER)
        own = furniture(spec.other_files)
        pids = [spawn(own) for _ in range(spec.others)]
        answers.write(json.dumps(len(pids)) + "\n")
        orders.read()
        end(pids)

    return work


def listen(spec: Spec, directory: str) -> tuple[int, Any]:
    """The descriptor of a listening socket, and where to connect to."""
    if spec.transport == "unix":
        path = directory + "/.s.PGSQL.5432"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        os.chmod(path, 0o777)  # noqa: S103  # its clients are another user
        where: Any = path
    else:
        listener = socket.socket()
        listener.bind(("0.0.0.0" if spec.namespaces else "127.0.0.1", 0))  # noqa: S104 - on purpose
        where = ("127.0.0.1", listener.getsockname()[1])
    listener.listen(4096)
    return high(listener.detach()), where


class Population:
    """The makers of one population."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.directory = tempfile.mkdtemp(prefix="pgusher-bench-")
        os.chmod(self.directory, 0o755)  # noqa: S103 - other users of the test go through it
        listening, where = listen(spec, self.directory)
        self.roles: list[Role] = []
        self.server = self._role(serve(spec, listening))
        os.close(listening)
        others = self._role(bystanders(spec)).hear() if spec.others else 0
        if spec.namespaces:
            work = clients_in_namespaces(spec, where[1])
        else:
            work = (lively_clients if spec.lively else sleeping_clients)(spec, where)
        self.clients = self._role(work)
        path = where if isinstance(where, str) else ""
        self.truth = Truth(5432 if path else where[1], path, self.server.pid, others=others)

    def _role(self, work: Callable[[Any, Any], None]) -> Role:
        role = Role(work)
        self.roles.append(role)
        return role

    def fill(self) -> Truth:
        """Make the sessions."""
        self.server.tell(self.spec.sessions)
        if self.spec.lively:
            self.clients.tell(0, 0)
        elif self.spec.namespaces:
            self.clients.tell(self.spec.sessions)
        else:
            self.clients.tell(self.spec.clients, self.spec.sessions)
        self.truth.holders = self.clients.hear()
        self.truth.backends = self.server.hear() or [self.server.pid]
        return self.truth

    def churn(self, reconnect: int, replace: int) -> Truth:
        """So many sessions are made anew by the same process, and so many clients are replaced by new processes."""
        per_client = share(self.spec.sessions, self.spec.clients)[0]
        self.server.tell(reconnect + replace * per_client)
        self.truth.holders = self.clients.ask(reconnect, replace)
        self.truth.backends = self.server.hear()
        return self.truth

    def close(self) -> None:
        """End all of it."""
        for role in reversed(self.roles):
            role.close()
        shutil.rmtree(self.directory)


def main() -> None:
    """Make the population of the first argument; a line "churn N M" of stdin changes it; it ends with stdin."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    made = Population(Spec(**json.loads(sys.argv[1])))
    try:
        print(json.dumps(asdict(made.fill())), flush=True)
        for line in sys.stdin:
            _, reconnect, replace = line.split()
            print(json.dumps(asdict(made.churn(int(reconnect), int(replace)))), flush=True)
    finally:
        made.close()


class Town:
    """A population in a process of its own, as the benchmark sees it."""

    def __init__(self, maker: subprocess.Popen[str]) -> None:
        self._maker = maker
        self.truth = self._read()

    def _read(self) -> Truth:
        line = self._maker.stdout.readline() if self._maker.stdout else ""
        if not line:
            raise RuntimeError("the population could not be made")
        return Truth(**json.loads(line))

    def churn(self, reconnect: int, replace: int) -> Truth:
        """As `Population.churn`."""
        if self._maker.stdin:
            self._maker.stdin.write(f"churn {reconnect} {replace}\n")
            self._maker.stdin.flush()
        self.truth = self._read()
        return self.truth


@contextlib.contextmanager
def population(spec: Spec) -> Iterator[Town]:
    """A population of `spec`, for the length of a `with` block."""
    maker = subprocess.Popen(
        [sys.executable, os.path.abspath(__file__), json.dumps(asdict(spec))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Town(maker)
    finally:
        if maker.stdin:
            maker.stdin.close()
        maker.wait(120)
        if maker.stdout:
            maker.stdout.close()


if __name__ == "__main__":
    main()
