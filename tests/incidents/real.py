"""Incidents staged with real processes on a real server. Where one needs days, the clock of the look is set forward."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from pgusher.app.look import Looker
from pgusher.app.request import Request
from pgusher.demo.server import EmbeddedServer
from pgusher.diagnose.engine import diagnose
from pgusher.model.findings import Diagnosis
from tests.bed.bed import HBA, MONITOR, Bed, prepare
from tests.bed.cron import command, holder_command, why_no_cron, why_no_hurry
from tests.incidents.incident import INNOCENT, Incident

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
Stage = Callable[[Bed, ExitStack], None]


@contextmanager
def bed_of(slots: int) -> Iterator[Bed]:
    """A server with that many slots, and nobody on it."""
    with EmbeddedServer(18, hba=HBA, max_connections=slots, authentication_timeout=600) as server:
        prepare(server)
        bed = Bed(server)
        try:
            yield bed
        finally:
            bed.close()


def look(bed: Bed, later: float = 0.0, twice: float = 0.0) -> Diagnosis:
    """What is said of this server, as if the look were that many seconds later; with an earlier look, if `twice`."""
    role = "postgres" if later < 0 else MONITOR
    request = Request(dsn=bed.dsn(role, "postgres"), timeout=30.0)
    looker = Looker(request, clock=lambda: time.time() + max(0.0, later))
    try:
        earlier = None
        if twice:
            (earlier,) = looker.look().snapshots
            time.sleep(twice)
        (snapshot,) = looker.look().snapshots
    finally:
        looker.close()
    return diagnose(snapshot, earlier=earlier, strict=True)


def _staged(slots: int, stage: Stage, later: float, twice: float, admin: bool) -> Callable[[], Diagnosis]:
    def run() -> Diagnosis:
        with bed_of(slots) as bed, ExitStack() as stack:
            if admin:
                _ = bed.admin
            stage(bed, stack)
            return look(bed, later, twice)

    return run


def _of(
    name: str,
    about: str,
    causes: Sequence[str],
    stage: Stage,
    *,
    slots: int = 40,
    later: float = 0.0,
    twice: float = 0.0,
    also: Sequence[str] = (),
    missing: str = "",
) -> Incident:
    run = _staged(slots, stage, later, twice, admin=True)
    return Incident(name, about, tuple(causes), run, real=True, also=tuple(also), missing=missing)


# -- the stages: what holds the sessions


def _crawler(bed: Bed, stack: ExitStack) -> None:
    stack.enter_context(bed.holder("active", sessions=36))


def _role_limit(bed: Bed, stack: ExitStack) -> None:
    stack.enter_context(bed.holder("active", sessions=5))
    stack.enter_context(bed.role_limit("app", 5))


def _oversized(bed: Bed, stack: ExitStack) -> None:
    stack.enter_context(bed.holder(["never:8", "idle:1"], workers=4))


def _oversized_and_old(bed: Bed, stack: ExitStack) -> None:
    stack.enter_context(bed.holder(["never:8", "idle:1"], workers=3))


def _blocked(bed: Bed, stack: ExitStack) -> None:
    stack.enter_context(bed.holder("lock", sessions=3))


def _in_transaction(bed: Bed, stack: ExitStack) -> None:
    stack.enter_context(bed.holder("idle_in_transaction", sessions=2))


def _aborted(bed: Bed, stack: ExitStack) -> None:
    stack.enter_context(bed.holder("aborted", sessions=6))


def _forked(bed: Bed, stack: ExitStack) -> None:
    stack.enter_context(bed.holder("idle", sessions=3, share=3))


def _orphans(bed: Bed, stack: ExitStack) -> None:
    # The holder is ended with its program; its sessions run their statement to its end.
    program = (
        "import psycopg, sys\n"
        "kept = [psycopg.connect(sys.argv[1], autocommit=True) for _ in range(5)]\n"
        "for one in kept:\n"
        "    one.pgconn.send_query(b'select pg_sleep(600)'); one.pgconn.flush()\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n"
    )
    client = subprocess.Popen(
        [sys.executable, "-c", program, bed.dsn()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert client.stdout is not None
    assert client.stdout.readline() == "ready\n"
    deadline = time.monotonic() + 30
    while sum(row["state"] == "active" for row in bed.sessions()) < 5:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    client.kill()
    client.communicate()


def _unfinished(bed: Bed, stack: ExitStack) -> None:
    stack.enter_context(bed.unfinished(20))


def _churn(bed: Bed, stack: ExitStack) -> None:
    program = "import psycopg, sys\nwhile True: psycopg.connect(sys.argv[1]).execute('select 1')\n"
    client = subprocess.Popen([sys.executable, "-c", program, bed.dsn()])

    def end() -> None:
        client.kill()
        client.wait()

    stack.callback(end)


def _reserve(bed: Bed, stack: ExitStack) -> None:
    stack.enter_context(bed.holder("active", sessions=36))
    stack.enter_context(bed.holder("idle", sessions=2, dsn=bed.dsn("postgres", "postgres")))


def _overlapping(bed: Bed, stack: ExitStack) -> None:
    job = holder_command(bed.dsn(), "--state", "active", "--sessions", "2", "--at-most", "3")
    stack.enter_context(bed.cron([f"* * * * * root {job}"], hurry=True, processes=3, sessions=6))


def _stuck(bed: Bed, stack: ExitStack) -> None:
    job = holder_command(bed.dsn(), "--sessions", "3", "--at-most", "4")
    stack.enter_context(bed.cron([f"* * * * * root {job}"], hurry=True, processes=4, sessions=12))


def _stuck_on_a_full_server(bed: Bed, stack: ExitStack) -> None:
    _stuck(bed, stack)
    stack.enter_context(bed.web("gunicorn:sync", workers=3, sessions=8))


def _mixture(bed: Bed, stack: ExitStack) -> None:
    stack.enter_context(bed.holder("lock", sessions=4))
    stack.enter_context(bed.web("uvicorn", workers=2, sessions=5))


# -- and those that are well


def _pool(bed: Bed, stack: ExitStack) -> None:
    stack.enter_context(bed.holder(["idle:8", "never:2"]))


def _service(bed: Bed, stack: ExitStack) -> None:
    stack.enter_context(bed.web("gunicorn:sync", workers=4, sessions=5))


def _two_services(bed: Bed, stack: ExitStack) -> None:
    stack.enter_context(bed.web("gunicorn:gthread", workers=2, sessions=3))
    stack.enter_context(bed.web("uvicorn", workers=2, sessions=3))


def _report(bed: Bed, stack: ExitStack) -> None:
    job = holder_command(bed.dsn(), "--state", "active", "--sessions", "2", "--at-most", "1")
    stack.enter_context(bed.cron([f"* * * * * root {job}"], hurry=True, processes=1, sessions=2))


def _two_jobs(bed: Bed, stack: ExitStack) -> None:
    lines = [f"@reboot root {holder_command(bed.dsn(), '--sessions', str(count))}" for count in (2, 3)]
    stack.enter_context(bed.cron(lines, processes=2, sessions=5))


def _nightly(bed: Bed, stack: ExitStack) -> None:
    # Started when cron starts; what counts is the schedule of a line of the same command.
    job = command(sys.executable, os.path.join(os.path.dirname(__file__), "..", "bed", "holders", "sessions.py"))
    words = f"{job} --dsn {command(bed.dsn())} --sessions 2"
    stack.enter_context(bed.cron([f"@reboot root {words}", f"0 3 * * * root {words}"], processes=1, sessions=2))


_NO_CRON = why_no_cron()
_NO_HURRY = _NO_CRON or why_no_hurry()
_ALONE = ("one-holder-takes-all",)

INCIDENTS = (
    _of("a crawler takes every slot", "one-holder-takes-all", _ALONE, _crawler),
    _of("a program at its role's limit", "role-limit-reached", ["role-limit-reached"], _role_limit),
    _of(
        "four workers with pools of nine, of which they use one",
        "idle-pool-oversized",
        ["idle-pool-oversized"],
        _oversized,
    ),
    _of(
        "three such workers for hours, while there is room",
        "idle-pool-oversized",
        ["idle-pool-oversized"],
        _oversized_and_old,
        later=3 * HOUR,
    ),
    _of(
        "requests wait for one that waits for its client",
        "blocked-by-idle",
        ["blocked-by-idle"],
        _blocked,
        later=MINUTE,
    ),
    _of(
        "a transaction open for ten minutes",
        "idle-in-transaction",
        ["idle-in-transaction"],
        _in_transaction,
        later=10 * MINUTE,
    ),
    _of(
        "six failed transactions that nobody rolls back",
        "idle-in-transaction",
        ["idle-in-transaction"],
        _aborted,
        later=20.0,
    ),
    _of("a pool opened before the fork", "fork-shared-socket", ["fork-shared-socket"], _forked, later=10.0),
    _of("a client is killed while its statements run", "orphaned-session", ["orphaned-session"], _orphans, later=10.0),
    _of(
        "clients that say nothing instead of logging in",
        "invisible-sessions",
        ["invisible-sessions"],
        _unfinished,
        later=20.0,
    ),
    _of("a program that connects for each statement", "connection-churn", ["connection-churn"], _churn, twice=1.0),
    _of(
        "superusers in the reserve of a full server",
        "reserved-slots-used",
        ["one-holder-takes-all"],
        _reserve,
        later=-1.0,
        also=("reserved-slots-used",),
    ),
    _of(
        "a job that is started before its last run is done",
        "overlapping-runs",
        ["overlapping-runs"],
        _overlapping,
        missing=_NO_HURRY,
    ),
    _of("four runs of a job, idle for a day", "stuck-job", ["stuck-job"], _stuck, later=DAY, missing=_NO_HURRY),
    _of(
        "stuck runs and a busy service fill the server",
        "mixture",
        ["stuck-job"],
        _stuck_on_a_full_server,
        later=2 * HOUR,
        also=("idle-pool-oversized",),
        missing=_NO_HURRY,
    ),
    _of("a lock's queue beside a healthy service", "mixture", ["blocked-by-idle"], _mixture, later=MINUTE),
)

HEALTHY = (
    _of("an idle pool of ten", INNOCENT, (), _pool, later=20 * MINUTE),
    _of("four workers with five sessions each, 54 % of the slots", INNOCENT, (), _service, later=30 * MINUTE),
    _of("two services at rest", INNOCENT, (), _two_services, later=8 * HOUR),
    _of(
        "a report that runs for hours, as its statement shows", INNOCENT, (), _report, later=3 * HOUR, missing=_NO_HURRY
    ),
    _of("two jobs that start with the host, and stay", INNOCENT, (), _two_jobs, later=5 * DAY, missing=_NO_CRON),
    _of("nobody at all", INNOCENT, (), lambda _bed, _stack: None),
)
