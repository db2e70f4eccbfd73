"""What a library frame means: the operations that a thread can wait in, by source file and function.

Checked on the sources of CPython 3.8 to 3.13, psycopg 3, psycopg_pool 3, psycopg2 and SQLAlchemy 2. Up to Python 3.10 a
frame has no class, so names of methods stand alone here, and `wait` of threading is told by what stands beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

from pgusher.model.stacks import Frame, is_foreign

_BY_FUNCTION: dict[str, dict[str, str]] = {
    "/queue.py": {"join": "queue.join", "get": "queue.get", "put": "queue.put"},
    "/threading.py": {
        "join": "thread.join",
        "_shutdown": "main.exit",
        "acquire": "semaphore.acquire",
        "_wait_for_tstate_lock": "thread.join",
        "wait_for": "condition.wait",
    },
    "/concurrent/futures/thread.py": {"_python_exit": "executor.exit", "shutdown": "executor.shutdown"},
    "/concurrent/futures/process.py": {"_python_exit": "executor.exit", "shutdown": "executor.shutdown"},
    "/concurrent/futures/_base.py": {
        "result": "future.result",
        "exception": "future.result",
        "wait": "future.wait",
        "as_completed": "future.wait",
        "result_iterator": "future.result",
        "__exit__": "executor.shutdown",
    },
    "/subprocess.py": dict.fromkeys(
        ("wait", "_wait", "communicate", "_communicate", "call", "run", "check_output", "check_call", "__exit__"),
        "child.wait",
    ),
    "/multiprocessing/pool.py": {
        **dict.fromkeys(("get", "wait", "map", "starmap", "apply", "next", "join", "_terminate_pool"), "mp.pool"),
        **dict.fromkeys(("_handle_tasks", "_handle_results", "_handle_workers"), "mp.inside"),
    },
    "/multiprocessing/process.py": {"join": "child.wait"},
    "/multiprocessing/popen_fork.py": {"wait": "child.wait", "poll": "child.wait"},
    "/multiprocessing/util.py": {"_exit_function": "child.wait"},
    "/multiprocessing/queues.py": {
        "get": "mp.queue.get",
        "put": "mp.queue.put",
        "join": "mp.queue.join",
        "_feed": "mp.feed",
        "_finalize_join": "mp.flush",
    },
    "/multiprocessing/synchronize.py": {"__enter__": "mp.lock", "acquire": "mp.lock", "wait": "mp.event"},
    "/multiprocessing/connection.py": dict.fromkeys(
        ("recv", "recv_bytes", "poll", "wait", "_recv", "_poll"), "mp.recv"
    ),
    "/multiprocessing/managers.py": {"_callmethod": "mp.recv"},
    "/logging/handlers.py": {"_monitor": "listener", "enqueue": "log.put"},
    "/psycopg_pool/pool.py": {"getconn": "pool.getconn", "wait": "pool.getconn"},
    "/psycopg_pool/sched.py": {},
    "/sqlalchemy/pool/impl.py": {"_do_get": "pool.getconn"},
    "/bdb.py": dict.fromkeys(("trace_dispatch", "dispatch_line", "user_line"), "debugger"),
    "/pdb.py": dict.fromkeys(("interaction", "cmdloop", "_cmdloop", "user_line"), "debugger"),
    "/getpass.py": dict.fromkeys(("unix_getpass", "getpass", "_raw_input"), "input"),
    "/socketserver.py": {"serve_forever": "server"},
    "/asyncio/base_events.py": {"run_forever": "loop", "run_until_complete": "loop", "_run_once": "loop"},
    "/asyncio/runners.py": {"run": "loop", "close": "loop", "__exit__": "loop"},
}
_SERVERS = ("/gunicorn/", "/uvicorn/", "/waitress/", "/werkzeug/serving", "/wsgiref/", "/hypercorn/", "/cheroot/")
_PSYCOPG = ("/psycopg/", "/psycopg_c/", "/psycopg2/", "/pg8000/")
_PG = {
    "notifies": "pg.notifies",
    "rollback": "pg.rollback",
    "__exit__": "pg.query",
}


def bare(frame: Frame) -> str:
    """The function without its class."""
    return frame.function.rpartition(".")[2]


def operation(inner: Sequence[Frame]) -> tuple[str, Frame] | None:
    """What the user's line waits in, and the frame that says so.

    `inner` are the frames inside of the user's line, innermost first. The frame nearest to the user's line counts:
    Queue.join, not the Condition.wait that it is made of.
    """
    for at in range(len(inner) - 1, -1, -1):
        frame = inner[at]
        known = _known(frame, inner[:at])
        if known is not None:
            return known, frame
    return None


def _known(frame: Frame, inside: Sequence[Frame]) -> str | None:
    file, name = frame.file, bare(frame)
    if not is_foreign(file):
        return None  # the user's own context manager, or a module of his called queue
    for tail, functions in _BY_FUNCTION.items():
        if file.endswith(tail):
            if tail == "/threading.py" and name in ("wait", "_wait"):
                return _wait(frame, inside)
            return functions.get(name)
    if any(part in file for part in _PSYCOPG):
        return _pg(name, inside)
    return "server" if any(part in file for part in _SERVERS) else None


def _pg(name: str, inside: Sequence[Frame]) -> str:
    if name == "__exit__" and any(bare(frame) == "rollback" for frame in inside):
        return "pg.rollback"
    return _PG.get(name, "pg.query")


def _wait(frame: Frame, inside: Sequence[Frame]) -> str:
    """Which of threading's `wait`: by its class, or by what it calls (Event.wait and Barrier use a Condition)."""
    owner = frame.function.rpartition(".")[0]
    if owner:
        return {"Event": "event.wait", "Barrier": "barrier.wait"}.get(owner, "condition.wait")
    called = [bare(one) for one in inside if one.file.endswith("/threading.py")]
    if "_wait" in called or bare(frame) == "_wait" or "wait_for" in called:
        return "barrier.wait"
    return "event.wait" if "wait" in called else "condition.wait"
