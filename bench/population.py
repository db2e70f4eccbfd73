"""Populations of processes with known truth: clients of a listener, its backends, and processes beside them.

The processes are `sleep infinity` with descriptors opened for them, so that thousands fit into a small machine. The
listener accepts and says nothing: it is no PostgreSQL. What is measured on it is how a session's socket is led to a
process, for which the kernel's tables are the same.

    python bench/population.py '{"sessions": 100, "clients": 50}'     makes one, prints its truth, ends with its stdin
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from typing import Any

UID_CLIENT, UID_OTHER, UID_SERVER = 61001, 61002, 61003


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
    holders: list[tuple[str, int]] = field(default_factory=list)
    """(key, pid of its client): the key is "host:port" as the server sees it, or the inode of a unix client's end."""
    others: int = 0


def _drop(uid: int) -> None:
    if os.geteuid() == 0:
        os.setgid(uid)
        os.setuid(uid)


def _furniture(count: int) -> list[int]:
    """Descriptors of the kinds that processes have: files, pipes, sockets of other kinds, event descriptors."""
    fds: list[int] = []
    while len(fds) < count:
        fds.append(os.open("/etc/passwd", os.O_RDONLY))
        fds.extend(os.pipe())
        fds.append(os.eventfd(0))
        one, two = socket.socketpair()
        fds.extend((one.detach(), two.detach()))
    return fds[:count]


def _spawn(fds: list[int]) -> int:
    null = os.open("/dev/null", os.O_RDWR)
    actions: list[tuple[int, ...]] = [(os.POSIX_SPAWN_DUP2, null, n) for n in range(3)]
    # The sources stand above all targets, so that no dup2 overwrites one that is still wanted.
    actions.extend((os.POSIX_SPAWN_DUP2, fd, 3 + n) for n, fd in enumerate(fds))
    pid = os.posix_spawn("/bin/sleep", ["sleep", "infinity"], {}, file_actions=actions)
    os.close(null)
    return pid


def _high(fd: int) -> int:
    import fcntl

    top = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 4000)
    os.close(fd)
    return top


def _share(total: int, parts: int) -> list[int]:
    return [total // parts + (n < total % parts) for n in range(parts)]


def _serve(report: int) -> None:
    """Until its stdin ends; then every process that this one started is ended, by its pid."""
    pids: list[int] = json.loads(sys.stdin.readline())
    sys.stdin.read()
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    os.close(report)


def _role(uid: int, work: Any) -> tuple[Any, int, int]:
    """Run `work` in a child of another user; returns its answer, the child's pid, and the pipe that keeps it."""
    answer_r, answer_w = os.pipe()
    keep_r, keep_w = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(answer_r)
            os.close(keep_w)
            _drop(uid)
            answer, pids = work()
            with os.fdopen(answer_w, "w") as out:
                json.dump(answer, out)
            os.read(keep_r, 1)
            for child in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(child, 0)
            code = 0
        finally:
            os._exit(code)
    os.close(answer_w)
    os.close(keep_r)
    with os.fdopen(answer_r) as lines:
        text = lines.read()
    if not text:
        raise SystemExit("a maker of processes failed")
    return json.loads(text), pid, keep_w


def _inode(fd: int) -> int:
    return os.fstat(fd).st_ino


def make(spec: Spec) -> None:  # noqa: C901, PLR0915 - one population, step by step
    """Make the population, print its truth as one line of JSON, and end it when stdin ends."""
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    directory = tempfile.mkdtemp(prefix="pgusher-bench-")
    os.chmod(directory, 0o755)  # noqa: S103  (clients of another user connect in it)
    path = ""
    if spec.transport == "unix":
        path = directory + "/.s.PGSQL.5432"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        os.chmod(path, 0o777)  # noqa: S103 - other users of the test go through it
        where: Any = path
    else:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        where = listener.getsockname()
    listener.listen(4096)
    listener.set_inheritable(False)
    listening = _high(listener.detach())
    port = 5432 if path else where[1]

    # The listener, in a process of its own: it accepts, and hands each session to a process if wanted.
    def server() -> tuple[Any, list[int]]:
        return [], []

    go_r, go_w = os.pipe()
    told_r, told_w = os.pipe()
    server_pid = os.fork()
    if server_pid == 0:
        try:
            os.close(go_w)
            os.close(told_r)
            _drop(UID_SERVER)
            sock = socket.socket(fileno=listening)
            own = [_high(fd) for fd in _furniture(spec.backend_files)]
            pids, kept = [], []
            for _ in range(spec.sessions):
                conn, _who = sock.accept()
                if spec.backends:
                    fd = _high(conn.detach())
                    pids.append(_spawn([*own, fd]))
                    os.close(fd)
                else:
                    kept.append(conn)
            with os.fdopen(told_w, "w") as out:
                json.dump(pids, out)
            os.read(go_r, 1)
            for child in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
        finally:
            os._exit(0)
    os.close(go_r)
    os.close(told_w)

    def clients() -> tuple[Any, list[int]]:
        own = [_high(fd) for fd in _furniture(spec.client_files)]
        holders: list[tuple[str, int]] = []
        pids = []
        for share in _share(spec.sessions, spec.clients):
            fds, keys = [], []
            for _ in range(share):
                sock = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
                sock.connect(where)
                keys.append(str(_inode(sock.fileno())) if path else "{}:{}".format(*sock.getsockname()))
                fds.append(_high(sock.detach()))
            pid = _spawn([*own, *fds])
            pids.append(pid)
            holders.extend((key, pid) for key in keys)
            for fd in fds:
                os.close(fd)
        return holders, pids

    def others() -> tuple[Any, list[int]]:
        own = [_high(fd) for fd in _furniture(spec.other_files)]
        pids = [_spawn(own) for _ in range(spec.others)]
        return len(pids), pids

    started: list[tuple[int, int]] = [(server_pid, go_w)]
    try:
        number, pid, keep = _role(UID_OTHER, others)
        started.append((pid, keep))
        holders, pid, keep = _role(UID_CLIENT, clients)
        started.append((pid, keep))
        with os.fdopen(told_r) as lines:
            backends = json.load(lines)
        os.close(listening)
        truth = Truth(port, path, server_pid, backends or [server_pid], holders, number)
        print(json.dumps(asdict(truth)), flush=True)
        sys.stdin.read()
    finally:
        for _pid, keep in started:
            os.close(keep)
        for pid, _keep in started:
            os.waitpid(pid, 0)
        if path:
            os.unlink(path)
        os.rmdir(directory)


@contextlib.contextmanager
def population(spec: Spec) -> Any:
    """A population of `spec`, for the length of a with block; gives its Truth."""
    maker = subprocess.Popen(
        [sys.executable, os.path.abspath(__file__), json.dumps(asdict(spec))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert maker.stdin is not None and maker.stdout is not None  # noqa: PT018, S101 - both are pipes
    try:
        line = maker.stdout.readline()
        if not line:
            raise RuntimeError("the population could not be made")
        raw = json.loads(line)
        raw["holders"] = [(key, pid) for key, pid in raw["holders"]]
        yield Truth(**raw)
    finally:
        maker.stdin.close()
        maker.wait(60)
        maker.stdout.close()


if __name__ == "__main__":
    make(Spec(**json.loads(sys.argv[1])))
