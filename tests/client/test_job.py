"""A run that has failed ends, and fails: real scripts, each of which hangs for ever without the job."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import psycopg
import pytest

from pgusher.demo.server import EmbeddedServer
from tests.bed.holder import HANGS, ROOT

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([os.path.join(ROOT, "src"), HANGS])}


@pytest.fixture(autouse=True, scope="module")
def _state(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Where the runs are written down: not where those of this machine are."""
    ENVIRONMENT["PGUSHER_STATE"] = str(tmp_path_factory.mktemp("state"))


def run(script: str, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """The script to its end. Its standard input stays open and silent, as that of a hung launcher."""
    command = [sys.executable, "-c", textwrap.dedent(script), *words]
    environment = {**ENVIRONMENT, **more}
    read, write = os.pipe()
    try:
        return subprocess.run(
            command, stdin=read, capture_output=True, text=True, timeout=60, check=False, env=environment
        )
    finally:
        os.close(read)
        os.close(write)


BEGIN = """
import os, queue, socket, sys, threading, time
import pgusher
"""

HANGING = {
    "an Event that nobody sets": """
        ready = threading.Event()
        def load():
            raise ValueError("table not empty")
            ready.set()
        @pgusher.job(grace=0.2)
        def main():
            threading.Thread(target=load, name="loader").start()
            ready.wait()
        main()
    """,
    "a queue whose worker died": """
        todo = queue.Queue()
        def work():
            while todo.get():
                raise ValueError("table not empty")
                todo.task_done()
        with pgusher.job("nightly", grace=0.2):
            threading.Thread(target=work, name="loader", daemon=True).start()
            todo.put(1)
            todo.join()
    """,
    "a lock that was not given back": """
        lock, taken = threading.Lock(), threading.Event()
        def work():
            lock.acquire()
            taken.set()
            raise ValueError("table not empty")
        @pgusher.job(grace=0.2)
        def main():
            threading.Thread(target=work, name="loader").start()
            taken.wait()
            lock.acquire()
        main()
    """,
    "a peer that never answers": """
        peer = socket.create_server(("127.0.0.1", 0))
        def fetch():
            socket.create_connection(peer.getsockname()).recv(1)
        @pgusher.job(grace=0.2)
        def main():
            threading.Thread(target=fetch, name="fetch").start()
            raise ValueError("table not empty")
        main()
    """,
    "an executor whose worker waits, and the executor came later than the job": """
        waiting = queue.Queue()
        @pgusher.job(grace=0.2)
        def main():
            from concurrent.futures import ThreadPoolExecutor
            executor = ThreadPoolExecutor(1)
            executor.submit(waiting.get)
            raise ValueError("table not empty")
        main()
    """,
    "a question on standard input": """
        @pgusher.job(grace=0.2)
        def main():
            threading.Thread(target=input, name="asks").start()
            raise ValueError("table not empty")
        main()
    """,
    "a thread that dies when the main one has ended": """
        def late():
            time.sleep(0.2)
            raise ValueError("table not empty")
        @pgusher.job(grace=0.2)
        def main():
            threading.Thread(target=late, name="loader").start()
            threading.Thread(target=threading.Event().wait).start()
        main()
    """,
    "a multiprocessing child that is waited for": """
        import multiprocessing
        @pgusher.job(grace=0.2)
        def main():
            multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,)).start()
            print(multiprocessing.active_children()[0].pid, flush=True)
            raise ValueError("table not empty")
        main()
    """,
}


@pytest.mark.parametrize("what", HANGING)
def test_it_ends_with_1_and_a_traceback(what: str) -> None:
    if "multiprocessing" in what:
        # Its child has the pipes too, so that their end is the child's: only the exit of the run is looked at.
        with subprocess.Popen(
            [sys.executable, "-c", BEGIN + textwrap.dedent(HANGING[what])],
            env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        ) as started:  # fmt: skip
            assert started.stdout is not None
            child = int(started.stdout.readline())
            try:
                assert started.wait(60) == 1
            finally:
                os.kill(child, 9)
        return
    done = run(BEGIN + textwrap.dedent(HANGING[what]))
    assert done.returncode == 1, done.stderr
    assert "ValueError: table not empty" in done.stderr
    assert "Traceback (most recent call last)" in done.stderr
    assert "the run has failed and is ended 0.2 s later with exit code 1" in done.stderr


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("an Event that nobody sets", r"thread MainThread waits in \S*Event.wait at <string>:\d+"),
        ("a queue whose worker died", r"thread MainThread waits in \S*Queue.join at <string>:\d+"),
        ("a lock that was not given back", r"thread MainThread is at <string>:\d+"),
        ("a peer that never answers", r"thread fetch is at <string>:\d+"),
        ("an Event that nobody sets", r"pgusher: thread loader died of ValueError: table not empty at <string>:\d+;"),
    ],
)
def test_it_tells_who_died_and_what_the_others_wait_for(what: str, told: str) -> None:
    assert re.search(told, run(BEGIN + textwrap.dedent(HANGING[what])).stderr)


def test_a_stderr_that_nobody_reads_holds_nothing_up() -> None:
    done = run(
        BEGIN
        + """
read, write = os.pipe()
os.dup2(write, 2)
os.set_blocking(2, False)
try:
    while os.write(2, b"." * 4096): pass
except BlockingIOError: os.set_blocking(2, True)
def work(): raise ValueError("table not empty")
@pgusher.job(grace=0.2)
def main():
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
main()
"""
    )
    assert done.returncode == 1


def test_a_run_whose_threads_end_within_the_grace_fails_too() -> None:
    script = (
        BEGIN
        + """
def work(): raise ValueError("table not empty")
@pgusher.job(grace=600)
def main():
    thread = threading.Thread(target=work, name="loader")
    thread.start()
    thread.join()
    print("the main thread saw nothing of it")
{}
"""
    )
    done = run(script.format("main()"))
    assert (done.returncode, done.stdout) == (1, "the main thread saw nothing of it\n")
    assert "JobError: a thread of the job raised" in done.stderr
    assert "DETAIL: thread loader died of ValueError: table not empty at <string>" in done.stderr
    assert "direct cause" in done.stderr


def test_a_thread_that_dies_after_the_main_one_fails_the_run_though_nothing_hangs() -> None:
    done = run(
        BEGIN
        + """
def late():
    time.sleep(0.2)
    raise ValueError("table not empty")
@pgusher.job(grace=600)
def main(): threading.Thread(target=late, name="loader").start()
main()
print("buffered", end="")
"""
    )
    assert (done.returncode, done.stdout) == (1, "buffered")
    assert "pgusher: thread loader died of ValueError: table not empty" in done.stderr


def test_a_good_run_is_left_alone() -> None:
    done = run(
        BEGIN
        + """
@pgusher.job
def add(one, other=2):
    "Adds."
    thread = threading.Thread(target=print, args=("worked",))
    thread.start()
    thread.join()
    return one + other
print(add(1), add.__name__, add.__doc__)
with pgusher.job("nightly", timeout=600):
    print(os.environ["PGUSHER_JOB"])
print("PGUSHER_JOB" in os.environ)
"""
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "worked\n3 add Adds.\nnightly\nFalse\n"


@pytest.mark.parametrize(("leave", "code"), [("sys.exit(3)", 3), ("sys.exit()", 0), ("sys.exit('no')", 1)])
def test_a_wish_to_exit_keeps_its_code(leave: str, code: int) -> None:
    stay = "threading.Thread(target=threading.Event().wait).start()" if code else ""
    done = run(BEGIN + f"with pgusher.job(grace=0.1):\n    {stay}\n    {leave}")
    assert done.returncode == code, done.stderr


def test_what_was_caught_is_dealt_with() -> None:
    done = run(
        BEGIN
        + """
try:
    with pgusher.job(grace=0.0): raise ValueError("table not empty")
except ValueError: pass
thread = threading.Thread(target=time.sleep, args=(0.5,))
thread.start()
"""
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_limit_ends_what_raises_nothing() -> None:
    done = run(BEGIN + "with pgusher.job(timeout=0.2): threading.Event().wait()")
    assert done.returncode == 124
    assert "pgusher: the job took longer than its limit of 0.2 s" in done.stderr
    assert re.search(r"thread MainThread waits in \S*Event.wait at <string>", done.stderr)


def test_an_excepthook_that_was_there_before_is_called() -> None:
    done = run(
        BEGIN
        + """
threading.excepthook = lambda args: print("mine:", args.exc_value, flush=True)
def work(): raise ValueError("table not empty")
with pgusher.job(grace=0.2):
    threading.Thread(target=work).start()
    threading.Event().wait()
"""
    )
    assert (done.returncode, done.stdout) == (1, "mine: table not empty\n")
    assert "Traceback" in done.stderr  # that hook wrote none, so it is written here


@pytest.fixture(scope="module")
def tables(server: EmbeddedServer) -> EmbeddedServer:
    """The server, with the tables of the scripts."""
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute((Path(HANGS) / "schema.sql").read_bytes())
    return server


@pytest.mark.parametrize("script", ["event_never_set", "lock_not_released", "queue_join_no_task_done"])
def test_the_scripts_of_the_incident_end_with_1_and_leave_no_session(tables: EmbeddedServer, script: str) -> None:
    program = """
        import runpy, sys, pgusher
        @pgusher.job("nightly", grace=0.2)
        def main(): runpy.run_path(sys.argv[1], run_name="__main__")
        main()
    """
    done = run(program, os.path.join(HANGS, script + ".py"), PGUSHER_DSN=tables.dsn())
    assert done.returncode == 1, done.stderr
    assert "pgusher: thread " in done.stderr
    left = -1
    with psycopg.connect(tables.dsn(), autocommit=True) as connection:
        for _ in range(200):
            row = connection.execute(
                "select count(*), pg_sleep(0.05) from pg_stat_activity"
                " where backend_type = 'client backend' and pid <> pg_backend_pid()"
            ).fetchone()
            assert row is not None
            left = row[0]
            if not left:
                break
    assert left == 0
