"""Scripts that hang after something raised, unchanged, each on a line of a real cron's crontab: they end, and tell."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from pgusher.demo.server import EmbeddedServer
from pgusher.guard.inside import environment
from pgusher.guard.inside.report import Report, read
from tests.bed.bed import Bed
from tests.bed.cron import Cron, command, needs_cron

HANGS = Path(__file__).parent / "hangs"
SERVER_SETTINGS = {"max_connections": 100}
GRACE = 1.0
ENDED = {
    "event_never_set": ("loader", "AssertionError"),
    "executor_atexit_join": ("MainThread", "ZeroDivisionError"),
    "getconn_no_putconn": ("(work)", "ValueError"),
    "logging_queue_listener": ("(_monitor)", "OSError"),
    "nondaemon_recv": ("MainThread", "ValueError"),
    "notifies_forever": ("MainThread", "ValueError"),
    "queue_get_no_sentinel": ("MainThread", "KeyError"),
    "queue_join_no_task_done": ("(worker)", "ValueError"),
    "queue_put_full": ("(consumer)", "ValueError"),
    "semaphore_not_released": ("(work)", "ValueError"),
    "stderr_pipe_full": ("(work)", "ValueError"),
}
"""Those in which a thread dies, with the thread and what it died of. In the others nothing does: the exception is kept
by a future, an executor or the script's own `except`, or nothing was raised. A time limit is what ends those."""

pytestmark = needs_cron


def marked(name: str, mark: str) -> list[int]:
    lines = (HANGS / f"{name}.py").read_text().splitlines()
    return [number for number, line in enumerate(lines, 1) if line.endswith(f"# {mark}")]


class Ran:
    """What became of a script."""

    def __init__(self, place: Path, name: str) -> None:
        self.code_file = place / f"{name}.code"
        self.report_file = place / f"{name}.report"
        self.report_file.touch()

    @property
    def code(self) -> str:
        return self.code_file.read_text().strip() if self.code_file.exists() else ""

    @property
    def report(self) -> Report:
        return read(str(self.report_file))


@pytest.fixture(scope="module")
def ran(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Ran]]:
    place = tmp_path_factory.mktemp("ran")
    found = {name: Ran(place, name) for name in ENDED}
    bed = Bed(server)
    dsn = bed.dsn()
    with psycopg.connect(bed.dsn(user="postgres"), autocommit=True) as connection:
        connection.execute((HANGS / "schema.sql").read_bytes())
        connection.execute("grant all on all tables in schema public to public")
        connection.execute("grant all on all sequences in schema public to public")
    lines = []
    for name, one in found.items():
        given = environment({}, str(one.report_file), GRACE)
        settings = " ".join(f"{key}={command(value)}" for key, value in given.items())
        job = command(sys.executable, str(HANGS / f"{name}.py"))
        lines.append(f"@reboot {settings} {job}; echo $? > {one.code_file}")
    cron = Cron(users={"root": lines}, processes=0, env={"PGUSHER_DSN": dsn, "PGAPPNAME": "hangs"})
    try:
        cron.start()
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and not all(one.code for one in found.values()):
            time.sleep(0.1)
        count = "select count(*) from pg_stat_activity where application_name = 'hangs'"
        while time.monotonic() < deadline and bed.admin.execute(count).fetchone() != (0,):
            time.sleep(0.1)
        (Path(place) / "sessions").write_text(str(bed.admin.execute(count).fetchone()))
        yield found
    finally:
        cron.stop()
        bed.close()


@pytest.mark.parametrize("name", ENDED)
def test_it_fails_and_names_thread_and_line(ran: dict[str, Ran], name: str) -> None:
    one = ran[name]
    thread, error = ENDED[name]
    assert one.code == "1"
    death = one.report.deaths[0]
    assert (death.error, death.file) == (error, str(HANGS / f"{name}.py"))
    assert death.thread.endswith(thread)
    # The innermost line; what a future held is raised again further out.
    (raises,) = marked(name, "RAISES")
    assert death.line == raises or f"line {raises}, in main" in death.traceback
    waits = [(waiting.file, waiting.line) for waiting in one.report.waiting]
    assert {(str(HANGS / f"{name}.py"), line) for line in marked(name, "WAITS")} & set(waits)


def test_all_slots_are_back(ran: dict[str, Ran]) -> None:
    assert (ran["event_never_set"].code_file.parent / "sessions").read_text() == "(0,)"


def test_all_scripts_are_there() -> None:
    assert len([name for name in os.listdir(HANGS) if name.endswith(".py") and name != "incident_db.py"]) == 23
