"""What a source says of the lines on stacks, and of calls that an error skips."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.collect.stacks import joblog, reading
from pgusher.model.stacks import AT_SIGTERM, LOOP, Clue, ClueKind

SOURCE = b"""import queue
q = queue.Queue()

def worker():
    while True:
        item = q.get()
        if item == 3:
            raise ValueError("secret")
        q.task_done()

def careful():
    item = q.get()
    try:
        work(item)
    finally:
        q.task_done()

def main():
    with lock:
        helper("password", key="x")
        with pool.connection() as conn, other:
            conn.execute("select 'secret'")
    q.join()
"""


def of(found: list[Clue], kind: ClueKind) -> list[tuple[str, int, str]]:
    return sorted((clue.what, clue.line, clue.function) for clue in found if clue.kind is kind)


def test_what_is_called_on_a_line_and_what_it_stands_in() -> None:
    found = reading.clues(SOURCE, "x.py", {23: "main", 22: "main", 19: "main", 6: "worker"})
    assert of(found, ClueKind.AT) == [
        ("conn.execute", 22, "main"),
        ("q.get", 6, "worker"),
        ("q.join", 23, "main"),
        ("with lock", 19, "main"),
    ]
    assert of(found, ClueKind.INSIDE) == [
        ("lock", 22, "main"),
        ("other", 22, "main"),
        ("pool.connection()", 22, "main"),
        (LOOP, 6, "worker"),
    ]
    assert of(found, ClueKind.CALLS) == [("q.task_done", 9, "worker")]


def test_a_call_that_an_error_skips_has_its_stretch_and_its_raise() -> None:
    (skipped,) = [c for c in reading.clues(SOURCE, "x.py", {}) if c.kind is ClueKind.NOT_IN_FINALLY]
    assert (skipped.what, skipped.function, skipped.line, skipped.after, skipped.raises) == (
        "q.task_done", "worker", 9, 7, (8,),
    )  # fmt: skip


def test_no_value_of_the_source_is_in_a_clue() -> None:
    found = reading.clues(SOURCE, "x.py", dict.fromkeys(range(1, 30), "main"))
    assert "secret" not in repr(found)
    assert "password" not in repr(found)


def test_what_is_no_python_gives_no_clue() -> None:
    assert reading.clues(b"print 'python 2'", "x.py", {1: "f"}) == []
    assert reading.clues(b"\0", "x.py", {1: "f"}) == []
    assert reading.clues(b"x = " + b"(" * 5000, "x.py", {1: "f"}) == []
    deep = b"x = " + b"+".join([b"a.b.c()"] * 3000)
    assert len(reading.clues(deep, "x.py", {1: "f"})) <= 200


@given(st.text(alphabet="withdefraise q.get()task_done:\n    finally", max_size=200))
def test_no_source_raises(text: str) -> None:
    reading.clues(text.encode(), "x.py", {1: "f", 2: "f"})


LOG = """starting
Exception in thread Thread-1 (worker):
Traceback (most recent call last):
  File "/usr/lib/python3.11/threading.py", line 1045, in _bootstrap_inner
    self.run()
  File "/srv/job.py", line 16, in worker
    raise ValueError(f"bad row {row}")
  File "/usr/lib/python3.11/site-packages/psycopg/cursor.py", line 97, in execute
    raise ex
psycopg.errors.UndefinedTable: relation "secret" does not exist
done
"""


def test_a_traceback_is_kept_without_its_message_at_the_users_own_line() -> None:
    assert joblog.parse(LOG) == [Clue(ClueKind.TRACEBACK, "UndefinedTable", "/srv/job.py", 16, "worker")]


def test_a_log_without_a_whole_traceback_says_nothing() -> None:
    assert joblog.parse(LOG[:300]) == []
    assert joblog.parse("Traceback (most recent call last):\nValueError: x\n") == []


@given(st.text(max_size=300))
def test_no_log_raises(text: str) -> None:
    joblog.parse("Traceback (most recent call last):\n" + text)


@pytest.mark.parametrize(
    ("handler", "what"),
    [
        ("lambda *a: sys.exit(1)", "exit"),
        ("lambda *a: done.set()", "?"),
        ("halt", "?"),
        ("leave", "exit"),
        ("elsewhere.stop", "?"),
    ],
)
def test_what_is_called_at_sigterm_ends_the_program_or_may_do_more(handler: str, what: str) -> None:
    functions = "def halt(*_):\n    stop.set()\ndef leave(*_):\n    raise SystemExit(1)"
    text = f"signal.signal(signal.SIGTERM, {handler})\n{functions}"
    found = reading.clues(text.encode(), "x.py", {})
    assert [clue.what for clue in found if clue.function == AT_SIGTERM] == [what]
