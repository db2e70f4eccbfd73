"""The keeper: a small process that ends what its parent started, however the parent ends.

Run as a script with the bare interpreter (`python -I -S keeper.py`), never imported for its functions: it imports
little, and late, because every server start waits for it. It makes one temporary directory and runs at most one
program at a time, as its own child. On the command `end`, on the end of its parent (SIGKILL included) or on SIGTERM
it stops that program, ends every process that carries its cookie, and removes the directory.

Orders and answers are JSON objects, one a line, on standard input and output; `pgusher.demo.keep` speaks to it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time

COOKIE = "PGUSHER_KEEPER"
"""Environment variable that a kept program and, by inheritance, all its descendants carry."""

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_IPC_RMID = 0  # linux/ipc.h


class Keeper:
    """What is kept: a directory, a cookie and at most one child."""

    def __init__(self, config: dict) -> None:  # type: ignore[type-arg]  # typing costs start-up time
        self.config = config
        self.cookie: str = config["cookie"]
        self.parent = os.pidfd_open(config["parent"])
        self.directory: str | None = None
        self.child: tuple[int, int] | None = None  # pid, pidfd
        self.status: int | None = None

    def make_directory(self) -> None:
        """The temporary directory, if one is wanted; its name cannot be guessed, and it must not exist."""
        if self.config["directory_in"] is not None:
            path = os.path.join(self.config["directory_in"], self.config["prefix"] + self.cookie[:12])
            os.mkdir(path, 0o700)
            self.directory = path
            os.chmod(path, self.config["mode"])  # mkdir is subject to the umask

    def start(self, order: dict) -> dict:  # type: ignore[type-arg]
        """Fork and exec the program in a session of its own; answer its pid once the exec has succeeded."""
        if self.child is not None:
            return {"error": "a program is running already"}
        import ctypes  # 6 ms: after the directory was answered, while the parent fills it

        libc = ctypes.CDLL(None, use_errno=True)
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        null = os.open(os.devnull, os.O_RDONLY)
        read_end, write_end = os.pipe()
        keeper = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                os.setsid()
                for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGTERM, signal.SIGXFSZ):
                    signal.signal(number, signal.SIG_DFL)
                os.dup2(null, 0)
                os.dup2(log, 1)
                os.dup2(log, 2)
                if order["account"] is not None:
                    uid, gid, groups = order["account"]
                    os.setgroups(groups)
                    os.setresgid(gid, gid, gid)
                    os.setresuid(uid, uid, uid)
                if order["death_signal"]:
                    # After the change of user, which clears it; and then look whether the keeper is still there.
                    libc.prctl(_PR_SET_PDEATHSIG, order["death_signal"], 0, 0, 0)
                    if os.getppid() != keeper:
                        os._exit(1)
                os.umask(order["umask"])
                os.chdir(order["cwd"])
                os.execve(order["argv"][0], order["argv"], {**order["env"], COOKIE: self.cookie})  # noqa: S606 - it becomes the program; no shell is wanted
            except BaseException as error:  # noqa: BLE001  # a child must not return from here
                os.write(write_end, str(error).encode("utf-8", "backslashreplace"))
            finally:
                os._exit(127)
        for fd in (write_end, log, null):
            os.close(fd)
        failure = os.read(read_end, 4096)  # the exec closes the other end
        os.close(read_end)
        if failure:
            os.waitpid(pid, 0)
            return {"error": failure.decode("utf-8", "replace")}
        self.child = (pid, os.pidfd_open(pid))
        self.status = None
        return {"pid": pid}

    def reap(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for the end of the child; whether it has ended."""
        if self.child is None:
            return True
        pid, pidfd = self.child
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        if not poll.poll(timeout * 1000):
            return False
        self.status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.close(pidfd)
        self.child = None
        return True

    def stop(self, steps: list) -> dict:  # type: ignore[type-arg]
        """Send each signal in turn until the child has ended."""
        killed = False
        for number, seconds in steps:
            if self.child is None or self.reap(0):
                break
            signal.pidfd_send_signal(self.child[1], number)
            killed = number == signal.SIGKILL
            self.reap(seconds)
        if killed:
            self.remove_shared_memory()
        return self.report()

    def report(self) -> dict:  # type: ignore[type-arg]
        """Whether the program runs, and its last exit code (negative: the signal that ended it)."""
        self.reap(0)
        return {"status": self.status, "running": self.child is not None}

    def remove_shared_memory(self) -> None:
        """A postmaster ended by SIGKILL leaves its System V segment: line 7 of postmaster.pid names it (key, id)."""
        try:
            with open(os.path.join(self.directory or "", "data", "postmaster.pid"), encoding="ascii") as file:
                identifier = int(file.read().split("\n")[6].split()[1])
        except (OSError, IndexError, ValueError):
            return
        import ctypes

        ctypes.CDLL(None).shmctl(identifier, _IPC_RMID, None)

    def sweep(self) -> None:
        """End every process that carries the cookie, until a pass finds none: they may fork while we look."""
        mark = f"{COOKIE}={self.cookie}".encode()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
            if not sum(kill_marked(pid, mark) for pid in pids if pid != os.getpid()):
                return
            time.sleep(0.01)

    def end(self) -> None:
        """Stop, sweep, remove. Nothing here may be cut short by another signal."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            self.stop(self.config["stop"])
            if self.config["sweep"]:
                self.sweep()
        finally:
            if self.directory is not None:
                import shutil

                for _ in range(5):  # a last writer may have added a file during the removal
                    shutil.rmtree(self.directory, ignore_errors=True)
                    if not os.path.lexists(self.directory):
                        break
                    time.sleep(0.05)

    def serve(self) -> None:
        """Obey until `end`, the end of the parent, or the end of standard input."""
        buffer = b""
        while True:
            poll = select.poll()
            poll.register(0, select.POLLIN)
            # Not only the end of file: a child that the parent forks inherits the pipe and would keep it open.
            poll.register(self.parent, select.POLLIN)
            if self.child is not None:
                poll.register(self.child[1], select.POLLIN)
            ready = {fd for fd, _ in poll.poll()}
            if self.parent in ready:
                return
            self.reap(0)  # at once, so that no zombie stands for a server that has ended
            if 0 not in ready:
                continue
            data = os.read(0, 65536)
            buffer += data
            while b"\n" in buffer:
                line, _, buffer = buffer.partition(b"\n")
                order = json.loads(line)
                if order["do"] == "start":
                    answer(self.start(order))
                elif order["do"] == "stop":
                    answer(self.stop(order["steps"]))
                elif order["do"] == "report":
                    answer(self.report())
                else:
                    return
            if not data:
                return


def kill_marked(pid: int, mark: bytes) -> bool:
    """SIGKILL the process if it carries the mark, through a pidfd opened before the look; whether it did."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            if mark not in file.read().split(b"\0"):
                return False
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(pidfd)


def answer(value: dict) -> None:  # type: ignore[type-arg]
    """One line to the parent; that it is gone is noticed by the loop."""
    try:
        os.write(1, json.dumps(value).encode() + b"\n")
    except OSError:
        return


def leave(_number: int, _frame: object) -> None:
    """SIGTERM: as if the parent had gone."""
    raise SystemExit(0)


def main() -> None:
    """Read the configuration line, keep, and clean up."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, leave)
    config = b""
    while not config.endswith(b"\n"):
        byte = os.read(0, 1)  # one at a time: what follows the line belongs to serve()
        if not byte:
            return
        config += byte
    try:
        keeper = Keeper(json.loads(config))
    except ProcessLookupError:
        return
    if os.getppid() != keeper.config["parent"]:  # it died before the pidfd was open: this is another process
        return
    try:
        keeper.make_directory()
        answer({"directory": keeper.directory})
        keeper.serve()
    except OSError as error:
        answer({"error": str(error)})
    finally:
        keeper.end()
        answer({"ended": True})


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    main()
