"""Programs as people write them, which know nothing of a guard: each with what it must come to under one."""

from __future__ import annotations

from pgusher.model.values import dataclass


@dataclass(frozen=True, slots=True)
class Script:
    """One program."""

    text: str
    code: int = 1
    out: str = ""
    """What it prints: what it closes on its way out."""
    died: tuple[str, ...] = ()
    """Who died of what."""
    waits: str = ""
    """What the main thread waited in at the end; "" for a run that ended by itself."""


_BEGIN = """
import atexit, contextlib, os, queue, sys, threading, time
atexit.register(print, "exit function")
@contextlib.contextmanager
def pool():
    try:
        yield
    finally:
        print("pool closed", flush=True)
def die(*_):
    raise ValueError("bad row")
"""

SCRIPTS = {
    "a queue whose worker died": Script(
        """
q = queue.Queue()
def work():
    while q.get() != 3:
        q.task_done()
    die()
with pool():
    threading.Thread(target=work, name="worker", daemon=True).start()
    for n in range(6):
        q.put(n)
    q.join()
""",
        out="pool closed\nexit function\n",
        died=("worker of ValueError",),
        waits="q.join()",
    ),
    "an event that nobody sets": Script(
        """
with pool():
    threading.Thread(target=die, name="setter").start()
    threading.Event().wait()
""",
        out="pool closed\nexit function\n",
        died=("setter of ValueError",),
        waits="wait()",
    ),
    "a hook of its own, set afterwards, that tells nobody": Script(
        """
threading.excepthook = lambda args: None
lock = threading.Lock()
def work():
    lock.acquire()
    die()
with pool():
    thread = threading.Thread(target=work, name="holder")
    thread.start()
    thread.join()
    lock.acquire()
""",
        out="pool closed\nexit function\n",
        died=("holder of ValueError",),
        waits="lock.acquire()",
    ),
    "an executor that waits for a worker while it is unwound": Script(
        """
from concurrent.futures import ThreadPoolExecutor
with pool(), ThreadPoolExecutor(2) as executor:
    executor.submit(queue.Queue().get)
    threading.Thread(target=die, name="other").start()
""",
        out="pool closed\nexit function\n",
        died=("other of ValueError",),
        waits="with pool()",
    ),
    "the main thread died, another listens for ever": Script(
        """
threading.Thread(target=threading.Event().wait, name="listener").start()
die()
""",
        out="exit function\n",
        died=("MainThread of ValueError",),
        waits="-",
    ),
    "the main thread died, an executor's worker waits": Script(
        """
from concurrent.futures import ThreadPoolExecutor
ThreadPoolExecutor(2).submit(queue.Queue().get)
die()
""",
        out="exit function\n",
        died=("MainThread of ValueError",),
        waits="-",
    ),
    "a thread that dies when the main one has ended": Script(
        """
def late():
    time.sleep(0.1)
    die()
threading.Thread(target=late, name="late").start()
threading.Thread(target=threading.Event().wait).start()
""",
        out="exit function\n",
        died=("late of ValueError",),
        waits="-",
    ),
    "a thread died, and the run ended well": Script(
        """
thread = threading.Thread(target=die, name="unlucky")
thread.start()
thread.join()
print("done")
""",
        out="done\nexit function\n",
        died=("unlucky of ValueError",),
    ),
    "standard error is full": Script(
        """
reader, writer = os.pipe()
os.dup2(writer, 2)
os.set_blocking(2, False)
with contextlib.suppress(BlockingIOError):
    while os.write(2, b"." * 4096):
        pass
os.set_blocking(2, True)
thread = threading.Thread(target=die, name="teller")
thread.start()
thread.join()
""",
        out="",  # its exit functions print, and then its own flush of standard error waits: nothing holds the end up
        died=("teller of ValueError",),
        waits="thread.join()",
    ),
    "a child of a fork, whose parent waits for it": Script(
        """
import multiprocessing
def child():
    with pool():
        threading.Thread(target=die, name="inner").start()
        threading.Event().wait()
process = multiprocessing.get_context("fork").Process(target=child)
process.start()
process.join()
print(process.exitcode)
""",
        code=0,  # the child's end was no secret to its parent; that the run has failed is the report's to say
        out="pool closed\n1\nexit function\n",
        died=("inner of ValueError",),
        waits="threading.Event().wait()",
    ),
    "a spawned child": Script(
        """
import subprocess
text = "import threading; t = threading.Thread(target=int, args='x', name='spawned'); t.start(); t.join()"
print(subprocess.run([sys.executable, "-c", text], stderr=subprocess.DEVNULL).returncode)
""",
        code=0,
        out="1\nexit function\n",
        died=("spawned of ValueError",),
    ),
}

FINE = {
    "an exception that a future keeps": Script(
        """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(1) as executor:
    assert isinstance(executor.submit(die).exception(), ValueError)
""",
        code=0,
    ),
    "a thread that leaves": Script(
        """
thread = threading.Thread(target=sys.exit, args=(3,))
thread.start()
thread.join()
sys.exit(7)
""",
        code=7,
    ),
    "a task that fails": Script(
        """
import asyncio
async def main():
    task = asyncio.ensure_future(asyncio.sleep(0))
    await asyncio.gather(task, asyncio.to_thread(die), return_exceptions=True)
asyncio.run(main())
""",
        code=0,
    ),
    "an exit code, while a thread is at work": Script(
        """
def work():
    time.sleep(0.3)
    print("worked")
threading.Thread(target=work).start()
sys.exit(5)
""",
        code=5,
        out="worked\n",
    ),
    "what a test runner keeps of a failure": Script(
        """
def call():
    try:
        die()
    except ValueError as error:
        sys.last_value = error
call()
""",
        code=0,
    ),
    "a daemon that is torn down at the end": Script(
        """
import traceback
def work():
    while threading.main_thread().is_alive():
        time.sleep(0.01)
    die()
threading.excepthook = lambda args: None
threading.Thread(target=work, daemon=True).start()
threading.Thread(target=time.sleep, args=(0.3,)).start()
""",
        code=0,
    ),
    "its paths are what they were": Script(
        """
print([path for path in sys.path if "inside" in path], [name for name in vars() if "pgusher" in name])
""",
        code=0,
        out="[] []\n",
    ),
}


def source(script: Script) -> str:
    """The whole program."""
    return _BEGIN + script.text
