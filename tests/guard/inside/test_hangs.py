"""Scripts that hang for ever, unchanged, each on a line of a real cron's crontab under the guard: they end and tell."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from pgusher.demo.server import EmbeddedServer
from pgusher.guard.history import History
from pgusher.guard.history_entry import Entry
from tests.bed.bed import Bed
from tests.bed.cron import Cron, command, needs_cron
from tests.bed.holder import ROOT

HANGS = Path(__file__).parent / "hangs"
SERVER_SETTINGS = {"max_connections": 250}
"""More than all scripts take together, whatever they do: one of them fills its role's slots until it is refused, and
takes a refusal by the server for that."""
DIED = {
    "event_never_set": "AssertionError",
    "executor_atexit_join": "ZeroDivisionError",
    "getconn_no_putconn": "ValueError",
    "lock_not_released": "ZeroDivisionError",
    "logging_queue_listener": "OSError",
    "nondaemon_recv": "ValueError",
    "notifies_forever": "ValueError",
    "queue_get_no_sentinel": "KeyError",
    "queue_join_no_task_done": "ValueError",
    "queue_put_full": "ValueError",
    "semaphore_not_released": "ValueError",
    "stderr_pipe_full": "ValueError",
    "too_many_clients_kills_worker": "RuntimeError",
}
"""Those in which a thread dies, and of what: they end as soon as the grace is over."""
LIMITED = (
    "advisory_lock_older_run",
    "asyncio_gather_event",
    "fork_with_held_lock",
    "future_keeps_conn",
    "lock_order_abba",
    "mp_join_before_drain",
    "mp_pool_worker_killed",
    "subprocess_pipe_full",
    "suspended_generator_holds_tx",
    "thread_in_c_input",
)
"""Those in which none does: the exception is kept by a future or caught by the script, or there was none. Their time
limit ends them."""
SCRIPTS = (*DIED, *LIMITED)
CROWD = "crowd"
"""A role whose slots one script can fill, and leave those of the others alone."""
NO_LINE = {"asyncio_gather_event", "fork_with_held_lock"}
"""A task that waits has no stack; the child of a fork is named by its parent's line."""

pytestmark = needs_cron


def marked(name: str, mark: str) -> list[int]:
    lines = (HANGS / f"{name}.py").read_text().splitlines()
    return [number for number, line in enumerate(lines, 1) if line.endswith(f"# {mark}")]


@pytest.fixture(scope="module")
def ran(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[str, Entry]]]:
    """The exit code of each, and what the history has of it; "sessions" is what was left on the server."""
    place = tmp_path_factory.mktemp("ran")
    bed = Bed(server)
    with psycopg.connect(bed.dsn(user="postgres"), autocommit=True) as connection:
        connection.execute(f"create role {CROWD} login in role app connection limit 9")
        for name in SCRIPTS:  # a schema for each, or they would wait for each other's rows
            connection.execute(f"create schema {name} authorization app; set role app; set search_path = {name}")
            connection.execute((HANGS / "schema.sql").read_bytes())
            connection.execute("reset role")
    lines = []
    for name in SCRIPTS:
        limit = "12s" if name in LIMITED else "60s"
        guard = command(sys.executable, "-m", "pgusher", "run", "--timeout", limit, "--grace", "1s", "--")
        job = command(sys.executable, str(HANGS / f"{name}.py"))
        guard = f"PGOPTIONS='-c search_path={name}' {guard}"
        if name == "too_many_clients_kills_worker":
            guard = f'PGUSHER_DSN="{bed.dsn(CROWD)}" {guard}'
        lines.append(f"@reboot {guard} {job}; echo $? > {place}/{name}.code")
    environ = {"PGUSHER_DSN": bed.dsn(), "PGUSHER_STATE": str(place), "PYTHONPATH": f"{ROOT}/src"}
    cron = Cron(users={"root": lines}, processes=0, env=environ)
    try:
        cron.start()
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and len(list(place.glob("*.code"))) < len(lines):
            time.sleep(0.1)
        count = "select count(*) from pg_stat_activity where usename in ('app', 'crowd')"
        while time.monotonic() < deadline and bed.admin.execute(count).fetchone() != (0,):
            time.sleep(0.1)
        left = str(bed.admin.execute(count).fetchone())
        last = History(str(place / "history")).last()
        codes = {path.stem: path.read_text().strip() for path in place.glob("*.code")}
        yield {**{name: (codes[name], last[name]) for name in codes}, "sessions": (left, Entry("", "", "", 0))}
    finally:
        cron.stop()
        bed.close()


@pytest.mark.parametrize("name", DIED)
def test_a_dead_thread_is_named_with_its_line(ran: dict[str, tuple[str, Entry]], name: str) -> None:
    code, entry = ran[name]
    assert (code, entry.ending, entry.exit) == ("1", "thread", 1)
    first = entry.evidence[0]
    assert f" died of {DIED[name]}" in first
    (raises,) = marked(name, "RAISES")
    # What a future held is raised again further out: then it is the line where it was raised first.
    assert f"{HANGS / name}.py:{19 if name == 'executor_atexit_join' else raises}" in first
    assert any(f"{HANGS / name}.py:{line}" in text for line in marked(name, "WAITS") for text in entry.evidence[1:])


@pytest.mark.parametrize("name", LIMITED)
def test_the_limit_ends_the_others_and_their_line_is_named(ran: dict[str, tuple[str, Entry]], name: str) -> None:
    code, entry = ran[name]
    assert (code, entry.ending, entry.exit) == ("124", "limit", 124)
    if name not in NO_LINE:
        lines = [f"{HANGS / name}.py:{line}" for line in marked(name, "WAITS")]
        assert any(line in text for line in lines for text in entry.evidence), entry.evidence


def test_all_slots_are_back(ran: dict[str, tuple[str, Entry]]) -> None:
    assert ran["sessions"][0] == "(0,)"


def test_all_scripts_are_there() -> None:
    there = {name[:-3] for name in os.listdir(HANGS) if name.endswith(".py")}
    assert there == {*SCRIPTS, "incident_db"}
