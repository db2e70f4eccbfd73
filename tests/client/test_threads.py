"""Threads that died, and threads that keep a process alive."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading

import pytest

from pgusher.client import threads
from pgusher.client.stderr import bounded, say
from tests.client.test_job import BEGIN, run


def test_who_keeps_a_process_alive_is_named_with_what_it_waits_for() -> None:
    done = run(
        BEGIN
        + """
from pgusher.client.threads import on_thread_error
on_thread_error("tell")
end = threading.Event()
def dies(): raise ValueError("bad row")
def stays(): end.wait()
threading.Thread(target=stays, name="stays").start()
dead = threading.Thread(target=dies, name="dies")
dead.start()
dead.join()
threading.Thread(target=lambda: (time.sleep(2), end.set()), daemon=True).start()
"""
    )
    assert done.returncode == 0, done.stderr  # told, and nothing else
    assert "ValueError: bad row" in done.stderr
    assert "pgusher: the main thread has ended, a thread keeps pid " in done.stderr
    assert "  thread stays waits in " in done.stderr
    assert "Event.wait at <string>:" in done.stderr
    assert "  before that thread dies died of ValueError: bad row at <string>:" in done.stderr


def test_who_ends_in_time_is_not_named() -> None:
    program = "threads.on_thread_error('tell'); threading.Thread(target=time.sleep, args=(0.2,)).start()"
    done = run(BEGIN + "from pgusher.client import threads; " + program)
    assert (done.returncode, done.stderr) == (0, "")


def test_exit_ends_the_run() -> None:
    done = run(
        BEGIN
        + """
from pgusher.client.threads import on_thread_error
on_thread_error("exit", 0.2)
def dies(): raise ValueError("bad row")
threading.Thread(target=dies, name="dies").start()
threading.Event().wait()
"""
    )
    assert done.returncode == 1
    assert "pgusher: thread dies died of ValueError: bad row" in done.stderr


def test_a_child_of_a_fork_has_seen_no_death() -> None:
    done = run(
        BEGIN
        + """
from pgusher.client.threads import watch
watch.install()
def dies(): raise ValueError("bad row")
dead = threading.Thread(target=dies)
dead.start()
dead.join()
child = os.fork()
if child == 0:
    os._exit(len(watch.deaths))
print(len(watch.deaths), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    )
    assert done.stdout == "1 0\n"


def test_a_wish_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="not 'abort'"):
        threads.on_thread_error("abort")  # type: ignore[arg-type]


def test_the_line_is_the_innermost_that_is_no_librarys() -> None:
    never: queue.Queue[int] = queue.Queue()

    def gets() -> None:
        never.get()

    thread = threading.Thread(target=gets, name="gets", daemon=True)
    thread.start()
    told = ""
    for _ in range(1000):
        (told,) = threads.doings([thread])
        if "Queue.get" in told:
            break
        thread.join(0.01)
    assert told.startswith("thread gets waits in Queue.get at ")
    assert f"{__file__}:" in told
    never.put(1)
    thread.join()
    assert threads.doings([thread]) == ["thread gets has no Python frame"]
    assert threads.doings([thread] * 25)[-1] == "and 5 more"


def test_a_message_goes_past_what_is_stuck() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as reader:
        assert reader.stdin is not None
        fd = reader.stdin.fileno()
        assert say("x" * 1000, fd=fd)
        assert not say("x" * 1_000_000, timeout=0.1, fd=fd)  # it reads one line
        reader.kill()
    assert not say("x", fd=fd)  # closed


def test_what_is_bounded_neither_waits_nor_raises() -> None:
    called = []
    bounded(lambda: called.append(1), 10)
    assert called == [1]
    bounded(threading.Event().wait, 0.01)
    bounded(lambda: 1 // 0, 10)
