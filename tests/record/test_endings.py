"""A recorder that is killed at any moment loses no more than two seconds, and never harms its store."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pgusher.record.reading import Reader
from pgusher.record.store import open_store
from tests.record.days import EIGHT, PORT, SECOND

_PROGRAM = """
import sys
from pathlib import Path
from tests.record.days import EIGHT, SECOND, Clock, pool, recorder, session, snapshot
clock = Clock()
made = recorder(Path(sys.argv[1]), clock)
second = int(sys.argv[2])
while True:
    held = pool(3 + second % 7) + [session(900 + second // 5, "cron/x", ("idle", "active")[second % 2])]
    made.take([snapshot(EIGHT + second * SECOND, held)])
    print(second, flush=True)
    second += 1
    clock.now += 1
"""


def _killed(path: Path, first: int, looks: int, root: Path) -> int:
    """Ends a recorder by SIGKILL while it is at work; the last look that it told to have taken."""
    environment = {**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}"}
    argv = [sys.executable, "-c", _PROGRAM, str(path), str(first)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        last = first
        for _ in range(looks):
            last = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split()  # it went on until the signal came
        assert process.wait() == -signal.SIGKILL
    return int(rest[-1]) if rest and rest[-1].isdigit() else last


@pytest.fixture
def root() -> Path:
    return Path(__file__).resolve().parents[2]


def test_at_most_two_seconds_are_lost_at_each_of_many_kills(tmp_path: Path, root: Path) -> None:
    path = tmp_path / "record.db"
    chance = random.Random(8)
    second = 0
    for _ in range(6):
        last = _killed(path, second, chance.randint(3, 120), root)
        database = open_store(str(path))
        assert database.rows("pragma integrity_check") == [("ok",)]
        reader = Reader(database)
        bounds = reader.bounds(PORT)
        assert bounds is not None
        assert bounds[1] >= EIGHT + (last - 1) * SECOND  # a look counts for the second after it
        at = bounds[1] - 500_000
        moment = reader.moment(PORT, at)
        seen = (at - EIGHT) // SECOND
        assert moment.taken == 3 + seen % 7 + 1
        reader.close()
        second = last + 30
