"""`Pool`: psycopg_pool's ConnectionPool with the same constructor, methods, hooks and errors, that knows its place."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any, Generic, cast, get_origin

import psycopg
from psycopg_pool import PoolTimeout
from psycopg_pool.abc import CT
from psycopg_pool.pool import AddConnection, MaintenanceTask

from pgusher.client.alive import ended, entangled
from pgusher.client.close_returns import returning
from pgusher.client.core import IDLE, LONG_LOAN, UNKNOWN, cut_off
from pgusher.client.crew import TIMEKEEPER, Post, Ticket
from pgusher.client.farewell import keep_socket, wait_until_gone
from pgusher.client.fork import cut_loose
from pgusher.client.gate import Gate
from pgusher.client.handing import Handing
from pgusher.client.ledger_hook import Ledger
from pgusher.client.limits import Limits
from pgusher.client.loans import seat_of
from pgusher.client.reports import pool_logger
from pgusher.client.sqlstate import telling

_CONNECTION: Any = psycopg.Connection


class Pool(Handing[CT], Generic[CT]):
    """A connection pool for threads: `psycopg_pool.ConnectionPool` that says who holds, and loses nothing.

    Beyond psycopg_pool's documentation: a caller that waits in vain is told who has the sessions, since when and at
    which line. A full server is waited for, a wrong password is not. A thread that ends with a loan gives it back.
    The child of a fork opens its own sessions. A program ends without `close()`.
    """

    def __init__(
        self,
        conninfo: str | Callable[[], str] = "",
        *,
        service: str | None = None,
        gate: Gate | None = None,
        ledger: Ledger | None = None,
        limits: Limits | None = None,
        long_loan: float = LONG_LOAN,
        give_all_back: bool = False,
        connection_class: type[CT] = _CONNECTION,
        **options: Any,
    ) -> None:
        """What psycopg_pool's constructor takes, and more.

        `service`: the name that the sessions carry (None: that of the script). `gate`: what other processes know.
        `ledger`: who is told of each loan. `limits`: how the sessions limit themselves. `long_loan`: seconds after
        which a loan is told. `give_all_back`: close everything that was not needed for `max_idle`, instead of one
        session at a time.
        """
        self._set_up(
            conninfo,
            service=service,
            gate=gate,
            ledger=ledger,
            limits=limits,
            long_loan=long_loan,
            give_all_back=give_all_back,
        )
        self._post: Post | None = None
        self._lends_itself = type(self).getconn is Handing.getconn
        # What it does at a commit is known, and left out where there is nothing to commit.
        known = psycopg.Connection
        kind = get_origin(connection_class) or connection_class
        self._plain = kind.__exit__ is known.__exit__ and kind.commit is known.commit
        if options.get("close_returns"):
            connection_class = returning(connection_class)
        super().__init__(cast("Any", conninfo), connection_class=telling(connection_class), **options)

    def __del__(self) -> None:
        # Nothing is waited for: threads that end with the process must not be joined, least of all at its exit. Then
        # not even a lock may be taken: a thread that had it was stopped for ever where it stood.
        if getattr(self, "_post", None) is not None and not self._finalizing():
            self._signal_stop_worker()

    # -- threads ---------------------------------------------------------------------------------------------------

    def _start_workers(self) -> None:
        self._post = post = Post(self.name, self.num_workers)
        self._book()
        self._workers = [cast("threading.Thread", post)]
        self._sched_runner = cast("threading.Thread", post)
        if self._foreign_gate:
            self._watched = True
            self._watch_in(0.1)

    def _signal_stop_worker(self) -> list[threading.Thread]:
        post, self._post, self._workers, self._sched_runner = self._post, None, [], None
        if post is None:
            return []
        post.stop()
        self._unbook()
        return [cast("threading.Thread", post)]

    def run_task(self, task: MaintenanceTask) -> None:
        """Run a maintenance task in a helper thread."""
        post = self._post
        if post is None:
            return
        ticket = Ticket()
        try:
            self._note_task(task)
            post.put(task.run, ticket)
        except BaseException:  # a signal's: the task is counted with already, so it is to be done
            self._note_task(task)
            if ticket.taken:
                TIMEKEEPER.after(0.0, post.nudge)
            else:
                post.put(task.run)
            raise

    def schedule_task(self, task: MaintenanceTask, delay: float) -> None:
        """Run a maintenance task in a helper thread, later."""
        self._note_task(task)
        TIMEKEEPER.after(delay, task.tick)

    def _check_connection(self, conn: CT) -> None:
        try:
            super()._check_connection(conn)
        except Exception as error:
            if conn.broken:
                self._drop_generation(cut_off(str(error)) or not ended(conn))
            raise

    # -- connecting ------------------------------------------------------------------------------------------------

    def wait(self, timeout: float = 30.0) -> None:
        """Wait until there are `min_size` sessions. Raises PoolTimeout, at once when no connect can work."""
        self._init_error = None
        with self._lock:
            self._grow_if_needed()  # the child of a fork has opened none yet
        try:
            super().wait(timeout)
        except PoolTimeout as error:
            if self._last_error is None:
                raise
            raise PoolTimeout(f"{error}: {self._last_error}") from self._last_error
        failed = self._init_failed()
        if failed is not None:
            self.close()
            raise failed

    def _resolve_conninfo(self) -> str:
        self._conninfo_seen = found = super()._resolve_conninfo()
        return found

    def _resolve_kwargs(self) -> dict[str, Any]:
        return self._parameters(super()._resolve_kwargs())

    def _connect(self, timeout: float | None = None) -> CT:
        while True:
            asked = self._self_limits.asked()
            try:
                conn = super()._connect(timeout)
            except psycopg.OperationalError as error:
                if not self._self_limits.learn(str(error), asked):
                    raise
            else:
                self._seated(conn)
                return conn

    def _add_connection(self, attempt: Any, growing: bool = False) -> None:  # noqa: ARG002  # as psycopg_pool has it
        with self._lock:
            delay = self._ask(growing)
        if delay is None:
            return
        if delay > 0.0:
            self.schedule_task(AddConnection(self, growing=True), delay)
            return
        try:
            conn = self._connect()
        except Exception as error:  # noqa: BLE001  # as psycopg_pool does: whatever a hook may raise
            self._log_failure(error)
            self._after_failure(error, growing)
            return
        self._worked()
        pool_logger.info("adding new connection to the pool")
        self._add_to_pool(conn)
        if growing:
            with self._lock:
                if self._nconns < self._min_size or (self._nconns < self._max_size and self._waiting):
                    self._nconns += 1
                    self.run_task(AddConnection(self, growing=True))
                else:
                    self._growing = False

    def _after_failure(self, error: BaseException, growing: bool) -> None:
        with self._lock:
            delay, gave_up, losers = self._failed(error, growing)
            again = self._refill_in(gave_up) if delay is None else None
        for position in losers:
            position.fail(self._connect_failed(error))
        if delay is not None:
            self.schedule_task(AddConnection(self, growing=True), delay)
        if again is not None:
            self.schedule_task(Refill(self), again)
        if gave_up:
            self.reconnect_failed()

    def _refill(self) -> None:
        with self._lock:
            self._refilling = False
            self._grow_if_needed()

    # -- giving back -----------------------------------------------------------------------------------------------

    def _return_connection(self, conn: CT, from_getconn: bool) -> None:
        seat = seat_of(conn)
        if self._gate.pressed and seat is not None and self._gate.give_back(monotonic(), seat.made):
            self._reset_connection(conn)
            self._give_slot_back(conn)
            return
        text = conn.pgconn.error_message.decode("utf-8", "replace") if conn.broken else ""
        super()._return_connection(conn, from_getconn)
        if conn.pgconn.transaction_status == UNKNOWN:
            self._ended(conn)
            if text:
                self._drop_generation(cut_off(text))

    def _reset_connection(self, conn: CT) -> None:
        super()._reset_connection(conn)
        if conn.pgconn.transaction_status == IDLE and entangled(conn):
            pool_logger.warning("closing returned connection, a block on it was interrupted: %s", conn)
            self._close_connection(conn)
        if conn.pgconn.transaction_status == UNKNOWN:
            self._ended(conn)  # before another is asked for in its place: that may be interrupted

    def _close_connection(self, conn: CT) -> None:
        fd = keep_socket(conn) if self._foreign_gate else -1
        super()._close_connection(conn)
        wait_until_gone(fd)  # somebody else may have the slot next, and would be refused a moment earlier
        self._ended(conn)

    def check(self) -> None:
        """Verify the idle connections: replace those that are broken. One that does not answer condemns them all."""
        self._drop_generation(everything=False, told=True)
        super().check()

    def _shrink_pool(self) -> None:
        if not self._give_all_back:
            super()._shrink_pool()
            return
        with self._lock:
            spare = min(self._nconns_min, self._nconns - self._min_size, len(self._pool))
            unneeded = [self._pool.popleft() for _ in range(max(0, spare))]
            self._nconns -= len(unneeded)
            self._nconns_min = len(self._pool)
        for conn in unneeded:
            self._close_connection(conn)

    # -- the end, and other processes ------------------------------------------------------------------------------

    def _forked(self) -> None:
        """In the child of a fork: nothing of the parent's is used or ended."""
        conns = self._forget()
        self._lock = threading.RLock()
        cut_loose([conn.pgconn for conn in conns])
        if self._post is not None:
            self._start_workers()

    def _at_exit(self) -> None:
        self._exiting = True
        for conn in list(self._pool):
            with suppress(Exception):
                conn.pgconn.finish()


class Refill(MaintenanceTask):
    """After a failure for good: look whether it still is one, for the sake of `min_size`."""

    def _run(self, pool: Any) -> None:
        pool._refill()  # noqa: SLF001  # a method of the pool's own
