"""A client that opens sessions, brings each into a wanted state, tells the truth, and stays. See --help.

It ignores the words after `--`, so that a test can make its command line as strange as it likes.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import pwd
import resource
import signal
from typing import Any, NoReturn

import psycopg

from tests.bed.holders.witness import TRUTH, Witness

_PR_SET_DUMPABLE = 4  # linux/prctl.h


def become(name: str) -> None:
    """Change to another user for good, as a program that was executed as that user would be seen.

    A process that changes its user is closed to /proc for that very user until it executes something; the interpreter
    may lie where that user cannot read it, so it is opened again by prctl instead.
    """
    entry = pwd.getpwnam(name)
    os.setgroups([])
    os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
    os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)


def stay() -> NoReturn:
    """Wait for a signal to end us."""
    while True:
        signal.pause()


def connect(dsn: str) -> psycopg.Connection[Any]:
    """A connection that sends nothing by itself."""
    if "host='@" in dsn:
        # psycopg (3.3) looks an abstract socket's name up as a host name; libpq itself knows better.
        connection = psycopg.Connection(psycopg.pq.PGconn.connect(dsn.encode()))
        connection.autocommit = True
        return connection
    return psycopg.connect(dsn, autocommit=True)


def open_session(dsn: str, state: str, witness: Witness, keep: list[psycopg.Connection[Any]]) -> None:
    """One session in this state, held for ever (two for a lock: the one that waits and the one it waits for)."""
    connection = connect(dsn)
    keep.append(connection)
    match state:
        case "never":  # a session that never sent a query: query_start is NULL
            witness.saw(connection, "idle", queried=False)
        case "idle":
            connection.execute("select 'looked at, then kept'")
            witness.saw(connection, "idle", queried=True)
        case "idle_in_transaction":
            connection.execute("begin")
            witness.saw(connection, "idle in transaction", queried=True)
        case "aborted":
            connection.execute("begin")
            try:
                connection.execute("select 1/0")
            except psycopg.errors.DivisionByZero:
                witness.saw(connection, "idle in transaction (aborted)", queried=True)
        case "active":
            witness.saw(connection, "active", queried=True)
            connection.pgconn.send_query(b"select pg_catalog.pg_sleep(86400)")
            connection.pgconn.flush()
        case "lock":
            key = connection.info.backend_pid
            connection.execute("begin")
            connection.execute("select pg_catalog.pg_advisory_xact_lock(%s)", (key,))
            blocker = witness.saw(connection, "idle in transaction", queried=True)
            waiter = connect(dsn)
            keep.append(waiter)
            witness.saw(waiter, "active", queried=True, waits_for=[blocker["backend_pid"]])
            waiter.pgconn.send_query(b"select pg_catalog.pg_advisory_lock(%d)" % key)
            waiter.pgconn.flush()
        case _:
            raise SystemExit(f"no such state: {state}")


def occupy(lowest: int) -> None:
    """Use up every descriptor below `lowest`, so that a socket gets a higher number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < lowest + 50:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(lowest + 50, hard), hard))
    while os.dup(0) < lowest - 1:
        pass


def one_of(many: int) -> bool:
    """Whether we are among the first so many that came here: each takes a place of its own."""
    for number in range(many):
        with contextlib.suppress(FileExistsError):
            os.close(os.open(os.path.join(os.environ[TRUTH], f"place-{number}"), os.O_CREAT | os.O_EXCL))
            return True
    return False


def hold(args: argparse.Namespace, witness: Witness, keep: list[psycopg.Connection[Any]]) -> None:
    """Open all that was asked for."""
    if args.at_most and not one_of(args.at_most):
        raise SystemExit(0)
    if args.first_fd:
        occupy(args.first_fd)
    for state in args.state or ["idle"]:
        name, _, count = state.partition(":")
        for _ in range(int(count or args.sessions)):
            open_session(args.dsn, name, witness, keep)
            if args.sql:
                keep[-1].execute(args.sql)


def main() -> None:
    """Do as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--sessions", type=int, default=1, help="how many of each --state without a number of its own")
    parser.add_argument(
        "--state", action="append", help="never, idle, idle_in_transaction, aborted, active or lock; :N"
    )
    parser.add_argument("--workers", type=int, default=0, help="processes, each with these sessions; we have none then")
    parser.add_argument("--share", type=int, default=0, help="forked children that inherit our sockets")
    parser.add_argument("--forsake", action="store_true", help="with --share: close our own copies of the sockets")
    parser.add_argument("--sql", help="a last statement for every session, for what it leaves to be seen")
    parser.add_argument("--at-most", type=int, default=0, help="leave at once if that many others are here already")
    parser.add_argument("--first-fd", type=int, default=0, help="the lowest descriptor that a socket may get")
    parser.add_argument("--user", help="the user to be, from before the first session")
    parser.add_argument("--user-after", help="the user to be, from after the last session")
    parser.add_argument("ignored", nargs="*")
    args = parser.parse_args()

    witness, keep = Witness(), list[psycopg.Connection[Any]]()
    if args.user:
        become(args.user)
    for _ in range(args.workers):
        if os.fork() == 0:
            break
    else:
        if args.workers:
            witness.write()
            stay()
    hold(args, witness, keep)
    if args.user_after:
        become(args.user_after)
    for _ in range(args.share):
        if os.fork() == 0:
            witness.write()
            stay()
    if args.forsake:
        for connection in keep:
            os.close(connection.fileno())  # without a word to the server, which a close() would send
        witness.sessions = []
    witness.write()
    stay()


if __name__ == "__main__":
    main()
