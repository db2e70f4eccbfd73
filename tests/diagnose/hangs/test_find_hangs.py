"""What the recorded and the real programs do not show: the server's part, standing still, and stacks of any shape."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.diagnose.hangs import find_hangs
from pgusher.model.address import ClientAddress, Transport
from pgusher.model.evidence import Certainty
from pgusher.model.facts import Facts
from pgusher.model.process import Host
from pgusher.model.server import Rung, Server, View
from pgusher.model.session import Session
from pgusher.model.sockets import ClientSocket, FdHolder, Sight
from pgusher.model.stacks import (
    Clue,
    ClueKind,
    Frame,
    ProcessStacks,
    StackOrigin,
    ThreadStack,
    WaitedFile,
)

LIB = "/usr/lib/python3.11/"
PSYCOPG = LIB + "site-packages/psycopg/connection.py"
NOW = 1_790_000_000_000_000
SECOND = 1_000_000


def frames(*told: tuple[str, str, int]) -> tuple[Frame, ...]:
    return tuple(Frame(function, file, line) for function, file, line in told)


def waiting(*inner: tuple[str, str, int], line: int = 7, native: int = 5, **more: object) -> ThreadStack:
    told = {"syscall": "futex", "endless": True, "switched": 0, "busy": False, "state": "S"} | more
    stack = frames(*inner, ("work", "/srv/job.py", line))
    return ThreadStack(native, name="MainThread" if native == 5 else "other", frames=stack, main=native == 5, **told)  # type: ignore[arg-type]  # by name


def process(*threads: ThreadStack, sampled: int = 1000, pid: int = 5, **more: object) -> ProcessStacks:
    return ProcessStacks(
        pid, 1, NOW - 90 * SECOND, StackOrigin.PY_SPY, threads, taken_at=NOW, sampled_ms=sampled, python="3.11", **more  # type: ignore[arg-type]  # by name
    )  # fmt: skip


def facts(*sessions: Session, holders: dict[int, int]) -> Facts:
    sockets = tuple(
        ClientSocket(
            Transport.TCP, Sight.EXACT, "127.0.0.1", 40_000 + s.pid, holders=(FdHolder(holders[s.pid], s.pid),)
        )
        for s in sessions
    )
    return Facts(NOW, Host("h"), Server(5432, local=True), View(Rung.HELD), sessions=sessions, sockets=sockets)


def session(pid: int, state: str, seconds: int, **more: object) -> Session:
    client = ClientAddress(Transport.TCP, "127.0.0.1", 40_000 + pid)
    return Session(pid, NOW - 99 * SECOND, client=client, state=state, state_change=NOW - seconds * SECOND, **more)  # type: ignore[arg-type]  # by name


QUERY = (("Connection.wait", PSYCOPG, 495), ("Cursor.execute", PSYCOPG, 97))
JOIN = (("Condition.wait", LIB + "threading.py", 327), ("Queue.join", LIB + "queue.py", 90))


def asks(fd: int, **more: object) -> ThreadStack:
    file = WaitedFile(fd, "tcp", peer="127.0.0.1:5432", local_port=40_000 + fd)
    return waiting(*QUERY, **({"syscall": "poll", "endless": False, "switched": 10, "files": (file,)} | more))  # type: ignore[arg-type]  # by name


@pytest.mark.parametrize(
    ("state", "seconds", "expected"),
    [("idle", 60, ["answer-lost"]), ("idle", 3, []), ("active", 6000, [])],
)
def test_an_answer_is_lost_when_the_server_is_idle_for_long(state: str, seconds: int, expected: list[str]) -> None:
    found = find_hangs([process(asks(9))], facts(session(9, state, seconds), holders={9: 5}))
    assert [hang.mechanism for hang in found] == expected
    assert all(hang.sessions == (9,) and hang.line == 7 for hang in found)


@pytest.mark.parametrize(
    ("query", "line", "expected"),
    [
        ("listen orders", "select.select", []),
        ("LISTEN orders", "cursor.execute", []),
        ("select 1", "select.select", []),
        ("select 1", "cursor.execute", ["answer-lost"]),
        (None, "", []),
    ],
)
def test_a_select_of_the_users_own_waits_for_a_notification_not_for_an_answer(
    query: str | None, line: str, expected: list[str]
) -> None:
    file = WaitedFile(9, "tcp", peer="127.0.0.1:5432", local_port=40_009)
    clues = (Clue(ClueKind.AT, line, "/srv/job.py", 7),)
    told = process(waiting(syscall="poll", files=(file,)), clues=clues)
    found = find_hangs([told], facts(session(9, "idle", 60, query=query), holders={9: 5}))
    assert [hang.mechanism for hang in found] == expected


def test_a_query_that_a_session_at_work_blocks_is_slow_not_hung() -> None:
    blocked = session(9, "active", 60, blocked_by=(8,))
    assert find_hangs([process(asks(9))], facts(blocked, session(8, "active", 60), holders={9: 5, 8: 6})) == ()
    (hang,) = find_hangs(
        [process(asks(9))], facts(blocked, session(8, "idle in transaction", 60), holders={9: 5, 8: 6})
    )
    assert (hang.mechanism, hang.certainty, hang.pids) == ("blocked-by-idle-session", Certainty.PROVEN, (6,))
    assert hang.sessions == (9, 8)


def test_a_thread_at_work_may_end_the_transaction_that_blocks_its_own_process() -> None:
    blocked = facts(
        session(9, "active", 60, blocked_by=(8,)), session(8, "idle in transaction", 60), holders={9: 5, 8: 5}
    )
    busy = waiting(("sleep", "/srv/job.py", 3), native=6, syscall="clock_nanosleep", endless=False)
    assert find_hangs([process(asks(9), busy)], blocked) == ()
    (hang,) = find_hangs([process(asks(9))], blocked)
    assert hang.mechanism == "deadlock-python-postgres"


@pytest.mark.parametrize(
    ("sampled", "quiet", "still", "certainty"),
    [
        (1000, None, True, Certainty.GUESSED),
        (1000, 90, True, Certainty.LIKELY),
        (20_000, None, True, Certainty.PROVEN),
        (0, None, None, Certainty.GUESSED),
    ],
)
def test_how_sure_standing_still_is(sampled: int, quiet: int | None, still: bool | None, certainty: Certainty) -> None:
    known = facts(session(9, "idle", quiet), holders={9: 5}) if quiet is not None else None
    thread = waiting(*JOIN, switched=0 if sampled else None, busy=False if sampled else None)
    (hang,) = find_hangs([process(thread, sampled=sampled)], known)
    assert (hang.mechanism, hang.still, hang.still_certainty) == ("queue-join-no-worker", still, certainty)
    assert hang.since == (NOW - quiet * SECOND if quiet is not None else None)


@pytest.mark.parametrize("moved", [{"switched": 3}, {"busy": True}, {"endless": False}, {"state": "R"}])
def test_what_moves_is_not_hung(moved: dict[str, object]) -> None:
    assert find_hangs([process(waiting(*JOIN, **moved))]) == ()  # type: ignore[arg-type]  # by name


def test_the_line_that_entered_the_users_own_context_manager_is_the_users_line() -> None:
    stack = (
        ("Condition.wait", LIB + "threading.py", 1),
        ("ConnectionPool.getconn", LIB + "site-packages/psycopg_pool/pool.py", 2),
        ("Database.__new__", "/srv/db.py", 30),
        ("_GeneratorContextManager.__enter__", LIB + "contextlib.py", 137),
    )
    (hang,) = find_hangs([process(waiting(*stack))])
    assert (hang.mechanism, hang.file, hang.line) == ("pool-empty", "/srv/job.py", 7)


def test_a_traceback_in_the_log_is_the_line_that_raised() -> None:
    clues = (
        Clue(ClueKind.NOT_IN_FINALLY, "q.task_done", "/srv/job.py", 20, "worker", 15, (16, 18)),
        Clue(ClueKind.TRACEBACK, "ValueError", "/srv/job.py", 18, "worker"),
        Clue(ClueKind.TRACEBACK, "OSError", "/srv/other.py", 3, "later"),
    )
    (hang,) = find_hangs([process(waiting(*JOIN), clues=clues)])
    assert hang.raised is not None
    assert (hang.raised.line, hang.raised.error, hang.raised.certainty) == (18, "ValueError", Certainty.LIKELY)
    (hang,) = find_hangs([process(waiting(*JOIN), clues=clues[:1])])
    assert hang.raised is not None
    assert (hang.raised.line, hang.raised.last, hang.raised.certainty) == (15, 19, Certainty.GUESSED)


def test_a_child_that_was_not_asked_for_has_no_hang_of_its_own() -> None:
    assert find_hangs([process(waiting(*JOIN), asked=False)]) == ()


_NAMES = st.sampled_from(
    ["join", "Queue.get", "wait", "Event.wait", "_shutdown", "worker", "_worker", "run", "x", "acquire", "result",
     "getconn", "rollback", "notifies", "_feed", "_bootstrap", "__exit__", "_run_once", "poll", ""]
)  # fmt: skip
_FILES = st.sampled_from(
    [LIB + name for name in ("queue.py", "threading.py", "contextlib.py", "subprocess.py", "multiprocessing/pool.py",
     "multiprocessing/queues.py", "multiprocessing/process.py", "concurrent/futures/thread.py",
     "asyncio/base_events.py", "concurrent/futures/_base.py", "site-packages/psycopg/x.py",
     "site-packages/psycopg_pool/pool.py", "pdb.py")]
    + ["/srv/job.py", "<string>", ""]
)  # fmt: skip
_FRAMES = st.lists(st.builds(Frame, _NAMES, _FILES, st.integers(0, 9)), max_size=7).map(tuple)
_WAITED = st.builds(
    WaitedFile, st.integers(0, 4), st.sampled_from(["tcp", "pipe", "unix", "terminal", "listen", "other"]),
    st.just("x"), st.sampled_from([None, "10.0.0.1:443"]), st.none(), st.sampled_from([None, 9000]),
)  # fmt: skip
_THREADS = st.builds(
    ThreadStack, st.integers(1, 9), st.none(), st.sampled_from([None, "MainThread"]), _FRAMES, st.booleans(),
    st.sampled_from("SRDTt"), st.none(),
    st.sampled_from([None, "futex", "poll", "read", "write", "flock", "wait4", "openat", "accept"]),
    st.sampled_from([None, True, False]), st.sampled_from([None, 1, 2]), st.lists(_WAITED, max_size=2).map(tuple),
    st.sampled_from([None, -1, 2]), st.none(), st.sampled_from([None, 0, 3]),
)  # fmt: skip
_CLUES = st.builds(
    Clue, st.sampled_from(list(ClueKind)), st.sampled_from(["q.set", "with l", "l"]), _FILES, st.integers(0, 9)
)
_PROCESSES = st.builds(
    ProcessStacks, st.integers(1, 4), st.just(1), st.just(1), st.just(StackOrigin.PY_SPY),
    st.lists(_THREADS, max_size=4).map(tuple), ppid=st.integers(1, 4), state=st.sampled_from("SZ"),
    python=st.sampled_from([None, "3.8"]), clues=st.lists(_CLUES, max_size=4).map(tuple), sampled_ms=st.just(1000),
)  # fmt: skip


@given(st.lists(_PROCESSES, max_size=4))
def test_stacks_of_any_shape_are_judged_or_left_alone(told: list[ProcessStacks]) -> None:
    known = {one.pid: one for one in told}
    for hang in find_hangs(told):
        assert hang.mechanism
        assert known[hang.pid].asked
        assert hang.sentence.isprintable()
