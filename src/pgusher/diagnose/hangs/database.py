"""Waiting for the server: a lock of its own or of an idle session, an answer that is lost."""

from __future__ import annotations

from collections.abc import Mapping

from pgusher.diagnose.hangs.elsewhere import holder_of
from pgusher.diagnose.hangs.scene import JOINING, OBJECTS, Draft, Judge, Scene, first
from pgusher.diagnose.hangs.waits import Wait, at_line
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Evidence
from pgusher.model.session import Session

_LOST = 10_000_000
"""Microseconds that a session must have been idle before an answer that a thread still waits for counts as lost."""
_IDLE = frozenset({"idle", "idle in transaction", "idle in transaction (aborted)"})
_ASKS = frozenset(
    {
        *("execute", "executemany", "exec_driver_sql", "callproc", "commit", "rollback", "copy_expert", "copy_from"),
        *("copy_to", "fetchone", "fetchmany", "fetchall", "execute_values", "execute_batch", "read_sql", "to_sql"),
    }
)
"""Methods that a driver written in C leaves no frame of: on such a line the wait is one for the server's answer."""
_DRIVERS = ("/sqlalchemy/engine/", "/django/db/backends/", "/peewee.py")


def judge(scene: Scene, inner: Judge) -> Draft | None:
    """The mechanism, when a thread waits for the server, or for a connection that another thread uses.

    `inner` judges the process whose session blocks one of this.
    """
    shared = _shared(scene)
    if shared is not None:
        return shared
    for wait in scene.threads:
        if wait.what not in ("pg.query", "pg.rollback", "socket"):
            continue
        session = scene.session_of(wait.thread)
        if session is None:
            continue
        draft = _blocked(scene, wait, session, inner) if session.blocked_by else _lost(scene, wait, session)
        if draft is not None:
            return draft
    return _notifies(scene)


def _shared(scene: Scene) -> Draft | None:
    wait = first([one for one in scene.threads if scene.stuck(one)], "pg.rollback", "pg.shared")
    if wait is None:
        return None
    user = first([one for one in scene.threads if one is not wait], "pg.query", "pg.notifies")
    if user is None:
        return None
    rolls = wait.what == "pg.rollback"
    return Draft(
        "rollback-waits-shared-connection" if rolls else "connection-shared-by-threads",
        Certainty.LIKELY,
        wait,
        f"waits {'to roll back' if rolls else 'for'} a connection that {user.name} is using",
        f"the connection in use by {user.name}",
        None,
        (Evidence(f"it waits for the connection's own lock, and {user.name} waits within the driver"),),
        others=(user,),
        alive=True,
    )


def _blocked(scene: Scene, wait: Wait, session: Session, inner: Judge) -> Draft | None:
    assert scene.facts is not None  # noqa: S101 - for the checker: a session was found in it
    sessions = {one.pid: one for one in scene.facts.sessions}
    heads = _heads(session, sessions)
    told = Evidence(f"pg_blocking_pids: session {session.pid} waits for {', '.join(map(str, heads))}")
    for head in heads:
        blocker = sessions.get(head)
        holders = scene.process_of(head)
        if scene.process.pid in holders:
            return _own(scene, wait, session, head, told)
        if blocker is None or blocker.state not in _IDLE:
            continue
        advisory = (session.wait_event or "").lower() == "advisory"
        who = f"session {head}" + (f" of process {holders[0]}" if holders else "")
        lock = "an advisory lock" if advisory else "a lock"
        end = holder_of(scene, holders, inner)
        if advisory and blocker.state == "idle" and (end.works or not end.hung):
            return None  # so does whoever stands by until the leader goes
        return Draft(
            "advisory-lock-held" if advisory else "blocked-by-idle-session",
            Certainty.PROVEN,
            wait,
            f"waits in the server for {lock} that {who} holds, which is {blocker.state}{end.says}",
            who,
            None,
            (told, *end.evidence),
            pids=(*holders, *end.pids),
            sessions=(session.pid, head),
            alive=True,
        )
    return None


def _heads(session: Session, sessions: Mapping[int, Session]) -> list[int]:
    found, seen, todo = [], {session.pid}, list(session.blocked_by)
    while todo:
        pid = todo.pop(0)
        if pid in seen:
            continue
        seen.add(pid)
        further = sessions[pid].blocked_by if pid in sessions else ()
        if further:
            todo += further
        else:
            found.append(pid)
    return found


def _own(scene: Scene, wait: Wait, session: Session, head: int, told: Evidence) -> Draft | None:
    others = [one for one in scene.threads if one is not wait]
    waiting = [one for one in others if one.what in OBJECTS | JOINING or one.what in ("pg.query", "child.wait")]
    if len(waiting) < len(others):
        return None  # a thread that goes on may end the transaction
    if any(one in scene.moving() and one.what != "pg.query" for one in others):
        return None
    return Draft(
        "deadlock-python-postgres",
        Certainty.LIKELY,
        wait,
        f"waits in the server for a lock of session {head}, which this process itself holds and cannot end",
        f"session {head} of the same process",
        "a thread that ends that transaction",
        (told, Evidence(f"session {head} belongs to process {scene.process.pid} too")),
        sessions=(session.pid, head),
        others=tuple(others),
        alive=True,
    )


def _lost(scene: Scene, wait: Wait, session: Session) -> Draft | None:
    assert scene.facts is not None  # noqa: S101 - for the checker: a session was found in it
    changed = session.state_change
    if session.state not in _IDLE or changed is None or scene.facts.taken_at - changed < _LOST:
        return None
    if wait.what == "socket" and not _asks(scene, wait, session):
        return None
    return Draft(
        "answer-lost",
        Certainty.LIKELY,
        wait,
        f"waits for an answer of session {session.pid}, which the server has been idle in since",
        f"session {session.pid}",
        "the server's answer: it was sent, and did not arrive",
        (Evidence(f"the server says that session {session.pid} is {session.state}"),),
        sessions=(session.pid,),
        alive=True,
    )


def _asks(scene: Scene, wait: Wait, session: Session) -> bool:
    """Whether who waits on a session's socket, by no function of a driver, has asked the server something.

    A select() of the user's own waits for a notification, as LISTEN is written with psycopg2: all is well.
    """
    if (session.query or "").lstrip().lower().startswith(("listen", "unlisten")):
        return False
    if any(part in frame.file for frame in wait.thread.frames for part in _DRIVERS):
        return True
    return any(one.rpartition(".")[2] in _ASKS for one in at_line(scene.clues, wait.user))


def _notifies(scene: Scene) -> Draft | None:
    wait = first(scene.threads, "pg.notifies")
    if wait is None or wait is scene.main or scene.main is None or scene.main.what != "main.exit":
        return None
    if any(one.what not in ("pg.notifies", "main.exit") for one in scene.threads):
        return None
    session = scene.session_of(wait.thread)
    return Draft(
        "notifies-endless",
        Certainty.GUESSED,
        wait,
        "waits in notifies() for a notification, and main, which may have had to send it, has ended",
        "a notification",
        "the sender of the notification",
        (Evidence("main has ended, and no other thread of the user's is left"),),
        sessions=(session.pid,) if session is not None else (),
        alive=True,
    )
